// A walk through a tree: every directory opened, read and closed through the queue, breadth first.
//
// walk names|stats DIR WORKERS
//     With stats every entry is looked up, else only those whose type the directory does not tell.
//
// Directories are opened relative to their parent, which stays open until then. They hold a file descriptor each, and
// there is a limit to those: past half of it, directories are closed as soon as they are read, and what is below them
// is opened by its path from the nearest one that is still open. So there always comes a descriptor back.

#include "queue.h"

#include <ioq/dir.h>
#include <ioq/stat.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum {
	DEPTH = 4096, // requests in flight
	MAX_FDS = 1024, // directories open at once, however many the system allows
	SPARE_FDS = 8, // beside those of the directories and the workers
};

/** A directory. It stays in memory to the end, as those below it may need its name. */
struct dir {
	struct dir *parent, *next;
	struct dir *base; // what it is opened relative to
	char *path; // from there, if that is not the parent
	struct bfs_dir *handle; // while it is open
	size_t busy; // requests in flight that need its descriptor
	size_t waiting; // directories in it that are not being opened yet
	bool eof;
	char name[];
};

struct list {
	struct dir *first, *last;
};

/** A name, and what is known about it. */
struct lookup {
	struct lookup *next;
	struct dir *dir;
	bool unknown; // not even the type is known yet
	struct bfs_stat stat;
	char name[256];
};

static struct ioq *ioq;
static bool stats;
static size_t inflight, fds, max_fds;
static struct list pending, reading; // to be opened; open and not read to the end
static size_t entries, requests, failed;

// To be used again
static struct lookup *lookups;
static struct bfs_dir *handles[MAX_FDS];
static size_t nhandles;

static void append(struct list *list, struct dir *dir)
{
	dir->next = NULL;
	if (list->first) {
		list->last->next = dir;
	} else {
		list->first = dir;
	}
	list->last = dir;
}

/** Count a request that was submitted. */
static void submitted(int ret, const char *what)
{
	if (ret != 0) {
		die(what);
	}
	++inflight;
	++requests;
}

static int dir_fd(const struct dir *dir)
{
	return dir ? bfs_dirfd(dir->handle) : AT_FDCWD;
}

static void add_dir(struct dir *parent, const char *name)
{
	size_t size = strlen(name) + 1;
	struct dir *dir = check_alloc(calloc(1, sizeof(*dir) + size));
	dir->parent = parent;
	memcpy(dir->name, name, size);
	if (parent) {
		++parent->waiting;
	}
	append(&pending, dir);
}

/** The path of a directory from one above it. */
static char *path_from(const struct dir *base, const struct dir *dir)
{
	size_t size = 0;
	for (const struct dir *d = dir; d != base; d = d->parent) {
		size += strlen(d->name) + 1;
	}
	char *path = check_alloc(malloc(size));
	char *end = path + size;
	for (const struct dir *d = dir; d != base; d = d->parent) {
		*--end = d == dir ? '\0' : '/';
		end -= strlen(d->name);
		memcpy(end, d->name, strlen(d->name));
	}
	return path;
}

/** Open a directory. Returns false if there is none to open, or no room for it. */
static bool open_next(void)
{
	struct dir *dir = pending.first;
	if (!dir || inflight == DEPTH || fds == max_fds) {
		return false;
	}
	pending.first = dir->next;

	struct dir *base = dir->parent;
	while (base && !base->handle) {
		base = base->parent;
	}
	if (base != dir->parent) {
		dir->path = path_from(base, dir);
	}
	if (base) {
		++base->busy;
	}
	if (dir->parent) {
		--dir->parent->waiting;
	}
	dir->base = base;
	dir->handle = nhandles > 0 ? handles[--nhandles] : check_alloc(bfs_allocdir());
	++fds;

	const char *path = dir->path ? dir->path : dir->name;
	submitted(ioq_opendir(ioq, dir->handle, dir_fd(base), path, 0, dir), "ioq_opendir()");
	return true;
}

static void closed(struct bfs_dir *handle)
{
	handles[nhandles++] = handle;
	--fds;
}

