// ioq_count(): every request that came back was counted once, however it ran, and whether or not it was cancelled.

#include "test.h"

#include <ioq/dir.h>
#include <ioq/stat.h>

enum { DEPTH = 256 };

static struct bfs_stat bufs[DEPTH];

static uint64_t total(struct ioq *ioq) {
    struct ioq_counts counts;
    ioq_count(ioq, &counts);
    CHECK(!surely_sync() || counts.ring == 0);
    return counts.ring + counts.worker + counts.caller;
}

// What came back may be counted a moment later.
static void await_total(struct ioq *ioq, uint64_t count) {
    while (total(ioq) < count) {
        sched_yield();
    }
    CHECK_EQ(total(ioq), count);
}

static void submit_some(struct ioq *ioq, size_t count) {
    for (size_t i = 0; i < count; ++i) {
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

static size_t pop_all(struct ioq *ioq) {
    size_t count = 0;
    for (struct ioq_ent *ent; (ent = ioq_pop(ioq, true)); ++count) {
        ioq_free(ioq, ent);
    }
    return count;
}

static void all_run(void) {
    struct ioq *ioq = create(DEPTH, test_way->threads);
    CHECK_EQ(total(ioq), 0);
    for (size_t i = 1; i <= 5; ++i) {
        submit_some(ioq, DEPTH);
        CHECK_EQ(pop_all(ioq), DEPTH);
        await_total(ioq, i * DEPTH);
    }
    ioq_destroy(ioq);
}

static void some_are_cancelled(void) {
    for (size_t i = 0; i < rounds(100); ++i) {
        struct ioq *ioq = create(DEPTH, test_way->threads);
        submit_some(ioq, DEPTH);
        for (size_t popped = 0; popped < i; ++popped) {
            ioq_free(ioq, next(ioq));
        }
        ioq_cancel(ioq);
        CHECK_EQ(i + pop_all(ioq), DEPTH);
        await_total(ioq, DEPTH);
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
    for (test_way = test_ways; test_way != test_ways + COUNT(test_ways); ++test_way) {
        RUN(all_run);
        RUN(some_are_cancelled);
    }
    test_way = &test_ways[1];
    RUN(nothing_to_count);
    return 0;
}
