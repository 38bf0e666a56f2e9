// ioq_call(): the function is called once, with its argument, and what it returns is the result; it may wait for anything,
// and what was cancelled before is not called.

#include "test.h"

#include <ioq/stat.h>
#include <semaphore.h>
#include <stdatomic.h>

static atomic_size_t calls, calls_of_caller;

static int return_it(void *arg) {
    ++calls;
    calls_of_caller += syscall(SYS_gettid) == getpid();
    return *(int *)arg;
}

// Any result comes back as it is, be it no errno at all.
static void results(struct ioq *ioq) {
    static int values[] = {0, 1, 42, INT_MAX, -1, -ENOENT, -EINTR, -ECANCELED, INT_MIN};
    calls = 0;
    for (size_t i = 0; i < COUNT(values); ++i) {
        CHECK_EQ(ioq_call(ioq, return_it, &values[i], values), 0);
        struct ioq_ent *ent = next(ioq);
        CHECK_EQ(ent->op, IOQ_CALL);
        CHECK_EQ(ent->result, values[i]);
        CHECK(ent->ptr == values);
        CHECK(ent->call.fn == return_it);
        CHECK(ent->call.arg == &values[i]);
        ioq_free(ioq, ent);
    }
    CHECK_EQ(calls, COUNT(values));
}

static int count_it(void *arg) {
    ++*(atomic_size_t *)arg;
    return 0;
}

static void each_once(struct ioq *ioq) {
    static atomic_size_t counts[1000];
    size_t submitted = 0, popped = 0;
    while (popped < COUNT(counts)) {
        while (submitted < COUNT(counts) && ioq_capacity(ioq) > 0) {
            counts[submitted] = 0;
            CHECK_EQ(ioq_call(ioq, count_it, &counts[submitted], NULL), 0);
            ++submitted;
        }
        struct ioq_ent *ent = next(ioq);
        CHECK_EQ(*(atomic_size_t *)ent->call.arg, 1);
        ioq_free(ioq, ent);
        ++popped;
    }
    for (size_t i = 0; i < COUNT(counts); ++i) {
        CHECK_EQ(counts[i], 1);
    }
}

// The caller calls nothing itself that a worker can call.
static void elsewhere(struct ioq *ioq) {
    int zero = 0;
    calls = calls_of_caller = 0;
    for (size_t i = 0; i < 16; ++i) {
        CHECK_EQ(ioq_call(ioq, return_it, &zero, NULL), 0);
    }
    for (size_t i = 0; i < 16; ++i) {
        ioq_free(ioq, next(ioq));
    }
    struct ioq_counts counts;
    ioq_count(ioq, &counts);
    CHECK_EQ(calls, 16);
    CHECK_EQ(calls_of_caller, counts.caller);
    CHECK_EQ(counts.caller, test_way->threads > 0 ? 0 : 16);
}

static void null_function(struct ioq *ioq) {
    CHECK_ERRNO(ioq_call(ioq, NULL, ioq, NULL), EINVAL);
    CHECK_ERRNO(ioq_call(NULL, return_it, ioq, NULL), EINVAL);
    CHECK_EQ(ioq_capacity(ioq), 16);
    CHECK(!ioq_pop(ioq, true));
}

static sem_t entered, may_leave;
static atomic_size_t left;

static void await(sem_t *sem) {
    while (sem_wait(sem) != 0) {
        CHECK_EQ(errno, EINTR);
    }
}

static int hold(void *arg) {
    (void)arg;
    CHECK_EQ(sem_post(&entered), 0);
    await(&may_leave);
    return (int)++left;
}

// Starts so many calls that do not end by themselves.
static void start_holding(struct ioq *ioq, size_t count) {
    left = 0;
    CHECK_EQ(sem_init(&entered, 0, 0), 0);
    CHECK_EQ(sem_init(&may_leave, 0, 0), 0);
    for (size_t i = 0; i < count; ++i) {
        CHECK_EQ(ioq_call(ioq, hold, NULL, &left), 0);
    }
    ioq_submit(ioq);
    for (size_t i = 0; i < count; ++i) {
        await(&entered);
    }
}

// Others run meanwhile, of every kind.
static void others_go_on(void) {
    struct ioq *ioq = create(16, 3);
    start_holding(ioq, 2);
    int value = 5;
    struct bfs_stat buf;
    for (size_t i = 0; i < 10; ++i) {
        CHECK_EQ(ioq_call(ioq, return_it, &value, &value), 0);
        struct ioq_ent *ent = ioq_pop(ioq, i % 2);
        while (!ent) {
            CHECK_EQ(i % 2, 0);
            sched_yield();
            ent = ioq_pop(ioq, false);
        }
        CHECK(ent->ptr == &value);
        CHECK_EQ(ent->result, 5);
        ioq_free(ioq, ent);

        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", BFS_STAT_FOLLOW, &buf, &buf), 0);
        ent = ioq_pop(ioq, true);
        CHECK(ent->ptr == &buf);
        CHECK_EQ(ent->result, 0);
        ioq_free(ioq, ent);
    }
    CHECK_EQ(left, 0);
    CHECK_EQ(sem_post(&may_leave), 0);
    CHECK_EQ(sem_post(&may_leave), 0);
    for (int sum = 0, i = 0; i < 2; ++i) {
        struct ioq_ent *ent = ioq_pop(ioq, true);
        sum += ent->result;
        ioq_free(ioq, ent);
        CHECK(i == 0 || sum == 3);
    }
    ioq_destroy(ioq);
}

// What runs keeps its result. What does not run is not called.
static void cancelled(void) {
    struct ioq *ioq = create(16, 1);
    start_holding(ioq, 1);
    int zero = 0;
    calls = 0;
    for (size_t i = 0; i < 10; ++i) {
        CHECK_EQ(ioq_call(ioq, return_it, &zero, NULL), 0);
    }
    ioq_cancel(ioq);
    CHECK_ERRNO(ioq_call(ioq, return_it, &zero, NULL), EINTR);
    CHECK_EQ(sem_post(&may_leave), 0);
    for (size_t i = 0; i < 11; ++i) {
        struct ioq_ent *ent = ioq_pop(ioq, true);
        CHECK_EQ(ent->result, ent->ptr ? 1 : -EINTR);
        ioq_free(ioq, ent);
    }
    CHECK_EQ(calls, 0);
    ioq_destroy(ioq);
}

static int leave_soon(void *arg) {
    (void)arg;
    CHECK_EQ(sem_post(&entered), 0);
    usleep(1000);
    ++left;
    return 0;
}

// Destroying a queue waits for what runs, and calls nothing more.
static void destroyed(void) {
    for (size_t round = 0; round < rounds(100); ++round) {
        struct ioq *ioq = create(16, 2);
        left = 0;
        CHECK_EQ(sem_init(&entered, 0, 0), 0);
        for (size_t i = 0; i < 16; ++i) {
            CHECK_EQ(ioq_call(ioq, leave_soon, NULL, NULL), 0);
        }
        ioq_submit(ioq);
        await(&entered);
        ioq_destroy(ioq);
        int others;
        CHECK_EQ(sem_getvalue(&entered, &others), 0);
        CHECK_EQ(left, (size_t)others + 1);
    }
}

int main(void) {
    RUN_EACH_WAY(results);
    RUN_EACH_WAY(each_once);
    RUN_EACH_WAY(elsewhere);
    RUN_EACH_WAY(null_function);
    RUN(others_go_on);
    RUN(cancelled);
    RUN(destroyed);
    return 0;
}