/** Close a directory if it can be done without. There is room for that: an entry was given back, or reading stopped. */
static void settle(struct dir *dir)
{
	if (dir && dir->eof && dir->handle && !dir->busy && (!dir->waiting || fds > max_fds / 2)) {
		struct bfs_dir *handle = dir->handle;
		dir->handle = NULL;
		submitted(ioq_closedir(ioq, handle, NULL), "ioq_closedir()");
	}
}

static void opened(struct dir *dir, bool success)
{
	free(dir->path);
	if (success) {
		append(&reading, dir);
	} else {
		++failed;
		closed(dir->handle);
		dir->handle = NULL;
	}
	if (dir->base) {
		--dir->base->busy;
		settle(dir->base);
	}
}

static void look_up(struct dir *dir, const struct bfs_dirent *de)
{
	struct lookup *lookup = lookups;
	if (lookup) {
		lookups = lookup->next;
	} else {
		lookup = check_alloc(malloc(sizeof(*lookup)));
	}
	lookup->dir = dir;
	lookup->unknown = de->type == BFS_UNKNOWN;
	strcpy(lookup->name, de->name);
	++dir->busy;
	submitted(ioq_stat(ioq, dir_fd(dir), lookup->name, BFS_STAT_NOFOLLOW, &lookup->stat, lookup), "ioq_stat()");
}

static void looked_up(struct lookup *lookup, bool success)
{
	struct dir *dir = lookup->dir;
	if (!success) {
		++failed;
	} else if (lookup->unknown && S_ISDIR(lookup->stat.mode)) {
		add_dir(dir, lookup->name);
	}
	lookup->next = lookups;
	lookups = lookup;
	--dir->busy;
	settle(dir);
}

/** Read a directory to its end, unless the queue is full before. */
static void read_next(void)
{
	struct dir *dir = reading.first;
	struct bfs_dirent de;
	while (dir && inflight < DEPTH) {
		int ret = bfs_readdir(dir->handle, &de);
		if (ret <= 0) {
			failed += ret < 0;
			reading.first = dir->next;
			dir->eof = true;
			settle(dir);
			break;
		}
		++entries;
		if (de.type == BFS_DIR) {
			add_dir(dir, de.name);
		}
		if (stats || de.type == BFS_UNKNOWN) {
			look_up(dir, &de);
		}
	}
}

/** Take the responses that are ready, and wait for one if there is nothing else to do. */
static void reap(void)
{
	bool block = !reading.first || inflight == DEPTH;
	struct ioq_ent *ent;
	for (int i = 0; i < POP_BATCH && (ent = ioq_pop(ioq, block && i == 0)); ++i) {
		struct ioq_ent done = *ent;
		ioq_free(ioq, ent);
		--inflight;
		if (done.op == IOQ_OPENDIR) {
			opened(done.ptr, done.result >= 0);
		} else if (done.op == IOQ_STAT) {
			looked_up(done.ptr, done.result >= 0);
		} else {
			closed(done.closedir.dir);
		}
	}
}

static void walk(const char *root, size_t workers)
{
	ioq = new_queue(DEPTH, workers);
	add_dir(NULL, root);
	do {
		while (open_next()) {
		}
		read_next();
		ioq_submit(ioq);
		reap();
	} while (inflight > 0 || reading.first || pending.first);
	ioq_destroy(ioq);
}

/** The descriptors for directories: what is left beside one for each worker. */
static void limit_fds(size_t workers)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
		die("getrlimit()");
	}
	size_t others = SPARE_FDS + workers;
	max_fds = limit.rlim_cur > others + 2 ? (size_t)limit.rlim_cur - others : 2;
	if (max_fds > MAX_FDS) {
		max_fds = MAX_FDS;
	}
}

int main(int argc, char *argv[])
{
	alarm(WATCHDOG);
	if (argc != 4) {
		usage("walk names|stats DIR WORKERS");
	}
	stats = strcmp(argv[1], "stats") == 0;
	size_t workers = number(argv[3]);
	limit_fds(workers);

	struct span start = start_span();
	walk(argv[2], workers);
	struct span span = end_span(start);

	figure("time", (double)span.wall / 1e6, "ms");
	figure("cpu", (double)span.cpu / 1e6, "ms");
	figure("entries", (double)entries, "count");
	figure("requests", (double)requests, "count");
	figure("failed", (double)failed, "count");
	return EXIT_SUCCESS;
}
