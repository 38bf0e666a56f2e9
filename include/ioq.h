/*
 * An asynchronous queue of file-system metadata operations.
 *
 * A program submits requests, goes on working, and pops the responses in whatever order they finish:
 *
 *     struct bfs_stat buf;
 *     struct ioq *ioq = ioq_create(64, 4);
 *     if (ioq_stat(ioq, AT_FDCWD, "/etc/passwd", BFS_STAT_FOLLOW, &buf, NULL) != 0) {
 *         perror("ioq_stat");
 *     }
 *
 *     struct ioq_ent *ent;
 *     while ((ent = ioq_pop(ioq, true))) {
 *         if (ent->result < 0) {
 *             fprintf(stderr, "%s: %s\n", ent->stat.path, strerror(-ent->result));
 *         }
 *         ioq_free(ioq, ent);
 *     }
 *     ioq_destroy(ioq);
 *
 * The directories are those of the program, if it defines bfs_opendir() and bfs_closedir(), and the stats, if it defines
 * bfs_stat(). Otherwise they are those of <ioq/dir.h> and <ioq/stat.h>. A program's own functions
 *
 * - have the types that are declared there, do what is said there, with NULL for a path as well, and return -1 with errno
 *   set on failure;
 * - are looked up once, when the first queue is created. What is missing of bfs_polldir(), bfs_statx_flags(),
 *   bfs_statx_mask() and bfs_statx_convert() is done without, and never replaced by the library's;
 * - are called from the queue's threads, several at once, with the signals blocked that ioq_create() tells of and a stack of
 *   1 MiB, or what the queue's options say; and from the thread that pops or destroys. If bfs_opendir() or bfs_stat() fails
 *   with EINTR, it is called again;
 * - may be bypassed: statx(2) through a ring, with bfs_statx_flags(), bfs_statx_mask() and bfs_statx_convert(), in place of
 *   bfs_stat(); and openat(2) through a ring and bfs_opendir() with NULL and its descriptor, in place of bfs_opendir() with a
 *   path. So bfs_opendir() must take a descriptor, and leave it open if it fails.
 *
 * Generated from the Rust source: edit that, then run `make headers`.
 */

#ifndef IOQ_H
#define IOQ_H

#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** The version of this header; see ioq_version(). */
#define IOQ_VERSION_MAJOR 0
#define IOQ_VERSION_MINOR 1
#define IOQ_VERSION_PATCH 0
#define IOQ_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

struct timespec;

/* statx(2), which <sys/stat.h> defines under _GNU_SOURCE. */
struct statx;

/* openat2(2), which <linux/openat2.h> defines. */
struct open_how;

/** A queue. */
struct ioq;

/** A directory. Whoever provides bfs_opendir() defines it. */
struct bfs_dir;

/** What is known about a file. Whoever provides bfs_stat() defines it. */
struct bfs_stat;

/* On machines of 32 bits, programs with times of 64 (_TIME_BITS=64) have these functions of their own, since Linux 5.1. */
#if defined(__USE_TIME_BITS64) && __SIZEOF_LONG__ == 4
struct ioq_ent *ioq_pop_until(struct ioq *ioq, const struct timespec *deadline)
    __asm__("ioq_pop_until_time64");
int ioq_utimens(struct ioq *ioq, int dfd, const char *path, const struct timespec *times, int flags, void *ptr)
    __asm__("ioq_utimens_time64");
#endif

/** The operation of a request. */
enum ioq_op {
    /** ioq_nop(). */
    IOQ_NOP = 0,
    /** ioq_close(). */
    IOQ_CLOSE = 1,
    /** ioq_opendir(). */
    IOQ_OPENDIR = 2,
    /** ioq_closedir(). */
    IOQ_CLOSEDIR = 3,
    /** ioq_stat(). */
    IOQ_STAT = 4,
    /** ioq_call(). */
    IOQ_CALL = 5,
    /** ioq_statx(). */
    IOQ_STATX = 6,
    /** ioq_list(). */
    IOQ_LIST = 7,
    /** ioq_openat(). */
    IOQ_OPENAT = 8,
    /** ioq_readlink(). */
    IOQ_READLINK = 9,
    /** ioq_getxattr(). */
    IOQ_GETXATTR = 10,
    /** ioq_access(). */
    IOQ_ACCESS = 11,
    /** ioq_unlink(). */
    IOQ_UNLINK = 12,
    /** ioq_rename(). */
    IOQ_RENAME = 13,
    /** ioq_mkdir(). */
    IOQ_MKDIR = 14,
    /** ioq_link(). */
    IOQ_LINK = 15,
    /** ioq_symlink(). */
    IOQ_SYMLINK = 16,
    /** ioq_chmod(). */
    IOQ_CHMOD = 17,
    /** ioq_chown(). */
    IOQ_CHOWN = 18,
    /** ioq_utimens(). */
    IOQ_UTIMENS = 19,
};

/** How much work an ioq_nop() does. */
enum ioq_nop_type {
    /** None: the request only travels through the queue. */
    IOQ_NOP_LIGHT = 0,
    /** One trivial system call. */
    IOQ_NOP_HEAVY = 1,
};

/** Flags of a queue. */
enum ioq_flags {
    /**
     * An ioq_pop() that would wait runs requests itself for as long as they are quick, which spares a program with
     * nothing else to do the waiting. It stops at the first sign that requests wait for something, and goes on when
     * those of the workers are quick again. What that risks: the pop is held up for as long as the request that it runs
     * takes, or for ever if that hangs, whatever else is ready.
     */
    IOQ_CALLER_RUNS = 1,
    /**
     * The queue holds no descriptor of its own, not even where its ring would need one (before Linux 5.18, or where
     * io_uring_register(2) is refused): there it does without a ring. ioq_fd() makes one all the same.
     */
    IOQ_NO_DESCRIPTORS = 2,
};

/** How a queue runs requests that may wait. */
enum ioq_backend {
    /** What the environment variable IOQ_BACKEND says, and IOQ_BACKEND_AUTO if it says nothing. */
    IOQ_BACKEND_DEFAULT = 0,
    /** io_uring where it can be had and pays, else plain system calls. */
    IOQ_BACKEND_AUTO = 1,
    /** io_uring for all that it can do. Without one, ioq_create_with() fails, unless nthreads is 0. */
    IOQ_BACKEND_URING = 2,
    /** Plain system calls alone. */
    IOQ_BACKEND_SYNC = 3,
};

/** Flags of ioq_list(). */
enum ioq_list_flags {
    /** Stat each entry. Symbolic links are not followed, and automounts not triggered. */
    IOQ_LIST_STAT = (1 << 0),
    /** Sort the entries by name, byte by byte, as strcmp() does. */
    IOQ_LIST_SORT_NAME = (1 << 1),
    /** Sort the entries by inode number. On many disks that is the order in which they are found, so they are statted in it. */
    IOQ_LIST_SORT_INODE = (1 << 2),
    /** If the path's last component is a symbolic link, without a slash behind it, fail with ENOTDIR. */
    IOQ_LIST_NOFOLLOW = (1 << 3),
    /** Keep the directory's descriptor open, in the list's fd. */
    IOQ_LIST_FD = (1 << 4),
    /**
     * List some thousand entries at most. The list's more says whether there may be others. The first part takes
     * IOQ_LIST_FD; each further one takes that descriptor as dfd, NULL as path and no IOQ_LIST_FD, and goes on from
     * where the descriptor is, which stays open. Ask for one part at a time. Each is sorted by itself. If a further part
     * fails or is cancelled, the descriptor is where it was before.
     */
    IOQ_LIST_PART = (1 << 5),
    /** Stat the directory itself once it is open, for the list's stat. If that fails, so does the list. */
    IOQ_LIST_SELF = (1 << 6),
};

