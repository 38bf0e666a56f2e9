// See kernel.h. One lock guards everything, so what is seen in a call is consistent; no test needs this kernel to be fast.

#include "requests.h"

#include <linux/time_types.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

// io_uring_setup()

enum {
    KNOWN_FLAGS = IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN
        | IORING_SETUP_SINGLE_ISSUER,
};

static unsigned int known_flags(void) {
    return (script.version >= 0x0506 ? IORING_SETUP_CLAMP : 0) | (script.version >= 0x050a ? IORING_SETUP_R_DISABLED : 0)
        | (script.version >= 0x0512 ? IORING_SETUP_SUBMIT_ALL : 0)
        | (script.version >= 0x0513 ? IORING_SETUP_COOP_TASKRUN : 0)
        | (script.version >= 0x0600 ? IORING_SETUP_SINGLE_ISSUER : 0);
}

static unsigned int features(void) {
    return (script.version >= 0x0504 ? IORING_FEAT_SINGLE_MMAP : 0) | (script.version >= 0x050b ? IORING_FEAT_EXT_ARG : 0);
}

static char *map(int fd, off_t offset) {
    char *mapping = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
    if (mapping == MAP_FAILED) {
        VIOLATED("mmap: %s", strerror(errno));
    }
    return mapping;
}

// A new ring, and a descriptor of it.
static struct ring *make_ring(unsigned int entries, unsigned int flags, int *fd) {
    size_t place = 0;
    while (place < RINGS && rings[place]) {
        ++place;
    }
    struct ring *ring = calloc(1, sizeof(*ring));
    struct stat sb;
    *fd = memfd_create("ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (place == RINGS || !ring || *fd < 0 || ftruncate(*fd, IORING_OFF_SQES + REGION) != 0 || fstat(*fd, &sb) != 0) {
        VIOLATED("no room for a ring: %s", strerror(errno));
    }
    rings[place] = ring;
    *ring = (struct ring){.number = (unsigned int)++counts.rings, .file = sb.st_ino, .flags = flags, .entries = 1};
    while (ring->entries < entries) {
        ring->entries *= 2;
    }
    ring->issuer = gettid();
    ring->rings = map(*fd, IORING_OFF_SQ_RING);
    ring->sqes = map(*fd, IORING_OFF_SQES);
    store(ring->rings, SQ_MASK, ring->entries - 1);
    store(ring->rings, SQ_ENTRIES, ring->entries);
    store(ring->rings, CQ_MASK, 2 * ring->entries - 1);
    store(ring->rings, CQ_ENTRIES, 2 * ring->entries);
    if (script.outside && pthread_create(&ring->thread, NULL, work_outside, ring) != 0) {
        VIOLATED("no thread");
    }
    return ring;
}

// The number becomes another file's, and the library must not close it any more.
static void give(int fd, int other) {
    if (other < 0 || dup3(other, fd, O_CLOEXEC) != fd) {
        VIOLATED("descriptor %d cannot be another's: %s", fd, strerror(errno));
    }
    real_close(other);
    decoys[fd] = true;
}

// Rings are made by the driver. ioq_create() asks for one without entries, to see whether they can be had.
static void check_maker(unsigned int entries) {
    char name[16] = "";
    prctl(PR_GET_NAME, name);
    if (entries > 0 && strcmp(name, "ioq-ring") != 0) {
        VIOLATED("a ring is made by thread %s", name);
    }
}

