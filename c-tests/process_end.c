// The process ends while queues are alive, in this thread and in others, with work in flight: it ends as it was told to,
// at once, and what exit() runs may destroy a queue.

#include "test.h"

#include <ioq/stat.h>
#include <pthread.h>
#include <stdatomic.h>

enum { DEPTH = 256, STATUS = 42 };

static struct ioq *ioq;
static atomic_bool at_work;

static void fill(struct ioq *queue) {
    static _Thread_local struct bfs_stat bufs[DEPTH];
    for (size_t i = 0; i < DEPTH && ioq_capacity(queue) > 0; ++i) {
        CHECK_EQ(ioq_stat(queue, AT_FDCWD, "/", 0, &bufs[i], NULL), 0);
    }
    ioq_submit(queue);
}

static void destroy(void) {
    ioq_destroy(ioq);
}

static void exits(void) {
    ioq = create(DEPTH, 4);
    fill(ioq);
    exit(STATUS);
}

static void exits_and_destroys(void) {
    ioq = create(DEPTH, 4);
    fill(ioq);
    CHECK_EQ(atexit(destroy), 0);
    exit(STATUS);
}

// Uses a queue for ever, popping in one way or the other.
static void *use(void *block) {
    struct ioq *queue = create(DEPTH, 2);
    for (;;) {
        fill(queue);
        for (struct ioq_ent *ent; (ent = ioq_pop(queue, block));) {
            CHECK_EQ(ent->result, 0);
            ioq_free(queue, ent);
            at_work = true;
        }
    }
    return NULL;
}

static void start_users(void) {
    static pthread_t users[2];
    for (size_t i = 0; i < COUNT(users); ++i) {
        CHECK_EQ(pthread_create(&users[i], NULL, use, i ? &users : NULL), 0);
    }
    while (!at_work) {
        sched_yield();
    }
}

static void exits_beside_users(void) {
    start_users();
    exits_and_destroys();
}

static void quick_exits_beside_users(void) {
    start_users();
    quick_exit(STATUS);
}

static void *exit_elsewhere(void *arg) {
    (void)arg;
    exit(STATUS);
}

// Another thread ends the process while this one is in a pop.
static void exits_in_a_pop(void) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, exit_elsewhere, NULL), 0);
    use(&thread);
}

// The first thread leaves, and the process goes on without it.
static void *destroy_and_exit(void *first) {
    CHECK_EQ(pthread_join(*(pthread_t *)first, NULL), 0);
    while (ioq_pop(ioq, true)) {
    }
    ioq_destroy(ioq);
    exit(STATUS);
}

static void first_thread_leaves(void) {
    static pthread_t self, thread;
    self = pthread_self();
    ioq = create(DEPTH, 4);
    fill(ioq);
    CHECK_EQ(pthread_create(&thread, NULL, destroy_and_exit, &self), 0);
    pthread_exit(NULL);
}

static void aborted(void) {
    start_users();
    CHECK_EQ(signal(SIGTERM, SIG_DFL) == SIG_ERR, false);
    raise(SIGTERM);
}

static void ends_with(void (*way)(void), int status) {
    for (size_t i = 0; i < rounds(30); ++i) {
        CHECK_EQ(in_child(way), status);
    }
}

int main(void) {
    watchdog();
    ioq_destroy(create(1, 1)); // skips where there are no rings but have to be
    static void (*const ways[])(void) = {exits,          exits_and_destroys,  exits_beside_users, quick_exits_beside_users,
                                         exits_in_a_pop};
    for (size_t i = 0; i < COUNT(ways); ++i) {
        ends_with(ways[i], STATUS << 8);
    }
    // The runtimes of these know of no first thread that is joined; and in musl, one of a child that fork() made never is.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
    (void)first_thread_leaves;
#else
    ends_with(first_thread_leaves, STATUS << 8);
#endif
    ends_with(aborted, SIGTERM);
    return 0;
}
