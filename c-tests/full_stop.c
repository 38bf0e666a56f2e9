// Stopping a queue that is full: each request was submitted on its own and may take up a slot, and the message that stops
// the workers comes in beside them.

#include "test.h"

#include <pthread.h>

static void *cancel(void *ioq) {
    ioq_cancel(ioq);
    return NULL;
}

// Fills the queue and stops it. What was accepted still comes back, and closes have run.
static void stop_full(size_t depth, size_t nthreads, bool from_thread) {
    struct ioq *ioq = create(depth, nthreads);
    int fds[3] = {-1, -1, -1};
    for (size_t i = 0; i < depth; ++i) {
        if (i % 2 == 0) {
            CHECK_EQ(ioq_nop(ioq, IOQ_NOP_HEAVY, NULL), 0);
        } else {
            fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
            CHECK_EQ(ioq_close(ioq, fds[i], NULL), 0);
        }
        ioq_submit(ioq);
    }
    CHECK_EQ(ioq_capacity(ioq), 0);

    if (from_thread) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, cancel, ioq), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    } else {
        ioq_cancel(ioq);
    }

    for (size_t i = 0; i < depth; ++i) {
        struct ioq_ent *ent = ioq_pop(ioq, true);
        CHECK(ent);
        CHECK(ent->result == 0 || (ent->op == IOQ_NOP && ent->result == -EINTR));
        ioq_free(ioq, ent);
    }
    CHECK(!ioq_pop(ioq, true));
    ioq_destroy(ioq);
    for (size_t i = 0; i < COUNT(fds); ++i) {
        CHECK(!fd_open(fds[i]));
    }
}

// The same, with nobody to pop the responses: the ready side is full as well.
static void destroy_full(size_t depth, size_t nthreads) {
    struct ioq *ioq = create(depth, nthreads);
    for (size_t i = 0; i < depth; ++i) {
        CHECK_EQ(ioq_nop(ioq, IOQ_NOP_LIGHT, NULL), 0);
        ioq_submit(ioq);
    }
    ioq_destroy(ioq);
}

static void full(void) {
    for (size_t round = 0; round < rounds(1000); ++round) {
        for (size_t depth = 1; depth <= 3; ++depth) {
            stop_full(depth, round % 4, round % 16 == 0);
            destroy_full(depth, round % 4);
        }
    }
}

int main(void) {
    RUN(full);
    return 0;
}
