#!/bin/sh
# In the chroot: builds the library for another machine, and runs its unit tests and the C programs there:
# cross.sh TARGET COMPILER [EMULATOR]
#
# The emulator is qemu-user's. It has no io_uring and no filters for system calls, so the programs make plain calls.
# emulated.txt says which ones it cannot run.

set -e
target=$1 compiler=$2 emulator=$3
prefix=/everywhere/$target/prefix
units=/everywhere/$target/units
linker=CARGO_TARGET_$(echo "$target" | tr a-z- A-Z_)_LINKER

tests/everywhere/build.sh "$target" "$compiler"

# Not by `cargo test`, which would build what the other tests need for that machine as well.
env "$linker=$compiler" cargo rustc --locked --lib --crate-type cdylib --target "$target" --target-dir "$units" -- --test

# The flags that the compiler would get by default are for this machine.
export CARGO_TARGET_DIR=/everywhere/host
cargo test --locked --test c_programs --no-run
export CC="$compiler" CRATE_CC_NO_DEFAULTS=1 CFLAGS='-O1 -g' IOQ_PREFIX="$prefix" IOQ_TEST_WRAPPER="$emulator"
skip='--skip ::clang'
units_skip=
if [ "$emulator" ]; then
	sed 's/^/not run: /' tests/everywhere/emulated.txt
	skip="$skip --skip ::refused --skip ::uring $(sed 's/\(.*\): .*/--skip \1::/' tests/everywhere/emulated.txt)"
	# The emulator leaves the ID of the mount out of what statx() says.
	units_skip='--skip mounts_have_different_ids'
fi

case $target in
armv7-*)
	# The second run below has them.
	echo 'not run with sizes of 32 bits: list, walk: the emulator has positions of 64 bits in directories'
	skip="$skip --skip list:: --skip walk::"
	;;
esac

status=0
$emulator "$units/$target/debug/deps/ioq" $units_skip || status=$?
cargo test --locked --test c_programs -- $skip || status=$?
case $target in
i686-* | armv7-*)
	# Whatever programs take for the sizes of files and for times.
	export CFLAGS="$CFLAGS -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64"
	skip=${skip% --skip list:: --skip walk::}
	for name in stat list walk attributes pop_until; do
		cargo test --locked --test c_programs -- $skip "$name" || status=$?
	done
	;;
esac
exit $status
