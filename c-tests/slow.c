// Slow requests hold up no others, as long as somebody is left to run these.

#define HOST_DIR
#define HOST_READDIR
#define HOST_UNWRAPDIR
#include "host.h"

enum { REQUESTS = 50, MOST = 8 };

// Takes that many responses, none of which is a slow request's.
static void take_others(struct ioq *ioq, size_t count, bool block) {
    for (size_t i = 0; i < count; ++i) {
        struct ioq_ent *ent;
        while (!(ent = ioq_pop(ioq, block))) {
            CHECK(!block);
            sched_yield();
        }
        CHECK(ent->op != IOQ_OPENDIR);
        CHECK_EQ(ent->result, ent->op == IOQ_CLOSE ? -EBADF : 0);
        ioq_free(ioq, ent);
    }
}

// All workers but one are held, each in a request of its own.
static void with_workers(size_t nthreads) {
    struct ioq *ioq = create(REQUESTS + MOST, nthreads);
    struct bfs_dir dirs[MOST] = {{.magic = 0}};
    gate_set(true);
    for (size_t held = 1; held < nthreads; ++held) {
        CHECK_EQ(ioq_opendir(ioq, &dirs[held], root_fd, "sub", 0, NULL), 0);
        ioq_submit(ioq);
        gate_await(held);
    }

    for (size_t i = 0; i < REQUESTS; ++i) {
        CHECK_EQ(ioq_nop(ioq, i % 2 ? IOQ_NOP_LIGHT : IOQ_NOP_HEAVY, NULL), 0);
    }
    take_others(ioq, REQUESTS, false);
    CHECK(!ioq_pop(ioq, false));

    gate_set(false);
    for (size_t held = 1; held < nthreads; ++held) {
        struct ioq_ent *ent = ioq_pop(ioq, true);
        CHECK_EQ(ent->result, 0);
        CHECK_EQ(bfs_closedir(ent->opendir.dir), 0);
        ioq_free(ioq, ent);
    }
    CHECK(!ioq_pop(ioq, true));
    ioq_destroy(ioq);
}

static void one_left(void) {
    for (size_t nthreads = 1; nthreads <= MOST; ++nthreads) {
        for (size_t i = 0; i < rounds(20); ++i) {
            with_workers(nthreads);
        }
    }
}

// One request in a crowd is slow, and all of them were submitted together. The others come back all the same, those
// that were run before it and those behind it. A caller that blocks may run requests itself, so it must not come before
// the slow one is in a worker's hands.
//
// Rings can do the work of a crowd, unless it is `plain`.
static void in_a_crowd(size_t others, size_t nthreads, size_t place, bool block, bool plain) {
    struct ioq *ioq = create(others + 1, nthreads);
    struct bfs_dir dir = {.magic = 0};
    gate_set(true);
    for (size_t i = 0; i <= others; ++i) {
        if (i == place && plain) {
            int fd = openat(root_fd, "sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            CHECK(fd >= 0);
            CHECK_EQ(ioq_opendir(ioq, &dir, fd, NULL, 0, &dir), 0);
        } else if (i == place) {
            CHECK_EQ(ioq_opendir(ioq, &dir, root_fd, "sub", 0, &dir), 0);
        } else if (plain) {
            CHECK_EQ(ioq_nop(ioq, IOQ_NOP_LIGHT, NULL), 0);
        } else {
            CHECK_EQ(ioq_close(ioq, -1, NULL), 0);
        }
    }
    if (block) {
        ioq_submit(ioq);
        gate_await(1);
    }
    take_others(ioq, others, block);
    gate_set(false);

    size_t slow = 0;
    for (struct ioq_ent *ent; (ent = ioq_pop(ioq, true));) {
        CHECK_EQ(ent->result, 0);
        slow += ent->ptr == &dir;
        ioq_free(ioq, ent);
    }
    CHECK_EQ(slow, 1);
    CHECK_EQ(bfs_closedir(&dir), 0);
    ioq_destroy(ioq);
}

static void in_crowds(size_t others, size_t nthreads, size_t place) {
    in_a_crowd(others, nthreads, place, false, false);
    in_a_crowd(others, nthreads, place, false, true);
    in_a_crowd(others, nthreads, place, true, false);
    in_a_crowd(others, nthreads, place, true, true);
}

static void many(void) {
    for (size_t place = 0; place <= REQUESTS; place += wrapped() ? 10 : 3) {
        in_crowds(REQUESTS, 2, place);
        in_crowds(REQUESTS, 8, place);
    }
}

// So few that one worker takes them all, before there is need of another.
static void few(void) {
    for (size_t place = 0; place < 5; ++place) {
        in_crowds(5, 2, place);
        in_crowds(5, 8, place);
    }
}

// From now on no descriptor is to be had, or again.
static void refuse_fds(bool refuse) {
    static struct rlimit before;
    if (refuse) {
        int lowest = dup(root_fd);
        CHECK(lowest >= 0);
        close(lowest);
        CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
        struct rlimit limit = {(rlim_t)lowest, before.rlim_max};
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    } else {
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    }
}

// A caller that leaves everything to rings, as none but IOQ_BACKEND=uring does, goes to sleep while the only worker is
// still looking for its first request. There are no rings after all, and that request is slow. The worker took it alone,
// as the last one of a block, and so does not tell anybody of what it has in hand; and the others are in the next block.
static void alone(void) {
    if (!backend_is("uring")) {
        return;
    }
    enum { BLOCK = 31, OTHERS = 5 };
    for (size_t i = 0; i < rounds(200); ++i) {
        struct ioq *ioq = create(BLOCK + OTHERS, 2);
        int fd = openat(root_fd, "sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(fd >= 0);
        refuse_fds(true);
        for (size_t j = 1; j < BLOCK; ++j) {
            CHECK_EQ(ioq_nop(ioq, IOQ_NOP_LIGHT, NULL), 0);
        }
        take_others(ioq, BLOCK - 1, true);

        struct bfs_dir dir = {.magic = 0};
        gate_set(true);
        CHECK_EQ(ioq_opendir(ioq, &dir, fd, NULL, 0, &dir), 0);
        for (size_t j = 0; j < OTHERS; ++j) {
            CHECK_EQ(ioq_close(ioq, -1, NULL), 0);
        }
        take_others(ioq, OTHERS, true);
        gate_set(false);

        CHECK_EQ(take(ioq, IOQ_OPENDIR, &dir), 0);
        CHECK_EQ(bfs_closedir(&dir), 0);
        ioq_destroy(ioq);
        refuse_fds(false);
    }
}

int main(void) {
    make_tree();
    RUN(one_left);
    RUN(alone);
    RUN(many);
    RUN(few);
    remove_temp_dir(root, root_fd);
    return 0;
}
