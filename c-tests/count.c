// ioq_count(): every request counts once, whoever ran it, before its response is popped.

#include "test.h"

#include <ioq/stat.h>

enum { REQUESTS = 1000 };

static struct bfs_stat bufs[REQUESTS];

static uint64_t sum(const struct ioq *ioq) {
    struct ioq_counts counts;
    ioq_count(ioq, &counts);
    return counts.ring + counts.worker + counts.caller;
}

static void submit(struct ioq *ioq) {
    for (size_t i = 0; i < REQUESTS; ++i) {
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[i], NULL), 0);
    }
    ioq_submit(ioq);
}

static void pop_all(struct ioq *ioq) {
    for (size_t popped = 1; popped <= REQUESTS; ++popped) {
        ioq_free(ioq, next(ioq));
        uint64_t counted = sum(ioq);
        CHECK(popped <= counted && counted <= REQUESTS);
    }
    CHECK_EQ(sum(ioq), REQUESTS);
}

static void all_that_ran(void) {
    struct ioq *ioq = create(REQUESTS, test_way->threads);
    CHECK_EQ(sum(ioq), 0);
    submit(ioq);
    pop_all(ioq);
    ioq_destroy(ioq);
}

// Whoever takes a request that is not to run any more counts it.
static void all_that_were_cancelled(void) {
    struct ioq *ioq = create(REQUESTS, test_way->threads);
    submit(ioq);
    ioq_cancel(ioq);
    pop_all(ioq);
    ioq_destroy(ioq);
}

int main(void) {
    for (size_t i = 0; i < rounds(20); ++i) {
        for (test_way = test_ways; test_way != test_ways + COUNT(test_ways); ++test_way) {
            RUN(all_that_ran);
            RUN(all_that_were_cancelled);
        }
        test_way = test_ways;
    }
    return 0;
}
