// A program that takes io_uring_enter() from itself while requests are in flight: they come back all the same.
//
// It does so from within its bfs_stat(), on a worker's thread, for all threads, while the ring's waits for what it has sent off.

#include "test.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

enum { MANY = 15 };

struct bfs_stat {
    bool filled;
};

int bfs_stat(int at_fd, const char *at_path, unsigned int flags, struct bfs_stat *buf);
int bfs_statx_flags(unsigned int flags);
int bfs_statx_convert(struct bfs_stat *dest, const struct statx *src);

static const char no_filter[] = "no filter for system calls to be had here";

static void refuse_enter(void) {
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = COUNT(steps), .filter = steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
        || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0) {
        skip(no_filter);
    }
}

// Without a path, this is never run by a ring.
int bfs_stat(int at_fd, const char *at_path, unsigned int flags, struct bfs_stat *buf) {
    (void)at_fd, (void)flags;
    if (!at_path) {
        refuse_enter();
    }
    buf->filled = true;
    return 0;
}

int bfs_statx_flags(unsigned int flags) {
    return (int)flags;
}

int bfs_statx_convert(struct bfs_stat *dest, const struct statx *src) {
    dest->filled = src->stx_mask != 0;
    return 0;
}

static void in_flight(void) {
    struct bfs_stat bufs[2 * MANY + 1] = {{false}};
    struct ioq *ioq = create(COUNT(bufs), 1);
    for (size_t i = 0; i < COUNT(bufs); ++i) {
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, i == MANY ? NULL : "/", 0, &bufs[i], &bufs[i]), 0);
    }
    for (size_t i = 0; i < COUNT(bufs); ++i) {
        struct ioq_ent *ent = next(ioq);
        CHECK_EQ(ent->result, 0);
        ioq_free(ioq, ent);
    }
    ioq_destroy(ioq);
    for (size_t i = 0; i < COUNT(bufs); ++i) {
        CHECK(bufs[i].filled);
    }
}

int main(void) {
    // Some checkers do not know the call. What ends a program in the middle of a queue leaks for them.
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL) != 0 && errno != EFAULT) {
        skip(no_filter);
    }
    test_way = &test_ways[2]; // polling, so that it is the worker that runs them
    RUN(in_flight);
    return 0;
}
