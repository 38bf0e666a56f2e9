// What the test programs share: checks, a watchdog, a look at the process's descriptors and threads, temporary files.
//
// A program covers one subject, in parts. It exits with 0 if everything held, with 1 at the first check that did not,
// after printing it, and with 77 and a reason where it cannot be run. The environment chooses the backend
// (IOQ_BACKEND), so nothing here does.

#ifndef TEST_H
#define TEST_H

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <ioq.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checker.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

// A way to get responses. Where there is no worker, requests run within the caller's own pops that block. Results must not
// depend on it.
struct way {
    const char *name;
    size_t threads;
    bool block;
};

static const struct way test_ways[] = {
    {"blocking, no worker", 0, true},
    {"blocking, one worker", 1, true},
    {"polling, one worker", 1, false},
    {"polling, three workers", 3, false},
};

static const char *test_part = "start";
static const struct way *test_way = &test_ways[1];

// Ends the program without running anything else: not every thread is in a state to let atexit() handlers run.
_Noreturn static inline void test_fail(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: %s (errno: %s) in %s [%s]\n", file, line, what, strerror(errno), test_part, test_way->name);
    _exit(1);
}

static inline void test_equal(const char *file, int line, const char *what, long long left, long long right) {
    if (left != right) {
        fprintf(stderr, "%lld != %lld: ", left, right);
        test_fail(file, line, what);
    }
}

#define CHECK(condition) ((condition) ? (void)0 : test_fail(__FILE__, __LINE__, #condition))
#define CHECK_EQ(left, right) \
    test_equal(__FILE__, __LINE__, #left " == " #right, (long long)(left), (long long)(right))
// The call returns -1 and sets errno.
#define CHECK_ERRNO(call, error) (errno = 0, CHECK_EQ(call, -1), CHECK_EQ(errno, error))

_Noreturn static inline void skip(const char *reason) {
    fprintf(stderr, "skipped: %s\n", reason);
    _exit(77);
}

// Where each thread waits: its name, and its system call as proc(5) tells it, the instruction last.
static inline void print_threads(void) {
    DIR *dir = opendir("/proc/self/task");
    for (struct dirent *de; dir && (de = readdir(dir));) {
        static const char *const files[] = {"comm", "syscall"};
        for (size_t i = 0; i < COUNT(files) && de->d_name[0] != '.'; ++i) {
            char text[300];
            snprintf(text, sizeof(text), "/proc/self/task/%s/%s", de->d_name, files[i]);
            int fd = open(text, O_RDONLY | O_CLOEXEC);
            ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text));
            fprintf(stderr, "  %.*s", len > 0 ? (int)len : 0, text);
            close(fd);
        }
    }
}

static inline void test_hung(int number) {
    fprintf(stderr, "hung in %s [%s]\n", test_part, test_way->name);
    // The rest may hang, too.
    signal(number, SIG_DFL);
    alarm(10);
    print_threads();
    _exit(1);
}

// Turns a hang of this process into a failure.
static inline void watchdog(void) {
    CHECK(signal(SIGALRM, test_hung) != SIG_ERR);
    alarm(is_slow() ? 1200 : 120);
}

