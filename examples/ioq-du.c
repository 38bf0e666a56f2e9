/**
 * ioq-du: the space that directory trees take, measured in parallel.
 *
 * This is libioq at its main job. One thread owns all data and takes all decisions; the queue makes the system calls.
 * The whole program is one loop:
 *
 *     fill()   submit requests, until the queue is full or nothing more can be asked
 *     reap()   wait for a response, and take what else is ready
 *
 * Every file is looked up once, with ioq_stat() relative to its directory. If it turns out to be a directory, it goes
 *
 *     pending ─▶ opening ─▶ reading ─▶ idle ─▶ closed ─▶ finished
 *
 *     pending    has a name, but no file descriptor: there may be any number of these
 *     opening    an ioq_opendir() is in flight
 *     reading    open; the next bfs_readdir() gives the next name to look up
 *     idle       read to its end, but open still, because subdirectories have to be opened relative to it
 *     closed     ioq_closedir() was submitted, as soon as nothing needed the descriptor any more
 *     finished   the last subdirectory is finished: the totals are complete and are added to the parent's
 *
 * Opening goes before reading, and the directory found last goes first. So the walk runs in depth, and what it keeps
 * in memory is the way down to where it is, with the siblings of that way.
 *
 * File descriptors are a budget, taken from RLIMIT_NOFILE. Directories that are opening, reading or idle hold one
 * each. When all are taken the walk waits for one to come back.
 * On a deep tree it might wait for ever, with every descriptor at an idle directory; so one of those may be closed, and
 * opened again later by its path from the nearest ancestor that is open: see spare_fd() and reopen().
 *
 * What a request points to must stay until its response is popped: names are therefore copied out of the directory's
 * buffer, into a record that holds the name and the result of one lookup and is then used again.
 *
 * A submission can fail only for want of memory here. The program then makes the call itself.
 */

#define _POSIX_C_SOURCE 200809L

#include "dir-tree.h"
#include "file-set.h"

#include <ioq.h>
#include <ioq/dir.h>
#include <ioq/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	DEPTH = 2048, // requests in flight
	BATCH = 256, // responses to take before filling the queue up again
	MAX_FDS = 256, // directories open at once, however many the system allows: each has a buffer of 64 KiB
	SPARE_FDS = 3, // beside the standard streams, for the steps that reopen() takes, and for the queue on old kernels
	THREADS = 32, // at most: more than processors, as directories on a slow disk or server are read by threads
	MAX_PENDING = 2 * DEPTH, // directories pending, beyond which none is read while there is anything to wait for

	EXIT_SOME = 1,
	EXIT_FATAL = 2,
};

/** The name and the result of a lookup. */
struct lookup {
	struct lookup *next;
	struct dir *dir;
	struct bfs_stat stat;
	char name[NAME_MAX + 1];
};

struct du {
	bool summary, one_fs; // options
	bool failed; // something was not counted

	struct ioq *ioq;
	size_t inflight;
	uintmax_t requests; // that came back

	struct dir *top; // the parent of the arguments: the working directory, always open, never counted
	struct dir *pending, *reading; // stacks
	size_t npending;
	struct dir *drain; // the one to read although too many are pending
	struct idle_list idle;
	size_t fds, max_fds; // file descriptors of directories

	// To be used again
	struct lookup *lookups;
	struct bfs_dir *handles[MAX_FDS];
	size_t nhandles;
	struct path_buf path;

	struct file_set seen; // files not to be counted twice
	bool see_all; // with several arguments, any file may be met twice
	struct totals grand;

	bool progress; // standard error is a terminal
	bool drawn; // there is a progress line now
	struct timespec drawn_at;
};

// ---- Messages -------------------------------------------------------------------------------------------------------

static const char CLEAR_LINE[] = "\r\033[K";

static void clear_progress(struct du *du)
{
	if (du->drawn) {
		fputs(CLEAR_LINE, stderr);
		fflush(stderr);
		du->drawn = false;
	}
}

static double seconds_since(const struct timespec *start)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static void draw_progress(struct du *du)
{
	if (du->progress && seconds_since(&du->drawn_at) >= 0.1) {
		const struct totals *t = &du->grand;
		fprintf(stderr, "%s%ju files, %ju directories, %ju MiB", CLEAR_LINE, t->files, t->dirs, t->blocks / 2048);
		fflush(stderr);
		clock_gettime(CLOCK_MONOTONIC, &du->drawn_at);
		du->drawn = true;
	}
}

/** Leave a clean line behind, then do what the signal does by default. */
static void interrupted(int sig)
{
	ssize_t ignored = write(STDERR_FILENO, CLEAR_LINE, sizeof(CLEAR_LINE) - 1);
	(void)ignored;
	raise(sig); // SA_RESETHAND
}

