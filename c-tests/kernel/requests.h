// How the scripted kernel runs submissions and posts completions. Part of kernel.c.

#ifndef REQUESTS_H
#define REQUESTS_H

#include "ring.h"

#include <sys/syscall.h>
#include <time.h>

static int negated(long result) {
    return result < 0 ? -errno : (int)result;
}

// A request's user data is the address of something. What else the library submits is counted in small numbers.
static bool is_request(const struct io_uring_sqe *sqe) {
    return sqe->user_data >= 4096;
}

static bool is_cancel(const struct io_uring_sqe *sqe) {
    return sqe->opcode == IORING_OP_ASYNC_CANCEL;
}

static bool cancels_all(const struct io_uring_sqe *sqe) {
    return is_cancel(sqe) && sqe->cancel_flags & IORING_ASYNC_CANCEL_ANY;
}

// The Linux version that came with an operation, or 0 if libioq has no business with it.
static unsigned int version_of(unsigned int opcode) {
    switch (opcode) {
    case IORING_OP_OPENAT:
    case IORING_OP_OPENAT2:
    case IORING_OP_STATX:
        return 0x0506;
    case IORING_OP_UNLINKAT:
    case IORING_OP_RENAMEAT:
        return 0x050b;
    case IORING_OP_MKDIRAT:
    case IORING_OP_LINKAT:
    case IORING_OP_SYMLINKAT:
        return 0x050f;
    default:
        return 0;
    }
}

static bool is_held(const struct ring *ring, const struct request *request) {
    return request->due > ring->calls || (request->hangs && !released);
}

// Interrupts what is held, of all or of what a cancel names.
static int interrupt(struct ring *ring, const struct io_uring_sqe *sqe) {
    int count = 0;
    for (struct request *r = ring->requests; r != ring->requests + ring->in_flight; ++r) {
        bool is_meant = cancels_all(sqe) || r->sqe.user_data == sqe->addr;
        if (is_meant && is_held(ring, r) && !script.stubborn) {
            r->due = 0;
            r->hangs = false;
            r->refusal = ECANCELED;
            ++count;
        }
    }
    return count > 0 ? count : -ENOENT;
}

static int execute(struct ring *ring, const struct io_uring_sqe *sqe) {
    const char *path = (const char *)(uintptr_t)sqe->addr, *newpath = (const char *)(uintptr_t)sqe->addr2;
    switch (sqe->opcode) {
    case IORING_OP_OPENAT:
        return negated(openat(sqe->fd, path, (int)sqe->open_flags, sqe->len));
    case IORING_OP_OPENAT2: {
        const long args[6] = {sqe->fd, (long)path, (long)sqe->off, sqe->len};
        return negated(real_syscall(SYS_openat2, args));
    }
    case IORING_OP_STATX:
        return negated(statx(sqe->fd, path, (int)sqe->statx_flags, sqe->len, (struct statx *)(uintptr_t)sqe->off));
    case IORING_OP_UNLINKAT:
        return negated(unlinkat(sqe->fd, path, (int)sqe->unlink_flags));
    case IORING_OP_RENAMEAT: {
        const long args[6] = {sqe->fd, (long)path, (int)sqe->len, (long)newpath, sqe->rename_flags};
        return negated(real_syscall(SYS_renameat2, args));
    }
    case IORING_OP_MKDIRAT:
        return negated(mkdirat(sqe->fd, path, (mode_t)sqe->len));
    case IORING_OP_LINKAT:
        return negated(linkat(sqe->fd, path, (int)sqe->len, newpath, (int)sqe->hardlink_flags));
    case IORING_OP_SYMLINKAT:
        return negated(symlinkat(path, sqe->fd, newpath));
    default:
        return interrupt(ring, sqe);
    }
}

// Completions

static struct io_uring_cqe *cqe(const struct ring *ring, unsigned int index) {
    return (struct io_uring_cqe *)(void *)(ring->rings + CQES) + (index & (2 * ring->entries - 1));
}

static void complete_one(struct ring *ring, struct request *request) {
    counts.refused += request->refusal != 0;
    int result = request->refusal ? -request->refusal : execute(ring, &request->sqe);
    unsigned int tail = load(ring->rings, CQ_TAIL);
    *cqe(ring, tail) = (struct io_uring_cqe){.user_data = request->sqe.user_data, .res = result};
    *request = ring->requests[--ring->in_flight];
    ++counts.completed;
    store(ring->rings, CQ_TAIL, tail + 1);
}

// The request to complete next, or NULL if each is held.
static struct request *choose(struct ring *ring) {
    struct request *chosen = NULL;
    unsigned int candidates = 0;
    for (struct request *r = ring->requests; r != ring->requests + ring->in_flight; ++r) {
        if (is_held(ring, r)) {
            continue;
        }
        ++candidates;
        if (!chosen || (script.order == KERNEL_FORWARD && r->number < chosen->number)
            || (script.order == KERNEL_REVERSE && r->number > chosen->number)
            || (script.order == KERNEL_RANDOM && random_below(candidates) == 0)) {
            chosen = r;
        }
    }
    return chosen;
}

// Completes what can be, unless that is done outside.
static void complete(struct ring *ring) {
    struct request *request;
    for (unsigned int posted = 0; !script.outside && (script.burst == 0 || posted < script.burst); ++posted) {
        if (!(request = choose(ring))) {
            return;
        }
        complete_one(ring, request);
    }
}

// A thread of the kernel's.
static void *work_outside(void *arg) {
    struct ring *ring = arg;
    pthread_mutex_lock(&lock);
    while (!ring->closing) {
        struct request *request = choose(ring);
        if (!request) {
            pthread_cond_wait(&changed, &lock);
            continue;
        }
        complete_one(ring, request);
        pthread_cond_broadcast(&changed);
        long pause = random_below(50);
        pthread_mutex_unlock(&lock);
        nanosleep(&(struct timespec){.tv_nsec = pause * 1000}, NULL);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

#endif // REQUESTS_H
