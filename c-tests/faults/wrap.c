// The library's imports, made to fail.

#include "../test.h"

#include "inject.h"
#include "wrap.h"
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/xattr.h>

static unsigned stat_delay;

void delay_stats(unsigned microseconds) {
    stat_delay = microseconds;
}

// Sets errno, and returns what a failed call does.
static int failed(int error) {
    errno = error;
    return -1;
}

// Memory

static void *kept(void *memory, size_t size) {
    if (memory) {
        ledger_add((uintptr_t)memory, size);
    }
    return memory;
}

static bool no_memory(void) {
    int error = next_error(MEMORY);
    if (error) {
        errno = error;
    }
    return error != 0;
}

static void *do_malloc(size_t size) {
    return no_memory() ? NULL : kept(malloc(size), size);
}

static void *do_calloc(size_t count, size_t size) {
    return no_memory() ? NULL : kept(calloc(count, size), count * size);
}

static int do_posix_memalign(void **memory, size_t align, size_t size) {
    int error = next_error(MEMORY);
    if (!error) {
        error = posix_memalign(memory, align, size);
    }
    if (!error) {
        kept(*memory, size);
    }
    return error;
}

static void *do_aligned_alloc(size_t align, size_t size) {
    return no_memory() ? NULL : kept(aligned_alloc(align, size), size);
}

static void do_free(void *memory) {
    CHECK(!memory || ledger_remove((uintptr_t)memory));
    free(memory);
    // Older C libraries do that.
    errno = ENOMEM;
}

static void *do_realloc(void *memory, size_t size) {
    if (no_memory()) {
        return NULL;
    }
    CHECK(!memory || ledger_remove((uintptr_t)memory));
    void *moved = realloc(memory, size);
    CHECK(moved);
    return kept(moved, size);
}

static void *do_mmap(void *address, size_t size, int prot, int flags, int fd, off_t offset) {
    int error = next_error(MAP);
    if (error) {
        errno = error;
        return MAP_FAILED;
    }
    void *mapped = mmap(address, size, prot, flags, fd, offset);
    if (mapped != MAP_FAILED) {
        ledger_add((uintptr_t)mapped, size);
        ring_mapped(fd, offset, mapped);
    }
    return mapped;
}

static int do_munmap(void *address, size_t size) {
    CHECK(ledger_remove((uintptr_t)address));
    return munmap(address, size);
}

// Threads

static int do_pthread_attr_init(pthread_attr_t *attr) {
    int error = next_error(THREAD);
    return error ? error : pthread_attr_init(attr);
}

static int do_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg) {
    int error = next_error(THREAD);
    if (!error) {
        error = pthread_create(thread, attr, start, arg);
    }
    // It may set errno, whatever it returns.
    errno = ENOMEM;
    return error;
}

static int do_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
    int error = next_error(OTHER);
    return error ? failed(error) : prctl(option, a, b, c, d);
}

static int do_getrusage(int who, struct rusage *usage) {
    int error = next_error(OTHER);
    return error ? failed(error) : getrusage(who, usage);
}

static int do_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set) {
    int error = next_error(OTHER);
    return error ? failed(error) : sched_getaffinity(pid, size, set);
}

// Files

static int do_eventfd(unsigned count, int flags) {
    int error = next_error(EVENTFD);
    return error ? failed(error) : eventfd(count, flags);
}

static int open_error(const char *path) {
    int error = next_error(OPENAT);
    note(OPENING, (uintptr_t)path, error);
    return error;
}

// Nothing is created here.
static int do_openat(int dfd, const char *path, int flags) {
    int error = open_error(path);
    return error ? failed(error) : openat(dfd, path, flags);
}

// Linux closes the descriptor even where it returns an error.
static int do_close(int fd) {
    int error = next_error(CLOSE);
    note(CLOSING, (uintptr_t)fd, error);
    int ret = close(fd);
    return error ? failed(error) : ret;
}

// A stat of a descriptor has no path of the caller's.
static uintptr_t stat_key(int dfd, const char *path) {
    return path && *path ? (uintptr_t)path : (uintptr_t)dfd;
}

static int do_fstatat(int dfd, const char *path, struct stat *buf, int flags) {
    int error = next_error(FSTATAT);
    if (stat_delay > 0) {
        usleep(stat_delay);
    }
    note(ASKING, stat_key(dfd, path), error);
    return error ? failed(error) : fstatat(dfd, path, buf, flags);
}

