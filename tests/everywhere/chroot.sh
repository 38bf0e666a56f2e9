#!/bin/sh
# Makes a Debian 12 to build in for other machines, and gets the crates for it: chroot.sh DIRECTORY
#
# That release has the oldest Rust that the library can be built with, and its standard library for many machines. It takes
# 3 GB below DIRECTORY, where apt and Cargo leave the system alone. What is there already is not made again.

set -e
tree=$PWD
cd "$1"

if ! [ -e debian ]; then
	rm -rf new
	debootstrap --variant=minbase bookworm new
	cat >new/make <<-'END'
		set -e
		export DEBIAN_FRONTEND=noninteractive
		install='apt-get install -q -y --no-install-recommends'
		$install make pkg-config gcc libc6-dev rustc-web cargo-web qemu-user qemu-system-arm cpio musl-tools
		for machine in i386:i686-linux-gnu armhf:arm-linux-gnueabihf arm64:aarch64-linux-gnu s390x:s390x-linux-gnu; do
			architecture=${machine%:*}
			dpkg --add-architecture "$architecture"
			apt-get update -q
			$install "gcc-${machine#*:}" "libc6-dev-$architecture-cross" "libc6:$architecture" "libgcc-s1:$architecture"
			# What it depends on is a compiler for that machine, which nobody runs.
			apt-get download -q -o APT::Sandbox::User=root "libstd-rust-web-dev:$architecture"
			dpkg-deb -x libstd-rust-web-dev_*.deb /
			rm libstd-rust-web-dev_*.deb
		done
		# There is none for musl, so it is to be built.
		apt-get download -q -o APT::Sandbox::User=root rust-web-src
		dpkg-deb --fsys-tarfile rust-web-src_*.deb | tar -x -C / ./usr/lib/rustlib --wildcards './usr/src/rustc-*/library'
		rm rust-web-src_*.deb
		# The kernel's headers, for musl's compiler.
		ln -s ../linux ../asm-generic ../x86_64-linux-gnu/asm /usr/include/x86_64-linux-musl
		apt-get clean
	END
	chroot new sh /make
	mkdir new/libioq new/everywhere
	mv new debian
fi

mkdir -p cargo
RUSTC_BOOTSTRAP=1 cargo vendor --quiet --locked --versioned-dirs --manifest-path "$tree/Cargo.toml" \
	--sync "$PWD"/debian/usr/src/rustc-*/library/Cargo.toml vendor >/dev/null
cat >cargo/config.toml <<'END'
[source.crates-io]
replace-with = "vendored"

[source.vendored]
directory = "/everywhere/vendor"
END