static _Noreturn void fatal(struct du *du, const char *what, int error)
{
	clear_progress(du);
	fprintf(stderr, "ioq-du: %s: %s\n", what, strerror(error));
	exit(EXIT_FATAL);
}

static void *check_alloc(struct du *du, void *ptr)
{
	if (!ptr) {
		fatal(du, "cannot go on", ENOMEM);
	}
	return ptr;
}

/** The path of a file as the user knows it. Valid until the next call. */
static const char *full_path(struct du *du, const struct dir *dir, const char *name)
{
	return check_alloc(du, path_from(&du->path, du->top, dir, name));
}

static void complain(struct du *du, const char *what, const struct dir *dir, const char *name, int error)
{
	du->failed = true;
	clear_progress(du);
	fprintf(stderr, "ioq-du: %s '", what);
	for (const char *c = full_path(du, dir, name); *c; ++c) {
		bool control = (unsigned char)*c < ' ' || *c == 0x7f;
		fprintf(stderr, control ? "\\%03o" : "%c", (unsigned char)*c);
	}
	fprintf(stderr, "': %s\n", strerror(error));
}

static void print_totals(struct du *du, const struct totals *t, const struct dir *dir, const char *name)
{
	clear_progress(du);
	const char *path = full_path(du, dir, name);
	printf("%ju\t%ju\t%ju\t%ju\t%s\n", (t->blocks + 1) / 2, t->bytes, t->files, t->dirs, path);
}

// ---- Directories: idle, closed, finished ----------------------------------------------------------------------------

static int dir_fd(const struct dir *dir)
{
	return dir->parent ? bfs_dirfd(dir->handle) : AT_FDCWD;
}

static struct bfs_dir *take_handle(struct du *du)
{
	if (du->nhandles > 0) {
		return du->handles[--du->nhandles];
	}
	return check_alloc(du, bfs_allocdir());
}

/** A handle is closed, or was not opened after all. */
static void give_handle(struct du *du, struct bfs_dir *handle)
{
	du->handles[du->nhandles++] = handle;
	--du->fds;
}

static void close_dir(struct du *du, struct dir *dir)
{
	struct bfs_dir *handle = dir->handle;
	dir->handle = NULL;
	remove_idle(&du->idle, dir);
	if (ioq_closedir(du->ioq, handle, handle) == 0) {
		++du->inflight;
	} else {
		bfs_closedir(handle);
		give_handle(du, handle);
	}
}

/** Take a directory whose counters went down as far on its way as it can go, and then those above it. */
static void settle(struct du *du, struct dir *dir)
{
	while (dir->parent && dir->eof && dir->busy == 0) {
		if (dir->handle && dir->waiting == 0) {
			close_dir(du, dir);
		} else if (dir->handle && !dir->idle) {
			add_idle(&du->idle, dir);
		}
		if (dir->unfinished > 0) {
			break;
		}

		struct dir *parent = dir->parent;
		if (!du->summary || parent == du->top) {
			print_totals(du, &dir->totals, parent, dir->name);
		}
		add_totals(&parent->totals, &dir->totals);
		--parent->unfinished;
		free(dir);
		dir = parent;
	}
}

// ---- Lookups --------------------------------------------------------------------------------------------------------

/** Whether a directory is mounted again somewhere below itself. */
static bool is_cycle(const struct dir *parent, const struct bfs_stat *stat)
{
	if (stat->mnt_id == parent->mnt_id) {
		return false; // within one mount a directory has one place
	}
	for (const struct dir *dir = parent; dir->parent; dir = dir->parent) {
		if (dir->ino == stat->ino && dir->dev == stat->dev) {
			return true;
		}
	}
	return false;
}

static void push_pending(struct du *du, struct dir *dir)
{
	dir->next = du->pending;
	du->pending = dir;
	++du->npending;
	++dir->parent->waiting;
}