static int statx_error(int dfd, const char *path) {
    int error = next_error(STATX);
    if (injected()->kind == FSTATAT && refuses_statx()) {
        error = ENOSYS;
    }
    if (stat_delay > 0) {
        usleep(stat_delay);
    }
    // A system without statx() is no excuse.
    if (error == 0 || !refuses_statx()) {
        note(ASKING, stat_key(dfd, path), error);
    }
    return error;
}

// Names, and what is known of files

static int change_error(const char *path) {
    int error = next_error(CHANGE);
    note(CHANGING, (uintptr_t)path, error);
    return error;
}

static int do_unlinkat(int dfd, const char *path, int flags) {
    int error = change_error(path);
    return error ? failed(error) : unlinkat(dfd, path, flags);
}

static int do_renameat(int olddfd, const char *oldpath, int newdfd, const char *newpath) {
    int error = change_error(oldpath);
    return error ? failed(error) : renameat(olddfd, oldpath, newdfd, newpath);
}

static int do_mkdirat(int dfd, const char *path, mode_t mode) {
    int error = change_error(path);
    return error ? failed(error) : mkdirat(dfd, path, mode);
}

static int do_linkat(int olddfd, const char *oldpath, int newdfd, const char *newpath, int flags) {
    int error = change_error(oldpath);
    return error ? failed(error) : linkat(olddfd, oldpath, newdfd, newpath, flags);
}

static int do_symlinkat(const char *target, int dfd, const char *path) {
    int error = change_error(path);
    return error ? failed(error) : symlinkat(target, dfd, path);
}

static int attribute_error(const char *path) {
    int error = next_error(ATTRIBUTE);
    note(ASKING, (uintptr_t)path, error);
    return error;
}

// Where there is another call, a refusal is no answer.
static int refusable_error(const char *path, int refusal, int other_refusal) {
    int error = next_error(ATTRIBUTE);
    note(ASKING, (uintptr_t)path, error == refusal || error == other_refusal ? 0 : error);
    return error;
}

static ssize_t do_readlinkat(int dfd, const char *path, char *buf, size_t size) {
    int error = attribute_error(path);
    return error ? failed(error) : readlinkat(dfd, path, buf, size);
}

static ssize_t do_getxattr(const char *path, const char *name, void *value, size_t size) {
    int error = attribute_error(path);
    return error ? failed(error) : getxattr(path, name, value, size);
}

static ssize_t do_lgetxattr(const char *path, const char *name, void *value, size_t size) {
    int error = attribute_error(path);
    return error ? failed(error) : lgetxattr(path, name, value, size);
}

static int do_faccessat(int dfd, const char *path, int mode, int flags) {
    int error = attribute_error(path);
    return error ? failed(error) : faccessat(dfd, path, mode, flags);
}

static int do_fchmodat(int dfd, const char *path, mode_t mode, int flags) {
    int error = attribute_error(path);
    return error ? failed(error) : fchmodat(dfd, path, mode, flags);
}

static int do_fchownat(int dfd, const char *path, uid_t uid, gid_t gid, int flags) {
    int error = attribute_error(path);
    return error ? failed(error) : fchownat(dfd, path, uid, gid, flags);
}

static int do_utimensat(int dfd, const char *path, const struct timespec times[2], int flags) {
    int error = attribute_error(path);
    return error ? failed(error) : utimensat(dfd, path, times, flags);
}

// System calls without a function of the C library's, or that the library does not trust it with.

static int enter_error(long arg[6]) {
    // A kernel may refuse submissions for ever, but then those that it took before can still be waited for.
    static atomic_uint waits;
    bool submits = arg[1] > 0;
    if (!submits && injected()->kind == ENTER && injected()->mode == ON && waits++ >= TRANSIENT) {
        return 0;
    }
    return next_error(ENTER);
}

static int register_error(long arg[6]) {
    int error = next_error(REGISTER);
    if (error == EBADF) {
        if (arg[1] != IORING_REGISTER_RING_FDS && arg[1] != IORING_REGISTER_ENABLE_RINGS) {
            // It cannot be told any more from one that is closed a moment later.
            return EINVAL;
        }
        // Somebody else has closed it, and it is not the library's to close any more.
        if (fd_is_ring((int)arg[0])) {
            CHECK_EQ(close((int)arg[0]), 0);
        }
    }
    return error;
}

