// Which calls fail, and the log of what became of them.

#include "../test.h"

#include "inject.h"
#include <pthread.h>

const struct kind_info kinds[KINDS] = {
    [MEMORY] = {"memory", {ENOMEM}},
    [MAP] = {"mmap", {ENOMEM, EAGAIN}},
    // EINVAL is for a stack that is too small, which the library can do something about.
    [THREAD] = {"thread", {EAGAIN, EPERM, EINVAL}},
    [SETUP] = {"setup", {EMFILE, ENFILE, ENOMEM, EPERM, ENOSYS, EINVAL}},
    [ENTER] = {"enter", {EINTR, EAGAIN, EBUSY, ENOMEM, SHORT}},
    [REGISTER] = {"register", {EINVAL, ENOMEM, EPERM, EBADF}},
    [EVENTFD] = {"eventfd", {EMFILE, ENFILE, ENOMEM}},
    [OPENAT] = {"openat", {EMFILE, ENFILE, EINTR, EIO, ENOMEM, EACCES}},
    [GETDENTS] = {"getdents", {EIO, ENOENT, EINTR}},
    [STATX] = {"statx", {EIO, EACCES, ENOMEM, ENOSYS, EPERM}},
    [FSTATAT] = {"fstatat", {EIO, EACCES}},
    // Calls that change names, and are never repeated.
    [CHANGE] = {"change", {EIO, EACCES, ENOSPC, EINTR}},
    // Those that read or change what else is known of a file. What is refused may be tried by another call.
    [ATTRIBUTE] = {"attribute", {EIO, EACCES, EINTR, ENOSYS, EPERM}},
    [CLOSE] = {"close", {EINTR, EIO}},
    // Sleeps that end for no reason.
    [FUTEX] = {"futex", {EAGAIN, EINTR}},
    // What the library can do without: names of threads, how often they slept, the number of processors.
    [OTHER] = {"other", {EPERM, ENOSYS}},
    [COMPLETION] = {"completion", {EIO, EACCES, EOPNOTSUPP, ECANCELED, EINTR}},
};

static struct fault fault;
static struct tally *tally;
static uint64_t dice;
static _Thread_local unsigned long here;
static _Thread_local int reason;

// Guards the tally, the dice and the log.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    enum subject subject;
    uintptr_t key;
    int injected;
} calls[1 << 15];

static size_t ncalls;

void inject(const struct fault *f, struct tally *t) {
    fault = *f;
    tally = t;
    dice = 0x9e3779b97f4a7c15 * f->first;
}

unsigned long injected_here(void) {
    return here;
}

const struct fault *injected(void) {
    return &fault;
}

bool lacks_memory(void) {
    return fault.mode == RANDOM || fault.kind == MEMORY;
}

bool refuses_statx(void) {
    // Where a fault of fstatat() is asked for, nothing else may serve.
    return fault.mode != RANDOM
        && (fault.kind == FSTATAT
            || (fault.kind == STATX && fault.mode == ON && (fault.error == ENOSYS || fault.error == EPERM)));
}

int injected_reason(void) {
    return reason;
}

static void acquire(void) {
    CHECK_EQ(pthread_mutex_lock(&lock), 0);
}

static void release(void) {
    CHECK_EQ(pthread_mutex_unlock(&lock), 0);
}

// Whether an error comes only so many times in a row: the library tries again until it does not.
static bool is_transient(enum kind kind, int error) {
    return kind == FUTEX || (error == EINTR && (kind == OPENAT || kind == GETDENTS || kind == ATTRIBUTE || kind == ENTER));
}

// Whether the n-th call of a kind is to fail, and how.
static int choose(enum kind kind, unsigned long n) {
    if (fault.mode == RANDOM) {
        size_t count = 0;
        while (kinds[kind].errors[count]) {
            ++count;
        }
        return random_below(&dice, 8) == 0 ? kinds[kind].errors[random_below(&dice, count)] : 0;
    }
    if (kind != fault.kind || n < fault.first) {
        return 0;
    }
    unsigned long row = fault.mode == ONCE ? 1 : is_transient(kind, fault.error) ? TRANSIENT : ULONG_MAX;
    return n - fault.first < row ? fault.error : 0;
}

int next_error(enum kind kind) {
    acquire();
    int error = choose(kind, ++tally->calls[kind]);
    tally->faults += error != 0;
    release();
    here += error != 0;
    if (error && (kind == MEMORY || kind == MAP || kind == THREAD || kind == SETUP || kind == EVENTFD)) {
        reason = error;
    }
    return error;
}

void note(enum subject subject, uintptr_t key, int injected) {
    acquire();
    CHECK(ncalls < COUNT(calls));
    calls[ncalls].subject = subject;
    calls[ncalls].key = key;
    calls[ncalls++].injected = injected;
    release();
}

size_t log_end(void) {
    acquire();
    size_t end = ncalls;
    release();
    return end;
}

size_t calls_about(enum subject subject, uintptr_t key, size_t mark) {
    size_t count = 0;
    acquire();
    for (size_t i = mark; i < ncalls; ++i) {
        count += calls[i].subject == subject && calls[i].key == key;
    }
    release();
    return count;
}

bool was_injected(enum subject subject, int error, size_t mark) {
    bool found = false;
    acquire();
    for (size_t i = mark; i < ncalls && !found; ++i) {
        found = calls[i].subject == subject && calls[i].injected == error;
    }
    release();
    return found;
}

static int find_injected(enum subject subject, uintptr_t key, size_t mark, bool last) {
    int injected = 0;
    acquire();
    for (size_t i = mark; i < ncalls; ++i) {
        if (calls[i].subject == subject && calls[i].key == key) {
            injected = calls[i].injected;
            if (!last) {
                break;
            }
        }
    }
    release();
    return injected;
}

int first_injected(enum subject subject, uintptr_t key, size_t mark) {
    return find_injected(subject, key, mark, false);
}

int last_injected(enum subject subject, uintptr_t key, size_t mark) {
    return find_injected(subject, key, mark, true);
}
