#!/bin/bash
# Runs the soak test (c-tests/soak/soak.c): tests/soak.sh PROGRAM SECONDS [SEED]
#
# The time is shared by the backends that differ in the long run. A run's last line says what it did.

program=$1 seconds=$2 seed=$3
# Not in /tmp: what is old or in the way there may be removed by others, while this runs.
TMPDIR=$(mktemp -d "${program%/*}/soak.XXXXXX")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

passed=0 failed=0 skipped=0
for backend in auto uring; do
	echo "soak::$backend, $((seconds / 2)) s"
	IOQ_BACKEND=$backend "$program" $((seconds / 2)) $seed
	case $? in
	0) ((++passed)) ;;
	77) ((++skipped)) ;;
	*) ((++failed)) ;;
	esac
done

echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