static inline size_t count_entries(const char *path) {
    DIR *dir = opendir(path);
    CHECK(dir);
    size_t count = 0;
    for (struct dirent *de; (de = readdir(dir));) {
        count += de->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

static inline size_t open_fds(void) {
    return count_entries("/proc/self/fd") - 1; // the one that lists them
}

// Every thread of the process, the kernel's io_uring workers included, but not a checker's.
static inline size_t threads(void) {
    DIR *dir = opendir("/proc/self/task");
    CHECK(dir);
    size_t count = 0;
    for (struct dirent *de; (de = readdir(dir));) {
        count += de->d_name[0] != '.' && !is_checkers_thread((pid_t)atoi(de->d_name));
    }
    closedir(dir);
    return count;
}

// What `fd` refers to: nothing, an io_uring, or anything else.
enum fd_kind { FD_CLOSED, FD_RING, FD_OTHER };

static inline enum fd_kind fd_kind(int fd) {
    char link[64], target[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, target, sizeof(target) - 1);
    target[len < 0 ? 0 : len] = '\0';
    return len < 0 ? FD_CLOSED : strcmp(target, "anon_inode:[io_uring]") == 0 ? FD_RING : FD_OTHER;
}

static inline bool fd_is_ring(int fd) {
    return fd_kind(fd) == FD_RING;
}

// Whether `fd` is open, and not as the ring of a queue, which may take any number that is free.
static inline bool fd_open(int fd) {
    return fd_kind(fd) == FD_OTHER;
}

static inline size_t count_fds(enum fd_kind kind) {
    size_t count = 0;
    for (int fd = 0; fd < 1024; ++fd) {
        count += fd_kind(fd) == kind;
    }
    return count;
}

static inline size_t ring_fds(void) {
    return count_fds(FD_RING);
}

// All but the rings, of which one may come or go at any moment.
static inline size_t other_fds(void) {
    return count_fds(FD_OTHER);
}

// 0 if the library may have an io_uring here, or the reason why not: that of the kernel's, or that it is too old. (None is
// made: one without entries is an error of its own, and so is entering none at all.)
static inline int ring_errno(void) {
    uint32_t params[30] = {0}; // struct io_uring_params
    CHECK(syscall(SYS_io_uring_setup, 0, params) < 0);
    if (errno != EINVAL) {
        return errno;
    }
    // IORING_ENTER_EXT_ARG, of Linux 5.11
    bool too_old = syscall(SYS_io_uring_enter, -1, 0, 0, 1 << 3, NULL, 0) < 0 && errno == EINVAL;
    return too_old ? ENOSYS : 0;
}

// 0 if this process may use its rings, or the reason why not. (No ring is given; one that is would be another error.)
static inline int ring_use_errno(void) {
    int error = syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0) < 0 ? errno : 0;
    return error == EBADF ? ring_errno() : error;
}

// Whether this process can do without the descriptors of its rings (Linux 5.18).
static inline bool rings_register(void) {
    uint32_t params[30] = {0};
    long fd = syscall(SYS_io_uring_setup, 2, params);
    if (fd < 0) {
        return false;
    }
    struct {
        uint32_t offset, resv;
        uint64_t data;
    } update = {UINT32_MAX, 0, (uint64_t)fd};
    long ret = syscall(SYS_io_uring_register, fd, 20 /* IORING_REGISTER_RING_FDS */, &update, 1);
    if (ret == 1) {
        update.data = 0;
        CHECK_EQ(syscall(SYS_io_uring_register, fd, 21 /* IORING_UNREGISTER_RING_FDS */, &update, 1), 1);
    }
    close((int)fd);
    return ret == 1;
}

// Memory for a stat of any kind, which is nobody else's until hundreds more were asked for. For one thread.
static inline void *stat_buf(void) {
    static _Alignas(64) char bufs[1024][512];
    static size_t used;
    return bufs[used++ % COUNT(bufs)];
}

// Whether statx() is refused to this process, as by an old kernel or a filter.
static inline bool statx_refused(void) {
    struct statx sx;
    return syscall(SYS_statx, AT_FDCWD, "/", 0, STATX_BASIC_STATS, &sx) != 0;
}

static inline bool has_limit_below(int resource, rlim_t need) {
    struct rlimit limit;
    CHECK_EQ(getrlimit(resource, &limit), 0);
    return limit.rlim_cur < need;
}

// Call this first in a program that opens so many files at once.
static inline void need_fds(rlim_t count) {
    if (has_limit_below(RLIMIT_NOFILE, count)) {
        skip("the test itself opens more files than it may");
    }
}

// Call this first in a program that starts so many threads of its own, each with a stack of the default size.
static inline void need_stacks(rlim_t count) {
    if (has_limit_below(RLIMIT_AS, (count + 4) * (8 << 20))) {
        skip("the test itself starts more threads than there is address space for");
    }
}

// Call this first in a program that is about queues with so many bytes of slots.
static inline void need_address_space(rlim_t size) {
    if (has_limit_below(RLIMIT_AS, size)) {
        skip("there is no address space for queues as large as these");
    }
}

static inline bool backend_is(const char *name) {
    const char *backend = getenv("IOQ_BACKEND");
    return strcmp(backend ? backend : "auto", name) == 0;
}

// Whether there is no ring, so that requests run one by one in the order in which a worker takes them.
static inline bool surely_sync(void) {
    return backend_is("sync") || (backend_is("auto") && ring_errno() != 0);
}

static inline struct ioq *create(size_t depth, size_t nthreads) {
    struct ioq *ioq = ioq_create(depth, nthreads);
    if (!ioq && backend_is("uring") && ring_errno() != 0) {
        skip("IOQ_BACKEND=uring, and no io_uring to be had here");
    }
    CHECK(ioq);
    CHECK_EQ(ioq_capacity(ioq), depth);
    return ioq;
}

// The next response, in this part's way. Something must be in flight.
static inline struct ioq_ent *next(struct ioq *ioq) {
    struct ioq_ent *ent;
    while (!(ent = ioq_pop(ioq, test_way->block))) {
        CHECK(!test_way->block);
        sched_yield();
    }
    return ent;
}

// The result of the one request in flight.
static inline int take(struct ioq *ioq, enum ioq_op op, void *ptr) {
    struct ioq_ent *ent = next(ioq);
    CHECK_EQ(ent->op, op);
    CHECK(ent->ptr == ptr);
    int result = ent->result;
    ioq_free(ioq, ent);
    CHECK(!ioq_pop(ioq, true));
    return result;
}

// Waits until there are so many threads. One that was joined, and the kernel's workers of a ring that was closed, may
// take a moment to leave the list.
static inline void await_threads(size_t count) {
    while (threads() != count) {
        sched_yield();
    }
}

// Whether a thread sleeps, as far as the kernel can tell.
static inline bool is_asleep(pid_t tid) {
    char path[64], text[256];
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
    FILE *file = fopen(path, "r");
    CHECK(file);
    CHECK(fgets(text, sizeof(text), file));
    fclose(file);
    const char *state = strrchr(text, ')');
    CHECK(state);
    return state[2] == 'S';
}

// Runs a part, which must leave no descriptor and no thread behind.
static inline void test_run(const char *name, void (*part)(void)) {
    test_part = name;
    watchdog();
    size_t fds_before = open_fds(), threads_before = threads();
    part();
    CHECK_EQ(open_fds(), fds_before);
    await_threads(threads_before);
}

#define RUN(part) test_run(#part, part)

static void (*test_subject)(struct ioq *ioq);

static inline void test_with_queue(void) {
    struct ioq *ioq = create(16, test_way->threads);
    test_subject(ioq);
    CHECK(!ioq_pop(ioq, false));
    CHECK_EQ(ioq_capacity(ioq), 16);
    ioq_destroy(ioq);
}

static inline void test_run_each_way(const char *name, void (*subject)(struct ioq *ioq)) {
    const struct way *saved = test_way;
    test_subject = subject;
    for (test_way = test_ways; test_way != test_ways + COUNT(test_ways); ++test_way) {
        test_run(name, test_with_queue);
    }
    test_way = saved;
}

// Runs a part once for each way, each time with a queue of depth 16.
#define RUN_EACH_WAY(part) test_run_each_way(#part, part)

// Runs a function in a forked child, which ends with 0 unless a check fails there, and returns the child's status.
static inline int in_child(void (*function)(void)) {
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        watchdog();
        function();
        _exit(0);
    }
    int status;
    while (waitpid(pid, &status, 0) != pid) {
        CHECK_EQ(errno, EINTR);
    }
    return status;
}