/** A file exists: count it, and if it is a directory, go there. */
static void found(struct du *du, struct dir *parent, const char *name, const struct bfs_stat *stat)
{
	bool is_dir = S_ISDIR(stat->mode);

	if (du->one_fs && parent != du->top && stat->dev != parent->dev) {
		return;
	}
	if (du->see_all || (!is_dir && stat->nlink > 1)) {
		int added = file_set_add(&du->seen, stat->dev, stat->ino);
		if (added < 0) {
			fatal(du, "cannot go on", ENOMEM);
		} else if (added == 0) {
			return;
		}
	}
	if (is_dir && is_cycle(parent, stat)) {
		return;
	}

	struct totals own = {
		.blocks = (uintmax_t)stat->blocks,
		.bytes = stat->size > 0 ? (uintmax_t)stat->size : 0,
		.files = !is_dir,
		.dirs = is_dir,
	};
	add_totals(&du->grand, &own);

	if (is_dir) {
		struct dir *dir = check_alloc(du, new_dir(parent, name));
		dir->dev = stat->dev;
		dir->ino = stat->ino;
		dir->mnt_id = stat->mnt_id;
		dir->totals = own;
		++parent->unfinished;
		push_pending(du, dir);
	} else {
		add_totals(&parent->totals, &own);
		if (parent == du->top) {
			print_totals(du, &own, parent, name);
		}
	}
}

static void looked_up(struct du *du, struct lookup *lookup, const char *name, int error)
{
	struct dir *dir = lookup->dir;
	if (error) {
		complain(du, "cannot access", dir, name, error);
	} else {
		found(du, dir, name, &lookup->stat);
	}
	lookup->next = du->lookups;
	du->lookups = lookup;
	--dir->busy;
	settle(du, dir);
}

static void look_up(struct du *du, struct dir *dir, const char *name)
{
	struct lookup *lookup = du->lookups;
	if (lookup) {
		du->lookups = lookup->next;
	} else {
		lookup = check_alloc(du, malloc(sizeof(*lookup)));
	}
	lookup->dir = dir;
	++dir->busy;

	size_t size = strlen(name) + 1;
	if (size <= sizeof(lookup->name)) {
		memcpy(lookup->name, name, size);
		if (ioq_stat(du->ioq, dir_fd(dir), lookup->name, BFS_STAT_NOFOLLOW, &lookup->stat, lookup) == 0) {
			++du->inflight;
			return;
		}
	}
	// No memory for a request, or a name longer than file systems have as a rule
	int ret = bfs_stat(dir_fd(dir), name, BFS_STAT_NOFOLLOW, &lookup->stat);
	looked_up(du, lookup, name, ret == 0 ? 0 : errno);
}

// ---- Opening and reading --------------------------------------------------------------------------------------------

/** Whether the system had no file descriptor to give, but others can be waited for. */
static bool wait_for_fd(struct du *du, int error)
{
	// One belongs to the parent, and cannot come back first
	if ((error != EMFILE && error != ENFILE) || du->fds < 2) {
		return false;
	}
	du->max_fds = du->fds;
	return true;
}

static void opened(struct du *du, struct dir *dir, int error)
{
	struct dir *parent = dir->parent;
	--parent->busy;

	if (!error) {
		dir->next = du->reading;
		du->reading = dir;
		settle(du, parent);
		return;
	}

	give_handle(du, dir->handle);
	dir->handle = NULL;
	if (wait_for_fd(du, error)) {
		push_pending(du, dir);
		settle(du, parent);
	} else {
		complain(du, "cannot read directory", parent, dir->name, error);
		dir->eof = true;
		settle(du, dir);
	}
}

/**
 * Open a directory again that was closed to save its file descriptor.
 *
 * This is rare, and takes any number of steps, so it does not go through the queue. Returns 0 or an error number.
 */
static int reopen(struct du *du, struct dir *dir)
{
	const struct dir *base = dir->parent;
	while (base->parent && !base->handle) {
		base = base->parent;
	}
	char *path = check_alloc(du, path_from(&du->path, base, dir->parent, dir->name));
	int fd = open_path(dir_fd(base), path);
	if (fd < 0) {
		return errno;
	}

	struct bfs_stat stat;
	struct bfs_dir *handle = take_handle(du);
	int error = 0;
	if (bfs_stat(fd, NULL, 0, &stat) != 0) {
		error = errno;
	} else if (stat.dev != dir->dev || stat.ino != dir->ino) {
		error = ESTALE; // moved away since
	} else if (bfs_opendir(handle, fd, NULL, 0) != 0) {
		error = errno;
	}
	++du->fds;
	if (error) {
		close(fd);
		give_handle(du, handle);
	} else {
		dir->handle = handle;
		settle(du, dir);
	}
	return error;
}

/**
 * Whether there is a file descriptor for a subdirectory of `parent`.
 *
 * Otherwise one will come back, if need be from the directory that was idle for the longest time: the walk runs in
 * depth, so that is the one needed last. Idle directories may keep half of the budget, so that the rest keeps moving.
 *
 * This cannot get stuck: with nothing in flight, a directory that is open and not closing is either idle or reading.
 */
