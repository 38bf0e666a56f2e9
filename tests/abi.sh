#!/bin/bash
# Compares what the headers promise with what they promised when it was last written down: abi.sh VERSION_SCRIPT SONAME
#
# The library's own debugging information would not do: it tells of Rust types, those that no program sees among them. So
# the headers are made into a library of functions that do nothing, with the same versions of symbols, and that is
# described. Enumerations of flags are in no signature; a variable of each type takes their place. That the library
# agrees with its headers is what tests/headers.rs and tests/shipped.rs are for.
#
# With IOQ_BLESS=1 in the environment, as in `make abi`, the description is written rather than compared.

set -eu
script=$PWD/$1 soname=$2
cd "$(dirname "$0")/.."
dump=tests/abi/$soname.abi
headers=(ioq.h ioq/dir.h ioq/stat.h ioq/walk.h)

skip() {
	echo "skipped: $1"
	echo "0 passed, 0 failed, 1 skipped"
	exit
}
command -v abidw >/dev/null || skip "no abidw"
[ "$(uname -m)" = x86_64 ] || skip "the description is x86-64's"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

{
	printf '#include <%s>\n' "${headers[@]}"
	sed -n -e '/^static_assert/d' -e 's/^\([a-z].*(.*)\);$/\1 { __builtin_trap(); }/p' \
		-e 's/^enum \(.*\) {$/enum \1 enum_\1;/p' "${headers[@]/#/include/}"
} >"$tmp/abi.c"
{
	cat "$script"
	echo 'ENUMERATIONS { enum_*; };'
} >"$tmp/abi.map"
# From there, for the description to have no names of directories.
include=$PWD/include
(cd "$tmp" && ${CC:-cc} -g -w -shared -fPIC -I"$include" -o abi.so abi.c \
	-Wl,-soname,"$soname" -Wl,--version-script=abi.map)
abidw --no-show-locs --no-corpus-path --no-comp-dir-path "$tmp/abi.so" >"$tmp/abi"

if [ "${IOQ_BLESS-}" ]; then
	cp "$tmp/abi" "$dump"
	exit
fi

status=0
abidiff --harmless --no-show-locs "$dump" "$tmp/abi" || status=$?
if ((status == 0)); then
	echo "1 passed, 0 failed, 0 skipped"
elif ((status & 3)); then
	exit "$status"
else
	cat >&2 <<-END

		The ABI is not what $dump says.
		If programs that were built before still run, as they do after additions, write it down anew: make abi
		If not, it is another ABI: it needs another major version, and with that a description of its own.
	END
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
fi
