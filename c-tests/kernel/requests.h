// How the scripted kernel runs requests and posts completions. Part of kernel.c.

#ifndef REQUESTS_H
#define REQUESTS_H

#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

static int negated(long result) {
    return result < 0 ? -errno : (int)result;
}

// As close(2), but not of what is somebody else's.
static int close_once(int fd) {
    if (fd >= 0 && fd < FDS && decoys[fd]) {
        VIOLATED("descriptor %d was closed a second time, and is somebody else's by now", fd);
    }
    return negated(real_close(fd));
}

// Has somebody else open a file under the number that was closed just now.
static void reuse(int fd) {
    if (fd >= 0 && fd < FDS) {
        int other = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, fd);
        decoys[fd] = other == fd;
        if (other >= 0 && other != fd) {
            real_close(other);
        }
    }
}

static int execute(const struct io_uring_sqe *sqe, int answer) {
    const char *path = (const char *)(uintptr_t)sqe->addr;
    int result = -EINVAL;
    switch (sqe->opcode) {
    case IORING_OP_NOP:
        result = 0;
        break;
    case IORING_OP_CLOSE:
        // The kernel closes no ring from within a ring.
        result = ring_of(sqe->fd) ? -EBADF : close_once(sqe->fd);
        if (answer && result == 0) {
            reuse(sqe->fd);
        }
        break;
    case IORING_OP_OPENAT:
        result = negated(openat(sqe->fd, path, (int)sqe->open_flags, sqe->len));
        if (answer && result >= 0) {
            real_close(result);
        }
        break;
    case IORING_OP_STATX:
        result = negated(statx(sqe->fd, path, (int)sqe->statx_flags, sqe->len, (struct statx *)(uintptr_t)sqe->off));
        break;
    }
    return answer ? -answer : result;
}

static void finish(struct ring *ring, struct request *request) {
    unsigned int op = request->sqe.opcode, number = request->number;
    int refusal = rule(KERNEL_REFUSES, ring, number, op, 0);
    if (op != IORING_OP_NOP && script.version < 0x0506) {
        refusal = EINVAL;
    }
    counts.refused += refusal != 0;
    request->result = refusal ? -refusal : execute(&request->sqe, rule(KERNEL_ANSWERS, ring, number, op, 0));
    request->finished = true;
}

// Completions

static struct io_uring_cqe *cqe(const struct ring *ring, unsigned int index) {
    return (struct io_uring_cqe *)(void *)(ring->cq + CQES) + (index & (2 * ring->entries - 1));
}

static void post(struct ring *ring, struct request *request) {
    unsigned int tail = load(ring->cq, CQ_TAIL);
    struct io_uring_cqe *entry = cqe(ring, tail);
    entry->user_data = request->sqe.user_data;
    entry->res = request->result;
    entry->flags = 0;
    *request = ring->requests[--ring->in_flight];
    ++counts.completed;
    store(ring->cq, CQ_TAIL, tail + 1);
}

// The request to complete next, or NULL if each is held.
static struct request *choose(struct ring *ring, bool finished) {
    struct request *chosen = NULL;
    unsigned int candidates = 0;
    for (struct request *r = ring->requests; r != ring->requests + ring->in_flight; ++r) {
        if (r->due > ring->calls || r->finished != finished) {
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

// Posts what can be, unless the program is to have it otherwise.
static void complete(struct ring *ring) {
    unsigned int posted = 0;
    struct request *request;
    while ((script.burst == 0 || posted < script.burst) && (request = choose(ring, script.outside))) {
        if (!script.outside) {
            finish(ring, request);
        }
        post(ring, request);
        ++posted;
    }
    if (!choose(ring, true)) {
        store(ring->sq, SQ_FLAGS, load(ring->sq, SQ_FLAGS) & ~IORING_SQ_TASKRUN);
    }
}

// A thread of the kernel's. With DEFER_TASKRUN it leaves the posting to a call that wants completions.
static void *work_outside(void *arg) {
    struct ring *ring = arg;
    pthread_mutex_lock(&lock);
    while (!ring->closing) {
        struct request *request = choose(ring, false);
        if (!request) {
            pthread_cond_wait(&changed, &lock);
            continue;
        }
        finish(ring, request);
        if (ring->flags & IORING_SETUP_DEFER_TASKRUN) {
            if (ring->flags & IORING_SETUP_TASKRUN_FLAG) {
                store(ring->sq, SQ_FLAGS, load(ring->sq, SQ_FLAGS) | IORING_SQ_TASKRUN);
            }
        } else {
            post(ring, request);
        }
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
