/**
 * ioq-rm: rm -r in parallel. One queue walks (ioq/walk.h), another removes what the walk has come to.
 *
 * Everything is removed by its name in the descriptor of the directory in which the walk has found it, so nothing that
 * becomes of the paths meanwhile leads elsewhere: a link is never followed, and neither is one that has taken a
 * directory's place. A directory goes when it is returned for the second time, and all that was in it is gone.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <ioq.h>
#include <ioq/walk.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH = 128, THREADS = 16, TRIES = 8 };

/** A directory that is being walked; it stays until what is in it was removed. */
struct dir {
	size_t inflight; // requests to remove something in it
	int fd; // for these, while there are any
	bool failed, incomplete; // something is left in it; the walk has to come again
};

/** Something to be removed. */
struct removal {
	struct dir *dir; // that it is in; NULL for an argument
	int error; // what to report if it cannot be removed, if not that
	size_t name; // where that begins
	char path[];
};

static struct ioq *ioq;
static bool force, verbose, failed, preserve_root = true;
static bool last_try; // what is not empty now stays
static size_t removed;
static void *told; // paths that were complained of

/** An argument that is to be removed. */
static struct root {
	const char *path;
	bool incomplete; // entries were there that the walk has not seen, since others went meanwhile
} *roots;
static size_t root_count;