/**
 * What a queue is to be like.
 *
 * Set everything to 0 first; 0 is the default of each member but the first two. Members may be added at the end: a
 * library that does not know one of them fails with E2BIG unless it is 0.
 */
struct ioq_options {
    /** sizeof(struct ioq_options). */
    size_t size;
    /** How many requests the queue holds, from submission to ioq_free(); exactly that many, at least 1. */
    size_t depth;
    /** The most worker threads to start. 0 stands for none: then requests run in pops that block, and nowhere else. */
    size_t nthreads;
    /** How to run requests. */
    enum ioq_backend backend;
    /** enum ioq_flags, or 0. */
    unsigned int flags;
    /**
     * The most requests to have waiting in the kernel at once, beside one in each worker. How many it will be is found
     * out, and depends on what the file system can do. Each takes a thread of the kernel's, of some 24 KiB, while it waits.
     * 0 stands for 256.
     */
    size_t inflight;
    /** What the names of the queue's threads begin with, of which the first 10 bytes count; NULL stands for "ioq". */
    const char *name;
    /**
     * The size of the threads' stacks, in bytes. 0 stands for 1 MiB, which is enough for the library; functions of the
     * program's that run there may need more.
     */
    size_t stack_size;
};

/** Arguments of ioq_nop(). */
struct ioq_nop {
    /** How much work to do. */
    enum ioq_nop_type type;
};

/** Arguments of ioq_close(). */
struct ioq_close {
    /** The file descriptor to close. */
    int fd;
};

/** Arguments of ioq_opendir(). */
struct ioq_opendir {
    /** The caller's directory, open when the result is 0. */
    struct bfs_dir *dir;
    /** The path, or NULL for dfd itself. */
    const char *path;
    /** The base file descriptor. */
    int dfd;
    /** enum bfs_dir_flags. */
    unsigned int flags;
};

/** Arguments of ioq_closedir(). */
struct ioq_closedir {
    /** The caller's directory, closed whatever the result. */
    struct bfs_dir *dir;
};

/** Arguments of ioq_stat(). */
struct ioq_stat {
    /** The path, or NULL for dfd itself. */
    const char *path;
    /** The caller's buffer, filled when the result is 0. */
    struct bfs_stat *buf;
    /** The queue's own while the request is on its way; NULL in what is popped. */
    void *xbuf;
    /** The base file descriptor. */
    int dfd;
    /** enum bfs_stat_flags. */
    unsigned int flags;
};

/** Arguments of ioq_call(). */
struct ioq_call {
    /** The program's function. */
    int (*fn)(void *arg);
    /** Its argument. */
    void *arg;
};

/** Arguments of ioq_statx(). */
struct ioq_statx {
    /** The path, or NULL for dfd itself. */
    const char *path;
    /** The caller's buffer, filled when the result is 0; or NULL. */
    struct statx *buf;
    /** The base file descriptor. */
    int dfd;
    /** Flags of statx(2). */
    int flags;
    /** What to ask for, as statx(2) has it. */
    unsigned int mask;
};

/** An entry of a directory. */
struct ioq_list_ent {
    /** The inode number, as the directory has it: of a mount point, that is the one of the directory below the mount. */
    uint64_t ino;
    /**
     * The name, without the directory. It may be longer than NAME_MAX: some file systems have names of 255 characters, of
     * several bytes each.
     */
    const char *name;
    /**
     * What statx(2) filled in, or NULL if it failed, or was not asked for. Where statx(2) is refused, what
     * fstatat(2) knows; stx_mask tells.
     */
    const struct statx *stat;
    /** The errno of the stat, or 0. */
    int error;
    /**
     * The type, DT_REG and the like of <dirent.h>. DT_UNKNOWN if the directory does not tell and there is no stat
     * that does.
     */
    unsigned char type;
};

/**
 * A whole directory, or a part of it. Everything in it is in one piece of memory, and stays where it is until
 * ioq_list_free().
 */
struct ioq_list {
    /** The entries, without "." and "..": in the order of the directory, unless a flag says otherwise. */
    const struct ioq_list_ent *ents;
    /** How many there are. */
    size_t count;
    /** 0, or the errno of the read that broke off after some entries, which are here. */
    int error;
    /**
     * With IOQ_LIST_FD, a descriptor of the directory, which is close-on-exec and now the program's to close.
     * Otherwise -1.
     */
    int fd;
    /** With IOQ_LIST_SELF, what statx(2) says of the directory itself; otherwise NULL. */
    const struct statx *stat;
    /** With IOQ_LIST_PART, whether the directory was not read to its end: there may be other entries. */
    bool more;
};

/** Arguments of ioq_list(). */
struct ioq_list_args {
    /** The path, or NULL for dfd itself. */
    const char *path;
    /** Where the list is when the result is 0. */
    struct ioq_list **list;
    /** The base file descriptor. */
    int dfd;
    /** enum ioq_list_flags. */
    unsigned int flags;
    /** What each entry's statx(2) is asked for. */
    unsigned int mask;
};

/** Arguments of ioq_openat(). */
struct ioq_openat {
    /** The path. */
    const char *path;
    /** How to open it. */
    const struct open_how *how;
    /** The caller's buffer, filled when the result is at least 0; or NULL. */
    struct statx *buf;
    /** The base file descriptor. */
    int dfd;
    /** What to ask for, as statx(2) has it. */
    unsigned int mask;
};

/** Arguments of ioq_readlink(). */
struct ioq_readlink {
    /** The path of the link. */
    const char *path;
    /** The caller's buffer, filled as far as the result says. */
    char *buf;
    /** The size of the buffer. */
    size_t size;
    /** The base file descriptor. */
    int dfd;
};

/** Arguments of ioq_getxattr(). */
struct ioq_getxattr {
    /** The path. */
    const char *path;
    /** The name of the attribute. */
    const char *name;
    /** The caller's buffer, filled as far as the result says. */
    void *value;
    /** The size of the buffer. */
    size_t size;
    /** The base file descriptor. */
    int dfd;
    /** AT_SYMLINK_NOFOLLOW, or 0. */
    int flags;
};

/** Arguments of ioq_access(). */
struct ioq_access {
    /** The path. */
    const char *path;
    /** The base file descriptor. */
    int dfd;
    /** R_OK, W_OK and X_OK, or F_OK. */
    int mode;
    /** Flags of faccessat2(2). */
    int flags;
};

/** Arguments of ioq_unlink(). */
struct ioq_unlink {
    /** The path. */
    const char *path;
    /** The base file descriptor. */
    int dfd;
    /** AT_REMOVEDIR, or 0. */
    int flags;
};

/** Arguments of ioq_rename(). */
struct ioq_rename {
    /** The path that there is. */
    const char *oldpath;
    /** The path that there is to be. */
    const char *newpath;
    /** The base file descriptor of the first. */
    int olddfd;
    /** The base file descriptor of the second. */
    int newdfd;
    /** Flags of renameat2(2). */
    unsigned int flags;
};

/** Arguments of ioq_mkdir(). */
struct ioq_mkdir {
    /** The path. */
    const char *path;
    /** The base file descriptor. */
    int dfd;
    /** The mode, without those bits that umask(2) takes away. */
    mode_t mode;
};

