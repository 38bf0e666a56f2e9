/*
 * Walks through directory trees: fts(3) in parallel.
 *
 *     const char *roots[] = {"/etc", NULL};
 *     struct ioq_walk_options options = {
 *         .size = sizeof(options), .flags = IOQ_WALK_STAT, .mask = STATX_SIZE,
 *     };
 *     struct ioq_walk *walk = ioq_walk_open(roots, &options);
 *
 *     const struct ioq_walk_ent *ent;
 *     int ret;
 *     while ((ret = ioq_walk_next(walk, &ent)) > 0) {
 *         if (ent->error) {
 *             fprintf(stderr, "%s: %s\n", ent->path, strerror(ent->error));
 *         } else {
 *             printf("%llu %s\n", (unsigned long long)ent->stat->stx_size, ent->path);
 *         }
 *     }
 *     if (ret < 0) {
 *         perror("ioq_walk_next");
 *     }
 *     ioq_walk_close(walk);
 *
 * One thread gets one entry after the other, while others read and stat ahead. Trees may be of any depth and width, and
 * may change meanwhile; nothing is entered twice on one way down, nor through links, unless they are to be followed.
 *
 * Generated from the Rust source: edit that, then run `make headers`.
 */

#ifndef IOQ_WALK_H
#define IOQ_WALK_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* statx(2), which <sys/stat.h> defines under _GNU_SOURCE. */
struct statx;

/** A walk. */
struct ioq_walk;

/** Flags of a walk. */
enum ioq_walk_flags {
    /** Stat each entry, with the mask of the options. */
    IOQ_WALK_STAT = (1 << 0),
    /** Return each directory before what is in it. So it is if neither this nor IOQ_WALK_POST is given. */
    IOQ_WALK_PRE = (1 << 1),
    /** Return each directory after what is in it. */
    IOQ_WALK_POST = (1 << 2),
    /**
     * Do not enter directories on other file systems than that of the root that they are below, nor open them. They are
     * returned.
     */
    IOQ_WALK_XDEV = (1 << 3),
    /**
     * Follow those roots that are symbolic links. (One with a slash at its end is followed in any case.) Those whose
     * target is not there (ENOENT) are returned as links.
     */
    IOQ_WALK_FOLLOW_ROOTS = (1 << 4),
    /**
     * Follow all symbolic links. Those whose target is not there (ENOENT) are returned as links; what else fails, as a
     * circle of links does (ELOOP), is the error of an entry.
     */
    IOQ_WALK_FOLLOW = (1 << 5),
    /**
     * Return what is in a directory sorted by name, byte by byte, and what is in each directory right after it. So one
     * directory is read at a time, as a whole.
     */
    IOQ_WALK_SORT = (1 << 6),
    /** Return nothing of a root before the one before it is finished. IOQ_WALK_SORT has this too. */
    IOQ_WALK_ROOT_BY_ROOT = (1 << 7),
    /**
     * Have ioq_walk_next() run requests itself while it would wait, as IOQ_CALLER_RUNS does: quicker where nothing
     * is slow, and held up by one that hangs.
     */
    IOQ_WALK_CALLER_RUNS = (1 << 8),
};

