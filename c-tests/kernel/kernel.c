// See kernel.h. One lock guards everything, so what is seen in a call is consistent; no test needs this kernel to be fast.

#include "requests.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>

// io_uring_setup()

static unsigned int known_flags(void) {
    return (script.version >= 0x0505 ? IORING_SETUP_CQSIZE : 0) | (script.version >= 0x0506 ? IORING_SETUP_CLAMP : 0)
        | (script.version >= 0x050a ? IORING_SETUP_R_DISABLED : 0)
        | (script.version >= 0x0512 ? IORING_SETUP_SUBMIT_ALL : 0)
        | (script.version >= 0x0513 ? IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG : 0)
        | (script.version >= 0x0600 ? IORING_SETUP_SINGLE_ISSUER : 0)
        | (script.version >= 0x0601 ? IORING_SETUP_DEFER_TASKRUN : 0);
}

static unsigned int features(void) {
    return (script.version >= 0x0504 ? IORING_FEAT_SINGLE_MMAP : 0)
        | (script.version >= 0x0505 ? IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE : 0);
}

static char *map(int fd, off_t offset) {
    char *mapping = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
    if (mapping == MAP_FAILED) {
        VIOLATED("mmap: %s", strerror(errno));
    }
    return mapping;
}

static int setup(unsigned int entries, struct io_uring_params *params) {
    unsigned int call = (unsigned int)counts.setups++;
    int error = rule(KERNEL_SETUP_FAILS, NULL, call, 0, 0);
    unsigned int flags = params->flags, taskrun = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN;
    if (error) {
        return -error;
    } else if (entries == 0 || entries > ENTRIES || (flags & ~known_flags())) {
        return -EINVAL;
    } else if ((flags & IORING_SETUP_DEFER_TASKRUN && !(flags & IORING_SETUP_SINGLE_ISSUER))
        || (flags & IORING_SETUP_TASKRUN_FLAG && !(flags & taskrun))) {
        VIOLATED("setup flags that do not go together: %#x", flags);
    } else if (rule(KERNEL_MAPS_NOTHING, NULL, call, 0, 0)) {
        return open("/dev/null", O_RDWR | O_CLOEXEC);
    }

    size_t place = 0;
    while (place < RINGS && rings[place]) {
        ++place;
    }
    struct ring *ring = calloc(1, sizeof(*ring));
    int fd = memfd_create("ring", MFD_CLOEXEC);
    if (place == RINGS || !ring || fd < 0 || ftruncate(fd, IORING_OFF_SQES + REGION) != 0) {
        VIOLATED("no room for a ring: %s", strerror(errno));
    }
    rings[place] = ring;
    ring->number = (unsigned int)++counts.rings;
    ring->fd = fd;
    ring->flags = flags;
    ring->entries = 1;
    while (ring->entries < entries) {
        ring->entries *= 2;
    }
    ring->issuer = gettid();
    ring->sq = map(fd, IORING_OFF_SQ_RING);
    ring->cq = features() & IORING_FEAT_SINGLE_MMAP ? ring->sq : map(fd, IORING_OFF_CQ_RING);
    ring->sqes = map(fd, IORING_OFF_SQES);
    store(ring->sq, SQ_MASK, ring->entries - 1);
    store(ring->sq, SQ_ENTRIES, ring->entries);
    store(ring->cq, CQ_MASK, 2 * ring->entries - 1);
    store(ring->cq, CQ_ENTRIES, 2 * ring->entries);

    params->sq_entries = ring->entries;
    params->cq_entries = 2 * ring->entries;
    params->features = features();
    params->sq_off = (struct io_sqring_offsets){.head = SQ_HEAD, .tail = SQ_TAIL, .ring_mask = SQ_MASK,
        .ring_entries = SQ_ENTRIES, .flags = SQ_FLAGS, .dropped = SQ_DROPPED, .array = SQ_ARRAY};
    params->cq_off = (struct io_cqring_offsets){.head = CQ_HEAD, .tail = CQ_TAIL, .ring_mask = CQ_MASK,
        .ring_entries = CQ_ENTRIES, .overflow = CQ_OVERFLOW, .cqes = CQES, .flags = CQ_FLAGS};
    if (script.outside && pthread_create(&ring->thread, NULL, work_outside, ring) != 0) {
        VIOLATED("no thread");
    }
    return fd;
}

