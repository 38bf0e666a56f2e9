// ioq_pop(): what it waits for, what it does not wait for, and what it submits.

#include "test.h"

#include <ioq/stat.h>
#include <pthread.h>
#include <stdatomic.h>

// With nothing in flight there is nothing to wait for.
static void nothing(struct ioq *ioq) {
    CHECK(!ioq_pop(ioq, false));
    CHECK(!ioq_pop(ioq, true));
    ioq_submit(ioq);
    CHECK(!ioq_pop(ioq, false));
    CHECK(!ioq_pop(ioq, true));
}

// A popped entry is in flight no more, even if it was not freed.
static void all_popped(struct ioq *ioq) {
    struct ioq_ent *ents[16];
    for (size_t n = 1; n <= COUNT(ents); ++n) {
        for (size_t i = 0; i < n; ++i) {
            CHECK_EQ(ioq_nop(ioq, IOQ_NOP_HEAVY, NULL), 0);
        }
        for (size_t i = 0; i < n; ++i) {
            ents[i] = next(ioq);
        }
        CHECK(!ioq_pop(ioq, true));
        CHECK(!ioq_pop(ioq, false));
        CHECK(!ioq_pop(ioq, true));
        for (size_t i = 0; i < n; ++i) {
            ioq_free(ioq, ents[i]);
            CHECK(!ioq_pop(ioq, true));
        }
    }
}

// A loop that is never told to submit, with each number of requests in the buffer.
static void submits(struct ioq *ioq) {
    static struct bfs_stat bufs[16];
    for (size_t n = 1; n <= COUNT(bufs); ++n) {
        for (size_t i = 0; i < n; ++i) {
            CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[i], NULL), 0);
        }
        for (size_t i = 0; i < n; ++i) {
            struct ioq_ent *ent = next(ioq);
            CHECK_EQ(ent->result, 0);
            ioq_free(ioq, ent);
        }
    }
}

// Requests that were buffered between two pops get done although responses were ready before.
static void submits_while_ready(struct ioq *ioq) {
    for (size_t i = 0; i < 8; ++i) {
        CHECK_EQ(ioq_nop(ioq, IOQ_NOP_LIGHT, NULL), 0);
    }
    for (size_t i = 0; i < 1000; ++i) {
        ioq_free(ioq, next(ioq));
        CHECK_EQ(ioq_nop(ioq, i % 2 ? IOQ_NOP_LIGHT : IOQ_NOP_HEAVY, NULL), 0);
    }
    for (size_t i = 0; i < 8; ++i) {
        ioq_free(ioq, next(ioq));
    }
}

// Submitting nothing, and more than once, is fine.
static void submit_often(struct ioq *ioq) {
    for (size_t i = 0; i < 16; ++i) {
        ioq_submit(ioq);
        ioq_submit(ioq);
        CHECK_EQ(ioq_nop(ioq, IOQ_NOP_LIGHT, NULL), 0);
        ioq_submit(ioq);
    }
    for (size_t i = 0; i < 16; ++i) {
        ioq_free(ioq, next(ioq));
    }
}

// After many polls in vain, and few, the next response still comes.
static void polls_in_vain(struct ioq *ioq) {
    for (size_t polls = 0; polls < 300; ++polls) {
        for (size_t i = 0; i < polls; ++i) {
            CHECK(!ioq_pop(ioq, false));
        }
        CHECK_EQ(ioq_nop(ioq, IOQ_NOP_HEAVY, ioq), 0);
        CHECK_EQ(take(ioq, IOQ_NOP, ioq), 0);
    }
}

// Blocking and polling mixed, with no regard to what is ready.
static void mixed(struct ioq *ioq) {
    if (test_way->threads == 0) {
        return; // polling would never end
    }
    uint64_t seed = 1;
    size_t in_flight = 0;
    for (size_t i = 0; i < 5000; ++i) {
        while (ioq_capacity(ioq) > 0 && random_below(&seed, 3) > 0) {
            CHECK_EQ(ioq_nop(ioq, IOQ_NOP_LIGHT, NULL), 0);
            ++in_flight;
        }
        struct ioq_ent *ent = ioq_pop(ioq, random_below(&seed, 2) == 0 && in_flight > 0);
        if (ent) {
            --in_flight;
            ioq_free(ioq, ent);
        }
    }
    for (; in_flight > 0; --in_flight) {
        ioq_free(ioq, next(ioq));
    }
}

// Without workers, only a blocking pop does anything.
static void without_workers(void) {
    struct ioq *ioq = create(16, 0);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(ioq_close(ioq, fd, &fd), 0);
    ioq_submit(ioq);
    for (int i = 0; i < 100; ++i) {
        CHECK(!ioq_pop(ioq, false));
    }
    CHECK(fd_open(fd));
    CHECK_EQ(ioq_capacity(ioq), 15);
    struct ioq_ent *ent = ioq_pop(ioq, true);
    CHECK(ent && ent->ptr == &fd);
    CHECK_EQ(ent->result, 0);
    CHECK(!fd_open(fd));
    CHECK_EQ(threads(), 1);
    ioq_destroy(ioq);
}

static pthread_t popping;
static atomic_bool popped;

static void on_signal(int signal) {
    (void)signal;
}

static void *interrupt(void *arg) {
    (void)arg;
    while (!popped) {
        pthread_kill(popping, SIGUSR1);
        sched_yield();
    }
    return NULL;
}

// A signal handler that interrupts a blocking pop does not end it.
static void interrupted(void) {
    struct sigaction action = {.sa_handler = on_signal}, before;
    CHECK_EQ(sigaction(SIGUSR1, &action, &before), 0);
    struct ioq *ioq = create(16, 1);
    popping = pthread_self();
    popped = false;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, interrupt, NULL), 0);

    struct bfs_stat bufs[16];
    for (size_t round = 0; round < rounds(2000); ++round) {
        for (size_t i = 0; i < COUNT(bufs); ++i) {
            CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[i], NULL), 0);
        }
        for (size_t i = 0; i < COUNT(bufs); ++i) {
            struct ioq_ent *ent = ioq_pop(ioq, true);
            CHECK(ent);
            CHECK_EQ(ent->result, 0);
            ioq_free(ioq, ent);
        }
    }

    popped = true;
    CHECK_EQ(pthread_join(thread, NULL), 0);
    ioq_destroy(ioq);
    CHECK_EQ(sigaction(SIGUSR1, &before, NULL), 0);
}

int main(void) {
    RUN_EACH_WAY(nothing);
    RUN_EACH_WAY(all_popped);
    RUN_EACH_WAY(submits);
    RUN_EACH_WAY(submits_while_ready);
    RUN_EACH_WAY(submit_often);
    RUN_EACH_WAY(polls_in_vain);
    RUN_EACH_WAY(mixed);
    RUN(without_workers);
    RUN(interrupted);
    return 0;
}
