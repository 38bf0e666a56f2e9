/*
 * An asynchronous queue of file-system metadata operations.
 *
 * A program submits requests, goes on working, and pops the responses in whatever order they finish:
 *
 *     struct ioq *ioq = ioq_create(64, 4);
 *     ioq_stat(ioq, AT_FDCWD, "/etc/passwd", BFS_STAT_FOLLOW, &buf, NULL);
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
 * - have the types that are declared there, and return -1 with errno set on failure;
 * - are looked up once, by the first ioq_create(). What is missing of bfs_polldir(), bfs_unwrapdir(), bfs_statx_flags(),
 *   bfs_statx_mask() and bfs_statx_convert() is done without, and never replaced by the library's;
 * - are called from worker threads, several at once, with all signals blocked and 1 MiB of stack, and from the thread that
 *   pops or destroys. If bfs_opendir() or bfs_stat() fails with EINTR, it is called again;
 * - may be bypassed: statx(2) through a ring, with bfs_statx_flags(), bfs_statx_mask() and bfs_statx_convert(), in place of
 *   bfs_stat(); openat(2) through a ring and bfs_opendir() with NULL and its descriptor, in place of bfs_opendir() with a
 *   path; bfs_unwrapdir() and close(2) in place of bfs_closedir(). So bfs_opendir() must take a descriptor, and leave it
 *   open if it fails.
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

#ifdef __cplusplus
extern "C" {
#endif

/** A queue. */
struct ioq;

/** A directory. Whoever provides bfs_opendir() defines it. */
struct bfs_dir;

/** What is known about a file. Whoever provides bfs_stat() defines it. */
struct bfs_stat;

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
};

/** How a queue runs requests that may wait. */
enum ioq_backend {
    /** What the environment variable IOQ_BACKEND says, and IOQ_BACKEND_AUTO if it says nothing. */
    IOQ_BACKEND_DEFAULT = 0,
    /** io_uring where it can be had and pays, else plain system calls. */
    IOQ_BACKEND_AUTO = 1,
    /** io_uring for all that it can do. Without one, ioq_create_with() fails. */
    IOQ_BACKEND_URING = 2,
    /** Plain system calls alone. */
    IOQ_BACKEND_SYNC = 3,
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
    /** The most worker threads to start. */
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
    /** Reserved for layout compatibility; always NULL. */
    void *xbuf;
    /** The base file descriptor. */
    int dfd;
    /** enum bfs_stat_flags. */
    unsigned int flags;
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
    };
};

/** How the requests of a queue were run so far. */
struct ioq_counts {
    /** Through the queue's io_uring. */
    uint64_t ring;
    /** By a worker, with plain system calls, be it after a ring has begun or refused. */
    uint64_t worker;
    /** By the caller itself, in ioq_pop(). */
    uint64_t caller;
};

/**
 * Create a queue.
 *
 * Threads and the ring are started when requests need them, so a queue costs what is used of it, whatever it was
 * created with.
 *
 * The environment variable IOQ_BACKEND chooses how requests are run: auto (the default) uses io_uring where it can be
 * had and pays, uring insists on it, sync uses plain system calls alone. It is read by each call, so no other
 * thread may call setenv() meanwhile, and ignored in programs that gain privileges when they are executed (set-user-ID,
 * set-group-ID, file capabilities). ioq_create_with() can choose instead.
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
 * - with IOQ_BACKEND=uring and at least one thread, whatever io_uring_setup(2) failed with, such as ENOSYS,
 *   EPERM or EMFILE; also ENOSYS before Linux 5.11.
 *
 * Time:
 * Nothing is held back:
 * - A response can be popped at most 0.2 ms after its request is done, whatever its neighbours do. A blocking ioq_pop()
 *   may gather responses for that long while they come quickly and others are to come; one that does not block takes
 *   what is done.
 * - While some requests hang, and more workers were asked for than those are, all others run and come back: whether the
 *   caller blocks, polls, or goes away after ioq_submit(). Where threads, descriptors or memory cannot be had, that is
 *   so from when they can: it is tried again every 10 ms, in any call and by any worker.
 * - A blocking ioq_pop() returns with the first response. It runs no request that can wait, unless the program asked
 *   for that (IOQ_CALLER_RUNS), or there is no worker and none can be started. ioq_pop(ioq, false) never waits.
 * - Cancelling does not wait, and destroying waits for nothing but requests that have begun and cannot be interrupted.
 *
 * Threads:
 * A queue is used by one thread at a time; only ioq_cancel() may be called from any thread while another uses the
 * queue. Several queues are independent of each other. No function here may be called from a signal handler, nor for the
 * same queue from a bfs_* function that the queue has called. Signals interrupt none of them, and none is a
 * cancellation point: pthread_cancel() takes effect after it.
 *
 * Workers are named ioq-0, ioq-1, …, and a thread that waits for the ring, which is there only while requests go
 * through it, ioq-ring. They block all signals but those that a thread's own instruction raises (SIGSYS, SIGSEGV,
 * SIGBUS, SIGFPE, SIGILL, SIGTRAP), for which alone a handler of the program's may run there.
 *
 * Requests run in any of these threads, with what all threads of a process share: its working directory, its root, and
 * its credentials as setuid() and the like leave them. What only one thread has, after unshare(CLONE_FS) or
 * setfsuid(), may or may not apply to a request.
 *
 * Processes:
 * After fork() the workers do not exist in the child: there a queue of the parent's may only be destroyed, which
 * releases the memory and runs nothing. Not even that is allowed after _Fork(), if another thread was in a call with
 * that queue, or if the child has its parent's process ID, in a PID namespace of its own. Queues that the child creates
 * are like any others. exec and _exit() are fine, and so is exit(), whatever other threads do with their queues
 * meanwhile.
 *
 * A queue holds no descriptor. Only before Linux 5.18, or where io_uring_register(2) is refused, it has that of its ring
 * while there is one, which is close-on-exec and above 2; there, a process that is about to close descriptors which it did
 * not open should destroy its queues first. If a process forbids itself io_uring later, by a seccomp filter, its queues go
 * on without.
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
 * Give a popped entry back, which makes room for another request. Ignored if ioq or ent is NULL.
 *
 * ent must come from this queue's ioq_pop(), and is not valid any more after this. Entries may be given back in any
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
 * Cancel and destroy a queue. Ignored if ioq is NULL.
 *
 * Waits for what is running, runs the closes that are still queued, and closes the directories that were opened for
 * responses which nobody popped. Then every entry of the queue is gone, popped or not. The caller's directories,
 * buffers and paths are not touched after that. In a child of fork(), the descriptors of its parent's rings stay open.
 */
