// Slow requests hold up no others, as long as somebody is left to run these.

#define HOST_DIR
#define HOST_READDIR
#define HOST_UNWRAPDIR
#include "host.h"

enum { REQUESTS = 50, MOST = 8 };

// Takes that many responses, polling, none of which is a slow request's.
static void take_others(struct ioq *ioq, size_t count) {
    for (size_t i = 0; i < count; ++i) {
        struct ioq_ent *ent;
        while (!(ent = ioq_pop(ioq, false))) {
            sched_yield();
        }
        CHECK_EQ(ent->op, IOQ_NOP);
        CHECK_EQ(ent->result, 0);
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
    take_others(ioq, REQUESTS);
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

// One request in a crowd is slow, and all of them were submitted together. Those behind it come back all the same.
static void in_a_crowd(size_t others, size_t nthreads, size_t place) {
    struct ioq *ioq = create(others + 1, nthreads);
    struct bfs_dir dir = {.magic = 0};
    gate_set(true);
    for (size_t i = 0; i <= others; ++i) {
        if (i == place) {
            CHECK_EQ(ioq_opendir(ioq, &dir, root_fd, "sub", 0, &dir), 0);
        } else {
            CHECK_EQ(ioq_nop(ioq, IOQ_NOP_HEAVY, NULL), 0);
        }
    }
    take_others(ioq, others - place);
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

static void behind(void) {
    for (size_t place = 0; place <= REQUESTS; place += wrapped() ? 10 : 1) {
        in_a_crowd(REQUESTS, 2, place);
        in_a_crowd(REQUESTS, 8, place);
    }
}

// So few that one worker takes them all, before there is need of another.
static void few(void) {
    for (size_t place = 0; place < 5; ++place) {
        in_a_crowd(5, 2, place);
        in_a_crowd(5, 8, place);
    }
}

int main(void) {
    make_tree();
    RUN(one_left);
    RUN(behind);
    RUN(few);
    remove_temp_dir(root, root_fd);
    return 0;
}
