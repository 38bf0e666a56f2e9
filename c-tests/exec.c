// exec while workers run: the new program starts clean.

#include "test.h"

#include <ioq/dir.h>
#include <ioq/stat.h>

enum { DEPTH = 256, DIRS = 8 };

static char self[PATH_MAX];
static struct ioq *ioq;
static struct bfs_stat bufs[DEPTH];
static struct bfs_dir *dirs[DIRS];
static char fds_at_start[32];

// A queue with running workers, its ring if it has one, open directories, and a lot to do.
static void start_work(void) {
    ioq = create(DEPTH, 4);
    for (size_t i = 0; i < DIRS; ++i) {
        dirs[i] = bfs_allocdir();
        CHECK(dirs[i]);
        CHECK_EQ(ioq_opendir(ioq, dirs[i], AT_FDCWD, "/", 0, dirs[i]), 0);
    }
    for (size_t i = 0; i < DIRS; ++i) {
        struct ioq_ent *ent = next(ioq);
        CHECK_EQ(ent->result, 0);
        ioq_free(ioq, ent);
    }
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

static void end_work(void) {
    for (size_t i = 0; i < DIRS; ++i) {
        CHECK_EQ(bfs_closedir(dirs[i]), 0);
        free(dirs[i]);
    }
    while (ioq_pop(ioq, true)) {
    }
    ioq_destroy(ioq);
}

static void exec_true(void) {
    execl("/bin/true", "true", (char *)NULL);
    CHECK(!"execl");
}

static void exec_self(void) {
    execl(self, self, fds_at_start, (char *)NULL);
    CHECK(!"execl");
}

// What the program does when it finds itself executed: nothing of the queue's may be here, neither rings nor directories.
static int look(const char *fds) {
    CHECK_EQ(ring_fds(), 0);
    CHECK(wrapped() || open_fds() == (size_t)atoi(fds));
    CHECK_EQ(threads(), 1);
    return 0;
}

static void from_child(void) {
    for (size_t i = 0; i < rounds(20); ++i) {
        start_work();
        CHECK_EQ(in_child(exec_true), 0);
        CHECK_EQ(in_child(exec_self), 0);
        end_work();
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
    end_work();
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
    if (argc > 1) {
        return look(argv[1]);
    }
    snprintf(fds_at_start, sizeof(fds_at_start), "%zu", open_fds());
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    CHECK(len > 0);
    RUN(from_child);
    RUN(close_on_exec);
    RUN(replace_all);
    return 0;
}
