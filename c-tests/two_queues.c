// Queues do not know of each other, and do not mind which thread uses them, as long as it is one at a time.

#include "test.h"

#include <ioq/stat.h>
#include <pthread.h>
#include <semaphore.h>

enum { DEPTH = 100 };

struct user {
    pthread_t thread;
    struct ioq *ioq;
    size_t nthreads, total, cancelled;
    bool block;
    // Requests carry the address of one of these.
    char tags[DEPTH];
};

static bool own(const struct user *user, const struct ioq_ent *ent) {
    return (char *)ent->ptr >= user->tags && (char *)ent->ptr < user->tags + DEPTH;
}

static void *use(void *arg) {
    struct user *user = arg;
    size_t submitted = 0, popped = 0;
    while (popped < user->total) {
        while (submitted < user->total && ioq_capacity(user->ioq) > 0) {
            CHECK_EQ(ioq_nop(user->ioq, IOQ_NOP_HEAVY, &user->tags[submitted % DEPTH]), 0);
            ++submitted;
        }
        struct ioq_ent *ent = ioq_pop(user->ioq, user->block);
        if (!ent) {
            CHECK(!user->block);
            sched_yield();
            continue;
        }
        CHECK(own(user, ent));
        CHECK_EQ(ent->result, 0);
        ioq_free(user->ioq, ent);
        ++popped;
    }
    return NULL;
}

// Each queue gets back what was put into it, and nothing else.
static void side_by_side(void) {
    struct user users[4];
    for (size_t i = 0; i < COUNT(users); ++i) {
        users[i] = (struct user){.nthreads = i, .total = rounds(20000), .block = i != 2};
        users[i].ioq = create(DEPTH, users[i].nthreads);
        CHECK_EQ(pthread_create(&users[i].thread, NULL, use, &users[i]), 0);
    }
    for (size_t i = 0; i < COUNT(users); ++i) {
        CHECK_EQ(pthread_join(users[i].thread, NULL), 0);
        ioq_destroy(users[i].ioq);
    }
}

// In one thread, in turns; the one's end is not the other's.
static void interleaved(void) {
    static struct bfs_stat bufs[2][DEPTH];
    struct ioq *a = create(DEPTH, 2), *b = create(DEPTH, 1);
    for (size_t i = 0; i < DEPTH; ++i) {
        CHECK_EQ(ioq_stat(a, AT_FDCWD, "/", 0, &bufs[0][i], a), 0);
        CHECK_EQ(ioq_stat(b, AT_FDCWD, "/", 0, &bufs[1][i], b), 0);
    }
    ioq_cancel(a);
    CHECK_ERRNO(ioq_nop(a, IOQ_NOP_LIGHT, a), EINTR);
    for (size_t i = 0; i < DEPTH; ++i) {
        struct ioq_ent *ent = ioq_pop(b, true);
        CHECK(ent && ent->ptr == b);
        CHECK_EQ(ent->result, 0);
        ioq_free(b, ent);

        ent = ioq_pop(a, true);
        CHECK(ent && ent->ptr == a);
        CHECK(ent->result == 0 || ent->result == -EINTR);
        ioq_free(a, ent);
    }
    ioq_destroy(a);
    CHECK_EQ(ioq_nop(b, IOQ_NOP_LIGHT, b), 0);
    CHECK_EQ(take(b, IOQ_NOP, b), 0);
    ioq_destroy(b);
}

static struct ioq *passed;
static sem_t turn[2];

// The other one of two threads that take turns.
static void *other(void *arg) {
    (void)arg;
    for (size_t i = 0; i < rounds(500); ++i) {
        CHECK_EQ(sem_wait(&turn[1]), 0);
        ioq_free(passed, next(passed));
        CHECK_EQ(ioq_nop(passed, IOQ_NOP_HEAVY, NULL), 0);
        CHECK_EQ(sem_post(&turn[0]), 0);
    }
    return NULL;
}

static void passed_around(void) {
    passed = create(DEPTH, 2);
    CHECK_EQ(sem_init(&turn[0], 0, 0), 0);
    CHECK_EQ(sem_init(&turn[1], 0, 0), 0);
    for (size_t i = 0; i < DEPTH; ++i) {
        CHECK_EQ(ioq_nop(passed, IOQ_NOP_LIGHT, NULL), 0);
    }
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, other, NULL), 0);
    for (size_t i = 0; i < rounds(500); ++i) {
        CHECK_EQ(sem_post(&turn[1]), 0);
        CHECK_EQ(sem_wait(&turn[0]), 0);
        ioq_free(passed, next(passed));
        CHECK_EQ(ioq_nop(passed, IOQ_NOP_HEAVY, NULL), 0);
    }
    CHECK_EQ(pthread_join(thread, NULL), 0);
    for (size_t i = 0; i < DEPTH; ++i) {
        ioq_free(passed, next(passed));
    }
    CHECK_EQ(ioq_capacity(passed), DEPTH);
    ioq_destroy(passed);
}

static void *make(void *arg) {
    *(struct ioq **)arg = create(DEPTH, 2);
    return NULL;
}

static void *end(void *ioq) {
    ioq_destroy(ioq);
    return NULL;
}

// Made by a thread that is gone, and destroyed by one that never used it.
static void made_elsewhere(void) {
    struct ioq *ioq = NULL;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, make, &ioq), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(ioq_nop(ioq, IOQ_NOP_HEAVY, ioq), 0);
    CHECK_EQ(take(ioq, IOQ_NOP, ioq), 0);
    CHECK_EQ(ioq_nop(ioq, IOQ_NOP_HEAVY, ioq), 0);
    CHECK_EQ(pthread_create(&thread, NULL, end, ioq), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

int main(void) {
    need_stacks(4);
    RUN(side_by_side);
    RUN(interleaved);
    RUN(passed_around);
    RUN(made_elsewhere);
    return 0;
}