// For good, makes this process one that file permissions bind. Limits may keep it from having rings.
static inline void become_nobody(void) {
    if (geteuid() == 0) {
        CHECK_EQ(setgid(65534), 0);
        CHECK_EQ(setuid(65534), 0);
        if (ring_errno() != 0 && backend_is("uring")) {
            CHECK_EQ(unsetenv("IOQ_BACKEND"), 0);
        }
    }
}

// Makes a directory for this program's files, stores its path, and returns a descriptor of it.
static inline int temp_dir(char path[PATH_MAX]) {
    const char *tmp = getenv("TMPDIR");
    snprintf(path, PATH_MAX, "%s/ioq-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    CHECK(mkdtemp(path));
    CHECK_EQ(chmod(path, 0755), 0);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

static inline int test_remove(const char *path, const struct stat *sb, int type, struct FTW *ftw) {
    (void)sb, (void)type, (void)ftw;
    return remove(path);
}

static inline void remove_temp_dir(const char *path, int fd) {
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(nftw(path, test_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static inline void make_file(int dfd, const char *name, size_t size) {
    int fd = openat(dfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    CHECK(fd >= 0);
    for (; size > 0; --size) {
        CHECK_EQ(write(fd, "x", 1), 1);
    }
    CHECK_EQ(close(fd), 0);
}

// A pseudo-random number below `limit`, the same in every run.
static inline size_t random_below(uint64_t *state, size_t limit) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (size_t)(*state % limit);
}

#endif // TEST_H