void ioq_destroy(struct ioq *ioq);

/**
 * Submit a request that does nothing, for measurements and tests.
 *
 * This and the functions below put a request into the queue and return at once. Requests are buffered: they
 * reach the workers when enough have come together, and at the latest at the next ioq_submit() or ioq_pop().
 * Responses come back through ioq_pop() in any order, every accepted request exactly once.
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
 * The entry's result is 0, or -EINTR if the queue was cancelled first.
 */
int ioq_nop(struct ioq *ioq, enum ioq_nop_type type, void *ptr);

/**
 * Submit a close().
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
 * errno of bfs_opendir(), or -EINTR if the queue was cancelled first. Calls that fail with EINTR are repeated, but
 * not for ever: a file system that goes on to answer so has that as its result. What bfs_polldir() fails with is left
 * for bfs_readdir() to report.
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
 * negated errno of close(2).
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
 * errno of bfs_stat(), or -EINTR if the queue was cancelled first; see ioq_opendir().
 */
int ioq_stat(struct ioq *ioq, int dfd, const char *path, unsigned int flags, struct bfs_stat *buf, void *ptr);

static_assert(sizeof(enum ioq_op) == 4, "ABI");
static_assert(sizeof(enum ioq_nop_type) == 4, "ABI");
static_assert(sizeof(struct ioq_ent) == 64, "ABI");
static_assert(alignof(struct ioq_ent) == 64, "ABI");
static_assert(offsetof(struct ioq_ent, op) == 0, "ABI");
static_assert(offsetof(struct ioq_ent, result) == 4, "ABI");
static_assert(offsetof(struct ioq_ent, ptr) == 8, "ABI");
static_assert(offsetof(struct ioq_ent, nop) == 16, "ABI");
static_assert(offsetof(struct ioq_opendir, path) == 8, "ABI");
static_assert(offsetof(struct ioq_opendir, dfd) == 16, "ABI");
static_assert(offsetof(struct ioq_opendir, flags) == 20, "ABI");
static_assert(sizeof(struct ioq_opendir) == 24, "ABI");
static_assert(offsetof(struct ioq_stat, buf) == 8, "ABI");
static_assert(offsetof(struct ioq_stat, xbuf) == 16, "ABI");
static_assert(offsetof(struct ioq_stat, dfd) == 24, "ABI");
static_assert(offsetof(struct ioq_stat, flags) == 28, "ABI");
static_assert(sizeof(enum ioq_backend) == 4, "ABI");
static_assert(sizeof(enum ioq_flags) == 4, "ABI");
static_assert(sizeof(struct ioq_options) == 40, "ABI");
static_assert(offsetof(struct ioq_options, inflight) == 32, "ABI");
static_assert(sizeof(struct ioq_counts) == 24, "ABI");
static_assert(offsetof(struct ioq_counts, caller) == 16, "ABI");

#ifdef __cplusplus
}
#endif

#endif /* IOQ_H */