/** What a walk has come to. All of it is the walk's, and there until the next call. */
struct ioq_walk_ent {
    /**
     * The path: that of the root as it was given, but for all slashes at its end except one, and the names from there.
     * It may be longer than PATH_MAX.
     */
    const char *path;
    /** The length of the path. */
    size_t path_len;
    /** The last part of the path: the name in the directory that the entry was found in. Of a root, the path. */
    const char *name;
    /** How far it is below its root, which is at 0. */
    size_t depth;
    /**
     * The inode number: as the directory has it, see struct ioq_list_ent; or the file's own, where the walk had to
     * look at the file itself: a root, what a link that is followed leads to, a directory once it was entered.
     */
    uint64_t ino;
    /**
     * With IOQ_WALK_STAT, what statx(2) filled in, or NULL if it failed. Before a directory was entered, as its own
     * directory has it: with a file system that is mounted when it is entered, it is another after that.
     */
    const struct statx *stat;
    /**
     * Where the program may keep a pointer of its own for this directory, NULL at first. It is there from the first to
     * the last time that the directory, or anything in it, is returned. The walk never frees what the program puts
     * there. NULL for what is no directory, and for one of which nothing more comes because its stat failed.
     */
    void **data;
    /** The same of the directory that the entry is in. NULL for a root. */
    void **parent_data;
    /**
     * 0, or an errno. At a first visit it is that of the stat, and no second visit follows. At a second visit
     * (post), which a directory with an error has even without IOQ_WALK_POST: it could not be opened, or not read to
     * its end, or was not entered because the walk is in it already (ELOOP).
     */
    int error;
    /**
     * A descriptor of the directory that the entry is in, for the *at() functions with name, to be left open: of
     * exactly that which was read, whatever has come of its path. AT_FDCWD for a root. -1 if it had to be closed, and
     * was not found again. Duplicate it to use it after the next call, as in requests of a queue.
     */
    int dirfd;
    /** The type, DT_REG and the like of <dirent.h>; DT_UNKNOWN if the stat failed that would tell. */
    unsigned char type;
    /** Whether this is the second visit of a directory. */
    bool post;
};

/**
 * What a walk is to be like.
 *
 * Set everything to 0 first; 0 is the default of each member but the first. Members may be added at the end: a library that
 * does not know one of them fails with E2BIG unless it is 0.
 */
struct ioq_walk_options {
    /** sizeof(struct ioq_walk_options). */
    size_t size;
    /** enum ioq_walk_flags, or 0. */
    unsigned int flags;
    /**
     * With IOQ_WALK_STAT, what statx(2) is asked for beside the type and the inode number, such as
     * STATX_BASIC_STATS.
     */
    unsigned int mask;
    /**
     * The most threads to start. They are started when there is work for them, so there are many only while directories
     * are slow. 0 stands for 32.
     */
    size_t nthreads;
    /** Directories this far below a root are returned, and not entered. 0 stands for no limit. */
    size_t max_depth;
    /**
     * The most directories to have open at once, at least 4, whatever is asked for. 0 stands for 256, or 8 less than
     * RLIMIT_NOFILE if that is fewer. If fewer can be had, the walk does with those.
     */
    size_t max_fds;
    /**
     * About how many bytes of memory to use for what was read ahead. Beyond that, directories are read one by one as
     * they are needed. 0 stands for 64 MiB.
     */
    size_t max_memory;
    /**
     * Whether to leave an entry out, with all that is in it: called for each before it would be returned for the first time,
     * by the thread that is in ioq_walk_next(), with arg. Its data is NULL. The function must not use the
     * walk. NULL stands for none.
     */
    bool (*skip)(const struct ioq_walk_ent *ent, void *arg);
    /** The argument of skip. */
    void *arg;
};

/**
 * Begin a walk through directory trees.
 *
 * Parameters:
 * - roots: the paths to begin at, with NULL at the end. They are copied, and looked up when the walk comes to them: where
 *   one is relative, the working directory is to stay what it is until the end.
 * - options: what the walk is to be like, or NULL. Not used any more after this, but for skip and arg.
 *
 * Returns:
 * The walk, to be closed with ioq_walk_close(), or NULL with errno set:
 * - EINVAL: roots is NULL, size is too small, flags has unknown bits, or mask the reserved one
 *   (STATX__RESERVED); or IOQ_BACKEND is wrong, as for ioq_create().
 * - E2BIG: there are options set that this version of the library does not know.
 * - ENOMEM: no memory, or nthreads is larger than any memory could be.
 * - with IOQ_BACKEND=uring, why there is no io_uring, as from ioq_create().
 *
 * Roots that are not there are entries with an error.
 *
 * Threads:
 * A walk is used by one thread at a time. It has a queue of its own, for which holds what ioq_create() says of threads,
 * signals and processes; after fork(), the child may only close it.
 */
