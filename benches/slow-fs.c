// A file system whose every answer takes a while, as those of a server across a network do.
//
// slow-fs MOUNTPOINT DELAY AT_ONCE
//     DELAY microseconds for each answer. The server works on AT_ONCE requests at a time, or on all that there are if
//     that is 0. It prints a line when it is mounted, and ends when it is unmounted, or when its standard input ends.
//
// The tree is made up: 300 directories with 20 empty files each, and up to 6 of the directories below each. The kernel
// caches neither entries nor attributes of it, so a stat asks for each component of its path, and then for the file.
//
// One thread receives requests and another one answers them, however many wait. A thread for each that waits would take
// four times as much of the processors, from the programs that are measured.

#define FUSE_USE_VERSION 34

#include "bench.h"

#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>

enum {
	DIRS = 300, // directory d has the inode number 1 + d
	FILES = 20, // those of directory d have the numbers from 1 + DIRS + d * FILES
	FANOUT = 6, // those below directory d are d * FANOUT + 1 and the following
};

// ---- The tree -------------------------------------------------------------------------------------------------------

static bool is_dir(fuse_ino_t ino)
{
	return ino <= DIRS;
}

static struct stat attributes(fuse_ino_t ino)
{
	return (struct stat){
		.st_ino = ino,
		.st_mode = is_dir(ino) ? S_IFDIR | 0755 : S_IFREG | 0644,
		.st_nlink = 1,
	};
}

/** The inode number of the n-th file in a directory, subdirectories first, or 0 if there are not so many. */
static fuse_ino_t child(fuse_ino_t parent, size_t n)
{
	size_t dir = parent - 1;
	size_t first = dir * FANOUT + 1;
	size_t subdirs = first >= DIRS ? 0 : DIRS - first < FANOUT ? DIRS - first : FANOUT;
	if (n < subdirs) {
		return 1 + first + n;
	}
	n -= subdirs;
	return n < FILES ? 1 + DIRS + dir * FILES + n : 0;
}

/** The name tells the inode number. */
static void name_of(fuse_ino_t ino, char name[32])
{
	snprintf(name, 32, "%c%lu", is_dir(ino) ? 'd' : 'f', ino);
}

static void lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {.ino = *name ? strtoul(name + 1, NULL, 10) : 0};
	for (size_t n = 0; child(parent, n); ++n) {
		if (child(parent, n) == entry.ino) {
			entry.attr = attributes(entry.ino);
			fuse_reply_entry(request, &entry);
			return;
		}
	}
	fuse_reply_err(request, ENOENT);
}

static void getattr(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info)
{
	(void)info;
	struct stat stat = attributes(ino);
	fuse_reply_attr(request, &stat, 0);
}

static void readdir(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *info)
{
	(void)info;
	char buf[4096], name[32];
	size_t used = 0;
	if (size > sizeof(buf)) {
		size = sizeof(buf);
	}
	for (fuse_ino_t next; (next = child(ino, (size_t)offset)); ++offset) {
		struct stat stat = attributes(next);
		name_of(next, name);
		size_t len = fuse_add_direntry(request, buf + used, size - used, name, &stat, offset + 1);
		if (len > size - used) {
			break;
		}
		used += len;
	}
	fuse_reply_buf(request, buf, used);
}

static const struct fuse_lowlevel_ops OPS = {.lookup = lookup, .getattr = getattr, .readdir = readdir};

// ---- The server -----------------------------------------------------------------------------------------------------

struct request {
	struct request *next;
	int64_t due; // when to answer
	struct fuse_buf buf;
};

static struct fuse_session *session;
static int64_t delay;
static size_t at_once;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static struct request *waiting, **last = &waiting; // in the order in which they came, and are due
static struct request *spare; // to be used again

static struct request *new_request(void)
{
	pthread_mutex_lock(&lock);
	struct request *request = spare;
	if (request) {
		spare = request->next;
	}
	pthread_mutex_unlock(&lock);
	return request ? request : check_alloc(calloc(1, sizeof(*request)));
}

static void free_request(struct request *request)
{
	pthread_mutex_lock(&lock);
	request->next = spare;
	spare = request;
	pthread_mutex_unlock(&lock);
}

/** When a request is to be answered that has come now. */
static int64_t due_time(void)
{
	static int64_t *turns; // when the last AT_ONCE requests are due
	static size_t next;
	int64_t start = now();
	if (at_once > 0) {
		if (!turns) {
			turns = check_alloc(calloc(at_once, sizeof(*turns)));
		}
		int64_t *turn = &turns[next++ % at_once];
		if (start < *turn) {
			start = *turn;
		}
		*turn = start + delay;
	}
	return start + delay;
}

/** Whether a request is one that a program waits for. */
static bool takes_time(const struct request *request)
{
	const struct fuse_in_header *header = request->buf.mem;
	switch (header->opcode) {
	case FUSE_LOOKUP:
	case FUSE_GETATTR:
	case FUSE_OPENDIR:
	case FUSE_READDIR:
		return true;
	default:
		return false;
	}
}

static void answer(struct request *request)
{
	fuse_session_process_buf(session, &request->buf);
	free_request(request);
}

/** Answer requests when they are due. */
static void *answer_all(void *arg)
{
	for (;;) {
		pthread_mutex_lock(&lock);
		while (!waiting) {
			pthread_cond_wait(&arrived, &lock);
		}
		struct request *request = waiting;
		waiting = request->next;
		if (!waiting) {
			last = &waiting;
		}
		pthread_mutex_unlock(&lock);

		int64_t left = request->due - now();
		if (left > 0) {
			pause_us((left + 999) / 1000);
		}
		answer(request);
	}
	return arg;
}

/** Receive a request, if there is one. */
static bool receive(void)
{
	struct request *request = new_request();
	if (fuse_session_receive_buf(session, &request->buf) <= 0) {
		free_request(request);
		return false;
	}
	if (!takes_time(request)) {
		answer(request);
		return true;
	}
	request->due = due_time();
	request->next = NULL;
	pthread_mutex_lock(&lock);
	*last = request;
	last = &request->next;
	pthread_cond_signal(&arrived);
	pthread_mutex_unlock(&lock);
	return true;
}

/** Receive requests until the file system is unmounted, or nobody holds the other end of the standard input. */
static void receive_all(void)
{
	struct pollfd fds[] = {{fuse_session_fd(session), POLLIN, 0}, {STDIN_FILENO, 0, 0}};
	while (!fuse_session_exited(session) && !(fds[1].revents & POLLHUP)) {
		while (receive()) {
		}
		poll(fds, 2, -1);
	}
}

int main(int argc, char *argv[])
{
	if (argc != 4) {
		usage("slow-fs MOUNTPOINT DELAY AT_ONCE");
	}
	delay = (int64_t)number(argv[2]) * 1000;
	at_once = number(argv[3]);
	signal(SIGINT, SIG_IGN); // whoever started this ends it

	char *options[] = {argv[0], "-ofsname=slow-fs", NULL};
	struct fuse_args args = FUSE_ARGS_INIT(2, options);
	session = fuse_session_new(&args, &OPS, sizeof(OPS), NULL);
	pthread_t thread;
	if (!session || fuse_session_mount(session, argv[1]) != 0) {
		return EXIT_FAILURE; // and libfuse has said why
	}
	fcntl(fuse_session_fd(session), F_SETFL, O_NONBLOCK);
	errno = pthread_create(&thread, NULL, answer_all, NULL);
	if (errno) {
		die("pthread_create()");
	}
	puts("mounted");
	fflush(stdout);

	receive_all();
	fuse_session_unmount(session);
	return EXIT_SUCCESS;
}
