// ioq_cancel(): what has not run does not run, except closes; every request comes back, once; nothing new is taken.

#include "test.h"

#include <ioq/dir.h>
#include <ioq/stat.h>
#include <pthread.h>
#include <stdatomic.h>

static void check_refused(struct ioq *ioq) {
    struct bfs_stat buf;
    struct bfs_dir *dir = bfs_allocdir();
    CHECK(dir);
    CHECK_ERRNO(ioq_nop(ioq, IOQ_NOP_LIGHT, NULL), EINTR);
    CHECK_ERRNO(ioq_close(ioq, STDERR_FILENO, NULL), EINTR);
    CHECK_ERRNO(ioq_opendir(ioq, dir, AT_FDCWD, "/", 0, NULL), EINTR);
    CHECK_ERRNO(ioq_stat(ioq, AT_FDCWD, "/", 0, &buf, NULL), EINTR);
    CHECK_EQ(bfs_opendir(dir, AT_FDCWD, "/", 0), 0);
    CHECK_ERRNO(ioq_closedir(ioq, dir, NULL), EINTR);
    CHECK_EQ(bfs_closedir(dir), 0);
    free(dir);
}

// One request of each kind, with what became of it.
struct kinds {
    struct bfs_dir *opened, *closed;
    struct bfs_stat buf;
    size_t popped;
};

static void submit_kinds(struct ioq *ioq, struct kinds *kinds) {
    *kinds = (struct kinds){.opened = bfs_allocdir(), .closed = bfs_allocdir()};
    CHECK(kinds->opened && kinds->closed);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(bfs_opendir(kinds->closed, AT_FDCWD, "/", 0), 0);

    CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &kinds->buf, kinds), 0);
    CHECK_EQ(ioq_opendir(ioq, kinds->opened, AT_FDCWD, "/", 0, kinds), 0);
    CHECK_EQ(ioq_close(ioq, fd, kinds), 0);
    CHECK_EQ(ioq_nop(ioq, IOQ_NOP_HEAVY, kinds), 0);
    CHECK_EQ(ioq_closedir(ioq, kinds->closed, kinds), 0);
}

// Checks one response of a cancelled queue. `never_ran` says that only closes can have run.
static void check_kind(struct ioq *ioq, struct ioq_ent *ent, bool never_ran) {
    struct kinds *kinds = ent->ptr;
    ++kinds->popped;
    if (ent->op == IOQ_CLOSE || ent->op == IOQ_CLOSEDIR) {
        CHECK_EQ(ent->result, 0);
    } else {
        CHECK(ent->result == -EINTR || (!never_ran && ent->result == 0));
    }
    if (ent->op == IOQ_OPENDIR && ent->result == 0) {
        CHECK_EQ(bfs_closedir(kinds->opened), 0);
    }
    ioq_free(ioq, ent);
}

static void free_kinds(struct kinds *kinds) {
    CHECK_EQ(kinds->popped, 5);
    free(kinds->opened);
    free(kinds->closed);
}

static void before_anything(struct ioq *ioq) {
    ioq_cancel(ioq);
    check_refused(ioq);
    CHECK_EQ(ioq_capacity(ioq), 16);
    CHECK(!ioq_pop(ioq, false));
    CHECK(!ioq_pop(ioq, true));
    ioq_cancel(ioq);
    ioq_submit(ioq);
    CHECK(!ioq_pop(ioq, true));
}

static void after_everything(struct ioq *ioq) {
    struct ioq_ent *ents[16];
    for (size_t i = 0; i < COUNT(ents); ++i) {
        CHECK_EQ(ioq_nop(ioq, IOQ_NOP_LIGHT, NULL), 0);
    }
    for (size_t i = 0; i < COUNT(ents); ++i) {
        ents[i] = next(ioq);
        CHECK_EQ(ents[i]->result, 0);
    }
    ioq_cancel(ioq);
    check_refused(ioq); // full, and cancelled: the latter is for good
    CHECK(!ioq_pop(ioq, true));
    for (size_t i = 0; i < COUNT(ents); ++i) {
        ioq_free(ioq, ents[i]);
    }
    check_refused(ioq);
    CHECK(!ioq_pop(ioq, true));
}

// Requests that the caller has not even submitted yet.
static void while_buffered(struct ioq *ioq) {
    struct kinds kinds;
    submit_kinds(ioq, &kinds);
    ioq_cancel(ioq);
    check_refused(ioq);
    CHECK_EQ(ioq_capacity(ioq), 11);
    for (int i = 0; i < 5; ++i) {
        check_kind(ioq, ioq_pop(ioq, true), test_way->threads == 0);
    }
    CHECK(!ioq_pop(ioq, true));
    free_kinds(&kinds);
}