// On all machines that there are patches for. Not every <sys/syscall.h> has them.
enum { NUMBER_FCHMODAT2 = 452, NUMBER_GETXATTRAT = 464 };

static long do_syscall(long number, ...) {
    long arg[6];
    va_list args;
    va_start(args, number);
    for (size_t i = 0; i < COUNT(arg); ++i) {
        arg[i] = va_arg(args, long);
    }
    va_end(args);

    int error = 0;
    switch (number) {
    case SYS_io_uring_setup:
        error = next_error(SETUP);
        break;
    case SYS_io_uring_enter:
        error = enter_error(arg);
        if (error == SHORT) {
            error = 0;
            if (arg[1] > 1) {
                // It does not wait then either.
                arg[1] = 1;
                arg[2] = 0;
            }
        }
        if (!error && arg[1] > 0 && completions_can_fail()) {
            ring_inject(ring_entered(arg), (unsigned)arg[1]);
        }
        break;
    case SYS_io_uring_register:
        error = register_error(arg);
        break;
    case SYS_openat2:
        error = open_error((const char *)arg[1]);
        break;
    case SYS_getdents64:
        error = next_error(GETDENTS);
        note(READING, (uintptr_t)arg[0], error);
        // Some file systems give no more at a time.
        arg[2] = arg[2] < 4096 ? arg[2] : 4096;
        break;
    case SYS_futex:
        if ((arg[1] & FUTEX_CMD_MASK) == FUTEX_WAIT || (arg[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET) {
            error = next_error(FUTEX);
        }
        break;
    case SYS_renameat2:
        error = change_error((const char *)arg[1]);
        break;
    case SYS_faccessat2:
    case NUMBER_FCHMODAT2:
        error = refusable_error((const char *)arg[1], ENOSYS, ENOSYS);
        break;
    case NUMBER_GETXATTRAT:
        error = refusable_error((const char *)arg[1], ENOSYS, EPERM);
        break;
    case SYS_statx:
        error = statx_error((int)arg[0], (const char *)arg[1]);
        break;
    }
    long ret = error ? failed(error) : syscall(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
    if (number == SYS_io_uring_setup && ret >= 0) {
        ring_made((int)ret, (const void *)arg[1]);
    } else if (number == SYS_io_uring_register && arg[1] == IORING_REGISTER_RING_FDS && ret == 1) {
        ring_registered((const void *)arg[2]);
    }
    return ret;
}

// What allocates behind the scenes, and ends the process if it cannot.

static void never_abort(void) {
    CHECK(!"the library aborts");
}

static void never_tls(void) {
    CHECK(!"the library uses thread-local memory, which is allocated at the first use if it was loaded by dlopen()");
}

static void never_destructor(void) {
    CHECK(!"the library registers a thread-local destructor, which allocates");
}

#define WRAPPER(name, needed) {#name, (function *)do_##name, needed}

const struct wrapper wrappers[] = {
    WRAPPER(malloc, true),
    WRAPPER(calloc, false),
    WRAPPER(posix_memalign, true),
    WRAPPER(aligned_alloc, false),
    WRAPPER(realloc, true),
    WRAPPER(free, true),
    WRAPPER(mmap, false),
    {"mmap64", (function *)do_mmap, false},
    WRAPPER(munmap, true),
    WRAPPER(pthread_create, true),
    WRAPPER(pthread_attr_init, true),
    WRAPPER(prctl, true),
    WRAPPER(getrusage, true),
    WRAPPER(sched_getaffinity, true),
    WRAPPER(eventfd, true),
    WRAPPER(openat, true),
    {"openat64", (function *)do_openat, false},
    WRAPPER(unlinkat, true),
    WRAPPER(renameat, true),
    WRAPPER(mkdirat, true),
    WRAPPER(linkat, true),
    WRAPPER(symlinkat, true),
    WRAPPER(readlinkat, true),
    WRAPPER(getxattr, true),
    WRAPPER(lgetxattr, true),
    WRAPPER(faccessat, true),
    WRAPPER(fchmodat, true),
    WRAPPER(fchownat, true),
    WRAPPER(utimensat, true),
    WRAPPER(close, true),
    WRAPPER(fstatat, false),
    {"fstatat64", (function *)do_fstatat, true},
    WRAPPER(syscall, true),
    {"abort", never_abort, false},
    {"__tls_get_addr", never_tls, false},
    {"__cxa_thread_atexit_impl", never_destructor, false},
    {NULL, NULL, false},
};
