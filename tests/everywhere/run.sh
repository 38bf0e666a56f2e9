#!/bin/sh
# One part of `make check-everywhere`: run.sh PART
#
# Everything is below IOQ_EVERYWHERE, target/everywhere by default, where the first part makes a Debian to build in (chroot.sh).

# Ends the part, in the form that tests/all.sh counts.
skip() {
	echo "skipped: $1"
	echo '0 passed, 0 failed, 1 skipped'
	exit
}

cd "$(dirname "$0")/../.." || exit
directory=${IOQ_EVERYWHERE:-target/everywhere}
scripts=tests/everywhere

[ "$(id -u)" = 0 ] || skip 'only root can make a Debian to build in'
[ "$(uname -m)" = x86_64 ] || skip 'the compilers for other machines are those of an x86-64'
for tool in debootstrap unshare cargo; do
	command -v $tool >/dev/null || skip "there is no $tool here"
done
mkdir -p "$directory"
$scripts/chroot.sh "$directory" >"$directory/log" 2>&1 || skip "$(tail -n 1 "$directory/log")"

in_chroot() {
	$scripts/enter.sh "$directory" "$@"
}

case $1 in
i686) in_chroot $scripts/cross.sh i686-unknown-linux-gnu i686-linux-gnu-gcc ;;
armhf) in_chroot $scripts/cross.sh armv7-unknown-linux-gnueabihf arm-linux-gnueabihf-gcc qemu-arm ;;
s390x) in_chroot $scripts/cross.sh s390x-unknown-linux-gnu s390x-linux-gnu-gcc qemu-s390x ;;
aarch64) in_chroot $scripts/aarch64.sh ;;
musl) in_chroot $scripts/musl.sh ;;
minimum-rust) in_chroot env CARGO_TARGET_DIR=/everywhere/host cargo test --locked --lib ;;
*) echo "there is no part $1" >&2 && exit 2 ;;
esac