static bool spare_fd(struct du *du, const struct dir *parent)
{
	if (du->fds < du->max_fds) {
		return true;
	}
	if (du->idle.count > du->max_fds / 2 || du->inflight == 0) {
		struct dir *dir = du->idle.oldest != parent ? du->idle.oldest : parent->newer;
		if (dir) {
			close_dir(du, dir);
		}
	}
	return du->fds < du->max_fds;
}

/** Open the next pending directory. Returns false if there is none, or no file descriptor for it. */
static bool open_next(struct du *du)
{
	struct dir *dir = du->pending;
	if (!dir || !spare_fd(du, dir->parent)) {
		return false;
	}

	struct dir *parent = dir->parent;
	int error = 0;
	if (parent->parent && !parent->handle) {
		error = reopen(du, parent);
		if (!error || wait_for_fd(du, error)) {
			return true; // there may be none left for this one
		}
	}

	du->pending = dir->next;
	--du->npending;
	--parent->waiting;
	remove_idle(&du->idle, parent);
	++parent->busy;
	++du->fds;
	dir->handle = take_handle(du);
	if (!error && ioq_opendir(du->ioq, dir->handle, dir_fd(parent), dir->name, 0, dir) == 0) {
		++du->inflight;
		return true;
	}
	if (!error && bfs_opendir(dir->handle, dir_fd(parent), dir->name, 0) != 0) {
		error = errno;
	}
	opened(du, dir, error);
	return true;
}

/** Look up the next name in the directory opened last. Returns false if there is none, or enough to do without it. */
static bool read_next(struct du *du)
{
	struct dir *dir = du->reading;
	if (!dir) {
		return false;
	}
	if (du->npending >= MAX_PENDING && dir != du->drain) {
		if (du->inflight > 0) {
			return false;
		}
		// All file descriptors are with directories that were not read to the end: one of them has to be
		du->drain = dir;
	}

	struct bfs_dirent entry;
	int ret = bfs_readdir(dir->handle, &entry);
	if (ret > 0) {
		look_up(du, dir, entry.name);
		return true;
	}
	if (ret < 0) {
		complain(du, "cannot read directory", dir->parent, dir->name, errno);
	}
	du->reading = dir->next;
	du->drain = NULL;
	dir->eof = true;
	settle(du, dir);
	return true;
}

// ---- The loop -------------------------------------------------------------------------------------------------------

static void fill(struct du *du)
{
	while (du->inflight < DEPTH && (open_next(du) || read_next(du))) {
	}
}

static void reap(struct du *du)
{
	ioq_submit(du->ioq);
	struct ioq_ent *ent = ioq_pop(du->ioq, true);
	for (int i = 1; ent; ++i) {
		enum ioq_op op = ent->op;
		int error = ent->result < 0 ? -ent->result : 0;
		void *ptr = ent->ptr;
		ioq_free(du->ioq, ent);
		--du->inflight;
		++du->requests;

		if (op == IOQ_STAT) {
			struct lookup *lookup = ptr;
			looked_up(du, lookup, lookup->name, error);
		} else if (op == IOQ_OPENDIR) {
			opened(du, ptr, error);
		} else {
			give_handle(du, ptr);
		}
		ent = i < BATCH ? ioq_pop(du->ioq, false) : NULL;
	}
	draw_progress(du);
}

/** One argument at a time: what several have in common counts for the first of them. */
static void walk(struct du *du, char *arg)
{
	size_t len = strlen(arg);
	if (len == 0) {
		complain(du, "cannot access", du->top, arg, ENOENT);
		return;
	}
	while (len > 1 && arg[len - 1] == '/' && arg[len - 2] == '/') {
		arg[--len] = '\0';
	}

	look_up(du, du->top, arg);
	while (du->top->busy > 0 || du->top->unfinished > 0) {
		fill(du);
		reap(du);
	}
}

// ---- The program ----------------------------------------------------------------------------------------------------

static const char USAGE[] =
	"Usage: ioq-du [OPTION]... [FILE]...\n"
	"Measure directory trees, by default the working directory. For every directory, after those below it, print\n"
	"its disk usage in KiB, apparent size in bytes, number of files, number of directories, and path.\n"
	"\n"
	"  -s, --summarize        print the arguments only\n"
	"  -x, --one-file-system  skip directories on other file systems\n"
	"  -j, --threads=N        use at most N threads (default: 32; few of them start unless files are slow)\n"
	"      --stats            tell on standard error how many requests ran, how fast and where\n"
	"  -h, --help             print this\n"
	"\n"
	"Symbolic links are counted, not followed. A file with several hard links is counted once, where it is met first.\n"
	"IOQ_BACKEND=auto|uring|sync in the environment chooses how system calls are made.\n"
	"The exit status is 0, 1 if something could not be read and was not counted, or 2 on any other error.\n";