static _Noreturn void fatal(const char *what)
{
	fprintf(stderr, "ioq-rm: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void fail(struct dir *dir, const char *path, int error)
{
	char *copy = strdup(path);
	char **place = copy ? tsearch(copy, &told, compare) : NULL;
	if (place && *place != copy) {
		free(copy);
	} else {
		fprintf(stderr, "ioq-rm: cannot remove '%s': %s\n", path, strerror(error));
	}
	failed = true;
	if (dir) {
		dir->failed = true;
	}
}

/** Something is left that the walk has to come to again: in a directory, or in an argument itself. */
static void leave(struct dir *dir, const char *path)
{
	if (dir) {
		dir->failed = dir->incomplete = true;
	}
	for (size_t i = 0; !dir && i < root_count; ++i) {
		roots[i].incomplete |= strcmp(roots[i].path, path) == 0;
	}
}

/** What has come of a removal. */
static void finish(struct removal *removal, int error)
{
	struct dir *dir = removal->dir;
	bool retry = error == EMFILE || (error == ENOTEMPTY && (!removal->error || removal->error == EMFILE));
	if (retry && !last_try) {
		leave(dir, removal->path);
	} else if (error && error != ENOENT) {
		fail(dir, removal->path, removal->error ? removal->error : error);
	} else {
		++removed;
		if (verbose) {
			printf("removed '%s'\n", removal->path);
		}
	}
	if (dir && --dir->inflight == 0) {
		close(dir->fd);
	}
	free(removal);
}

/** Take what was done, or wait for something. */
static void reap(bool wait)
{
	for (struct ioq_ent *ent; (ent = ioq_pop(ioq, wait)); wait = false) {
		struct removal *removal = ent->ptr;
		int result = ent->result;
		ioq_free(ioq, ent);
		finish(removal, -result);
	}
}

static void remove_entry(const struct ioq_walk_ent *ent)
{
	struct dir *dir = ent->parent_data ? *ent->parent_data : NULL;
	int flags = ent->type == DT_DIR ? AT_REMOVEDIR : 0;
	struct removal *removal = malloc(sizeof(*removal) + ent->path_len + 1);
	if (!removal) {
		fatal("cannot go on");
	}
	*removal = (struct removal){.dir = dir, .error = ent->error, .name = (size_t)(ent->name - ent->path)};
	memcpy(removal->path, ent->path, ent->path_len + 1);
	if (ioq_capacity(ioq) == 0) {
		reap(true);
	}
	if (dir && dir->inflight++ == 0) {
		dir->fd = fcntl(ent->dirfd, F_DUPFD_CLOEXEC, 0);
	}
	// Without a descriptor of its own it is done at once.
	int fd = dir ? dir->fd : AT_FDCWD;
	if (ent->dirfd == -1) {
		finish(removal, EMFILE);
	} else if (fd == -1 || ioq_unlink(ioq, fd, removal->path + removal->name, flags, removal) != 0) {
		finish(removal, unlinkat(ent->dirfd, ent->name, flags) == 0 ? 0 : errno);
	}
}

static void visit(const struct ioq_walk_ent *ent)
{
	struct dir *parent = ent->parent_data ? *ent->parent_data : NULL;
	if (ent->type != DT_DIR || (ent->error && !ent->post)) {
		bool is_root = ent->depth == 0, is_gone = ent->error == ENOENT || (is_root && ent->error == ENOTDIR);
		if (!ent->error) {
			remove_entry(ent);
		} else if (!is_gone || (is_root && !force)) {
			fail(parent, ent->path, ent->error);
		}
	} else if (!ent->post) {
		*ent->data = calloc(1, sizeof(struct dir));
		if (!*ent->data) {
			fatal("cannot go on");
		}
	} else {
		struct dir *dir = *ent->data;
		while (dir->inflight > 0) {
			reap(true);
		}
		if (!dir->failed) {
			remove_entry(ent);
		} else if (dir->incomplete) {
			leave(parent, ent->path);
		} else if (parent) {
			parent->failed = true;
		}
		free(dir);
	}
}

/** Whether an argument may be removed. */
static bool is_allowed(char *path)
{
	struct stat stat, root;
	size_t given_len = strlen(path), len = given_len;
	while (len > 1 && path[len - 1] == '/') {
		path[--len] = '\0';
	}
	bool slash = len < given_len;
	const char *name = strrchr(path, '/');
	name = name ? name + 1 : path;
	const char *why = NULL;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		why = "that is the directory itself or the one above";
	} else if (lstat(path, &stat) == 0) {
		bool is_root = lstat("/", &root) == 0 && stat.st_dev == root.st_dev && stat.st_ino == root.st_ino;
		why = is_root && preserve_root ? "that is the root" : slash && !S_ISDIR(stat.st_mode) ? strerror(ENOTDIR) : NULL;
	}
	if (why) {
		fprintf(stderr, "ioq-rm: refusing to remove '%s%s': %s\n", path, &"/"[!slash], why);
		failed = true;
	}
	return !why;
}

/** Put the arguments there that are to be walked, which are taken for complete after that. Returns whether there are any. */
static bool list_incomplete(const char **paths)
{
	size_t count = 0;
	for (size_t i = 0; i < root_count; ++i) {
		if (roots[i].incomplete) {
			paths[count++] = roots[i].path;
			roots[i].incomplete = false;
		}
	}
	paths[count] = NULL;
	return count > 0;
}

static const char USAGE[] =
	"Usage: ioq-rm [OPTION]... FILE...\n"
	"Remove files, and directories with all that is in them, without asking.\n\n"
	"  -f, --force             do not complain of files that are not there\n"
	"  -r, -R, --recursive     as it is in any case\n"
	"      --one-file-system   do not enter directories on other file systems than their argument\n"
	"      --no-preserve-root  do not treat '/' in another way than others\n"
	"  -v, --verbose           tell what is removed\n"
	"      --help              print this\n";

int main(int argc, char *argv[])
{
	enum { ONE_FS = UCHAR_MAX + 1, PRESERVE, NO_PRESERVE, HELP };
	static const struct option options[] = {{"force", 0, NULL, 'f'}, {"recursive", 0, NULL, 'r'}, {"verbose", 0, NULL, 'v'},
		{"one-file-system", 0, NULL, ONE_FS}, {"preserve-root", 0, NULL, PRESERVE}, {"no-preserve-root", 0, NULL, NO_PRESERVE},
		{"help", 0, NULL, HELP}, {0}};
	struct ioq_walk_options how = {.size = sizeof(how), .flags = IOQ_WALK_PRE | IOQ_WALK_POST};
	for (int opt; (opt = getopt_long(argc, argv, "frRv", options, NULL)) != -1;) {
		switch (opt) {
		case 'f': force = true; break;
		case 'r': case 'R': break;
		case 'v': verbose = true; break;
		case ONE_FS: how.flags |= IOQ_WALK_XDEV; break;
		case PRESERVE: preserve_root = true; break;
		case NO_PRESERVE:
			if (strcmp(argv[optind - 1], "--no-preserve-root") != 0) {
				fputs("ioq-rm: --no-preserve-root may not be abbreviated\n", stderr);
				return EXIT_FAILURE;
			}
			preserve_root = false;
			break;
		case HELP: fputs(USAGE, stdout); return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
		default: fputs("Try 'ioq-rm --help' for more information.\n", stderr); return EXIT_FAILURE;
		}
	}
	if (optind == argc && !force) {
		fputs("ioq-rm: nothing to remove\nTry 'ioq-rm --help' for more information.\n", stderr);
		return EXIT_FAILURE;
	}
	const char **paths = calloc((size_t)argc + 1, sizeof(*paths));
	roots = calloc((size_t)argc, sizeof(*roots));
	ioq = ioq_create(DEPTH, THREADS);
	if (!paths || !roots || !ioq) {
		fatal("cannot begin");
	}
	for (; optind < argc; ++optind) {
		if (is_allowed(argv[optind])) {
			roots[root_count++] = (struct root){argv[optind], true};
		}
	}
	// Again for what was not seen, as long as that helps.
	for (size_t tries = 0; list_incomplete(paths);) {
		removed = 0;
		struct ioq_walk *walk = ioq_walk_open(paths, &how);
		const struct ioq_walk_ent *ent;
		int ret = -1;
		while (walk && (ret = ioq_walk_next(walk, &ent)) > 0) {
			visit(ent);
			reap(false);
		}
		if (ret != 0) {
			fatal("cannot go on");
		}
		ioq_walk_close(walk);
		while (ioq_capacity(ioq) < DEPTH) {
			reap(true);
		}
		force = true; // those that are gone
		last_try = removed == 0 || ++tries == TRIES;
	}
	ioq_destroy(ioq);
	free(roots);
	free(paths);
	tdestroy(told, free);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fatal("cannot write");
	}
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
