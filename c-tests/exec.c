// exec while workers run: the new program starts clean.

#include "test.h"

#include <ioq/stat.h>

enum { DEPTH = 256 };

static char self[PATH_MAX];
static struct ioq *ioq;
static struct bfs_stat bufs[DEPTH];

// A queue with running workers, their rings if they have any, and a lot to do.
static void start_work(void) {
    ioq = create(DEPTH, 4);
    for (size_t i = 0; i < DEPTH; ++i) {
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[i], NULL), 0);
    }
    ioq_submit(ioq);
    for (size_t i = 0; i < DEPTH / 2; ++i) {
        struct ioq_ent *ent;
        while (!(ent = ioq_pop(ioq, false))) {
            sched_yield();
        }
        ioq_free(ioq, ent);
    }
}

static void exec_true(void) {
    execl("/bin/true", "true", (char *)NULL);
    CHECK(!"execl");
}

static void exec_self(void) {
    execl(self, self, "look", (char *)NULL);
    CHECK(!"execl");
}

// What the program does when it finds itself executed: nothing of the queue's may be here.
static int look(void) {
    CHECK_EQ(ring_fds(), 0);
    CHECK_EQ(threads(), 1);
    return 0;
}

static void from_child(void) {
    for (size_t i = 0; i < rounds(20); ++i) {
        start_work();
        CHECK_EQ(in_child(exec_true), 0);
        CHECK_EQ(in_child(exec_self), 0);
        while (ioq_pop(ioq, true)) {
        }
        ioq_destroy(ioq);
    }
}

// Every descriptor that appeared with the queue closes on exec.
static void close_on_exec(void) {
    bool before[256];
    for (int fd = 0; fd < 256; ++fd) {
        before[fd] = fcntl(fd, F_GETFD) >= 0;
    }
    start_work();
    for (int fd = 0; fd < 256; ++fd) {
        int flags = fcntl(fd, F_GETFD);
        CHECK(before[fd] || flags < 0 || flags & FD_CLOEXEC);
    }
    ioq_destroy(ioq);
}

// The thread that uses the queue becomes another program, in the middle of the work.
static void with_queue(void) {
    start_work();
    exec_self();
}

static void replace_all(void) {
    for (size_t i = 0; i < rounds(20); ++i) {
        CHECK_EQ(in_child(with_queue), 0);
    }
}

int main(int argc, char *argv[]) {
    (void)argv;
    if (argc > 1) {
        return look();
    }
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    CHECK(len > 0);
    RUN(from_child);
    RUN(close_on_exec);
    RUN(replace_all);
    return 0;
}