/** Arguments of ioq_link(). */
struct ioq_link {
    /** The path that there is. */
    const char *oldpath;
    /** The path that there is to be. */
    const char *newpath;
    /** The base file descriptor of the first. */
    int olddfd;
    /** The base file descriptor of the second. */
    int newdfd;
    /** Flags of linkat(2). */
    int flags;
};

/** Arguments of ioq_symlink(). */
struct ioq_symlink {
    /** What the link contains. */
    const char *target;
    /** The path. */
    const char *path;
    /** The base file descriptor. */
    int dfd;
};

/** Arguments of ioq_chmod(). */
struct ioq_chmod {
    /** The path. */
    const char *path;
    /** The base file descriptor. */
    int dfd;
    /** The mode. */
    mode_t mode;
    /** Flags of fchmodat2(2). */
    int flags;
};

/** Arguments of ioq_chown(). */
struct ioq_chown {
    /** The path. */
    const char *path;
    /** The base file descriptor. */
    int dfd;
    /** The owner, or -1. */
    uid_t uid;
    /** The group, or -1. */
    gid_t gid;
    /** Flags of fchownat(2). */
    int flags;
};

/** Arguments of ioq_utimens(). */
struct ioq_utimens {
    /** The path. */
    const char *path;
    /** Two times, or NULL for now. */
    const struct timespec *times;
    /** The base file descriptor. */
    int dfd;
    /** Flags of utimensat(2). */
    int flags;
    /** The queue's own: whether the times are of 64 bits on a machine of 32. */
    bool time64;
};

/**
 * A request on its way to a worker, and the response on its way back.
 *
 * A popped entry belongs to the caller until ioq_free(). Everything in it but result is as it was submitted.
 */
struct ioq_ent {
    /** The operation. */
    alignas(64) enum ioq_op op;
    /** At least 0 on success, the negated errno on failure. */
    int result;
    /** Whatever the caller passed as ptr. */
    void *ptr;
    /** The arguments. */
    union {
        /** Arguments of ioq_nop(). */
        struct ioq_nop nop;
        /** Arguments of ioq_close(). */
        struct ioq_close close;
        /** Arguments of ioq_opendir(). */
        struct ioq_opendir opendir;
        /** Arguments of ioq_closedir(). */
        struct ioq_closedir closedir;
        /** Arguments of ioq_stat(). */
        struct ioq_stat stat;
        /** Arguments of ioq_call(). */
        struct ioq_call call;
        /** Arguments of ioq_statx(). */
        struct ioq_statx statx;
        /** Arguments of ioq_list(). */
        struct ioq_list_args list;
        /** Arguments of ioq_openat(). */
        struct ioq_openat openat;
        /** Arguments of ioq_readlink(). */
        struct ioq_readlink readlink;
        /** Arguments of ioq_getxattr(). */
        struct ioq_getxattr getxattr;
        /** Arguments of ioq_access(). */
        struct ioq_access access;
        /** Arguments of ioq_unlink(). */
        struct ioq_unlink unlink;
        /** Arguments of ioq_rename(). */
        struct ioq_rename rename;
        /** Arguments of ioq_mkdir(). */
        struct ioq_mkdir mkdir;
        /** Arguments of ioq_link(). */
        struct ioq_link link;
        /** Arguments of ioq_symlink(). */
        struct ioq_symlink symlink;
        /** Arguments of ioq_chmod(). */
        struct ioq_chmod chmod;
        /** Arguments of ioq_chown(). */
        struct ioq_chown chown;
        /** Arguments of ioq_utimens(). */
        struct ioq_utimens utimens;
    };
};

/** How the requests of a queue were run so far. */
struct ioq_counts {
    /**
     * By the thread of the ring: through io_uring, and those no-ops and cancelled requests that it has come to. A list
     * counts for whoever completes it.
     */
    uint64_t ring;
    /** By a worker, with plain system calls, be it after a ring has begun or refused. */
    uint64_t worker;
    /** By the caller itself, in ioq_pop(). */
    uint64_t caller;
};

/**
 * What a queue is doing, as ioq_info() tells. Its threads go on meanwhile, so the numbers of one moment may not quite
 * match.
 */
struct ioq_info {
    /** sizeof(struct ioq_info), to be set before the call. Members may be added at the end. */
    size_t size;
    /** Requests that were accepted and that nobody has come to. */
    size_t pending;
    /** Requests that have begun and are not done. */
    size_t running;
    /** Responses to be popped. */
    size_t ready;
    /** Entries that were popped and not freed. */
    size_t held;
    /** Workers that were started. They stay until the queue is destroyed. */
    size_t workers;
    /** How much waits in the ring: requests, and each stat of a list. So it may be more than running. */
    size_t in_ring;
    /** How many may at this time; 0 if there was no need of a ring so far. */
    size_t ring_limit;
    /** Why there is no ring: an errno, if one was wanted and could not be had, or was lost; else 0. */
    int ring_error;
    /** Why there are no more workers: an errno, if one was wanted and could not be started; else 0. */
    int worker_error;
    /**
     * For how long the oldest request has been on its way, in nanoseconds, to some milliseconds. Known of requests that
     * were submitted after the first call of ioq_info(); 0 if there are none.
     */
    uint64_t oldest;
};

/**
 * Create a queue.
 *
 * Threads and the ring are started when requests need them, so a queue costs what is used of it, whatever it was
 * created with.
 *
 * The environment variable IOQ_BACKEND chooses how requests are run: auto (the default) uses io_uring where it can
 * be had and pays, uring insists on it, sync uses plain system calls alone. It is read by each call, so no other
 * thread may call setenv() meanwhile, and ignored in programs that gain privileges when they are executed
 * (set-user-ID, set-group-ID, file capabilities). ioq_create_with() can choose instead.
 *
 * Parameters:
 * - depth: how many requests the queue holds, from submission to ioq_free(); exactly that many, at least 1.
 * - nthreads: the most worker threads to start. While requests wait for something, such as a disk, all workers run, so
 *   more than there are processors may pay; while they only use the processors, as many run as there are, less the one
 *   that the caller needs while it is awake. With 0, requests run inside the caller's own blocking ioq_pop(), and
 *   nowhere else.
 *
 * Returns:
 * The queue, to be destroyed with ioq_destroy(), or NULL with errno set:
 * - EINVAL: depth is 0, or IOQ_BACKEND has an unknown value.
 * - ENOMEM: no memory, or depth or nthreads is larger than any memory could be.
 * - with IOQ_BACKEND=uring and at least one thread, why there is no io_uring (io_uring_setup(2)), such as ENOSYS or
 *   EPERM; also ENOSYS before Linux 5.11. What a ring takes, such as memory, is not asked for yet.
 *
 * Time:
 * Nothing is held back:
 * - A response can be popped at most 0.2 ms after its request is done, whatever its neighbours do. A blocking ioq_pop()
 *   may gather responses for that long while they come quickly and others are to come; one that does not block takes
 *   what is done.
 * - While some requests hang, and more workers were asked for than those are, all others run and come back: whether the
 *   caller blocks, polls, or goes away after ioq_submit(). Where threads or memory cannot be had, that is so from when
 *   they can: it is tried again, every 10 ms at most, whenever something is submitted or popped, by any worker, and by
 *   the thread of the ring.
 * - A blocking ioq_pop() returns with the first response. It runs no request that can wait, unless the program asked
 *   for that (IOQ_CALLER_RUNS), or there is no worker and none can be started. ioq_pop(ioq, false) never waits.
 * - Cancelling does not wait. Destroying waits for requests that have begun and cannot be interrupted, as no plain system
 *   call can, for ever if they hang; and for the closes that are still queued.
 *
 * Threads:
 * A queue is used by one thread at a time; only ioq_cancel() may be called from any thread while another uses the
 * queue. ioq_version() and ioq_list_free() need none, and may be called from any thread at any time. Several queues
 * are independent of each other, so a program whose threads all have requests gives each thread a queue of its own: a
 * queue costs little, and starts no more threads than it needs, though together they may be more than there are
 * processors. No function here may be called from a signal handler, nor, but for ioq_cancel(), for the same queue from
 * a function that the queue has called. A library that was built with debug assertions ends the program where two
 * threads use a queue at once, or one does so from within. Signals interrupt none of them, and none is a cancellation
 * point: pthread_cancel() takes effect after it.
 *
 * Workers are named ioq-0, ioq-1, …, and a thread that waits for the ring, which is started when requests are to
 * go through one, ioq-ring. They block all signals but those that a thread's own instruction raises (SIGSYS,
 * SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP), for which alone a handler of the program's may run there.
 *
 * Requests run in any of these threads, with what all threads of a process share: its working directory, its root, and
 * its credentials as setuid() and the like leave them. What only one thread has, after unshare(CLONE_FS) or
 * setfsuid(), may or may not apply to a request. All of that is as it is when the request runs, not when it was submitted:
 * do not call chdir() while requests with relative paths are on their way.
 *
 * Processes:
 * After fork() the workers do not exist in the child: there a queue of the parent's may only be destroyed, which
 * releases its memory, but for a little that is the workers', and runs nothing. Not even that is allowed in three cases:
 * after _Fork(); if another thread was in a call with that queue; if the child has its parent's process ID, in a PID
 * namespace of its own. Queues that the child creates are like any others. exec and _exit() are fine, and so is
 * exit(), whatever other threads do with their queues meanwhile.
 *
 * A queue holds no descriptor but that of ioq_fd(), if it was asked for, and those of the directories and files that
 * requests under way have open. Only before Linux 5.18, or where io_uring_register(2) is refused, it has that of its
 * ring while there is one. All are close-on-exec, but what ioq_openat() opens without O_CLOEXEC; the first and that of
 * the ring are never 0, 1 or 2. A process that is about to close
 * descriptors which it did not open should destroy queues with any of these first. If a process forbids itself
 * io_uring later, by a seccomp filter, its queues go on without.
 */
