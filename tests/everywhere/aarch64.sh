#!/bin/sh
# In the chroot: runs the C programs on Debian's kernels for AArch64, in an emulated machine (tests/old_kernels.rs).

set -e
target=aarch64-unknown-linux-gnu
compiler=aarch64-linux-gnu-gcc
here=/everywhere/$target

tests/everywhere/build.sh "$target" "$compiler"
if ! [ -e "$here/busybox" ]; then
	cd "$here"
	apt-get download -q -o APT::Sandbox::User=root busybox-static:arm64
	dpkg-deb --fsys-tarfile busybox-static_*.deb | tar -x ./bin/busybox
	mv bin/busybox .
	cd -
fi
export CARGO_TARGET_DIR=/everywhere/host CC="$compiler" IOQ_PREFIX="$here/prefix" IOQ_BUSYBOX="$here/busybox"
exec cargo test --locked --test old_kernels
