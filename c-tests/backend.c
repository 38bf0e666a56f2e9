// The program chooses how requests are run, or else IOQ_BACKEND does.

#include "test.h"

#include <ioq/stat.h>

// Has workers run some requests that a ring can do, and returns how many went through one.
static uint64_t through_ring(struct ioq *ioq) {
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
    struct ioq_counts counts;
    ioq_count(ioq, &counts);
    CHECK_EQ(counts.ring + counts.worker, COUNT(bufs));
    ioq_destroy(ioq);
    return counts.ring;
}

static void is_automatic(void) {
    CHECK_EQ(setenv("IOQ_BACKEND", "auto", 1), 0);
    through_ring(ioq_create(64, 1));
    CHECK_EQ(unsetenv("IOQ_BACKEND"), 0);
    through_ring(ioq_create(64, 1));
}

static void is_sync(void) {
    CHECK_EQ(setenv("IOQ_BACKEND", "sync", 1), 0);
    CHECK_EQ(through_ring(ioq_create(64, 1)), 0);
    CHECK_EQ(through_ring(ioq_create(64, 4)), 0);
}

// Either there is a ring or there is no queue; and the ring's error is the queue's.
static void is_uring(void) {
    CHECK_EQ(setenv("IOQ_BACKEND", "uring", 1), 0);
    int error = ring_errno();
    if (error == 0 && (ring_use_errno() != 0 || statx_refused())) {
        CHECK_EQ(through_ring(ioq_create(64, 1)), 0); // had one, and has no use for it
    } else if (error == 0) {
        CHECK_EQ(through_ring(ioq_create(64, 1)), 64);
        CHECK_EQ(through_ring(ioq_create(64, 4)), 64);
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

// What the program chooses, the environment does not change.
static void is_the_programs(void) {
    CHECK_EQ(setenv("IOQ_BACKEND", "nonsense", 1), 0);
    struct ioq_options options = {.size = sizeof(options), .depth = 64, .nthreads = 2, .backend = IOQ_BACKEND_SYNC};
    CHECK_EQ(through_ring(ioq_create_with(&options)), 0);
    options.backend = IOQ_BACKEND_AUTO;
    through_ring(ioq_create_with(&options));
    options.backend = IOQ_BACKEND_URING;
    if (ring_errno() != 0) {
        CHECK(!ioq_create_with(&options));
        CHECK_EQ(errno, ring_errno());
    } else if (ring_use_errno() == 0 && !statx_refused()) {
        CHECK_EQ(through_ring(ioq_create_with(&options)), 64);
    }
    options.backend = IOQ_BACKEND_DEFAULT;
    CHECK(!ioq_create_with(&options));
    CHECK_EQ(errno, EINVAL);
    CHECK_EQ(setenv("IOQ_BACKEND", "sync", 1), 0);
    CHECK_EQ(through_ring(ioq_create_with(&options)), 0);
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
    RUN(is_the_programs);
    RUN(is_unknown);
    return 0;
}
