#!/bin/bash
# Shows that a checker sees into the library: canaries.sh address|thread|undefined|memcheck PREFIX
#
# Each canary is a misuse of the library (canaries.c) that the checker must report, by what it calls such a thing, and
# where: in the library's own source. CC, CFLAGS and LDFLAGS are how to compile one, IOQ_TEST_WRAPPER is what to run it
# with, PREFIX is where the library is installed.

set -u
tool=$1 prefix=$2
tests=$(dirname "$0")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

passed=0 failed=0
result() { # NAME, and how it came out
	if ((!$?)); then
		echo "ok    canary $1"
		((++passed))
	else
		echo "FAIL  canary $1"
		((++failed))
	fi
}

canary() { # NAME PATTERN...: each pattern must be in a line of the report
	local name=$1 status pattern seen=1
	shift
	IOQ_BACKEND=sync ${IOQ_TEST_WRAPPER-} "$tmp/canaries" "$name" >"$tmp/report" 2>&1
	status=$?
	for pattern; do
		if ((!status)) || ! grep -Eq "$pattern" "$tmp/report"; then
			echo "status $status, and no /$pattern/ in:"
			cat "$tmp/report"
			seen=0
			break
		fi
	done
	((seen))
	result "$name"
}

imports() { # SYMBOL...: the library calls these functions of the sanitizer's
	local symbol
	for symbol; do
		nm -D --undefined-only "$prefix/lib/libioq.so" | grep -Eq " $symbol\$" || return
	done
}

# shellcheck disable=SC2086 # these are lists
${CC-cc} ${CFLAGS-} -I"$prefix/include" "$tests/canaries.c" -o "$tmp/canaries" ${LDFLAGS-} -L"$prefix/lib" \
	-Wl,-rpath,"$prefix/lib" -lioq -pthread || exit

case $tool in
address)
	imports __asan_report_load8 __asan_report_store8
	result imports
	canary freed_buffer heap-use-after-free '#[0-5] .* ioq::fs::stat::.*/src/fs/stat/'
	canary small_buffer heap-buffer-overflow '#[0-5] .* ioq::fs::stat::.*/src/fs/stat/'
	canary leaked_queue 'LeakSanitizer: detected memory leaks' ' ioq_create .*/src/abi/queue.rs'
	;;
thread)
	imports __tsan_read8 __tsan_write8 __tsan_atomic64_compare_exchange_val __tsan_mutex_post_lock
	result imports
	canary two_callers 'data race' '#[0-5] .*ioq::queue::Ioq.*/src/queue/mod\.rs'
	canary early_look 'data race' '#[0-9] ioq::fs::stat::.*/src/fs/stat/'
	;;
undefined)
	canary overflow 'signed integer overflow'
	;;
memcheck)
	canary freed_buffer 'Invalid write of size' 'by 0x.*: (ioq_pop|.*ioq::).*\.rs'
	canary small_buffer 'Invalid write of size' 'by 0x.*: (ioq_pop|.*ioq::).*\.rs'
	canary leaked_queue 'definitely lost in loss record' 'by 0x.*: ioq_create'
	;;
esac

echo "$passed passed, $failed failed, 0 skipped"
((!failed && passed))
