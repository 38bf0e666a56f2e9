#!/bin/bash
# ioq-rm on trees made for the purpose, on each backend: tests/rm.sh PATH_TO_IOQ_RM
#
# What is to go is gone, and nothing else.
set -u
export LC_ALL=C
. "$(dirname "$0")/rings.sh"
prog=$(realpath -- "$1") || exit 2
work=$(mktemp -d) || exit 2
mounted=
finish() {
	[ -z "$mounted" ] || umount "$mounted"
	chmod -R u+rwx "$work" 2>/dev/null
	rm -rf --one-file-system "$work"
}
trap finish EXIT
cd "$work" || exit 2
passed=0 failed=0 skipped=0

# expect NAME STATUS CONDITION...: the last command's exit status, and what holds after it.
expect() {
	local name=$1 status=$2 got=$3
	shift 3
	if [ "$got" = "$status" ] && "$@"; then
		((++passed))
	else
		echo "FAIL $name, $IOQ_BACKEND: status $got, not $status, or not: $*"
		((++failed))
	fi
}
gone() {
	[ ! -e "$1" ] && [ ! -L "$1" ]
}
# Only against a hang; nothing here is about time.
watchdog=(timeout 300)
remove() {
	"${watchdog[@]}" "$prog" "$@" >out 2>err
}

# The program and what it needs in a tree that it takes for the whole system: what it refuses to remove is not tried on
# this one.
mkdir system
mapfile -t libraries < <(ldd "$prog" | grep -o '/[^ ]*')
cp --parents -t system "$prog" "${libraries[@]}"
in_system=("${watchdog[@]}" env LD_LIBRARY_PATH="$(dirname "${libraries[@]}" | paste -sd:)")
[ "$(id -u)" = 0 ] || in_system+=(unshare --user --map-root-user)
in_system+=(chroot system "$prog")

for IOQ_BACKEND in auto uring sync; do
	export IOQ_BACKEND
	if [ $IOQ_BACKEND = uring ] && why_no_rings "$prog" -f nowhere; then
		((++skipped))
		continue
	fi
	mkdir -p keep/inside tree/{a,b,c}/{1..9}/{x,y} && echo x | tee keep/inside/file tree/{a,b}/{1..9}/{f,x/g} >/dev/null
	ln -s ../keep tree/link && ln -s "$work/keep" tree/a/1/link && ln -s nowhere tree/broken && mkfifo tree/fifo
	remove -rf tree
	expect "a tree, with links out of it" 0 $? gone tree
	expect "what links lead to" 0 0 test -f keep/inside/file

	ln -s keep link
	remove -rf link/
	expect "a link with a slash" 1 $? test -f keep/inside/file -a -L link
	remove -rf link
	expect "a link" 0 $? gone link
	expect "what it leads to" 0 0 test -f keep/inside/file

	remove nowhere
	expect "what is not there" 1 $? grep -q "nowhere" err
	remove -f nowhere
	expect "what is not there, -f" 0 $? test ! -s err
	remove -f keep/inside/file/below
	expect "what cannot be there, -f" 0 $? test ! -s err
	remove --no-preserve keep
	expect "a dangerous option, abbreviated" 1 $? test -f keep/inside/file
	for path in . .. keep/..; do
		remove -f --one-file-system -- "$path"
		expect "$path" 1 $? grep -q refusing err
	done
	if "${in_system[@]}" --help >/dev/null 2>&1; then
		for path in / /. //; do
			"${in_system[@]}" -f -- "$path" 2>err
			expect "$path" 1 $? grep -q refusing err
			expect "what is below $path" 0 0 test -f "system$prog"
		done
	else
		((skipped += 6))
	fi

	mkdir many && (cd many && seq -f 'file %g' 20000 | tr '\n' '\0' | xargs -0 touch)
	remove -r many
	expect "many files" 0 $? gone many
	mkdir deep && (cd deep && for _ in {1..40}; do mkdir -p "$(printf 'd/%.0s' {1..50})" && cd "$(printf 'd/%.0s' {1..50})"; touch f; done)
	(ulimit -n 24 && remove -r deep)
	expect "2,000 levels, few descriptors" 0 $? gone deep
	mkdir -p few/d{1..9}/e{1..9}/f && touch few/d{1..9}/e{1..9}/{x,f/y}
	(ulimit -n 8 && remove -r few)
	expect "many directories, hardly any descriptors" 0 $? gone few

	# Somebody fills a directory meanwhile, and makes anew what was named beside it.
	mkdir -p tree/hot again
	(while : >tree/hot/$RANDOM; do mkdir again; done) 2>/dev/null &
	remove -rv again tree
	status=$?
	kill $! 2>/dev/null
	wait $!
	if test -e tree; then
		expect "a directory that is never empty" 1 $status grep -q 'tree/hot.*not empty' err
	else
		expect "a directory that is never empty" 0 $status
	fi
	expect "what is made anew" 0 0 test "$(grep -cx "removed 'again'" out)" = 1
	rm -rf tree again

	# A directory and a link out of the tree change places all the time.
	for _ in {1..20}; do
		mkdir -p tree/{1..30}/d/e && ln -s "$work/keep" tree/link
		(for i in {1..30}; do mv tree/"$i"/d tree/"$i"/e && ln -s "$work/keep" tree/"$i"/d; done) 2>/dev/null &
		remove -rf tree
		wait $!
		rm -rf tree
	done
	expect "directories that become links" 0 0 test -f keep/inside/file

	if [ "$(id -u)" = 0 ]; then
		mkdir -p tree/mount tree/other
		if mount -t tmpfs none tree/mount 2>/dev/null; then
			mounted=$work/tree/mount
			touch tree/mount/file
			remove -rf --one-file-system tree
			expect "another file system" 1 $? test -f tree/mount/file -a ! -e tree/other
			umount tree/mount && mounted=
		else
			((++skipped))
		fi
		rm -rf tree
		mkdir -p tree/locked/in tree/empty && chmod 0 tree/empty && chmod 555 tree/locked && chmod 777 . tree
		"${watchdog[@]}" setpriv --reuid=65534 --regid=65534 --clear-groups "$prog" -r tree 2>err
		expect "what may not be removed" 1 $? test -d tree/locked/in -a "$(grep -c locked/in err)" = 1
	else
		((skipped += 2))
	fi
	rm -rf tree keep
done
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