static _Noreturn void misused(void)
{
	fputs("Try 'ioq-du --help' for more information.\n", stderr);
	exit(EXIT_FATAL);
}

static size_t parse_threads(const char *arg)
{
	char *end;
	errno = 0;
	unsigned long n = strtoul(arg, &end, 10);
	if (errno != 0 || end == arg || *end || *arg == '-' || n < 1 || n > 1024) {
		fprintf(stderr, "ioq-du: invalid number of threads '%s'\n", arg);
		misused();
	}
	return n;
}

/** The file descriptors for directories: what the system leaves, but no more than are of use. */
static void limit_fds(struct du *du)
{
	const size_t others = 3 + SPARE_FDS;
	struct rlimit limit;
	du->max_fds = MAX_FDS;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < MAX_FDS + others) {
		du->max_fds = limit.rlim_cur > others ? (size_t)limit.rlim_cur - others : 0;
	}
	if (du->max_fds < 2) {
		du->max_fds = 2; // a directory and its parent
	}
}

static void catch_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); ++i) {
		struct sigaction action;
		if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN) {
			action = (struct sigaction){.sa_handler = interrupted, .sa_flags = SA_RESETHAND};
			sigaction(signals[i], &action, NULL);
		}
	}
}

static void print_stats(const struct du *du, const struct timespec *start)
{
	struct ioq_counts counts;
	ioq_count(du->ioq, &counts);
	double seconds = seconds_since(start);
	fprintf(stderr, "%ju requests in %.3f s, %.0f per second\n", du->requests, seconds, (double)du->requests / seconds);
	fprintf(stderr, "%ju on io_uring, %ju in workers, %ju in the calling thread\n", (uintmax_t)counts.ring,
		(uintmax_t)counts.worker, (uintmax_t)counts.caller);
}

int main(int argc, char *argv[])
{
	enum { OPT_STATS = UCHAR_MAX + 1 };
	static const struct option options[] = {
		{"summarize", no_argument, NULL, 's'},
		{"one-file-system", no_argument, NULL, 'x'},
		{"threads", required_argument, NULL, 'j'},
		{"stats", no_argument, NULL, OPT_STATS},
		{"help", no_argument, NULL, 'h'},
		{0},
	};

	static struct du du;
	size_t threads = THREADS;
	bool stats = false;
	int opt;
	while ((opt = getopt_long(argc, argv, "sxj:h", options, NULL)) != -1) {
		switch (opt) {
		case 's':
			du.summary = true;
			break;
		case 'x':
			du.one_fs = true;
			break;
		case 'j':
			threads = parse_threads(optarg);
			break;
		case OPT_STATS:
			stats = true;
			break;
		case 'h':
			fputs(USAGE, stdout);
			return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FATAL;
		default:
			misused();
		}
	}

	setvbuf(stderr, NULL, _IOLBF, BUFSIZ); // complaints are made of many small pieces
	struct timespec start;
	clock_gettime(CLOCK_MONOTONIC, &start);
	limit_fds(&du);
	struct ioq_options queue = {
		.size = sizeof(queue),
		.depth = DEPTH,
		.nthreads = threads - 1,
		.flags = IOQ_CALLER_RUNS, // there is nothing to be done here while requests run
	};
	du.ioq = ioq_create_with(&queue);
	if (!du.ioq) {
		fatal(&du, "cannot create a queue", errno);
	}
	du.top = check_alloc(&du, new_dir(NULL, ""));
	du.see_all = argc - optind > 1;
	du.drawn_at = start;
	du.progress = isatty(STDERR_FILENO);
	if (du.progress) {
		catch_signals();
	}

	char dot[] = ".";
	if (optind == argc) {
		walk(&du, dot);
	}
	for (int i = optind; i < argc; ++i) {
		walk(&du, argv[i]);
	}
	while (du.inflight > 0) {
		reap(&du);
	}
	clear_progress(&du);
	if (stats) {
		print_stats(&du, &start);
	}

	ioq_destroy(du.ioq);
	while (du.lookups) {
		struct lookup *next = du.lookups->next;
		free(du.lookups);
		du.lookups = next;
	}
	while (du.nhandles > 0) {
		free(du.handles[--du.nhandles]);
	}
	file_set_free(&du.seen);
	free(du.path.buf);
	free(du.top);

	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "ioq-du: cannot write: %s\n", strerror(errno));
		return EXIT_FATAL;
	}
	return du.failed ? EXIT_SOME : EXIT_SUCCESS;
}
