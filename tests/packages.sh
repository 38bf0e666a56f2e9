#!/bin/bash
# Builds the Debian packages as a builder of Debian's would, and uses them as somebody who installs them: packages.sh ARCHIVE
#
# ARCHIVE is what `make dist` writes. The packages are built in a fresh system of the suite that DEB_SUITE names, with
# nothing in it but what they say they need, and without a network. Another fresh system gets them.

set -eu
archive=$(realpath "$1")
cd "$(dirname "$0")/.."
suite=${DEB_SUITE:-trixie}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)

skip() {
	echo "skipped: $1"
	echo "0 passed, 0 failed, 1 skipped"
	exit
}
[ "$(id -u)" = 0 ] || skip "only root makes systems"
command -v debootstrap >/dev/null || skip "no debootstrap"
unshare --mount --net true 2>/dev/null || skip "no namespaces here"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Runs a command in a system, with its own /proc and /dev for as long as that takes: inside SYSTEM NAMESPACES COMMAND...
inside() {
	local system=$tmp/$1 namespaces=$2
	shift 2
	# shellcheck disable=SC2016,SC2086 # the other shell's variables; a list
	unshare --mount --pid --fork $namespaces sh -euc '
		mount -t proc proc "$0/proc"
		mount --rbind /dev "$0/dev"
		exec chroot "$0" env -i HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
			${http_proxy:+"http_proxy=$http_proxy"} PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"' "$system" "$@"
}

failed=0 passed=0
check() { # NAME COMMAND...
	local name=$1
	shift
	if "$@" >"$tmp/log" 2>&1; then
		((passed += 1))
		echo "ok    $name"
	else
		((failed += 1))
		echo "FAIL  $name"
		cat "$tmp/log"
	fi
}
finish() {
	echo "$passed passed, $failed failed, 0 skipped"
	exit $((failed > 0))
}

debootstrap --variant=minbase "$suite" "$tmp/base" >"$tmp/log" 2>&1 || {
	tail -n 3 "$tmp/log"
	skip "no system of $suite can be had"
}
cp -a "$tmp/base" "$tmp/builder"
cp -a "$tmp/base" "$tmp/user"

mkdir "$tmp/builder/build"
cp "$archive" "$tmp/builder/build/libioq_$version.orig.tar.xz"
tar xf "$archive" -C "$tmp/builder/build"
source=libioq-$version
cp -r packaging/debian "$tmp/builder/build/$source"

check "versions agree" grep -q "^libioq ($version-[0-9]*) " packaging/debian/changelog
for crate in "$tmp/builder/build/$source"/vendor/*; do
	crate=$(basename "$crate")
	check "the licence of $crate" grep -q "^Files:.* vendor/$crate/\*" packaging/debian/copyright
done
check "build dependencies" inside builder "" sh -c "
	apt-get install -qy --no-install-recommends build-essential lintian
	apt-get build-dep -qy --no-install-recommends /build/$source
	useradd builder
	chown -R builder /build"
check "build" inside builder --net setpriv --reuid=builder --clear-groups sh -c "
	cd /build/$source
	dpkg-buildpackage -us -uc"
# Debian's own first upload of a package answers a request for it; these packages are not Debian's.
check "lintian" inside builder --net setpriv --reuid=builder --clear-groups sh -c "
	cd /build
	lintian --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs libioq_*.changes"
packages=$(cd "$tmp/builder/build" && printf '%s\n' *.deb | sed 's/_.*//' | LC_ALL=C sort | tr '\n' ' ')
check "packages: $packages" test "$packages" = "ioq-tools ioq-tools-dbgsym libioq-dev libioq0 libioq0-dbgsym "
((failed == 0)) || finish

mkdir "$tmp/user/debs"
cp "$tmp"/builder/build/*.deb "$tmp/user/debs"
rm "$tmp"/user/debs/*-dbgsym_*
awk '/^```c$/ { code = 1; next } /^```$/ { if (code) exit } code' README.md >"$tmp/user/debs/sizes.c"

check "the tools need nothing for developers" inside user "" sh -c '
	apt-get install -qy --no-install-recommends /debs/libioq0_*.deb /debs/ioq-tools_*.deb
	ioq-du --summarize /etc
	mkdir -p /tmp/tree/of && ioq-rm /tmp/tree && ! test -e /tmp/tree'
check "install" inside user "" sh -c '
	apt-get install -qy --no-install-recommends /debs/libioq-dev_*.deb gcc libc6-dev pkgconf'
check "the example, shared" inside user "" sh -euc '
	cc -Wall -Werror -o /debs/sizes /debs/sizes.c $(pkg-config --cflags --libs ioq)
	/debs/sizes /etc | grep -q passwd'
check "the example, static" inside user "" sh -euc '
	cc -Wall -Werror -static -o /debs/sizes-static /debs/sizes.c $(pkg-config --cflags --static --libs ioq)
	/debs/sizes-static /etc | grep -q passwd'
check "purge" inside user "" sh -c '
	apt-get purge -qy libioq0
	! find /usr /etc /var/lib -name "*ioq*" | grep .'
finish
