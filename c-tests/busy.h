// A queue that is kept busy with stats while the process does something else.

#ifndef BUSY_H
#define BUSY_H

#include "test.h"

#include <ioq/stat.h>

enum { DEPTH = 256 };

static struct ioq *ioq;
static size_t submitted, popped;

// Responses come in any order, so a buffer is used again when its own has come, and not in turn.
static struct bfs_stat bufs[DEPTH], *unused[DEPTH];
static size_t nunused;

static inline void start(size_t nthreads) {
    ioq = create(DEPTH, nthreads);
    submitted = popped = 0;
    for (nunused = 0; nunused < DEPTH; ++nunused) {
        unused[nunused] = &bufs[nunused];
    }
}

// Submits as many, or as many as there is room for.
static inline void submit_some(size_t count) {
    for (; count > 0 && ioq_capacity(ioq) > 0; --count) {
        const char *path = submitted % 5 ? "/" : "/missing";
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, path, 0, unused[--nunused], NULL), 0);
        ++submitted;
    }
}

// Pops as many, or all there are.
static inline void pop_some(size_t count) {
    for (struct ioq_ent *ent; count > 0 && (ent = ioq_pop(ioq, true)); --count) {
        CHECK_EQ(ent->result, strcmp(ent->stat.path, "/") == 0 ? 0 : -ENOENT);
        unused[nunused++] = ent->stat.buf;
        ++popped;
        ioq_free(ioq, ent);
    }
}

// Fills the queue, takes some responses out of it, and leaves some requests in the buffer.
static inline void stir(size_t pops, size_t unsubmitted) {
    submit_some(DEPTH);
    ioq_submit(ioq);
    pop_some(pops);
    submit_some(unsubmitted);
}

// Nothing of what was submitted may be missing.
static inline void finish(void) {
    pop_some(SIZE_MAX);
    CHECK_EQ(popped, submitted);
    CHECK_EQ(ioq_capacity(ioq), DEPTH);
    ioq_destroy(ioq);
}

#endif