struct ioq *ioq_create(size_t depth, size_t nthreads);

/**
 * Create a queue with options.
 *
 * ioq_create() is the short form of this, and its description holds here too.
 *
 * Parameters:
 * - options: what the queue is to be like. The structure is the caller's, and not used any more after this.
 *
 * Returns:
 * The queue, to be destroyed with ioq_destroy(), or NULL with errno set as by ioq_create(), and:
 * - EINVAL: options is NULL, its size is too small, or backend or flags have an unknown value.
 * - E2BIG: there are options set that this version of the library does not know.
 */
struct ioq *ioq_create_with(const struct ioq_options *options);

/**
 * How many more requests fit: depth less the entries that were submitted and not yet given to ioq_free().
 *
 * 0 if ioq is NULL.
 */
size_t ioq_capacity(const struct ioq *ioq);

/** Hand every buffered request to the workers. Ignored if ioq is NULL. */
void ioq_submit(struct ioq *ioq);

/**
 * Pop a response. Buffered requests are submitted first.
 *
 * Parameters:
 * - ioq: the queue.
 * - block: whether to wait for a response if none is ready. In a queue with 0 threads, and in one that can start none for
 *   now, that is the only way for requests to run: a loop of pops that do not block would not end.
 *
 * Returns:
 * An entry, which is the caller's until ioq_free(). NULL if every request has been popped already, if none is ready
 * and block is false, or if ioq is NULL. errno is left as it was.
 */
struct ioq_ent *ioq_pop(struct ioq *ioq, bool block);

/**
 * Pop a response, and wait for it until a certain time at most. Buffered requests are submitted first.
 *
 * This runs no request. In a queue with 0 threads nothing comes while it waits, so there it does not, not even without a
 * limit, and fails with ETIMEDOUT. Where no thread can be started for now, it waits until one can.
 *
 * Parameters:
 * - ioq: the queue.
 * - deadline: a time of CLOCK_MONOTONIC; one that is over makes this an ioq_pop() that does not block. NULL
 *   stands for no limit.
 *
 * Returns:
 * An entry, which is the caller's until ioq_free(), or NULL:
 * - with errno set to ETIMEDOUT: none is ready, and some are on their way.
 * - with errno set to EINVAL: ioq is NULL, or deadline is no time.
 * - with errno as it was: every request has been popped already.
 */
struct ioq_ent *ioq_pop_until(struct ioq *ioq, const struct timespec *deadline);

/**
 * Pop several responses at once. Buffered requests are submitted first.
 *
 * Parameters:
 * - ioq: the queue.
 * - ents: where to put the entries, which are the caller's until ioq_free().
 * - count: how many fit there.
 * - block: whether to wait for the first, as by ioq_pop(). For the others it never waits.
 *
 * Returns:
 * How many entries were popped. errno is left as it was.
 */
size_t ioq_pop_many(struct ioq *ioq, struct ioq_ent **ents, size_t count, bool block);

/**
 * A descriptor for event loops: readable (POLLIN) while a response is ready.
 *
 * It is made at the first call, and is the queue's: poll it, in any thread, with any of poll(2), epoll(7),
 * select(2) or a library on top of these, but do not read from it, and do not close it. It is gone with the queue,
 * so take it out of the event loop before ioq_destroy(). It is readable as long as something is ready, however often
 * it is polled (level-triggered), and not any more when the last response that is ready was popped. For an
 * edge-triggered loop, pop until there is nothing.
 *
 * Requests must have been submitted to come back: call ioq_submit(), or any pop, before you wait.
 *
 * From the first call on, the queue has the thread ioq-ring, which also tries again to start workers that could not
 * be had, and a pop takes some 20 ns more.
 *
 * Returns:
 * The descriptor, or -1 with errno set:
 * - EINVAL: ioq is NULL.
 * - EOPNOTSUPP: the queue has 0 threads, so nothing ever gets ready by itself.
 * - EMFILE, ENFILE, ENOMEM: there is no descriptor to be had (eventfd(2)).
 * - EAGAIN: the thread could not be started (pthread_create(3)).
 */
int ioq_fd(struct ioq *ioq);

/**
 * Give a popped entry back, which makes room for another request. Ignored if ioq or ent is NULL.
 *
 * ent must come from a pop of this queue, and is not valid any more after this. Entries may be given back in any
 * order, or kept until ioq_destroy().
 */
void ioq_free(struct ioq *ioq, struct ioq_ent *ent);

/**
 * Tell how the requests of a queue were run so far.
 *
 * Each request is counted once, before its response can be popped; those that were cancelled are counted for whoever
 * came to them.
 *
 * All zero if ioq is NULL. Ignored if counts is NULL.
 */
void ioq_count(const struct ioq *ioq, struct ioq_counts *counts);

/**
 * Tell what a queue is doing at this moment, for a program's own statistics, and to find out about servers that do not
 * answer.
 *
 * From the first call on, the queue takes note of when each request was submitted, which takes some 50 ns.
 *
 * Parameters:
 * - ioq: the queue.
 * - info: its size must be set. As much of it is filled as the library knows; the rest is 0.
 *
 * Returns:
 * 0, or -1 with errno set to EINVAL: ioq or info is NULL, or the size is too small.
 */
int ioq_info(struct ioq *ioq, struct ioq_info *info);

