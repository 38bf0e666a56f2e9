#!/bin/bash
# Runs the soak test (c-tests/soak/soak.c): tests/soak.sh PROGRAM SECONDS [SEED]
#
# The time is shared by the backends that differ in the long run. A run's last line says what it did.

program=$1 seconds=$2 seed=$3
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
