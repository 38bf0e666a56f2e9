#!/bin/bash
# Tests the library and C programs that use it with the same sanitizer in both: run.sh address|thread|undefined
#
# rustc instruments the library, with flags that a stable compiler has when it is told to pretend. clang instruments the
# programs. The runtime is the one that comes with rustc, and is part of each program: it has the version that the
# library was instrumented for, which clang's need not have. The undefined behaviour of C is looked for in C alone.
#
# Before everything else, canaries show that the sanitizer reports what the library's own code does wrong.

set -eu
cd "$(dirname "$0")/../.."
sanitizer=$1
out=$PWD/${CARGO_TARGET_DIR:-target}/sanitizers/$sanitizer
prefix=$out/prefix
mkdir -p "$out"
export CC=clang CFLAGS='-g -O1 -fno-omit-frame-pointer'

skip() {
	echo "skipped: $1"
	echo "0 passed, 0 failed, 1 skipped"
	exit
}

instrument() { # NAME_OF_RUNTIME RUSTC_FLAG...
	local runtime name=$1
	shift
	runtime=$(rustc --print target-libdir)/librustc-stable_rt.$name.a
	[ -f "$runtime" ] || runtime=${runtime/-stable/-nightly}
	[ -f "$runtime" ] || skip "rustc comes without a runtime for -Zsanitizer=$sanitizer here"
	# Newer compilers mind a standard library that is not instrumented.
	if rustc -C help | grep unsafe-allow-abi-mismatch >/dev/null; then
		set -- -Cunsafe-allow-abi-mismatch=sanitizer "$@"
	fi
	rust=(
		RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$out"
		RUSTFLAGS="-Zsanitizer=$sanitizer -Cforce-frame-pointers=yes $*"
	)
	# With -Xclang, clang instruments and does not link its own runtime. The name of the macro is gcc's.
	CFLAGS+=" -Xclang -fsanitize=$sanitizer -D__SANITIZE_${sanitizer^^}__=1"
	# Without -lioq, nobody would tell the linker which of the runtime's functions a library will ask for.
	export LDFLAGS="-Wl,--whole-archive,$runtime,--no-whole-archive -Wl,--export-dynamic-symbol=__${name}_* -lm"
}

# A sanitizer that calls too large a request for memory a bug would have the library never see a refusal. An end of the
# first program that goes wrong must not be taken for a test's own.
common=allocator_may_return_null=1:max_allocation_size_mb=4096:allow_addr2line=1:exitcode=99:detect_leaks=1
rust=()
case $sanitizer in
address)
	instrument asan
	export ASAN_OPTIONS=$common:detect_stack_use_after_return=1:strict_string_checks=1
	;;
thread)
	instrument tsan --cfg ioq_tsan
	# Its advice not to start threads in a child of fork() is for programs with locks that a child cannot trust.
	export TSAN_OPTIONS=$common:halt_on_error=1:die_after_fork=0
	;;
undefined)
	CC=gcc
	CFLAGS+=' -fsanitize=undefined -fno-sanitize-recover=all'
	export LDFLAGS=
	;;
*)
	echo "usage: $0 address|thread|undefined" >&2
	exit 2
	;;
esac
command -v "$CC" >/dev/null || skip "no $CC"

env "${rust[@]}" make --silent install BUILD="$out/build" PREFIX="$prefix" \
	CC="$CC" CFLAGS="$CFLAGS" LDFLAGS="$LDFLAGS" >"$out.log" 2>&1 || {
	cat "$out.log"
	exit 1
}

tests/sanitizers/canaries.sh "$sanitizer" "$prefix"

# Whatever fails, the rest is told as well.
failed=0
run() { # TEST [FILTER]
	# shellcheck disable=SC2086 # or none
	IOQ_PREFIX=$prefix IOQ_TEST_CONDITIONS=few CFLAGS="$CFLAGS $LDFLAGS" ${CARGO:-cargo} test --locked --test "$1" -- ${2-} || failed=1
}
# Where it looks into C alone, it does not matter what the library does.
filter=
[ "$sanitizer" = undefined ] && filter=::auto
run c_programs $filter
# What the rings do when they fail. Few of each kind do for this: what they ask is the same without a sanitizer.
if [ "$sanitizer" = address ]; then
	IOQ_KERNEL_SEEDS=${IOQ_KERNEL_SEEDS:-60} run kernel
	IOQ_MATRIX_SEEDS=${IOQ_MATRIX_SEEDS:-1} run matrix
fi
# ioq-du has one thread of its own, and does the same with every backend.
[ "$sanitizer" = thread ] || IOQ_BACKEND=auto tests/du.sh "$prefix/bin/ioq-du" || failed=1
exit "$failed"