/**
 * The version of the library that runs, such as "0.1.0"; IOQ_VERSION is that of the header. The string is never
 * freed.
 */
const char *ioq_version(void);

/**
 * Cancel every request that has not run yet. Nothing happens if ioq is NULL or was cancelled before.
 *
 * Later submissions fail with EINTR. Requests in the queue still come back through ioq_pop(): what has started with
 * its own result or with -EINTR, the others with -EINTR, except that ioq_close() and ioq_closedir() run all the
 * same.
 *
 * This function may be called from any thread, but not while or after the queue is destroyed. It does not wait, and
 * does not interrupt a blocking ioq_pop(), which returns with the next response.
 */
void ioq_cancel(struct ioq *ioq);

/**
 * The entry of the request that was accepted last, to tell that request by: in ioq_cancel_one(), or when it is
 * popped.
 *
 * What is in it is not to be looked at before it is popped. NULL if there was none yet, or ioq is NULL.
 */
const struct ioq_ent *ioq_last(const struct ioq *ioq);

/**
 * Cancel one request.
 *
 * It comes back through ioq_pop() like any other, as soon as somebody comes to it. Its result says which of two it
 * is: -ECANCELED if it never ran, and did nothing; else it had begun, and the result is its own. (What a ring has
 * begun it interrupts where the file system lets it, after some milliseconds: then it may be -EINTR.) A descriptor
 * or a directory that was opened all the same is the caller's, as ever. ioq_close() and ioq_closedir() run in any
 * case.
 *
 * Ignored if ioq or ent is NULL.
 *
 * Parameters:
 * - ioq: the queue.
 * - ent: what ioq_last() returned after the request was accepted. Its response must not have been popped.
 */
void ioq_cancel_one(struct ioq *ioq, const struct ioq_ent *ent);

/**
 * Cancel and destroy a queue. Ignored if ioq is NULL.
 *
 * Waits for what is running, runs the closes that are still queued, and lets go of what came of requests whose responses
 * nobody popped: directories and descriptors are closed, lists are freed, and the pointers to them set to NULL. Then every
 * entry of the queue is gone, popped or not. The caller's directories, buffers and paths are not touched after that. In a
 * child of fork(), the descriptors of its parent's rings stay open.
 *
 * To learn what became of each request, call ioq_cancel() before this, and pop until there is NULL.
 */
void ioq_destroy(struct ioq *ioq);

/**
 * Submit a request that does nothing, for measurements and tests.
 *
 * This and all other functions that submit a request put it into the queue and return at once. Requests are buffered:
 * they reach the workers when enough have come together, and at the latest at the next ioq_submit() or pop. They run
 * in any order, many at once, even if they are about the same file: submit what depends on another when that has been
 * popped. Responses come back in any order too, every accepted request exactly once.
 *
 * Calls that fail with EINTR are repeated, but for those that change names (see ioq_unlink()), and not for ever: a
 * file system that goes on to answer so has that as its result.
 *
 * Parameters:
 * - ioq: the queue.
 * - type: how much work to do.
 * - ptr: anything; it comes back as the entry's ptr.
 *
 * Returns:
 * 0, or -1 with errno set, in which case nothing was queued:
 * - EAGAIN: the queue is full; free an entry first.
 * - EINTR: the queue was cancelled.
 * - ENOMEM: no memory.
 * - EINVAL: ioq is NULL, or type is no enum ioq_nop_type.
 *
 * The entry's result is 0, or -EINTR if the queue was cancelled first. That of any request but a close may also be
 * -ECANCELED; see ioq_cancel_one().
 */
int ioq_nop(struct ioq *ioq, enum ioq_nop_type type, void *ptr);

/**
 * Submit a close(2).
 *
 * It runs even if the queue is cancelled. The descriptor is gone whatever the result, unless that is -EBADF.
 *
 * Parameters:
 * - ioq: the queue.
 * - fd: the descriptor; the queue's once accepted, still the caller's if not.
 * - ptr: anything; it comes back as the entry's ptr.
 *
 * Returns:
 * 0, or -1 with errno set as for ioq_nop(). The entry's result is 0 or the negated errno of close(2).
 */
int ioq_close(struct ioq *ioq, int fd, void *ptr);

/**
 * Submit a bfs_opendir(), followed by a bfs_polldir() that reads the first entries ahead.
 *
 * Parameters:
 * - ioq: the queue.
 * - dir: an allocated directory that is not open. It stays the caller's, who leaves it alone until the entry is
 *   popped. It is open then if and only if the result is 0.
 * - dfd: the directory that path is relative to, or AT_FDCWD; it must stay open until the entry is popped.
 * - path: the path, which must stay valid until the entry is popped; NULL opens dfd itself, and the directory
 *   takes the descriptor over. If the result is negative, that is still the caller's.
 * - flags: enum bfs_dir_flags.
 * - ptr: anything; it comes back as the entry's ptr.
 *
 * Returns:
 * 0, or -1 with errno set as for ioq_nop(), and to EINVAL if dir is NULL. The entry's result is 0, the negated
 * errno of bfs_opendir(), or -EINTR if the queue was cancelled first. What bfs_polldir() fails with is left for
 * bfs_readdir() to report.
 */
int ioq_opendir(struct ioq *ioq, struct bfs_dir *dir, int dfd, const char *path, unsigned int flags, void *ptr);

/**
 * Submit a bfs_closedir().
 *
 * It runs even if the queue is cancelled. The directory is closed whatever the result.
 *
 * Parameters:
 * - ioq: the queue.
 * - dir: an open directory. Its memory stays the caller's, who leaves it alone until the entry is popped.
 * - ptr: anything; it comes back as the entry's ptr.
 *
 * Returns:
 * 0, or -1 with errno set as for ioq_nop(), and to EINVAL if dir is NULL. The entry's result is 0 or the
 * negated errno of bfs_closedir().
 */
int ioq_closedir(struct ioq *ioq, struct bfs_dir *dir, void *ptr);

/**
 * Submit a bfs_stat().
 *
 * Parameters:
 * - ioq: the queue.
 * - dfd: the directory that path is relative to, or AT_FDCWD; it must stay open until the entry is popped.
 * - path: the path, which must stay valid until the entry is popped; NULL means dfd itself.
 * - flags: enum bfs_stat_flags.
 * - buf: where to put the result. It stays the caller's, who leaves it alone until the entry is popped. It is
 *   filled if and only if the entry's result is 0.
 * - ptr: anything; it comes back as the entry's ptr.
 *
 * Returns:
 * 0, or -1 with errno set as for ioq_nop(), and to EINVAL if buf is NULL. The entry's result is 0, the negated
 * errno of bfs_stat(), or -EINTR if the queue was cancelled first.
 */
int ioq_stat(struct ioq *ioq, int dfd, const char *path, unsigned int flags, struct bfs_stat *buf, void *ptr);

/**
 * Submit a call of a function of the program's own.
 *
 * The function may take its time, and wait for whatever it likes: other requests are run by other workers
 * meanwhile, if more were asked for than such functions run.
 *
 * Parameters:
 * - ioq: the queue.
 * - fn: the function, which is called once, or not at all if the queue is cancelled first. That happens in a worker,
 *   with its signal mask and stack (1 MiB, unless the queue's options say otherwise); or in a pop that blocks, if there
 *   is no worker or with IOQ_CALLER_RUNS. Several may run at once. It must return, and not be left by an exception,
 *   longjmp() or pthread_exit(); and it must not call any function for the same queue but ioq_cancel().
 * - arg: what to pass to it. What this points to must be valid until the entry is popped.
 * - ptr: anything; it comes back as the entry's ptr.
 *
 * Returns:
 * 0, or -1 with errno set as for ioq_nop(), and to EINVAL if fn is NULL. The entry's result is what the function
 * returned, or -EINTR if the queue was cancelled first. That a negative result is a negated errno is a convention,
 * which nothing here depends on.
 */