static void tear_down(struct ring *ring) {
    if (ring->in_flight > 0) {
        VIOLATED("ring %u was closed with %u requests in flight", ring->number, ring->in_flight);
    }
    ring->closing = true;
    pthread_cond_broadcast(&changed);
    if (script.outside) {
        pthread_mutex_unlock(&lock);
        pthread_join(ring->thread, NULL);
        pthread_mutex_lock(&lock);
    }
    for (size_t i = 0; i < RINGS; ++i) {
        if (rings[i] == ring) {
            rings[i] = NULL;
        }
    }
    if (ring->cq != ring->sq) {
        munmap(ring->cq, REGION);
    }
    munmap(ring->sq, REGION);
    munmap(ring->sqes, REGION);
    free(ring);
}

// io_uring_register()

static int register_ring(struct ring *ring, struct io_uring_rsrc_update *update) {
    if (script.version < 0x0512) {
        return -EINVAL;
    } else if (registered_ring(REGISTERED) || update->data != (unsigned int)ring->fd) {
        VIOLATED("ring %u was registered as another, or twice", ring->number);
    }
    ring->registered = true;
    update->offset = REGISTERED;
    return 1;
}

static int enable(struct ring *ring) {
    if (!(ring->flags & IORING_SETUP_R_DISABLED)) {
        return -EBADFD;
    }
    ring->flags &= ~(unsigned int)IORING_SETUP_R_DISABLED;
    return 0;
}

static int call_register(struct ring *ring, unsigned int op, void *arg) {
    int error = rule(KERNEL_REGISTER_FAILS, ring, ring->registers++, 0, 0);
    if (error) {
        return -error;
    } else if (ring->issuer != gettid()) {
        return -EEXIST;
    }
    switch (op) {
    case IORING_REGISTER_RING_FDS:
        return register_ring(ring, arg);
    case IORING_REGISTER_ENABLE_RINGS:
        return enable(ring);
    default:
        return -EINVAL;
    }
}

// io_uring_enter()

static void check_submission(const struct ring *ring, const struct io_uring_sqe *sqe) {
    if (ring->flags & IORING_SETUP_SINGLE_ISSUER && ring->issuer != gettid()) {
        VIOLATED("ring %u has another issuer", ring->number);
    }
    if (ring->in_flight + ready(ring) >= 2 * ring->entries) {
        VIOLATED("ring %u: more in flight than completions fit", ring->number);
    }
    for (const struct request *r = ring->requests; r != ring->requests + ring->in_flight; ++r) {
        if (r->sqe.user_data == sqe->user_data) {
            VIOLATED("ring %u: user data %llu is in flight", ring->number, sqe->user_data);
        }
        if (sqe->opcode == IORING_OP_STATX && r->sqe.opcode == IORING_OP_STATX && r->sqe.off == sqe->off) {
            VIOLATED("ring %u: a buffer is in flight", ring->number);
        }
    }
    for (unsigned int i = load(ring->cq, CQ_HEAD); i != load(ring->cq, CQ_TAIL); ++i) {
        if (cqe(ring, i)->user_data == sqe->user_data) {
            VIOLATED("ring %u: user data %llu has a completion that was not seen", ring->number, sqe->user_data);
        }
    }
}

static void take(struct ring *ring) {
    unsigned int head = load(ring->sq, SQ_HEAD);
    const unsigned int *array = (const unsigned int *)(void *)(ring->sq + SQ_ARRAY);
    const struct io_uring_sqe *sqe =
        (const struct io_uring_sqe *)(void *)ring->sqes + array[head & (ring->entries - 1)];
    check_submission(ring, sqe);
    struct request *request = &ring->requests[ring->in_flight++];
    *request = (struct request){.sqe = *sqe, .number = ring->taken++};
    request->due = ring->calls + (unsigned int)rule(KERNEL_HOLDS, ring, request->number, sqe->opcode, 0);
    store(ring->sq, SQ_HEAD, head + 1);
    ++counts.submitted;
    counts.most = counts.most < ring->in_flight ? ring->in_flight : counts.most;
}

static int wait_for(struct ring *ring, unsigned int wanted, bool interrupted) {
    complete(ring);
    while (ready(ring) < wanted) {
        if (interrupted) {
            return -EINTR;
        } else if (ring->in_flight == 0) {
            VIOLATED("ring %u: a wait for nothing", ring->number);
        } else if (!choose(ring, false) && !choose(ring, true)) {
            return -EINTR; // all are held
        }
        if (script.outside) {
            pthread_cond_wait(&changed, &lock);
        }
        complete(ring);
    }
    return 0;
}

