// Slow requests hold up no others, as long as somebody is left to run these.

#define HOST_DIR
#define HOST_READDIR
#define HOST_UNWRAPDIR
#include "host.h"

#include <linux/openat2.h>

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
        CHECK_EQ(ent->result, ent->op == IOQ_OPENAT ? -ENOENT : 0);
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
// that were run before it and those behind it.
//
// A ring can do all of a crowd but the slow one, unless it is `plain`.
static void in_a_crowd(size_t others, size_t nthreads, size_t place, bool block, bool plain) {
    struct ioq *ioq = create(others + 1, nthreads);
    struct bfs_dir dir = {.magic = 0};
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC};
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
            CHECK_EQ(ioq_openat(ioq, root_fd, "missing", &how, 0, NULL, NULL), 0);
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

int main(void) {
    make_tree();
    RUN(one_left);
    RUN(many);
    RUN(few);
    remove_temp_dir(root, root_fd);
    return 0;
}
