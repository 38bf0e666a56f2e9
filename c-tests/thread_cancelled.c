// pthread_cancel() waits until a call is over: none is a cancellation point, and a thread that is cancelled in one takes
// nothing with it that belongs to the queue.

#include "test.h"

#include <ioq/dir.h>
#include <ioq/stat.h>
#include <ioq/walk.h>
#include <pthread.h>

enum { DEPTH = 100 };

static size_t nthreads;
static int root_fd;

// Everything that a queue does for its caller, from create to destroy.
static void live(bool polled) {
    struct ioq *ioq = create(DEPTH, nthreads);
    if (polled) {
        CHECK(ioq_fd(ioq) >= 0);
    }

    struct bfs_dir *dirs[DEPTH / 2];
    for (size_t i = 0; i < DEPTH / 2; ++i) {
        dirs[i] = bfs_allocdir();
        CHECK(dirs[i]);
        CHECK_EQ(ioq_opendir(ioq, dirs[i], root_fd, ".", 0, dirs[i]), 0);
        CHECK_EQ(ioq_close(ioq, fcntl(root_fd, F_DUPFD_CLOEXEC, 0), NULL), 0);
    }
    for (size_t i = 0; i < DEPTH; ++i) {
        struct ioq_ent *ent = next(ioq);
        CHECK_EQ(ent->result, 0);
        ioq_free(ioq, ent);
    }
    CHECK_EQ(ioq_capacity(ioq), DEPTH);

    // Half of these are popped, and destroy has closes to run and threads to join.
    for (size_t i = 0; i < DEPTH / 2; ++i) {
        CHECK_EQ(ioq_closedir(ioq, dirs[i], dirs[i]), 0);
    }
    for (size_t i = 0; i < DEPTH / 4; ++i) {
        struct ioq_ent *ent = next(ioq);
        CHECK_EQ(ent->result, 0);
        ioq_free(ioq, ent);
    }
    ioq_destroy(ioq);
    for (size_t i = 0; i < DEPTH / 2; ++i) {
        free(dirs[i]);
    }
}

// A caller that runs some of its requests, which it tells the descriptor of.
static void live_and_run(void) {
    enum { RUN = 8 };
    struct ioq_options options = {.size = sizeof(options), .depth = DEPTH, .nthreads = nthreads, .flags = IOQ_CALLER_RUNS};
    struct ioq *ioq = ioq_create_with(&options);
    CHECK(ioq);
    CHECK(ioq_fd(ioq) >= 0);
    struct statx buf[RUN];
    for (size_t i = 0; i < RUN; ++i) {
        CHECK_EQ(ioq_nop(ioq, IOQ_NOP_LIGHT, NULL), 0);
    }
    for (size_t i = 0; i < RUN; ++i) {
        CHECK_EQ(ioq_statx(ioq, root_fd, ".", 0, STATX_SIZE, &buf[i], NULL), 0);
    }
    for (struct ioq_ent *ent; (ent = ioq_pop(ioq, true));) {
        ioq_free(ioq, ent);
    }
    ioq_destroy(ioq);
}

static void walk(const char *path) {
    struct ioq_walk *walk = ioq_walk_open((const char *[]){path, NULL}, NULL);
    CHECK(walk);
    size_t count = 0;
    for (const struct ioq_walk_ent *ent; ioq_walk_next(walk, &ent) == 1;) {
        ++count;
    }
    CHECK_EQ(count, 2);
    ioq_walk_close(walk);
}

static char path[PATH_MAX];

static void live_all(void) {
    live(false);
    if (nthreads > 0) {
        live(true);
        live_and_run();
    }
    walk(path);
}

// With its cancellation pending.
static void *live_cancelled(void *through) {
    CHECK_EQ(pthread_cancel(pthread_self()), 0);
    live_all();
    *(bool *)through = true;
    pthread_testcancel();
    return NULL;
}

enum { THROUGH = 3 };

// The same in the only thread of a process, in which the first worker makes room for descriptors.
static void live_cancelled_alone(void) {
    CHECK_EQ(pthread_cancel(pthread_self()), 0);
    live_all();
    _exit(THROUGH);
}

static void cancelled(void) {
    for (nthreads = 0; nthreads <= 2; ++nthreads) {
        bool through = false;
        pthread_t thread;
        void *result;
        CHECK_EQ(pthread_create(&thread, NULL, live_cancelled, &through), 0);
        CHECK_EQ(pthread_join(thread, &result), 0);
        CHECK(through);
        CHECK(result == PTHREAD_CANCELED);

        int status = in_child(live_cancelled_alone);
        CHECK(WIFEXITED(status));
        CHECK_EQ(WEXITSTATUS(status), THROUGH);
    }
}

static struct ioq *shared;
static struct bfs_stat bufs[DEPTH];
static int popping;

static void *submit_and_pop(void *arg) {
    (void)arg;
    for (size_t i = 0; i < SIZE_MAX; ++i) {
        struct bfs_stat *buf = &bufs[i % DEPTH];
        CHECK_EQ(ioq_stat(shared, root_fd, "file", 0, buf, buf), 0);
        if (i % 8 == 7) {
            for (int j = 0; j < 8; ++j) {
                ioq_free(shared, next(shared));
            }
            __atomic_store_n(&popping, 1, __ATOMIC_RELAXED);
            pthread_testcancel();
        }
    }
    return NULL;
}

// A thread that is cancelled while it uses a queue, at any time: another one goes on with it where it ended.
static void cancelled_at_any_time(void) {
    shared = create(DEPTH, nthreads);
    for (int i = 0; i < 100; ++i) {
        pthread_t thread;
        void *result;
        popping = 0;
        CHECK_EQ(pthread_create(&thread, NULL, submit_and_pop, NULL), 0);
        while (!__atomic_load_n(&popping, __ATOMIC_RELAXED)) {
            sched_yield();
        }
        CHECK_EQ(pthread_cancel(thread), 0);
        CHECK_EQ(pthread_join(thread, &result), 0);
        CHECK(result == PTHREAD_CANCELED);
        CHECK(!ioq_pop(shared, true));
        CHECK_EQ(ioq_capacity(shared), DEPTH);
    }
    ioq_destroy(shared);
}

int main(void) {
    need_fds(2 * DEPTH);

    root_fd = temp_dir(path);
    make_file(root_fd, "file", 1);

    for (size_t way = 0; way < COUNT(test_ways); ++way) {
        test_way = &test_ways[way];
        if (test_way->block) {
            RUN(cancelled);
        }
        nthreads = test_way->threads;
        RUN(cancelled_at_any_time);
    }

    test_way = &test_ways[1];
    remove_temp_dir(path, root_fd);
    return 0;
}
