// ioq_count(): every request counts once, before its response can be popped, however it ran, and whether or not it was
// cancelled.

#include "test.h"

#include <ioq/stat.h>

enum { DEPTH = 1000 };

static struct bfs_stat bufs[DEPTH];
static bool no_rings;
// Of the queue at hand.
static uint64_t submitted, popped;

static uint64_t sum(const struct ioq *ioq) {
    struct ioq_counts counts;
    ioq_count(ioq, &counts);
    CHECK(!no_rings || counts.ring == 0);
    return counts.ring + counts.worker + counts.caller;
}

static void stats(struct ioq *ioq) {
    for (size_t i = 0; i < DEPTH; ++i) {
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[i], NULL), 0);
    }
}

static void mixture(struct ioq *ioq) {
    for (size_t i = 0; i < DEPTH; ++i) {
        switch (i % 4) {
        case 0:
            CHECK_EQ(ioq_nop(ioq, i % 8 ? IOQ_NOP_HEAVY : IOQ_NOP_LIGHT, NULL), 0);
            break;
        case 1:
            CHECK_EQ(ioq_close(ioq, -1, NULL), 0);
            break;
        default:
            CHECK_EQ(ioq_stat(ioq, AT_FDCWD, i % 3 ? "/" : "/missing", 0, &bufs[i], NULL), 0);
            break;
        }
        if (i % 5 == 0) {
            ioq_submit(ioq);
        }
    }
}

static void (*const loads[])(struct ioq *ioq) = {stats, mixture};
static void (*load)(struct ioq *ioq);

static struct ioq *start(void) {
    submitted = popped = 0;
    struct ioq *ioq = create(DEPTH, test_way->threads);
    CHECK_EQ(sum(ioq), 0);
    return ioq;
}

static void submit_all(struct ioq *ioq) {
    submitted += DEPTH;
    load(ioq);
    ioq_submit(ioq);
}

static void pop_some(struct ioq *ioq, size_t count) {
    for (; count > 0; --count) {
        ioq_free(ioq, next(ioq));
        ++popped;
        uint64_t counted = sum(ioq);
        CHECK(popped <= counted && counted <= submitted);
    }
}

static void pop_all(struct ioq *ioq) {
    pop_some(ioq, submitted - popped);
    CHECK(!ioq_pop(ioq, true));
    CHECK_EQ(sum(ioq), submitted);
}

static void all_run(void) {
    for (size_t i = 0; i < rounds(20); ++i) {
        struct ioq *ioq = start();
        for (size_t again = 0; again < 2; ++again) {
            submit_all(ioq);
            pop_all(ioq);
        }
        ioq_destroy(ioq);
    }
}

// Whoever takes a request that is not to run any more counts it.
static void some_are_cancelled(void) {
    for (size_t i = 0; i < rounds(100); ++i) {
        struct ioq *ioq = start();
        submit_all(ioq);
        pop_some(ioq, i);
        ioq_cancel(ioq);
        pop_all(ioq);
        ioq_destroy(ioq);
    }
}

static void nothing_to_count(void) {
    struct ioq_counts counts = {1, 2, 3};
    ioq_count(NULL, &counts);
    CHECK_EQ(counts.ring + counts.worker + counts.caller, 0);
    ioq_count(NULL, NULL);
    struct ioq *ioq = create(1, 1);
    ioq_count(ioq, NULL);
    ioq_destroy(ioq);
}

int main(void) {
    no_rings = surely_sync();
    for (test_way = test_ways; test_way != test_ways + COUNT(test_ways); ++test_way) {
        for (size_t i = 0; i < COUNT(loads); ++i) {
            load = loads[i];
            RUN(all_run);
            RUN(some_are_cancelled);
        }
    }
    test_way = &test_ways[1];
    RUN(nothing_to_count);
    return 0;
}
