// Regression: a queue was destroyed, and its entries freed a second time, between a worker's last push and its end. The
// moment in which the last response can be seen is the earliest to destroy a queue; so this is done many times.

#include "test.h"

#include <ioq/stat.h>

enum { DEPTH = 8 };

static size_t nthreads;

static void last_popped(void) {
    struct ioq *ioq = create(DEPTH, nthreads);
    struct bfs_stat bufs[DEPTH];
    for (size_t i = 0; i < DEPTH; ++i) {
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[i], NULL), 0);
        ioq_submit(ioq);
    }
    for (size_t i = 0; i < DEPTH; ++i) {
        struct ioq_ent *ent;
        while (!(ent = ioq_pop(ioq, false))) {
        }
        CHECK_EQ(ent->result, 0);
        if (i % 2) {
            ioq_free(ioq, ent);
        }
    }
    ioq_destroy(ioq);
}

// One response is left in the queue, and the others were cancelled.
static void last_left(void) {
    struct ioq *ioq = create(DEPTH, nthreads);
    struct bfs_stat bufs[DEPTH];
    for (size_t i = 0; i < DEPTH; ++i) {
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[i], NULL), 0);
    }
    ioq_submit(ioq);
    ioq_cancel(ioq);
    for (size_t i = 0; i + 1 < DEPTH; ++i) {
        struct ioq_ent *ent = ioq_pop(ioq, true);
        CHECK(ent);
        CHECK(ent->result == 0 || ent->result == -EINTR);
        ioq_free(ioq, ent);
    }
    ioq_destroy(ioq);
}

// The last push is the stop message, and nothing else.
static void only_stopped(void) {
    struct ioq *ioq = create(DEPTH, nthreads);
    CHECK_EQ(ioq_nop(ioq, IOQ_NOP_HEAVY, NULL), 0);
    CHECK_EQ(take(ioq, IOQ_NOP, NULL), 0);
    ioq_cancel(ioq);
    ioq_destroy(ioq);
}

static void at_once(void) {
    test_way = &test_ways[2]; // polling
    for (size_t i = 0; i < rounds(300); ++i) {
        nthreads = 1 + i % 4;
        last_popped();
        last_left();
        only_stopped();
    }
}

int main(void) {
    RUN(at_once);
    return 0;
}
