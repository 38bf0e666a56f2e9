#!/bin/bash
# Runs a program under valgrind: tests/valgrind.sh PROGRAM [ARGUMENT...]
#
# Errors count in forked children as well, but leaks only in the program itself, because a child has lost what its
# parent's other threads held. Descriptors are the programs' own business: they compare what the kernel says is open
# before and after, while valgrind misses what a ring closes.

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

(
	echo "$BASHPID" >"$logs/pid"
	exec valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=none --log-file="$logs/%p.log" "$@"
)
status=$?

if grep -q ' lost in loss record ' "$logs/$(<"$logs/pid").log"; then
	status=99
fi
if ((status != 0 && status != 77)); then
	cat "$logs"/*.log >&2
fi
exit "$status"
