// A blocking pop returns with the first response, whatever hangs: the caller runs nothing that can wait, unless it is
// asked to. And a response can be popped as soon as its request is done, although the next one hangs.

#define HOST_DIR
#define HOST_READDIR
#include "host.h"


enum { OTHERS = 20 };

static atomic_size_t in_caller;

struct bfs_stat {
    char unused;
};

int bfs_stat(int at_fd, const char *at_path, unsigned int flags, struct bfs_stat *buf);

// Hangs at the gate, or does nothing.
int bfs_stat(int at_fd, const char *at_path, unsigned int flags, struct bfs_stat *buf) {
    (void)at_fd, (void)flags, (void)buf;
    in_caller += syscall(SYS_gettid) == getpid();
    if (at_path[0] == 'H') {
        gate_pass();
    }
    return 0;
}

static struct bfs_stat buf;
static char hanging;

static void finish(struct ioq *ioq, size_t hang) {
    gate_set(false);
    size_t count = 0;
    for (struct ioq_ent *ent; (ent = ioq_pop(ioq, true)); ++count) {
        CHECK(ent->ptr == &hanging);
        ioq_free(ioq, ent);
    }
    CHECK_EQ(count, hang);
    ioq_destroy(ioq);
}

static void blocking_pop(void) {
    for (size_t nthreads = 2; nthreads <= 4; ++nthreads) {
        for (size_t place = 0; place <= OTHERS; place += 4) {
            struct ioq *ioq = create(OTHERS + 1, nthreads);
            in_caller = 0;
            gate_set(true);
            for (size_t i = 0; i <= OTHERS; ++i) {
                CHECK_EQ(ioq_stat(ioq, AT_FDCWD, i == place ? "H" : "g", 0, &buf, i == place ? &hanging : NULL), 0);
            }
            for (size_t i = 0; i < OTHERS; ++i) {
                struct ioq_ent *ent = ioq_pop(ioq, true);
                CHECK(!ent->ptr);
                ioq_free(ioq, ent);
            }
            CHECK_EQ(in_caller, 0);
            finish(ioq, 1);
        }
    }
}

// Even after the caller has come to wait for several responses at a time, with all workers but one in requests that hang.
static void after_a_flood(void) {
    enum { MANY = 2000, WORKERS = 5, HANGING = WORKERS - 1 };
    for (size_t i = 0; i < rounds(10); ++i) {
        struct ioq *ioq = create(MANY + HANGING, WORKERS);
        gate_set(true);
        size_t sent = 0, back = 0;
        while (back < MANY) {
            while (sent < MANY && ioq_capacity(ioq) > 0) {
                CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "g", 0, &buf, NULL), 0);
                ++sent;
                // Each of them right behind one that does not.
                if (sent > MANY - HANGING) {
                    CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "H", 0, &buf, &hanging), 0);
                }
            }
            struct ioq_ent *ent = ioq_pop(ioq, true);
            CHECK(!ent->ptr);
            ioq_free(ioq, ent);
            ++back;
        }
        finish(ioq, HANGING);
    }
}

// One look is enough, as soon as the next request has begun.
static void polling(void) {
    for (size_t i = 0; i < rounds(200); ++i) {
        struct ioq *ioq = create(8, 1 + i % 3);
        gate_set(true);
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "g", 0, &buf, NULL), 0);
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "H", 0, &buf, &hanging), 0);
        ioq_submit(ioq);
        gate_await(1);
        struct ioq_ent *ent = ioq_pop(ioq, false);
        if (i % 3 > 0) {
            // Another worker may have taken the second while the first was run.
            while (!ent) {
                ent = ioq_pop(ioq, false);
            }
        }
        CHECK(ent && !ent->ptr);
        ioq_free(ioq, ent);
        finish(ioq, 1);
    }
}

// A poll in a cancelled queue does not wait either: not for the program's own closes.
static void polling_a_cancelled_queue(void) {
    struct ioq *ioq = create(16, 0);
    int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
    CHECK_EQ(ioq_close(ioq, fd, NULL), 0);
    CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "g", 0, &buf, NULL), 0);
    ioq_cancel(ioq);
    for (int i = 0; i < 100; ++i) {
        CHECK(!ioq_pop(ioq, false));
    }
    CHECK(fd_open(fd));
    size_t count = 0;
    for (struct ioq_ent *ent; (ent = ioq_pop(ioq, true)); ++count) {
        CHECK_EQ(ent->result, ent->op == IOQ_CLOSE ? 0 : -EINTR);
        ioq_free(ioq, ent);
    }
    CHECK_EQ(count, 2);
    CHECK(!fd_open(fd));
    ioq_destroy(ioq);
}

// A program may ask for the caller's help, and gets it while requests are quick.
static void caller_runs(void) {
    struct ioq_options options = {
        .size = sizeof(options), .depth = 64, .nthreads = 1, .backend = IOQ_BACKEND_SYNC, .flags = IOQ_CALLER_RUNS};
    struct ioq *ioq = ioq_create_with(&options);
    CHECK(ioq);
    in_caller = 0;
    for (size_t i = 0; in_caller == 0; ++i) {
        CHECK(i < 100000);
        for (size_t j = 0; j < 64; ++j) {
            CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "g", 0, &buf, NULL), 0);
        }
        for (struct ioq_ent *ent; (ent = ioq_pop(ioq, true));) {
            ioq_free(ioq, ent);
        }
    }
    struct ioq_counts counts;
    ioq_count(ioq, &counts);
    CHECK_EQ(counts.caller, in_caller);
    ioq_destroy(ioq);
}

int main(void) {
    make_tree();
    RUN(blocking_pop);
    RUN(after_a_flood);
    RUN(polling);
    RUN(polling_a_cancelled_queue);
    RUN(caller_runs);
    remove_temp_dir(root, root_fd);
    return 0;
}
