#!/bin/sh
# Process 1 of the guest: runs every program in /tests in every condition, and switches the machine off.
#
# What the programs say goes to the second serial port: for each, its output, marked, and a line with its status.

/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
ip link set lo up
export IOQ_TEST_SLOW=1

# run CONDITION BACKEND USER
run() {
	for program in /tests/*; do
		mkdir -m 777 /tmp/files
		IOQ_BACKEND=$2 TMPDIR=/tmp/files timeout -s KILL 1500 su -p -s /bin/sh "$3" -c "$program" </dev/null >/tmp/out 2>&1
		status=$?
		rm -rf /tmp/files
		sed 's/^/| /' /tmp/out
		echo "= ${program##*/} $1 $status"
	done
}

# The kernel passes on what it does not know of its command line.
exec >"/dev/$results"
for condition in $(echo "$conditions" | tr , ' '); do
	case $condition in
	# Rings are refused to everybody, or to whoever has no privileges.
	disabled) echo 2 >/proc/sys/kernel/io_uring_disabled && run disabled auto root ;;
	unprivileged) echo 1 >/proc/sys/kernel/io_uring_disabled && run unprivileged auto nobody ;;
	*) run "$condition" "$condition" root ;;
	esac
done
poweroff -f