static int setup(unsigned int entries, struct io_uring_params *params) {
    unsigned int call = (unsigned int)counts.setups++, most = script.entries ? script.entries : ENTRIES;
    int error = rule(KERNEL_SETUP_FAILS, NULL, call, 0, 0), fd;
    check_maker(entries);
    if (params->flags & ~(unsigned int)KNOWN_FLAGS) {
        VIOLATED("setup flags %#x, of which this kernel does not know all", params->flags);
    } else if (error) {
        return -error;
    } else if (params->flags & ~known_flags()) {
        return -EINVAL;
    } else if (entries > most && params->flags & IORING_SETUP_CLAMP) {
        entries = most;
    } else if (entries == 0 || entries > most) {
        return -EINVAL;
    }
    struct ring *ring = make_ring(entries, params->flags, &fd);
    counts.flags = params->flags;
    counts.workers = 0;
    params->sq_entries = ring->entries;
    params->cq_entries = 2 * ring->entries;
    params->features = features();
    params->sq_off = (struct io_sqring_offsets){.head = SQ_HEAD, .tail = SQ_TAIL, .ring_mask = SQ_MASK,
        .ring_entries = SQ_ENTRIES, .flags = SQ_FLAGS, .dropped = SQ_DROPPED, .array = SQ_ARRAY};
    params->cq_off = (struct io_cqring_offsets){.head = CQ_HEAD, .tail = CQ_TAIL, .ring_mask = CQ_MASK,
        .ring_entries = CQ_ENTRIES, .overflow = CQ_OVERFLOW, .cqes = CQES, .flags = CQ_FLAGS};
    if (rule(KERNEL_MAPS_NOTHING, NULL, call, 0, 0)) {
        // It was mapped here before.
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) != 0) {
            VIOLATED("F_ADD_SEALS: %s", strerror(errno));
        }
    } else if (rule(KERNEL_LOSES_UNMAPPED, NULL, call, 0, 0)) {
        give(fd, memfd_create("empty", MFD_CLOEXEC));
    }
    return fd;
}

static void tear_down(struct ring *ring) {
    if (ring->in_flight > 0) {
        VIOLATED("ring %u goes with %u requests in flight", ring->number, ring->in_flight);
    }
    ring->closing = true;
    pthread_cond_broadcast(&changed);
    if (script.outside) {
        pthread_mutex_unlock(&lock);
        pthread_join(ring->thread, NULL);
        pthread_mutex_lock(&lock);
    }
    munmap(ring->rings, REGION);
    munmap(ring->sqes, REGION);
    free(ring);
}

// Does away with the rings that nobody can get at any more.
static void sweep(void) {
    for (size_t i = 0; i < RINGS; ++i) {
        struct ring *ring = rings[i];
        if (ring && !ring->registered && descriptor_of(ring) < 0) {
            rings[i] = NULL;
            tear_down(ring);
        }
    }
}

// io_uring_register()

static pthread_key_t issuer_key;

// A thread ends that has registered rings.
static void issuer_ends(void *key) {
    (void)key;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < RINGS; ++i) {
        if (rings[i] && rings[i]->issuer == gettid()) {
            rings[i]->registered = false;
        }
    }
    sweep();
    pthread_mutex_unlock(&lock);
}

static void make_issuer_key(void) {
    if (pthread_key_create(&issuer_key, issuer_ends) != 0) {
        VIOLATED("no key");
    }
}

static int register_ring(const struct io_uring_rsrc_update *given, struct io_uring_rsrc_update *update) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct ring *ring = ring_of((int)given->data);
    if (script.version < 0x0512) {
        return -EINVAL;
    } else if (!ring) {
        return -EBADF;
    } else if (ring->registered || given->offset != UINT_MAX) {
        VIOLATED("ring %u is registered twice, or under a number of the library's choice", ring->number);
    }
    pthread_once(&once, make_issuer_key);
    pthread_setspecific(issuer_key, &issuer_key);
    ring->issuer = gettid();
    ring->registered = true;
    update->offset = registered_number(ring);
    return 1;
}

static int unregister_ring(unsigned int number) {
    struct ring *ring = registered_ring(number);
    if (ring) {
        ring->registered = false;
        sweep();
    }
    return ring != NULL;
}

static int enable(struct ring *ring) {
    if (!(ring->flags & IORING_SETUP_R_DISABLED)) {
        return -EBADFD;
    }
    ring->flags &= ~(unsigned int)IORING_SETUP_R_DISABLED;
    return 0;
}

static int limit_workers(const unsigned int limits[2]) {
    counts.workers = script.version < 0x050f ? 0 : limits[0];
    return script.version < 0x050f ? -EINVAL : 0;
}

static int call_register(int fd, unsigned int op, void *arg) {
    struct ring *ring = ring_of(fd);
    if (!ring) {
        return fcntl(fd, F_GETFD) < 0 ? -EBADF : -EOPNOTSUPP;
    }
    int error = rule(KERNEL_REGISTER_FAILS, ring, ring->registers++, 0, 0);
    if (error) {
        return -error;
    }
    switch (op) {
    case IORING_REGISTER_RING_FDS:
        return register_ring(arg, arg);
    case IORING_UNREGISTER_RING_FDS:
        return unregister_ring(((struct io_uring_rsrc_update *)arg)->offset);
    case IORING_REGISTER_ENABLE_RINGS:
        return enable(ring);
    case IORING_REGISTER_IOWQ_MAX_WORKERS:
        return limit_workers(arg);
    default:
        return -EINVAL;
    }
}