struct ioq_walk *ioq_walk_open(const char *const *roots, const struct ioq_walk_options *options);

/**
 * Go on to the next entry. Waits until there is one.
 *
 * What is in one directory comes in no particular order, unless IOQ_WALK_SORT is given, and in between comes what is
 * in others, as soon as they were read. A directory comes before what is in it, if at all, and again after that, if at
 * all.
 *
 * Each name that is in a directory from when it is opened until it was read comes once, and what appears or vanishes
 * meanwhile once or not at all. Only a file that is renamed meanwhile may come by both names or, if its directory was
 * read already, by none. A directory that is renamed or moved is walked as before, with its old path. Nothing is entered
 * through a symbolic link that was not asked for, whatever takes the place of a directory.
 *
 * Parameters:
 * - walk: the walk.
 * - ent: where to put the entry, which is there until the next call with this walk.
 *
 * Returns:
 * - 1: there is an entry. It may be an error; the walk goes on after that.
 * - 0: everything was returned. *ent is NULL.
 * - -1 with errno set to EINVAL: walk or ent is NULL; or to ENOMEM: no memory. What was to be returned may be
 *   lost.
 *
 * Time:
 * A directory that is slow, or hangs, holds up only what is in it: all others are returned first, as far as there are
 * descriptors and memory for them meanwhile (max_fds, max_memory). With IOQ_WALK_STAT, an entry whose stat hangs
 * holds up the others of the same directory. With IOQ_WALK_SORT, what hangs holds up all that comes after it.
 */
int ioq_walk_next(struct ioq_walk *walk, const struct ioq_walk_ent **ent);

/**
 * Go on to the next entry, if there is one: an ioq_walk_next() that does not wait.
 *
 * Returns:
 * As ioq_walk_next(), and -1 with errno set to EAGAIN: there is nothing yet. Try again when the descriptor of
 * ioq_walk_fd() is readable.
 */
int ioq_walk_try_next(struct ioq_walk *walk, const struct ioq_walk_ent **ent);

/**
 * A descriptor for event loops: readable (POLLIN) while ioq_walk_try_next() has something to do.
 *
 * It is the walk's; see ioq_fd(). There may be entries to return without it: wait for it after EAGAIN only.
 *
 * Returns:
 * The descriptor, or -1 with errno set to EINVAL if walk is NULL, or as by ioq_fd().
 */
int ioq_walk_fd(struct ioq_walk *walk);

/**
 * Do not enter the directory that was returned last.
 *
 * To be called before the next ioq_walk_next() or ioq_walk_try_next(), whatever that finds. The directory's second
 * visit comes right after that, with IOQ_WALK_POST. Ignored if walk is NULL, or what was returned last is not the
 * first visit of a directory.
 */
void ioq_walk_prune(struct ioq_walk *walk);

/**
 * End a walk, at any time. Ignored if walk is NULL.
 *
 * Closes what it has open and frees what it has. Waits for requests that have begun and cannot be interrupted, as
 * ioq_destroy() does.
 *
 * Returns:
 * 0.
 */
int ioq_walk_close(struct ioq_walk *walk);

static_assert(sizeof(enum ioq_walk_flags) == 4, "ABI");
static_assert(sizeof(struct ioq_walk_options) == 7 * sizeof(void *) + 8, "ABI");
static_assert(offsetof(struct ioq_walk_options, arg) == 6 * sizeof(void *) + 8, "ABI");
static_assert(offsetof(struct ioq_walk_ent, ino) == 4 * sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_walk_ent, stat) == 4 * sizeof(void *) + 8, "ABI");
static_assert(offsetof(struct ioq_walk_ent, error) == 7 * sizeof(void *) + 8, "ABI");
static_assert(offsetof(struct ioq_walk_ent, dirfd) == 7 * sizeof(void *) + 12, "ABI");
static_assert(offsetof(struct ioq_walk_ent, post) == 7 * sizeof(void *) + 17, "ABI");

#ifdef __cplusplus
}
#endif

#endif /* IOQ_WALK_H */
