#!/bin/bash
# Makes each of the targets named, whatever fails, and closes with the sum of their counts.
#
# The counts are Cargo's ("test result: ok. 3 passed; 0 failed; 1 ignored; ...") or lines in the form of the closing
# one here. A target without any, such as a linter, is one test; one that fails though it counted no failure has one.

set -o pipefail
log=$(mktemp)
trap 'rm -f "$log"' EXIT

passed=0 failed=0 skipped=0
for target; do
	echo "== make $target"
	start=$SECONDS
	make --no-print-directory "$target" 2>&1 | tee "$log"
	status=$?
	read -r p f s < <(awk '
		/^test result:/ { p += $4; f += $6; s += $8 }
		/^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { p += $1; f += $3; s += $5 }
		END { print p + 0, f + 0, s + 0 }' "$log")
	if ((status && !f)); then
		f=1
	elif ((p + f + s == 0)); then
		p=1
	fi
	echo "== $target: $((SECONDS - start)) s"
	((passed += p, failed += f, skipped += s))
done

echo
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
