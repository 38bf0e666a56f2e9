#!/bin/bash
# The example programs against those of the system, on each backend: examples.sh DIRECTORY
set -u
. "$(dirname "$0")/rings.sh"
export LC_ALL=C
bin=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0 failed=0 skipped=0

same() {
	if diff -u "$2" "$3" >&2; then
		((++passed))
	else
		echo "FAIL $1"
		((++failed))
	fi
}

head -c 3000000 /dev/urandom >large
: >empty
printf '%s' abc >short
mkdir directory
for i in {1..700}; do
	printf '%s' "$i" >"directory/file $i"
done
find . -type f | sort >files

for backend in auto uring sync; do
	if [ "$backend" = uring ] && why_no_rings "$bin/ioq-sum" empty; then
		((skipped += 4))
		continue
	fi
	export IOQ_BACKEND=$backend
	tr '\n' '\0' <files | xargs -0 cksum | sort >expected
	tr '\n' '\0' <files | xargs -0 "$bin/ioq-sum" | sort >seen
	same "ioq-sum, $backend" expected seen

	"$bin/ioq-sum" empty missing short >seen 2>errors
	status=$?
	{ echo "$status"; grep -c 'missing: No such file' errors; wc -l <seen; } >seen-of-errors
	printf '%s\n' 1 1 2 >expected
	same "ioq-sum of what is missing, $backend" expected seen-of-errors

	tr '\n' '\0' <files | xargs -0 stat -c '%s	%n' | sort >expected
	"$bin/ioq-stat" <files | sort >seen
	same "ioq-stat, $backend" expected seen

	# The answer to one line comes before the next line does.
	coproc loop { "$bin/ioq-stat" 2>&1; }
	pid=$loop_PID # gone once the shell has noticed the end
	for path in short missing ./large; do
		echo "$path" >&"${loop[1]}"
		read -r -u "${loop[0]}" answer
		echo "$answer"
	done >seen
	exec {loop[1]}>&-
	wait "$pid"
	echo $? >>seen
	printf '%s\n' '3	short' 'ioq-stat: missing: No such file or directory' '3000000	./large' 1 >expected
	same "ioq-stat line by line, $backend" expected seen
done

echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