int ioq_call(struct ioq *ioq, int (*fn)(void *arg), void *arg, void *ptr);

/**
 * Submit a statx(2).
 *
 * Unlike ioq_stat() it has no other ways to find out: where the system has no statx(2), or refuses it, that is the
 * result.
 *
 * Parameters:
 * - ioq: the queue.
 * - dfd: the directory that path is relative to, or AT_FDCWD; it must stay open until the entry is popped.
 * - path: the path, which must stay valid until the entry is popped; NULL means dfd itself, as "" does with
 *   AT_EMPTY_PATH.
 * - flags: those of statx(2), such as AT_SYMLINK_NOFOLLOW and AT_STATX_DONT_SYNC.
 * - mask: what to ask for, such as STATX_BASIC_STATS.
 * - buf: where to put the answer. It stays the caller's, who leaves it alone until the entry is popped. It is filled if
 *   and only if the entry's result is 0. NULL if the answer does not matter: the system has it ready then for
 *   whoever asks next.
 * - ptr: anything; it comes back as the entry's ptr.
 *
 * Returns:
 * 0, or -1 with errno set as for ioq_nop(). The entry's result is 0, the negated errno of statx(2), or -EINTR if
 * the queue was cancelled first.
 */
int ioq_statx(struct ioq *ioq, int dfd, const char *path, int flags, unsigned int mask, struct statx *buf, void *ptr);

/**
 * Submit an openat2(2), which may be followed by a statx(2) of what was opened.
 *
 * Where the system has no openat2(2), or refuses it, and how->resolve is 0, it is an openat(2), which does not look
 * so closely at flags and mode. What opens slowly is opened slowly: a FIFO waits for its other end, and so does
 * ioq_destroy(), unless there is O_NONBLOCK.
 *
 * Parameters:
 * - ioq: the queue.
 * - dfd: the directory that path is relative to, or AT_FDCWD; it must stay open until the entry is popped.
 * - path: the path, which must stay valid until the entry is popped.
 * - how: how to open it, which must stay valid until the entry is popped; of its members, flags, mode and
 *   resolve are looked at. The flags should include O_CLOEXEC: a program that another thread executes inherits what
 *   is opened without.
 * - mask: what to ask statx(2) for, such as STATX_BASIC_STATS.
 * - buf: where to put the answer of statx(2). It stays the caller's, who leaves it alone until the entry is popped.
 *   It is filled if the entry's result is at least 0; where statx(2) is refused, with what fstat(2) knows. NULL if
 *   nothing is to be asked.
 * - ptr: anything; it comes back as the entry's ptr.
 *
 * Returns:
 * 0, or -1 with errno set as for ioq_nop(), and to EINVAL if path or how is NULL. The entry's result is:
 * - the descriptor, which is the caller's once the entry is popped. If nobody pops it, ioq_destroy() closes it.
 * - the negated errno of openat2(2) or openat(2).
 * - the negated errno of statx(2). Then nothing is open, though a file may be new.
 * - -EINTR if the queue was cancelled first, or the file system was interrupted. With O_CREAT or O_TRUNC the file may
 *   be new or empty then. Without them it is tried again; see ioq_nop().
 */
int ioq_openat(struct ioq *ioq, int dfd, const char *path, const struct open_how *how, unsigned int mask, struct statx *buf, void *ptr);

/**
 * Submit a readlinkat(2).
 *
 * Parameters:
 * - ioq: the queue.
 * - dfd: the directory that path is relative to, or AT_FDCWD; it must stay open until the entry is popped.
 * - path: the path of the link, which must stay valid until the entry is popped.
 * - buf: where to put what is in the link. It stays the caller's, who leaves it alone until the entry is popped. No NUL is
 *   added.
 * - size: the size of the buffer. What does not fit is cut off, which cannot be told from what just fits.
 * - ptr: anything; it comes back as the entry's ptr.
 *
 * Returns:
 * 0, or -1 with errno set as for ioq_nop(), and to EINVAL if path or buf is NULL. The entry's result is how
 * many bytes are in the buffer, the negated errno of readlinkat(2) (EINVAL if it is no link, or size is 0), or
 * -EINTR if the queue was cancelled first.
 */
int ioq_readlink(struct ioq *ioq, int dfd, const char *path, char *buf, size_t size, void *ptr);

/**
 * Submit a getxattrat(2): read an extended attribute.
 *
 * Before Linux 6.13, and where that call is refused, it is a getxattr(2) or lgetxattr(2); a path that is relative to
 * another directory than the working directory is opened for that meanwhile (O_PATH), and /proc must be there.
 *
 * Parameters:
 * - ioq: the queue.
 * - dfd: the directory that path is relative to, or AT_FDCWD; it must stay open until the entry is popped.
 * - path: the path, which must stay valid until the entry is popped.
 * - name: the name of the attribute, such as "user.comment", which must stay valid until the entry is popped.
 * - value: where to put the value. It stays the caller's, who leaves it alone until the entry is popped.
 * - size: the size of that buffer. With 0, the result is the size of the value, and value may be NULL.
 * - flags: AT_SYMLINK_NOFOLLOW to ask about a link itself, or 0.
 * - ptr: anything; it comes back as the entry's ptr.
 *
 * Returns:
 * 0, or -1 with errno set as for ioq_nop(), and to EINVAL if path or name is NULL, value is NULL and size
 * is not 0, or there are other flags. The entry's result is how long the value is, or:
 * - the negated errno of getxattr(2), such as ENODATA if there is no such attribute, ERANGE if the value does not
 *   fit, and ENOTSUP if the file system has none.
 * - -EMFILE or -ENFILE where the file would have to be opened, -ENOSYS if /proc is not there.
 * - -EINTR if the queue was cancelled first.
 */
int ioq_getxattr(struct ioq *ioq, int dfd, const char *path, const char *name, void *value, size_t size, int flags, void *ptr);

/**
 * Submit a faccessat2(2): ask whether a file may be used.
 *
 * Before Linux 5.8 it is a faccessat(3), which sees to what it can of the flags by other calls.
 *
 * Parameters:
 * - ioq: the queue.
 * - dfd: the directory that path is relative to, or AT_FDCWD; it must stay open until the entry is popped.
 * - path: the path, which must stay valid until the entry is popped.
 * - mode: R_OK, W_OK and X_OK, or F_OK.
 * - flags: AT_EACCESS, AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH, or 0.
 * - ptr: anything; it comes back as the entry's ptr.
 *
 * Returns:
 * 0, or -1 with errno set as for ioq_nop(), and to EINVAL if path is NULL. The entry's result is 0 if the file may
 * be used so, the negated errno of faccessat2(2) (EACCES if not, EINVAL for an unknown mode or flag), or -EINTR if
 * the queue was cancelled first.
 */
int ioq_access(struct ioq *ioq, int dfd, const char *path, int mode, int flags, void *ptr);

