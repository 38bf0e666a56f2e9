// Every depth with every number of threads: the queue is filled, drained and refilled, by blocking and by polling.

#include "test.h"

#include <ioq/dir.h>
#include <ioq/stat.h>

static const size_t depths[] = {1, 2, 3, 7, 4096};
static const size_t thread_counts[] = {0, 1, 2, 8};

struct request {
    bool in_flight;
    enum ioq_op op;
    struct bfs_dir *dir;
    struct bfs_stat buf;
};

// One request; for a directory, its opening, and once that came back its closing.
static void submit(struct ioq *ioq, struct request *req, size_t i) {
    CHECK(!req->in_flight);
    req->in_flight = true;
    switch (i % 5) {
    case 0:
        req->op = IOQ_NOP;
        CHECK_EQ(ioq_nop(ioq, IOQ_NOP_LIGHT, req), 0);
        break;
    case 1:
        req->op = IOQ_STAT;
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &req->buf, req), 0);
        break;
    case 2:
        req->op = IOQ_CLOSE;
        CHECK_EQ(ioq_close(ioq, open("/", O_RDONLY | O_CLOEXEC), req), 0);
        break;
    case 3:
        req->op = IOQ_NOP;
        CHECK_EQ(ioq_nop(ioq, IOQ_NOP_HEAVY, req), 0);
        break;
    case 4:
        req->op = IOQ_OPENDIR;
        req->dir = bfs_allocdir();
        CHECK(req->dir);
        CHECK_EQ(ioq_opendir(ioq, req->dir, AT_FDCWD, "/", 0, req), 0);
        break;
    }
}

static void finish(struct ioq *ioq, struct ioq_ent *ent) {
    struct request *req = ent->ptr;
    CHECK(req->in_flight);
    req->in_flight = false;
    CHECK_EQ(ent->op, req->op);
    CHECK_EQ(ent->result, 0);
    ioq_free(ioq, ent);

    if (req->op == IOQ_OPENDIR) {
        req->in_flight = true;
        req->op = IOQ_CLOSEDIR;
        CHECK_EQ(ioq_closedir(ioq, req->dir, req), 0);
    } else if (req->op == IOQ_CLOSEDIR) {
        free(req->dir);
    }
}

static void fill_and_drain(size_t depth, size_t nthreads, bool block, bool eager) {
    struct ioq *ioq = create(depth, nthreads);
    struct request *requests = calloc(depth, sizeof(*requests));
    CHECK(requests);

    for (size_t round = 0; round < (depth < 100 ? rounds(40) : 2); ++round) {
        for (size_t i = 0; i < depth; ++i) {
            // 4096 open files at once would be too many for some limits.
            submit(ioq, &requests[i], depth < 100 ? i + round : (i + round) % 2);
            if (eager) {
                ioq_submit(ioq);
            }
        }
        CHECK_EQ(ioq_capacity(ioq), 0);
        while (ioq_capacity(ioq) < depth) {
            struct ioq_ent *ent = ioq_pop(ioq, block);
            if (ent) {
                finish(ioq, ent);
            } else {
                CHECK(!block);
                sched_yield();
            }
        }
    }

    for (size_t i = 0; i < depth; ++i) {
        CHECK(!requests[i].in_flight);
    }
    ioq_destroy(ioq);
    free(requests);
}

// A window that slides: one out, one in.
static void slide(size_t depth, size_t nthreads, bool block) {
    struct ioq *ioq = create(depth, nthreads);
    size_t submitted = 0, popped = 0, total = depth * 2 + rounds(500);
    while (popped < total) {
        while (submitted < total && ioq_capacity(ioq) > 0) {
            CHECK_EQ(ioq_nop(ioq, submitted % 3 ? IOQ_NOP_LIGHT : IOQ_NOP_HEAVY, NULL), 0);
            ++submitted;
        }
        struct ioq_ent *ent = ioq_pop(ioq, block);
        if (ent) {
            ioq_free(ioq, ent);
            ++popped;
        } else {
            CHECK(!block);
            sched_yield();
        }
    }
    CHECK_EQ(submitted, total);
    CHECK(!ioq_pop(ioq, true));
    ioq_destroy(ioq);
}

static void every_size(void) {
    for (size_t i = 0; i < COUNT(depths); ++i) {
        for (size_t j = 0; j < COUNT(thread_counts); ++j) {
            size_t depth = depths[i], nthreads = thread_counts[j];
            fill_and_drain(depth, nthreads, true, false);
            fill_and_drain(depth, nthreads, true, true);
            slide(depth, nthreads, true);
            if (nthreads > 0) {
                fill_and_drain(depth, nthreads, false, false);
                fill_and_drain(depth, nthreads, false, true);
                slide(depth, nthreads, false);
            }
        }
    }
}

int main(void) {
    RUN(every_size);
    return 0;
}
