// IOQ_BACKEND chooses how workers run requests.

#include "test.h"

#include <ioq/stat.h>

// Has a worker run some requests, and returns how many rings that took.
static size_t rings_used(size_t nthreads) {
    struct ioq *ioq = ioq_create(64, nthreads);
    CHECK(ioq);
    static struct bfs_stat bufs[64];
    for (size_t i = 0; i < COUNT(bufs); ++i) {
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[i], NULL), 0);
    }
    ioq_submit(ioq);
    for (size_t i = 0; i < COUNT(bufs); ++i) {
        struct ioq_ent *ent;
        while (!(ent = ioq_pop(ioq, false))) {
            sched_yield();
        }
        CHECK_EQ(ent->result, 0);
        ioq_free(ioq, ent);
    }
    size_t rings = ring_fds();
    ioq_destroy(ioq);
    return rings;
}

static void is_automatic(void) {
    CHECK_EQ(setenv("IOQ_BACKEND", "auto", 1), 0);
    CHECK(rings_used(1) <= (ring_errno() == 0));
    CHECK_EQ(unsetenv("IOQ_BACKEND"), 0);
    CHECK(rings_used(1) <= (ring_errno() == 0));
}

static void is_sync(void) {
    CHECK_EQ(setenv("IOQ_BACKEND", "sync", 1), 0);
    CHECK_EQ(rings_used(1), 0);
    CHECK_EQ(rings_used(4), 0);
}

// Either there is a ring or there is no queue; and the ring's error is the queue's.
static void is_uring(void) {
    CHECK_EQ(setenv("IOQ_BACKEND", "uring", 1), 0);
    int error = ring_errno();
    if (error == 0 && ring_use_errno() != 0) {
        CHECK_EQ(rings_used(1), 0); // had one and gave it up
    } else if (error == 0) {
        CHECK_EQ(rings_used(1), 1);
        size_t rings = rings_used(4);
        CHECK(rings >= 1 && rings <= 4);
    } else {
        errno = 0;
        CHECK(!ioq_create(16, 1));
        CHECK_EQ(errno, error);
    }

    // Without workers there is nothing that would need a ring.
    struct ioq *ioq = ioq_create(16, 0);
    CHECK(ioq);
    CHECK_EQ(ioq_nop(ioq, IOQ_NOP_HEAVY, ioq), 0);
    CHECK_EQ(take(ioq, IOQ_NOP, ioq), 0);
    ioq_destroy(ioq);
}

static void is_unknown(void) {
    static const char *const values[] = {"io_uring", "URING", "uring ", " auto", "sync,uring", "0", "\xFF"};
    for (size_t i = 0; i < COUNT(values); ++i) {
        CHECK_EQ(setenv("IOQ_BACKEND", values[i], 1), 0);
        for (size_t nthreads = 0; nthreads < 2; ++nthreads) {
            errno = 0;
            CHECK(!ioq_create(16, nthreads));
            CHECK_EQ(errno, EINVAL);
        }
    }
}

int main(void) {
    RUN(is_automatic);
    RUN(is_sync);
    RUN(is_uring);
    RUN(is_unknown);
    return 0;
}