static int enter(struct ring *ring, unsigned int count, unsigned int wanted, unsigned int flags) {
    unsigned int call = ring->calls++;
    if (ring->flags & IORING_SETUP_R_DISABLED) {
        VIOLATED("ring %u is entered, but disabled", ring->number);
    }
    int error = rule(KERNEL_ENTER_FAILS, ring, call, 0, 0);
    ++counts.enters;
    pthread_cond_broadcast(&changed); // some may be held no longer
    if (error == 0 && count > 0) {
        error = rule(KERNEL_SUBMIT_FAILS, ring, call, 0, 0);
    }
    bool idle = ring->in_flight == 0;
    if (error) {
        counts.idle += idle;
        return -error;
    }

    bool interrupted = rule(KERNEL_INTERRUPTS, ring, call, 0, 0);
    unsigned int most = (unsigned int)rule(KERNEL_TAKES, ring, call, 0, INT_MAX), taken = 0;
    while (taken < count && taken < most && load(ring->sq, SQ_HEAD) != load(ring->sq, SQ_TAIL)) {
        take(ring);
        ++taken;
    }
    counts.idle += idle && taken == 0;
    if (taken < count) {
        return (int)taken; // and does not wait
    }
    if (flags & IORING_ENTER_GETEVENTS) {
        error = wait_for(ring, wanted, interrupted);
    } else if (!(ring->flags & IORING_SETUP_DEFER_TASKRUN)) {
        complete(ring);
    }
    return taken > 0 ? (int)taken : error;
}

// What libioq calls

static long answer(int result) {
    if (result < 0) {
        errno = -result;
        return -1;
    }
    return result;
}

// Reads more arguments than there may be. That is what the C library's own does, too.
long syscall(long number, ...) {
    long args[6];
    va_list list;
    va_start(list, number);
    for (size_t i = 0; i < 6; ++i) {
        args[i] = va_arg(list, long);
    }
    va_end(list);
    if (number != SYS_io_uring_setup && number != SYS_io_uring_enter && number != SYS_io_uring_register) {
        if (number == SYS_statx && script.stat_delay > 0 && gettid() != getpid()) {
            usleep(script.stat_delay);
        }
        return real_syscall(number, args);
    }

    pthread_mutex_lock(&lock);
    int result = -EBADF;
    bool registered = number == SYS_io_uring_enter && args[3] & IORING_ENTER_REGISTERED_RING;
    struct ring *ring = registered ? registered_ring((unsigned int)args[0]) : ring_of((int)args[0]);
    if (!running) {
        result = -ENOSYS;
    } else if (number == SYS_io_uring_setup) {
        result = setup((unsigned int)args[0], (struct io_uring_params *)args[1]);
    } else if (ring && number == SYS_io_uring_register) {
        result = call_register(ring, (unsigned int)args[1], (void *)args[2]);
    } else if (ring) {
        if (script.entered) {
            unsigned int call = ring->calls;
            pthread_mutex_unlock(&lock);
            script.entered(ring->number, call);
            pthread_mutex_lock(&lock);
        }
        result = enter(ring, (unsigned int)args[1], (unsigned int)args[2], (unsigned int)args[3]);
    }
    pthread_mutex_unlock(&lock);
    return answer(result);
}

int close(int fd) {
    pthread_mutex_lock(&lock);
    struct ring *ring = ring_of(fd);
    if (ring) {
        tear_down(ring);
    }
    int result = close_once(fd);
    pthread_mutex_unlock(&lock);
    if (result == -EBADF && fd >= 0 && !script.strays) {
        VIOLATED("descriptor %d was closed, but not open", fd);
    }
    return (int)answer(result);
}

// What tests call

void kernel_start(const struct kernel_script *wanted) {
    pthread_mutex_lock(&lock);
    script = *wanted;
    script.version = script.version ? script.version : 0x0601;
    counts = (struct kernel_counts){0};
    random_state = script.seed * 2654435761 + 1;
    running = true;
    pthread_mutex_unlock(&lock);
}

struct kernel_counts kernel_seen(void) {
    pthread_mutex_lock(&lock);
    struct kernel_counts seen = counts;
    pthread_mutex_unlock(&lock);
    return seen;
}

bool kernel_uses(const char *path) {
    bool uses = false;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < RINGS; ++i) {
        for (unsigned int j = 0; rings[i] && j < rings[i]->in_flight; ++j) {
            const struct request *request = &rings[i]->requests[j];
            bool named = request->sqe.opcode == IORING_OP_STATX || request->sqe.opcode == IORING_OP_OPENAT;
            uses = uses || (named && !request->finished && request->sqe.addr == (uintptr_t)path);
        }
    }
    pthread_mutex_unlock(&lock);
    return uses;
}

struct kernel_counts kernel_stop(void) {
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < RINGS; ++i) {
        if (rings[i]) {
            VIOLATED("ring %u was not closed", rings[i]->number);
        }
    }
    for (int fd = 0; fd < FDS; ++fd) {
        if (decoys[fd]) {
            decoys[fd] = false;
            real_close(fd);
        }
    }
    running = false;
    struct kernel_counts seen = counts;
    pthread_mutex_unlock(&lock);
    return seen;
}
