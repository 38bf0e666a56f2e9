// The first queues of a process, made by several threads at once: what they share is made ready once, for all, which is
// above all the program's own functions.

#define HOST_STAT
#include "host.h"

#include <pthread.h>

enum { THREADS = 4 };

static pthread_barrier_t start;

static void *use(void *arg) {
    pthread_barrier_wait(&start);
    struct ioq *ioq = create(16, 1);
    for (size_t i = 0; i < 10; ++i) {
        struct bfs_stat buf = {.magic = 0};
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &buf, &buf), 0);
        CHECK_EQ(take(ioq, IOQ_STAT, &buf), 0);
        CHECK_EQ(buf.magic, HOST_MAGIC);
    }
    ioq_destroy(ioq);
    return arg;
}

static void at_once(void) {
    pthread_t users[THREADS];
    CHECK_EQ(pthread_barrier_init(&start, NULL, THREADS), 0);
    for (size_t i = 0; i < THREADS; ++i) {
        CHECK_EQ(pthread_create(&users[i], NULL, use, NULL), 0);
    }
    for (size_t i = 0; i < THREADS; ++i) {
        CHECK_EQ(pthread_join(users[i], NULL), 0);
    }
    pthread_barrier_destroy(&start);
}

// Only the first time is the first use, so each child of this process, which has no queue, has one.
static void again(void) {
    for (size_t i = 0; i < rounds(50); ++i) {
        CHECK_EQ(in_child(at_once), 0);
    }
}

int main(void) {
    need_stacks(THREADS);
    RUN(again);
    // The descriptors that a sanitizer opens, when it looks up what it is not to report, count here with RUN().
    at_once();
    return 0;
}