/**
 * Submit an unlinkat(2).
 *
 * No order is kept between requests; see ioq_nop().
 *
 * What changes names, which is this, ioq_rename(), ioq_mkdir(), ioq_link() and ioq_symlink(), is done once. A
 * file system that is interrupted, as a ring's requests are when they are cancelled, may have done what it was to do all
 * the same, and to do it again would not tell.
 *
 * Parameters:
 * - ioq: the queue.
 * - dfd: the directory that path is relative to, or AT_FDCWD; it must stay open until the entry is popped.
 * - path: the path, which must stay valid until the entry is popped.
 * - flags: AT_REMOVEDIR for a directory, or 0.
 * - ptr: anything; it comes back as the entry's ptr.
 *
 * Returns:
 * 0, or -1 with errno set as for ioq_nop(), and to EINVAL if path is NULL. The entry's result is:
 * - 0.
 * - the negated errno of unlinkat(2).
 * - -EINTR if the queue was cancelled first, or the file system was interrupted: then it may have been done.
 */
int ioq_unlink(struct ioq *ioq, int dfd, const char *path, int flags, void *ptr);

/**
 * Submit a renameat2(2).
 *
 * Without flags it is a renameat(2).
 *
 * Parameters:
 * - ioq: the queue.
 * - olddfd, newdfd: the directories that the paths are relative to, or AT_FDCWD; they must stay open until the
 *   entry is popped.
 * - oldpath, newpath: the paths, which must stay valid until the entry is popped.
 * - flags: RENAME_NOREPLACE and the like, or 0.
 * - ptr: anything; it comes back as the entry's ptr.
 *
 * Returns:
 * 0, or -1 with errno set as for ioq_nop(), and to EINVAL if a path is NULL. The entry's result is 0, the negated
 * errno of renameat2(2), or -EINTR; see ioq_unlink().
 */
int ioq_rename(struct ioq *ioq, int olddfd, const char *oldpath, int newdfd, const char *newpath, unsigned int flags, void *ptr);

/**
 * Submit a mkdirat(2).
 *
 * Parameters:
 * - ioq: the queue.
 * - dfd: the directory that path is relative to, or AT_FDCWD; it must stay open until the entry is popped.
 * - path: the path, which must stay valid until the entry is popped.
 * - mode: the mode of the new directory, less the process's umask(2) when the request runs.
 * - ptr: anything; it comes back as the entry's ptr.
 *
 * Returns:
 * 0, or -1 with errno set as for ioq_nop(), and to EINVAL if path is NULL. The entry's result is 0, the negated
 * errno of mkdirat(2), or -EINTR; see ioq_unlink().
 */
int ioq_mkdir(struct ioq *ioq, int dfd, const char *path, mode_t mode, void *ptr);

/**
 * Submit a linkat(2).
 *
 * Parameters:
 * - ioq: the queue.
 * - olddfd, newdfd: the directories that the paths are relative to, or AT_FDCWD; they must stay open until the
 *   entry is popped.
 * - oldpath, newpath: the paths of the file and of the new link, which must stay valid until the entry is popped.
 * - flags: AT_SYMLINK_FOLLOW and AT_EMPTY_PATH, or 0.
 * - ptr: anything; it comes back as the entry's ptr.
 *
 * Returns:
 * 0, or -1 with errno set as for ioq_nop(), and to EINVAL if a path is NULL. The entry's result is 0, the negated
 * errno of linkat(2), or -EINTR; see ioq_unlink().
 */
int ioq_link(struct ioq *ioq, int olddfd, const char *oldpath, int newdfd, const char *newpath, int flags, void *ptr);

/**
 * Submit a symlinkat(2).
 *
 * Parameters:
 * - ioq: the queue.
 * - target: what the link is to contain, which must stay valid until the entry is popped.
 * - dfd: the directory that path is relative to, or AT_FDCWD; it must stay open until the entry is popped.
 * - path: the path of the new link, which must stay valid until the entry is popped.
 * - ptr: anything; it comes back as the entry's ptr.
 *
 * Returns:
 * 0, or -1 with errno set as for ioq_nop(), and to EINVAL if target or path is NULL. The entry's result is 0, the
 * negated errno of symlinkat(2), or -EINTR; see ioq_unlink().
 */
int ioq_symlink(struct ioq *ioq, const char *target, int dfd, const char *path, void *ptr);

/**
 * Submit an fchmodat(2), or where there are flags, an fchmodat2(2).
 *
 * Before Linux 6.6, flags are the C library's business, which knows AT_SYMLINK_NOFOLLOW at most.
 *
 * Parameters:
 * - ioq: the queue.
 * - dfd: the directory that path is relative to, or AT_FDCWD; it must stay open until the entry is popped.
 * - path: the path, which must stay valid until the entry is popped.
 * - mode: the new mode.
 * - flags: AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH, or 0.
 * - ptr: anything; it comes back as the entry's ptr.
 *
 * Returns:
 * 0, or -1 with errno set as for ioq_nop(), and to EINVAL if path is NULL. The entry's result is 0, the negated
 * errno of fchmodat2(2) (EOPNOTSUPP for a symbolic link itself), or -EINTR if the queue was cancelled first.
 */
int ioq_chmod(struct ioq *ioq, int dfd, const char *path, mode_t mode, int flags, void *ptr);

/**
 * Submit an fchownat(2).
 *
 * Parameters:
 * - ioq: the queue.
 * - dfd: the directory that path is relative to, or AT_FDCWD; it must stay open until the entry is popped.
 * - path: the path, which must stay valid until the entry is popped.
 * - uid, gid: the new owner and group; -1 leaves one as it is.
 * - flags: AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH, or 0.
 * - ptr: anything; it comes back as the entry's ptr.
 *
 * Returns:
 * 0, or -1 with errno set as for ioq_nop(), and to EINVAL if path is NULL. The entry's result is 0, the negated
 * errno of fchownat(2), or -EINTR if the queue was cancelled first.
 */
int ioq_chown(struct ioq *ioq, int dfd, const char *path, uid_t uid, gid_t gid, int flags, void *ptr);

/**
 * Submit a utimensat(2).
 *
 * Parameters:
 * - ioq: the queue.
 * - dfd: the directory that path is relative to, or AT_FDCWD; it must stay open until the entry is popped.
 * - path: the path, which must stay valid until the entry is popped.
 * - times: two times, of the last access and the last modification, which must stay valid until the entry is popped;
 *   UTIME_NOW and UTIME_OMIT are as in utimensat(2). NULL stands for now: when the request runs.
 * - flags: AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH, or 0.
 * - ptr: anything; it comes back as the entry's ptr.
 *
 * Returns:
 * 0, or -1 with errno set as for ioq_nop(), and to EINVAL if path is NULL. The entry's result is 0, the negated
 * errno of utimensat(2), or -EINTR if the queue was cancelled first.
 */
int ioq_utimens(struct ioq *ioq, int dfd, const char *path, const struct timespec *times, int flags, void *ptr);

