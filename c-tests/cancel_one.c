// ioq_cancel_one(): the request comes back, and says truly whether it ran.

#define HOST_DIR
#define HOST_READDIR
#include "host.h"

#include <ioq/stat.h>

// One worker, which hangs: nothing behind it runs until it is let go.
static struct ioq *stuck(struct bfs_dir *dir) {
    struct ioq *ioq = create(64, 1);
    gate_set(true);
    *dir = (struct bfs_dir){.magic = 0};
    int fd = openat(root_fd, "sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(ioq_opendir(ioq, dir, fd, NULL, 0, dir), 0);
    ioq_submit(ioq);
    gate_await(1);
    return ioq;
}

static void nothing_to_cancel(void) {
    ioq_cancel_one(NULL, NULL);
    CHECK(!ioq_last(NULL));
    struct ioq *ioq = create(8, 1);
    CHECK(!ioq_last(ioq));
    ioq_cancel_one(ioq, NULL);
    ioq_destroy(ioq);
}

// The handle is the entry that is popped.
static void handles(void) {
    struct ioq *ioq = create(100, 1);
    const struct ioq_ent *handles[100];
    for (size_t round = 0; round < 3; ++round) {
        for (size_t i = 0; i < 100; ++i) {
            CHECK_EQ(ioq_nop(ioq, IOQ_NOP_LIGHT, &handles[i]), 0);
            handles[i] = ioq_last(ioq);
            CHECK(handles[i]);
            // What is not accepted changes nothing.
            CHECK_ERRNO(ioq_stat(ioq, AT_FDCWD, "", 0, NULL, NULL), EINVAL);
            CHECK(ioq_last(ioq) == handles[i]);
        }
        for (size_t i = 0; i < 100; ++i) {
            struct ioq_ent *ent = ioq_pop(ioq, true);
            CHECK(ent && *(const struct ioq_ent **)ent->ptr == ent);
            ioq_free(ioq, ent);
        }
    }
    ioq_destroy(ioq);
}

// Of what has not begun, some are cancelled: those did not run, and all others did.
static void some_never_run(void) {
    struct bfs_dir dir;
    struct ioq *ioq = stuck(&dir);
    int fds[40];
    bool cancelled[40];
    for (size_t i = 0; i < COUNT(fds); ++i) {
        CHECK_EQ(ioq_stat(ioq, root_fd, "file", 0, stat_buf(), &fds[i]), 0);
        cancelled[i] = i % 3 == 0;
        if (cancelled[i]) {
            ioq_cancel_one(ioq, ioq_last(ioq));
        }
    }
    ioq_submit(ioq);
    gate_set(false);
    size_t back = 0;
    for (struct ioq_ent *ent; (ent = ioq_pop(ioq, true)); ++back) {
        if (ent->ptr == &dir) {
            CHECK_EQ(ent->result, 0);
            CHECK_EQ(bfs_closedir(&dir), 0);
        } else {
            CHECK_EQ(ent->result, cancelled[(int *)ent->ptr - fds] ? -ECANCELED : 0);
        }
        ioq_free(ioq, ent);
    }
    CHECK_EQ(back, COUNT(fds) + 1);
    // Nothing of that is left to those that come later.
    for (size_t i = 0; i < 60; ++i) {
        CHECK_EQ(ioq_stat(ioq, root_fd, "file", 0, stat_buf(), NULL), 0);
    }
    for (size_t i = 0; i < 60; ++i) {
        struct ioq_ent *ent = ioq_pop(ioq, true);
        CHECK_EQ(ent->result, 0);
        ioq_free(ioq, ent);
    }
    ioq_destroy(ioq);
}

// What runs goes on to its end, and what it opened is the caller's.
static void what_runs_goes_on(void) {
    struct bfs_dir dir;
    struct ioq *ioq = stuck(&dir);
    ioq_cancel_one(ioq, ioq_last(ioq));
    gate_set(false);
    struct ioq_ent *ent = ioq_pop(ioq, true);
    CHECK(ent && ent->ptr == &dir);
    CHECK_EQ(ent->result, 0);
    CHECK_EQ(bfs_closedir(&dir), 0);
    ioq_destroy(ioq);
}

// Closes run whatever is said.
static void closes_run(void) {
    struct bfs_dir dir;
    struct ioq *ioq = stuck(&dir);
    int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
    CHECK_EQ(ioq_close(ioq, fd, NULL), 0);
    ioq_cancel_one(ioq, ioq_last(ioq));
    ioq_submit(ioq);
    gate_set(false);
    for (struct ioq_ent *ent; (ent = ioq_pop(ioq, true));) {
        CHECK_EQ(ent->result, 0);
        if (ent->ptr) {
            CHECK_EQ(bfs_closedir(ent->ptr), 0);
        }
        ioq_free(ioq, ent);
    }
    CHECK(!fd_open(fd));
    ioq_destroy(ioq);
}

// One of its own, then all: each result says which.
static void then_all(void) {
    struct bfs_dir dir;
    struct ioq *ioq = stuck(&dir);
    static char one, other;
    CHECK_EQ(ioq_stat(ioq, root_fd, "file", 0, stat_buf(), &one), 0);
    ioq_cancel_one(ioq, ioq_last(ioq));
    CHECK_EQ(ioq_stat(ioq, root_fd, "file", 0, stat_buf(), &other), 0);
    ioq_submit(ioq);
    ioq_cancel(ioq);
    gate_set(false);
    for (struct ioq_ent *ent; (ent = ioq_pop(ioq, true));) {
        if (ent->ptr == &dir) {
            CHECK_EQ(ent->result, 0);
            CHECK_EQ(bfs_closedir(&dir), 0);
        } else {
            // The other one may have gone through a ring by then.
            CHECK(ent->result == (ent->ptr == &one ? -ECANCELED : -EINTR) || (ent->ptr == &other && ent->result == 0));
        }
        ioq_free(ioq, ent);
    }
    ioq_destroy(ioq);
}

// At any time, with everything that might be in a ring by then.
static void at_random(void) {
    struct ioq *ioq = create(64, 2);
    for (size_t round = 0; round < rounds(200); ++round) {
        size_t count = 1 + round % 64;
        for (size_t i = 0; i < count; ++i) {
            CHECK_EQ(ioq_stat(ioq, root_fd, "file", 0, stat_buf(), NULL), 0);
            if ((i + round) % 5 == 0) {
                if (round % 2) {
                    ioq_submit(ioq);
                }
                ioq_cancel_one(ioq, ioq_last(ioq));
            }
        }
        for (size_t i = 0; i < count; ++i) {
            struct ioq_ent *ent = ioq_pop(ioq, true);
            CHECK(ent->result == 0 || ent->result == -ECANCELED);
            ioq_free(ioq, ent);
        }
    }
    ioq_destroy(ioq);
}

int main(void) {
    make_tree();
    RUN(nothing_to_cancel);
    RUN(handles);
    RUN(some_never_run);
    RUN(what_runs_goes_on);
    RUN(closes_run);
    RUN(then_all);
    RUN(at_random);
    remove_temp_dir(root, root_fd);
    return 0;
}