static void while_running(struct ioq *ioq) {
    struct kinds kinds[3];
    for (size_t i = 0; i < COUNT(kinds); ++i) {
        submit_kinds(ioq, &kinds[i]);
        ioq_submit(ioq);
    }
    ioq_cancel(ioq);
    ioq_cancel(ioq);
    check_refused(ioq);
    for (int i = 0; i < 15; ++i) {
        check_kind(ioq, ioq_pop(ioq, true), test_way->threads == 0);
    }
    CHECK(!ioq_pop(ioq, true));
    for (size_t i = 0; i < COUNT(kinds); ++i) {
        free_kinds(&kinds[i]);
    }
}

// Polling works on a cancelled queue as it does on another.
static void polled(struct ioq *ioq) {
    struct kinds kinds;
    submit_kinds(ioq, &kinds);
    ioq_cancel(ioq);
    for (int i = 0; i < 5; ++i) {
        check_kind(ioq, next(ioq), test_way->threads == 0);
    }
    free_kinds(&kinds);
}

// A result that was ready before stays what it was.
static void keeps_results(struct ioq *ioq) {
    CHECK_EQ(ioq_nop(ioq, IOQ_NOP_LIGHT, NULL), 0);
    struct ioq_ent *held = next(ioq);
    ioq_cancel(ioq);
    CHECK_EQ(held->result, 0);
    ioq_free(ioq, held);
}

static atomic_bool started;

static void *cancel_now(void *ioq) {
    while (!started) {
        sched_yield();
    }
    ioq_cancel(ioq);
    return NULL;
}

struct counts {
    size_t accepted, popped, closes, closed;
};

// Submits a no-op or a close, until the queue is full. Returns whether the queue was cancelled.
static bool submit_some(struct ioq *ioq, struct counts *counts) {
    while (ioq_capacity(ioq) > 0) {
        int fd = counts->accepted % 4 == 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
        // All that this process may have can be on their way to be closed.
        bool is_close = fd >= 0;
        if ((is_close ? ioq_close(ioq, fd, NULL) : ioq_nop(ioq, IOQ_NOP_HEAVY, NULL)) != 0) {
            CHECK_EQ(errno, EINTR);
            CHECK(!is_close || close(fd) == 0);
            return true;
        }
        ++counts->accepted;
        counts->closes += is_close;
    }
    return false;
}

static bool pop_some(struct ioq *ioq, struct counts *counts) {
    struct ioq_ent *ent = ioq_pop(ioq, true);
    if (!ent) {
        return false;
    }
    CHECK(ent->result == 0 || (ent->result == -EINTR && ent->op == IOQ_NOP));
    ++counts->popped;
    counts->closed += ent->op == IOQ_CLOSE;
    ioq_free(ioq, ent);
    return true;
}

// Two other threads cancel while this one submits and pops.
static void from_threads(void) {
    static const size_t thread_counts[] = {0, 1, 2, 8};
    for (size_t round = 0; round < rounds(400); ++round) {
        struct ioq *ioq = create(64, thread_counts[round % COUNT(thread_counts)]);
        pthread_t cancellers[2];
        started = false;
        for (size_t i = 0; i < COUNT(cancellers); ++i) {
            CHECK_EQ(pthread_create(&cancellers[i], NULL, cancel_now, ioq), 0);
        }

        struct counts counts = {0};
        for (size_t i = 0; !submit_some(ioq, &counts); ++i) {
            if (i == round % 50) {
                started = true;
            }
            CHECK(pop_some(ioq, &counts));
        }
        while (pop_some(ioq, &counts)) {
        }
        CHECK_ERRNO(ioq_nop(ioq, IOQ_NOP_LIGHT, NULL), EINTR);
        CHECK_EQ(counts.popped, counts.accepted);
        CHECK_EQ(counts.closed, counts.closes);
        CHECK_EQ(ioq_capacity(ioq), 64);

        for (size_t i = 0; i < COUNT(cancellers); ++i) {
            CHECK_EQ(pthread_join(cancellers[i], NULL), 0);
        }
        ioq_destroy(ioq);
    }
}

int main(void) {
    RUN_EACH_WAY(before_anything);
    RUN_EACH_WAY(after_everything);
    RUN_EACH_WAY(while_buffered);
    for (size_t i = 0; i < rounds(200); ++i) {
        RUN_EACH_WAY(while_running);
    }
    RUN_EACH_WAY(polled);
    RUN_EACH_WAY(keeps_results);
    RUN(from_threads);
    return 0;
}
