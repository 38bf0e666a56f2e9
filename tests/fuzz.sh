#!/bin/bash
# Fuzzes the C functions: fuzz.sh SECONDS DIRECTORY
#
# Starts from the corpus in the repository, to which it adds nothing. What is worth keeping goes to DIRECTORY/found, what
# fails to fuzz/artifacts; FUZZ_FLAGS are more flags of libFuzzer's. The last line counts this as one test.

set -o pipefail
seconds=$1 directory=$2
mkdir -p "$directory/found"
found=$(realpath "$directory/found") log=$directory/log

if ! cargo-fuzz --version >/dev/null 2>&1; then
	echo "There is no cargo-fuzz here."
	echo "0 passed, 0 failed, 1 skipped"
	exit
fi

# The sanitizers are not stable yet; the stable compiler has them all the same.
export RUSTC_BOOTSTRAP=1
flags="-max_len=1024 -len_control=0 -timeout=120 -rss_limit_mb=3000 -max_total_time=$seconds $FUZZ_FLAGS"
cargo fuzz run --features libfuzzer --target-dir "$directory" calls "$found" fuzz/corpus/calls -- $flags 2>&1 |
	grep --line-buffered -v 'AddressSanitizer failed to allocate' >"$log"
status=$?

if ((status)); then
	tail -n 100 "$log"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
fi
grep -a ' DONE ' "$log"
echo "$(sed -n 's/^Done \([0-9]*\) runs in \([0-9]*\) .*/\1 inputs executed in \2 s/p' "$log"), nothing found"
echo "1 passed, 0 failed, 0 skipped"