// The program closes a ring's descriptor, and may make a ring of its own, which has that number then.
static void lose(int fd, enum kernel_loss loss) {
    struct ring *ring = ring_of(fd);
    if (!ring || loss == KERNEL_KEEPS) {
        return;
    } else if (loss == KERNEL_FREES) {
        real_close(fd);
    } else {
        int other;
        make_ring(2, 0, &other)->foreign = true;
        give(fd, other);
    }
    sweep();
}

// io_uring_enter()

static void check_entry(const struct ring *ring, bool by_registration, int fd) {
    if (ring->flags & IORING_SETUP_R_DISABLED) {
        VIOLATED("ring %u is entered, but disabled", ring->number);
    } else if (ring->foreign) {
        VIOLATED("ring %u is entered, but not the library's", ring->number);
    } else if (ring->issuer != gettid()) {
        VIOLATED("ring %u is entered by another thread than made it", ring->number);
    } else if (by_registration && ring->calls == 0 && descriptor_of(ring) >= 0) {
        VIOLATED("ring %u is registered, and its descriptor still open", ring->number);
    } else if (!by_registration && script.no_descriptors) {
        VIOLATED("ring %u has a descriptor", ring->number);
    } else if (!by_registration && (fd <= STDERR_FILENO || descriptor_of(ring) != fd)) {
        VIOLATED("ring %u has the number of a standard stream, or several", ring->number);
    }
}

static void check_wait(const struct ring *ring, unsigned int flags, const struct io_uring_getevents_arg *arg, size_t size) {
    const struct __kernel_timespec *limit =
        flags & IORING_ENTER_EXT_ARG && size == sizeof(*arg) ? (const void *)(uintptr_t)arg->ts : NULL;
    if (!limit || limit->tv_sec < 0 || limit->tv_nsec < 0 || limit->tv_nsec > 999999999) {
        VIOLATED("ring %u: a wait without a limit", ring->number);
    }
}

static void check_submission(const struct ring *ring, const struct io_uring_sqe *sqe) {
    if (version_of(sqe->opcode) == 0 && !is_cancel(sqe)) {
        VIOLATED("ring %u: operation %u is submitted", ring->number, sqe->opcode);
    }
    bool opens = sqe->opcode == IORING_OP_OPENAT || sqe->opcode == IORING_OP_OPENAT2;
    if (opens && is_request(sqe) && !(sqe->flags & IOSQE_ASYNC)) {
        VIOLATED("ring %u: a file is opened in the thread that submits", ring->number);
    }
    if (cancels_all(sqe) && ring->cancelled) {
        VIOLATED("ring %u is cancelled a second time", ring->number);
    }
    if (ring->in_flight + ready(ring) >= 2 * ring->entries) {
        VIOLATED("ring %u: more in flight than completions fit", ring->number);
    }
    for (const struct request *r = ring->requests; r != ring->requests + ring->in_flight; ++r) {
        if (is_request(sqe) && r->sqe.user_data == sqe->user_data) {
            VIOLATED("ring %u: user data %llu is in flight", ring->number, sqe->user_data);
        }
        // Where a stat is to say nothing, any buffer will do.
        bool both_stat = sqe->opcode == IORING_OP_STATX && r->sqe.opcode == IORING_OP_STATX && sqe->len && r->sqe.len;
        if (both_stat && sqe->off && r->sqe.off == sqe->off) {
            VIOLATED("ring %u: a buffer is in flight", ring->number);
        }
    }
    for (unsigned int i = load(ring->rings, CQ_HEAD); i != load(ring->rings, CQ_TAIL); ++i) {
        if (is_request(sqe) && cqe(ring, i)->user_data == sqe->user_data) {
            VIOLATED("ring %u: user data %llu has a completion that was not seen", ring->number, sqe->user_data);
        }
    }
}

