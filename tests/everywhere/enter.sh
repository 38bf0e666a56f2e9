#!/bin/sh
# Runs a command in what chroot.sh has made: enter.sh DIRECTORY COMMAND...
#
# This tree is /libioq there, and DIRECTORY is /everywhere. Mounts and processes are gone with the command.

directory=$(realpath "$1")
shift
exec unshare --mount --pid --fork --kill-child sh -e -c '
	directory=$1
	root=$directory/debian
	shift
	mount -t proc proc "$root/proc"
	mount --rbind /dev "$root/dev"
	mount --rbind /sys "$root/sys"
	mount -t tmpfs tmp "$root/tmp"
	mount --bind . "$root/libioq"
	mount --bind "$directory" "$root/everywhere"
	exec env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin CARGO_HOME=/everywhere/cargo CARGO_NET_OFFLINE=true \
		chroot "$root" sh -c "cd /libioq && exec \"\$@\"" sh "$@"
' sh "$directory" "$@"
