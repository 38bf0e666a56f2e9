// A process that cannot start a thread: the queue works all the same, within the caller's own pops that block.

#include "test.h"

#include <ioq/stat.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>

enum { DEPTH = 64 };

static struct bfs_stat bufs[DEPTH];

// Like a limit on processes that was reached, except that fork() works, which a leak checker needs at the end.
static bool refuse_threads(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        // A filter does not see what clone3() is asked for. Without it, the C library asks clone().
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = COUNT(code), .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

static void *nothing(void *arg) {
    return arg;
}

static void submit_all(struct ioq *ioq) {
    for (size_t i = 0; i < DEPTH; ++i) {
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, i % 4 ? "/" : "/missing", 0, &bufs[i], &bufs[i]), 0);
    }
}

static void pop_all(struct ioq *ioq, bool block) {
    for (size_t i = 0; i < DEPTH; ++i) {
        struct ioq_ent *ent;
        while (!(ent = ioq_pop(ioq, block))) {
            CHECK(!block);
        }
        CHECK_EQ(ent->result, ((struct bfs_stat *)ent->ptr - bufs) % 4 ? 0 : -ENOENT);
        ioq_free(ioq, ent);
    }
    CHECK(!ioq_pop(ioq, true));
}

static void blocking(void) {
    for (size_t nthreads = 1; nthreads <= 8; nthreads *= 2) {
        struct ioq *ioq = create(DEPTH, nthreads);
        // Nobody would make it readable.
        CHECK_ERRNO(ioq_fd(ioq), EAGAIN);
        submit_all(ioq);
        pop_all(ioq, true);
        CHECK_ERRNO(ioq_fd(ioq), EAGAIN);
        submit_all(ioq);
        ioq_submit(ioq);
        pop_all(ioq, true);
        ioq_destroy(ioq);
    }
}

// Those that do not block never wait, and so run nothing, even then.
static void polling(void) {
    struct ioq *ioq = create(DEPTH, 2);
    submit_all(ioq);
    for (int i = 0; i < 1000; ++i) {
        CHECK(!ioq_pop(ioq, false));
    }
    pop_all(ioq, true);
    ioq_destroy(ioq);
}

static void cancelled(void) {
    struct ioq *ioq = create(DEPTH, 2);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK_EQ(ioq_close(ioq, fd, NULL), 0);
    CHECK_EQ(ioq_nop(ioq, IOQ_NOP_HEAVY, NULL), 0);
    ioq_submit(ioq);
    ioq_cancel(ioq);
    for (int i = 0; i < 2; ++i) {
        struct ioq_ent *ent = ioq_pop(ioq, true);
        CHECK(ent);
        CHECK_EQ(ent->result, ent->op == IOQ_CLOSE ? 0 : -EINTR);
        ioq_free(ioq, ent);
    }
    CHECK(!ioq_pop(ioq, true));
    ioq_destroy(ioq);
}

static void destroyed(void) {
    struct ioq *ioq = create(DEPTH, 2);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK_EQ(ioq_close(ioq, fd, NULL), 0);
    ioq_submit(ioq);
    ioq_destroy(ioq);
    CHECK(!fd_open(fd));
}

int main(void) {
    ioq_destroy(create(1, 1)); // skips where there are no rings but have to be
    if (!refuse_threads()) {
        skip("system calls cannot be filtered here");
    }
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, nothing, NULL), EAGAIN);

    RUN(blocking);
    RUN(polling);
    RUN(cancelled);
    RUN(destroyed);
    return 0;
}