// Why a submission does not run, or 0.
static int refusal_of(const struct ring *ring, const struct io_uring_sqe *sqe, unsigned int number) {
    if (is_cancel(sqe)) {
        return cancels_all(sqe) && script.version < 0x0513 ? EINVAL : 0;
    } else if (version_of(sqe->opcode) > script.version) {
        return EINVAL;
    }
    int refusal = rule(KERNEL_REFUSES, ring, number, sqe->opcode, 0);
    return refusal || !is_request(sqe) ? refusal : rule(KERNEL_ANSWERS, ring, number, sqe->opcode, 0);
}

static void count_submission(const struct ring *ring, const struct io_uring_sqe *sqe) {
    if (!is_request(sqe)) {
        ++*(is_cancel(sqe) ? &counts.cancels : &counts.probes);
        return;
    }
    size_t requests = 0;
    for (unsigned int i = 0; i < ring->in_flight; ++i) {
        requests += is_request(&ring->requests[i].sqe);
    }
    if (requests > (script.inflight ? script.inflight : 256)) {
        VIOLATED("ring %u: more requests in flight than the program allows", ring->number);
    }
    ++counts.submitted;
    counts.most = counts.most < requests ? requests : counts.most;
}

// Takes a submission. Returns whether the call goes on to the next.
static bool take(struct ring *ring) {
    unsigned int head = load(ring->rings, SQ_HEAD);
    const unsigned int *array = (const unsigned int *)(void *)(ring->rings + SQ_ARRAY);
    const struct io_uring_sqe *sqe =
        (const struct io_uring_sqe *)(void *)ring->sqes + array[head & (ring->entries - 1)];
    check_submission(ring, sqe);
    struct request *request = &ring->requests[ring->in_flight++];
    *request = (struct request){.sqe = *sqe, .number = ring->taken++};
    request->refusal = refusal_of(ring, sqe, request->number);
    int calls = is_cancel(sqe) ? 0 : rule(KERNEL_HOLDS, ring, request->number, sqe->opcode, 0);
    request->hangs = calls == KERNEL_FOREVER;
    request->due = request->hangs ? 0 : ring->calls + (unsigned int)calls;
    ring->cancelled = ring->cancelled || cancels_all(sqe);
    store(ring->rings, SQ_HEAD, head + 1);
    count_submission(ring, sqe);
    return request->refusal == 0 || ring->flags & IORING_SETUP_SUBMIT_ALL;
}

static int wait_for(struct ring *ring, unsigned int wanted, bool interrupted) {
    complete(ring);
    while (ready(ring) < wanted) {
        if (interrupted) {
            ++counts.in_vain;
            return -EINTR;
        } else if (ring->in_flight == 0) {
            VIOLATED("ring %u: a wait for nothing", ring->number);
        } else if (!choose(ring)) {
            ++counts.in_vain;
            pthread_mutex_unlock(&lock);
            usleep(100);
            pthread_mutex_lock(&lock);
            return -ETIME;
        }
        if (script.outside) {
            pthread_cond_wait(&changed, &lock);
        }
        complete(ring);
    }
    return 0;
}

static int enter(struct ring *ring, unsigned int count, unsigned int wanted, bool waits) {
    unsigned int call = ring->calls++;
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
    bool goes_on = true;
    while (goes_on && taken < count && taken < most && load(ring->rings, SQ_HEAD) != load(ring->rings, SQ_TAIL)) {
        goes_on = take(ring);
        ++taken;
    }
    counts.idle += idle && taken == 0;
    if (taken < count) {
        return (int)taken; // and does not wait
    }
    if (waits) {
        error = wait_for(ring, wanted, interrupted);
    } else {
        complete(ring);
    }
    return taken > 0 ? (int)taken : error;
}

static int call_enter(const long args[6]) {
    unsigned int flags = (unsigned int)args[3];
    bool by_registration = flags & IORING_ENTER_REGISTERED_RING, waits = flags & IORING_ENTER_GETEVENTS;
    struct ring *ring = by_registration ? registered_ring((unsigned int)args[0]) : ring_of((int)args[0]);
    if (!ring) {
        // Flags are looked at before descriptors.
        return flags & IORING_ENTER_EXT_ARG && !(features() & IORING_FEAT_EXT_ARG) ? -EINVAL : -EBADF;
    }
    check_entry(ring, by_registration, (int)args[0]);
    if (waits) {
        check_wait(ring, flags, (const struct io_uring_getevents_arg *)args[4], (size_t)args[5]);
    }
    if (script.entered) {
        unsigned int call = ring->calls;
        pthread_mutex_unlock(&lock);
        script.entered(call);
        pthread_mutex_lock(&lock);
    }
    return enter(ring, (unsigned int)args[1], (unsigned int)args[2], waits);
}