/**
 * List a whole directory, and stat its entries.
 *
 * This is what open(2), readdir(3) and a statx(2) for each entry would find, in one request. Where files are at hand,
 * one worker does all of it. Where stats have to wait for something, they go through the ring, or to other workers, many
 * at once. No bfs_* function is called.
 *
 * Parameters:
 * - ioq: the queue.
 * - dfd: the directory that path is relative to, or AT_FDCWD; it must stay open until the entry is popped.
 * - path: the path, which must stay valid until the entry is popped; NULL lists dfd itself, from its start, by another
 *   descriptor. The caller's is neither moved nor closed. The directory is opened as "." there, which takes the permission
 *   to search it. With IOQ_LIST_PART, NULL is the next part of dfd; see there.
 * - flags: enum ioq_list_flags, or 0.
 * - mask: with IOQ_LIST_STAT or IOQ_LIST_SELF, what statx(2) is asked for, such as STATX_BASIC_STATS.
 * - list: where to put the list. Set to NULL by this call, and to be left alone then until the entry is popped.
 * - ptr: anything; it comes back as the entry's ptr.
 *
 * Returns:
 * 0, or -1 with errno set as for ioq_nop(), and to EINVAL if list is NULL, flags has unknown bits, both ways to
 * sort, or IOQ_LIST_FD for the next part, or mask has STATX__RESERVED.
 *
 * If the entry's result is 0, *list is the program's, to be freed with ioq_list_free(). Otherwise it is NULL, and the
 * result the negated errno of what failed to open or read the directory, -ENOMEM, or, if the list was cancelled before
 * it was complete, -EINTR or -ECANCELED; see ioq_cancel() and ioq_cancel_one(). An entry that cannot be statted says
 * so itself. A directory that is removed meanwhile ends there.
 *
 * Time:
 * A list counts as many requests as it has stats: where ioq_create() promises something as long as some requests hang and
 * more workers were asked for than those are, each stat that hangs is one of them. The list itself comes back when all of
 * its stats have.
 */
int ioq_list(struct ioq *ioq, int dfd, const char *path, unsigned int flags, unsigned int mask, struct ioq_list **list, void *ptr);

/**
 * Free a list, with all that it points to. Ignored if list is NULL.
 *
 * Its fd stays open. Any thread may do this, at any time: a list that was popped has nothing to do with its queue any
 * more, which may be destroyed.
 */
void ioq_list_free(struct ioq_list *list);

static_assert(sizeof(enum ioq_op) == 4, "ABI");
static_assert(sizeof(enum ioq_nop_type) == 4, "ABI");
static_assert(sizeof(struct ioq_ent) == 64, "ABI");
static_assert(alignof(struct ioq_ent) == 64, "ABI");
static_assert(offsetof(struct ioq_ent, op) == 0, "ABI");
static_assert(offsetof(struct ioq_ent, result) == 4, "ABI");
static_assert(offsetof(struct ioq_ent, ptr) == 8, "ABI");
static_assert(offsetof(struct ioq_ent, nop) == 8 + sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_opendir, path) == sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_opendir, dfd) == 2 * sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_opendir, flags) == 2 * sizeof(void *) + 4, "ABI");
static_assert(sizeof(struct ioq_opendir) == 2 * sizeof(void *) + 8, "ABI");
static_assert(offsetof(struct ioq_stat, buf) == sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_stat, xbuf) == 2 * sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_stat, dfd) == 3 * sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_stat, flags) == 3 * sizeof(void *) + 4, "ABI");
static_assert(offsetof(struct ioq_call, arg) == sizeof(void *), "ABI");
static_assert(sizeof(struct ioq_call) == 2 * sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_statx, buf) == sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_statx, dfd) == 2 * sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_statx, flags) == 2 * sizeof(void *) + 4, "ABI");
static_assert(offsetof(struct ioq_statx, mask) == 2 * sizeof(void *) + 8, "ABI");
static_assert(offsetof(struct ioq_list_args, list) == sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_list_args, dfd) == 2 * sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_list_args, flags) == 2 * sizeof(void *) + 4, "ABI");
static_assert(offsetof(struct ioq_list_args, mask) == 2 * sizeof(void *) + 8, "ABI");
static_assert(offsetof(struct ioq_openat, how) == sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_openat, buf) == 2 * sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_openat, dfd) == 3 * sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_openat, mask) == 3 * sizeof(void *) + 4, "ABI");
static_assert(offsetof(struct ioq_readlink, buf) == sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_readlink, size) == 2 * sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_readlink, dfd) == 3 * sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_getxattr, name) == sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_getxattr, value) == 2 * sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_getxattr, size) == 3 * sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_getxattr, dfd) == 4 * sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_getxattr, flags) == 4 * sizeof(void *) + 4, "ABI");
static_assert(offsetof(struct ioq_access, dfd) == sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_access, mode) == sizeof(void *) + 4, "ABI");
static_assert(offsetof(struct ioq_access, flags) == sizeof(void *) + 8, "ABI");
static_assert(offsetof(struct ioq_unlink, dfd) == sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_unlink, flags) == sizeof(void *) + 4, "ABI");
static_assert(offsetof(struct ioq_rename, newpath) == sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_rename, olddfd) == 2 * sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_rename, newdfd) == 2 * sizeof(void *) + 4, "ABI");
static_assert(offsetof(struct ioq_rename, flags) == 2 * sizeof(void *) + 8, "ABI");
static_assert(offsetof(struct ioq_mkdir, dfd) == sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_mkdir, mode) == sizeof(void *) + 4, "ABI");
static_assert(offsetof(struct ioq_link, newpath) == sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_link, olddfd) == 2 * sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_link, newdfd) == 2 * sizeof(void *) + 4, "ABI");
static_assert(offsetof(struct ioq_link, flags) == 2 * sizeof(void *) + 8, "ABI");
static_assert(offsetof(struct ioq_symlink, path) == sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_symlink, dfd) == 2 * sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_chmod, dfd) == sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_chmod, mode) == sizeof(void *) + 4, "ABI");
static_assert(offsetof(struct ioq_chmod, flags) == sizeof(void *) + 8, "ABI");
static_assert(offsetof(struct ioq_chown, dfd) == sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_chown, uid) == sizeof(void *) + 4, "ABI");
static_assert(offsetof(struct ioq_chown, gid) == sizeof(void *) + 8, "ABI");
static_assert(offsetof(struct ioq_chown, flags) == sizeof(void *) + 12, "ABI");
static_assert(offsetof(struct ioq_utimens, times) == sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_utimens, dfd) == 2 * sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_utimens, flags) == 2 * sizeof(void *) + 4, "ABI");
static_assert(offsetof(struct ioq_utimens, time64) == 2 * sizeof(void *) + 8, "ABI");
static_assert(sizeof(enum ioq_backend) == 4, "ABI");
static_assert(sizeof(enum ioq_flags) == 4, "ABI");
static_assert(sizeof(struct ioq_options) == 6 * sizeof(void *) + 8, "ABI");
static_assert(offsetof(struct ioq_options, inflight) == 3 * sizeof(void *) + 8, "ABI");
static_assert(sizeof(struct ioq_info) == 8 * sizeof(void *) + 16, "ABI");
static_assert(offsetof(struct ioq_info, oldest) == 8 * sizeof(void *) + 8, "ABI");
static_assert(sizeof(struct ioq_counts) == 24, "ABI");
static_assert(offsetof(struct ioq_counts, caller) == 16, "ABI");
static_assert(sizeof(enum ioq_list_flags) == 4, "ABI");
static_assert(offsetof(struct ioq_list_ent, name) == 8, "ABI");
static_assert(offsetof(struct ioq_list_ent, stat) == 8 + sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_list_ent, error) == 8 + 2 * sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_list_ent, type) == 12 + 2 * sizeof(void *), "ABI");
static_assert(sizeof(struct ioq_list_ent) == 16 + 2 * sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_list, count) == sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_list, error) == 2 * sizeof(void *), "ABI");
static_assert(offsetof(struct ioq_list, fd) == 2 * sizeof(void *) + 4, "ABI");
static_assert(offsetof(struct ioq_list, stat) == 2 * sizeof(void *) + 8, "ABI");
static_assert(offsetof(struct ioq_list, more) == 3 * sizeof(void *) + 8, "ABI");
static_assert(sizeof(struct ioq_list) == 4 * sizeof(void *) + 8, "ABI");

#ifdef __cplusplus
}
#endif

#endif /* IOQ_H */
