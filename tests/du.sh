#!/bin/bash
# Compares ioq-du with GNU du on trees made for the purpose: tests/du.sh PATH_TO_IOQ_DU
#
# One line for each case and backend, or the one that IOQ_BACKEND names: ok, FAIL or skip. In each, ioq-du runs with
# several numbers of threads, with and without a tight limit on file descriptors. What du says, in blocks and in bytes,
# and on which paths, is what ioq-du must say, with the same exit status and as many complaints.

set -u
export LC_ALL=C
# shellcheck disable=SC2206 # a list
backends=(${IOQ_BACKEND:-auto sync uring})
unset IOQ_BACKEND

. "$(dirname "$0")/rings.sh"
prog=$(realpath -- "$1") || exit 2
tmp=$(mktemp -d) || exit 2
out=$tmp/out err=$tmp/err blocks=$tmp/blocks bytes=$tmp/bytes
mounts=()
finish() {
	for m in "${mounts[@]}"; do
		umount "$m"
	done
	chmod -R u+rwx "$tmp/trees/locked" 2>/dev/null
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 1' INT TERM
chmod 755 "$tmp"
mkdir "$tmp/trees" && cd "$tmp/trees" || exit 2

passed=0 failed=0 skipped=0
ok() {
	echo "ok    $1"
	((++passed))
}
FAIL() {
	echo "FAIL  $1: $(head -c 500 <<<"$2")"
	((++failed))
}
skip() {
	echo "skip  $1: $2"
	((++skipped))
}

# Only against a hang; no case is about time.
watchdog=(timeout 300)
# Words in front of both programs.
as=()

uring_refused=$(why_no_rings "$prog" -s -j 2 .)

mkdir empty
has_bytes=yes
if [ "$(du --apparent-size -B1 -s empty | cut -f1)" = 0 ]; then
	has_bytes= # coreutils 9.2 and later leave directories out of the apparent size
fi

# run BACKEND THREADS FILES ARGUMENT...: ioq-du, with a limit of so many open files (or - for none).
run() {
	local backend=$1 threads=$2 files=$3
	shift 3
	(
		[ "$files" = - ] || ulimit -n "$files"
		IOQ_BACKEND=$backend exec "${watchdog[@]}" "${as[@]}" "$prog" -j "$threads" "$@"
	)
}

# complaints FILE: how many files a program complained about.
complaints() {
	grep -c '^[a-z/-]*du: ' "$1"
}

# compare NAME ARGUMENT...: ioq-du and du, on every backend.
compare() {
	local name=$1 backend variant wrong
	shift
	"${as[@]}" du -k "$@" >"$blocks" 2>"$err"
	local status=$? errors
	errors=$(complaints "$err")
	"${as[@]}" du --apparent-size -B1 "$@" >"$bytes" 2>/dev/null
	sort "$blocks" -o "$blocks"
	sort "$bytes" -o "$bytes"

	for backend in "${backends[@]}"; do
		if [ "$backend" = uring ] && [ "$uring_refused" ]; then
			skip "$name, $backend" "$uring_refused"
			continue
		fi
		wrong=
		for variant in '1 -' '2 64' '8 -' '8 64'; do
			run $backend $variant "$@" >"$out" 2>"$err"
			local got=$?
			[ $got = $status ] || wrong="status $got, not $status: $(<"$err")"
			[ "$(complaints "$err")" = "$errors" ] || wrong="$(complaints "$err") complaints, not $errors: $(<"$err")"
			sort "$out" | cmp -s - "$blocks" || wrong="blocks: $(sort "$out" | diff - "$blocks")"
			[ -z "$has_bytes" ] || run $backend $variant -b "$@" 2>/dev/null | sort | cmp -s - "$bytes" || wrong="bytes differ"
			[ -z "$wrong" ] || break
		done
		if [ "$wrong" ]; then
			FAIL "$name, $backend" "threads, files: $variant: $wrong"
		else
			ok "$name, $backend"
		fi
	done
}

# expect NAME STATUS COMMAND...: what the command's exit status must be.
expect() {
	local name=$1 status=$2
	shift 2
	"$@" >"$out" 2>"$err"
	local got=$?
	if [ $got = "$status" ]; then
		ok "$name"
	else
		FAIL "$name" "status $got, not $status: $(<"$err")"
	fi
}

## Trees

mkdir -p plain/a/b/c plain/d/e
printf 'hello\n' | tee plain/file plain/a/b/small >plain/d/e/small
head -c 1234567 /dev/zero | tee plain/a/b/c/large >plain/d/large
mkfifo plain/d/fifo
ln -s a/b plain/link
ln -s nowhere plain/broken
ln -s plain link

mkdir sparse
truncate -s 3G sparse/hole
truncate -s 1 sparse/byte

mkdir -p links/1/2 links/3
head -c 300000 /dev/zero >links/1/one
for i in {1..20}; do
	ln links/1/one links/1/2/again$i
	ln links/1/one links/3/again$i
done
mkdir other
ln links/1/one other/one
ln -s x other/symlink
ln other/symlink links/3/symlink

mkdir odd
(
	cd odd || exit
	long=$(printf '%0255d' 0)
	mkdir -- $'new\nline' $'tab\there' ' ' -s '*' $'\377\001' "$long" '\'
	for d in */; do
		echo x >"./$d/${d%/}"
		mkdir "./$d/in"
	done
)

# Many more than the queue holds, and than a directory's buffer does.
mkdir wide
(cd wide && seq 10000 | xargs mkdir)
mkdir flat
(cd flat && seq -f 'a-file-%g' 20000 | xargs touch)

# Every directory with five more, down to the fifth level.
mkdir bushy
eval "mkdir -p bushy/{1..5}/{1..5}/{1..5}/{1..5}/{1..5}"

# nest DIR PIECES LEVELS NAME SIDE...: PIECES * LEVELS directories in each other, and in each of them the SIDEs, with a
# file. Built from the bottom up, by paths that the system still takes.
nest() {
	local dir=$1 pieces=$2 levels=$3 name=$4 path= i side sides=()
	shift 4
	for ((i = 0; i < levels; ++i)); do
		path+=$name/
		for side; do
			sides+=("$path$side")
		done
	done
	mkdir "$dir"
	for ((i = 0; i < pieces; ++i)); do
		mkdir next
		(cd next && printf '%s\n' "${sides[@]}" | xargs mkdir -p && printf '%s/file\n' "${sides[@]}" | xargs touch)
		mv "$dir" "next/$path$name"
		mv next "$dir"
	done
}
# Both far beyond PATH_MAX. In the second, there is more to come back to on every level than there are descriptors.
nest deep 10 500 d side/below
nest branched 5 10 "$(printf '%0250d' 0)" {1..70}/below

## Comparisons

compare "plain" plain
compare "plain, -s" -s plain
cd plain && compare "working directory" && cd ..
compare "empty" empty
compare "sparse" sparse
compare "hard links" -s links
compare "hard links across arguments" -s other links
compare "hard links across arguments, reversed" -s links other
compare "odd names" odd
compare "wide" wide
compare "flat" flat
compare "bushy" bushy
compare "deep" -s deep
compare "deep and branched" -s branched

compare "files" plain/file plain/d/fifo plain/d/large
compare "symbolic links" link plain/broken plain/link
compare "symbolic link, trailing slash" link/
compare "trailing slashes" plain/// plain/d/.//
compare "repeated" plain plain plain/
compare "parent, then child" plain plain/a
compare "child, then parent" plain/a/b plain plain/d
compare "missing" nowhere plain nowhere/either
compare "file as directory" plain/file/ plain
compare "empty name" '' plain

## File descriptors

# The limit says 64, but most are taken: opening fails, and has to wait.
inherited() (
	for fd in {10..59}; do
		eval "exec $fd</dev/null"
	done
	run auto 2 64 -s "$1"
)
# equals BLOCKS COMMAND...: whether the command says so many blocks.
equals() (
	set -o pipefail
	blocks=$("${@:2}" | cut -f1) && [ "$blocks" = "$1" ] || {
		echo "$blocks blocks, not $1" >&2
		false
	}
)
for tree in bushy wide deep branched; do
	want=$(du -ks $tree | cut -f1)
	expect "$tree, most descriptors inherited" 0 equals "$want" inherited $tree
	expect "$tree, few descriptors" 0 equals "$want" run auto 1 7 -s $tree
done

## Options of du's

# same NAME ARGUMENT...: the same lines as of du, in any order.
same() {
	local name=$1
	shift
	if diff <(run auto 2 - "$@" 2>"$err" | sort; complaints "$err") <(du "$@" 2>"$err.du" | sort; complaints "$err.du") >"$out"; then
		ok "$name"
	else
		FAIL "$name" "$(<"$out")"
	fi
}
for options in -a -h -c -m -l -D '-L -s' --inodes --time '-t 5K' '-t -5K' '-d 1' '-s -h' '-a -c -k' '-x -a' '--exclude=d*' '--exclude=a/b -a' \
	'-a -h --time --inodes' '-L -D' '-D -L -s' ${has_bytes:+'-h -b' '-b -h'} '-c -t 1M' '-t 5k' '-t 5KB' '-t 5KiB'; do
	# shellcheck disable=SC2086
	same "options $options" $options plain sparse other
done
same "links among the arguments, -D" -D link plain/broken
same "end of lines, -0" -0 -a plain/a
same "the time of nothing" -c --time nowhere
# Where files may be as large and as late as can be said.
if extremes=$(mktemp -d -p /dev/shm 2>/dev/null) && truncate -s 9223372036854775807 "$extremes"/{1,2,3} 2>/dev/null; then
	touch -d @67768036191676800 "$extremes/1"
	run auto 2 - -s --apparent-size --time "$extremes" >"$blocks"
	expect "sums that do not fit" 0 grep -q '^18014398509481984	' "$blocks"
	expect "a time in no calendar" 0 grep -q '	67768036191676800	' "$blocks"
else
	skip "sums that do not fit" "no files as large as that here"
fi
rm -rf "$extremes"

## Errors

mkdir -p locked/none/below locked/names/below locked/open
echo x | tee locked/names/file >locked/open/file
chmod 000 locked/none
chmod 444 locked/names # its names can be read, and nothing more
if [ "$(id -u)" = 0 ]; then
	as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
fi
if "${as[@]}" "$prog" --help >/dev/null 2>&1 && ! "${as[@]}" ls locked/none >/dev/null 2>&1; then
	compare "unreadable" locked
	compare "unreadable argument" locked/none locked/open
else
	skip "unreadable" "cannot run ${prog##*/} as another user than root"
fi
as=()

# What changes is counted or complained about; what stays is counted.
mkdir -p busy/{1..50}/stays
(while :; do
	mkdir -p busy/{1..50}/goes/deeper && touch busy/{1..50}/{goes/,goes/deeper/,}file
	rm -rf busy/*/{goes,file}
done) 2>/dev/null &
churn=$!
bad=
for i in {1..40}; do
	run auto 2 64 busy >"$out" 2>"$err"
	status=$?
	[ $status -le 1 ] || bad="status $status: $(<"$err")"
	[ "$(grep -c '/stays$' "$out")" = 50 ] || bad="$(grep -c '/stays$' "$out") of 50 directories"
	[ $status = 0 ] || grep -q 'No such file' "$err" || bad="status 1: $(<"$err")"
done
kill $churn
wait $churn 2>/dev/null
if [ "$bad" ]; then
	FAIL "vanishing files" "$bad"
else
	ok "vanishing files"
fi

expect "output that cannot be written" 1 bash -c '"$1" plain >/dev/full' - "$prog"

## Mounts

mkdir -p mounted/{on,off}/below mounted/cycle/here
if mount -t tmpfs none mounted/on 2>/dev/null; then
	mounts=(mounted/on)
	mkdir mounted/on/inside
	head -c 100000 /dev/zero | tee mounted/on/file >mounted/off/file
	compare "mount" mounted
	compare "mount, -x" -x mounted
	compare "mount as argument, -x" -x mounted mounted/on
	mount --bind mounted mounted/cycle/here && mounts=(mounted/cycle/here "${mounts[@]}")
	compare "mounted below itself" mounted
	mount --bind mounted/off mounted/off/below && mounts=(mounted/off/below "${mounts[@]}")
	compare "mounted below itself, two arguments" mounted plain
else
	skip "mount" "not permitted"
fi

## Options

expect "help" 0 "$prog" --help
expect "unknown option" 1 "$prog" --no-such-option
expect "no threads" 1 "$prog" -j 0
expect "threads that are no number" 1 "$prog" -j 2x
expect "unknown backend" 1 run nonsense 2 - plain

[ "$has_bytes" ] || skip "apparent sizes" "this du leaves directories out of them"
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