// What libioq calls

static long answer(int result) {
    if (result < 0) {
        errno = -result;
        return -1;
    }
    return result;
}

static bool is_slow(long number) {
    return number == SYS_statx && gettid() != getpid();
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
        unsigned int delay = is_slow(number) ? __atomic_load_n(&script.stat_delay, __ATOMIC_RELAXED) : 0;
        if (delay > 0) {
            usleep(delay);
        }
        return real_syscall(number, args);
    }

    pthread_mutex_lock(&lock);
    int result = -ENOSYS;
    if (running && number == SYS_io_uring_setup) {
        result = setup((unsigned int)args[0], (struct io_uring_params *)args[1]);
    } else if (running && number == SYS_io_uring_register) {
        lose((int)args[0], (enum kernel_loss)rule(KERNEL_LOSES, NULL, registers++, 0, KERNEL_KEEPS));
        result = call_register((int)args[0], (unsigned int)args[1], (void *)args[2]);
    } else if (running) {
        result = call_enter(args);
    }
    pthread_mutex_unlock(&lock);
    return answer(result);
}

int close(int fd) {
    pthread_mutex_lock(&lock);
    if (fd >= 0 && fd < FDS && decoys[fd]) {
        VIOLATED("descriptor %d is closed, and somebody else's by now", fd);
    }
    struct ring *ring = ring_of(fd);
    int result = negated(real_close(fd));
    if (ring) {
        sweep();
    }
    pthread_mutex_unlock(&lock);
    if (result == -EBADF && fd >= 0 && !script.strays) {
        VIOLATED("descriptor %d is closed, but not open", fd);
    }
    return (int)answer(result);
}

// The library's threads have attributes. Others' that a program has while the kernel runs must not.
int pthread_attr_init(pthread_attr_t *attr) {
    pthread_mutex_lock(&lock);
    int error = running ? rule(KERNEL_THREAD_FAILS, NULL, threads_wanted++, 0, 0) : 0;
    counts.unstarted += error != 0;
    pthread_mutex_unlock(&lock);
    return error ? error : real_attr_init(attr);
}

// What tests call

void kernel_start(const struct kernel_script *wanted) {
    pthread_mutex_lock(&lock);
    script = *wanted;
    script.version = script.version ? script.version : 0x0601;
    counts = (struct kernel_counts){0};
    threads_wanted = registers = 0;
    random_state = script.seed * 2654435761 + 1;
    released = false;
    running = true;
    pthread_mutex_unlock(&lock);
}

struct kernel_counts kernel_seen(void) {
    pthread_mutex_lock(&lock);
    struct kernel_counts seen = counts;
    pthread_mutex_unlock(&lock);
    return seen;
}

void kernel_release(void) {
    pthread_mutex_lock(&lock);
    released = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

void kernel_delay_stats(unsigned int delay) {
    __atomic_store_n(&script.stat_delay, delay, __ATOMIC_RELAXED);
}

bool kernel_uses(const void *memory) {
    bool uses = false;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < RINGS; ++i) {
        for (unsigned int j = 0; rings[i] && j < rings[i]->in_flight; ++j) {
            const struct io_uring_sqe *sqe = &rings[i]->requests[j].sqe;
            uses = uses || (is_request(sqe) && (sqe->addr == (uintptr_t)memory || sqe->off == (uintptr_t)memory));
        }
    }
    pthread_mutex_unlock(&lock);
    return uses;
}

struct kernel_counts kernel_stop(void) {
    pthread_mutex_lock(&lock);
    for (int fd = 0; fd < FDS; ++fd) {
        if (decoys[fd]) {
            decoys[fd] = false;
            real_close(fd);
        }
    }
    sweep();
    for (size_t i = 0; i < RINGS; ++i) {
        if (rings[i]) {
            VIOLATED("ring %u is left", rings[i]->number);
        }
    }
    running = false;
    struct kernel_counts seen = counts;
    pthread_mutex_unlock(&lock);
    return seen;
}
