// The life of a queue, from create to destroy: random actions, the arithmetic of its capacity, and its end at any point.

#ifndef MATRIX_LIFE_H
#define MATRIX_LIFE_H

#include "response.h"

#include <pthread.h>

enum action { SUBMIT, FLUSH, POP, POLL, FREE, REFUSED, PAUSE, LOOK, ACTIONS };

struct life {
    struct ioq *ioq;
    size_t depth, threads;
    struct world *world;
    // What to do; what to ask is the world's choice.
    struct random random;
    size_t weights[ACTIONS];
    size_t burst;
    // All requests. Those that were accepted, popped and freed are counted.
    struct request *requests;
    size_t total, used, accepted, popped, freed;
    // What is popped and not freed.
    struct request **held;
    size_t nheld;
    // Turns a request's index into what the queue is given as its pointer, which may be anything.
    uint64_t key;
    // Whether the queue was cancelled: perhaps, while another thread is at it.
    enum { NOT, PERHAPS, SURELY } cancelled;
    pthread_t canceller;
    size_t delay;
    // How many requests a ring could do, by operation.
    size_t for_ring[IOQ_STAT + 1];
    // How many requests there were before.
    size_t settling;
};

static size_t capacity(const struct life *life) {
    return life->depth - (life->accepted - life->freed);
}

static void check_capacity(const struct life *life) {
    CHECK_EQ(ioq_capacity(life->ioq), capacity(life));
}

static void *pointer_of(const struct life *life, const struct request *req) {
    return (void *)(uintptr_t)((uint64_t)(req - life->requests) ^ life->key);
}

// Submits one, if the queue takes it as the model says. Returns whether it did.
static bool submit(struct life *life, struct request *req) {
    errno = 0;
    int ret = issue(life->ioq, req, pointer_of(life, req));
    if (ret == 0) {
        CHECK(life->cancelled != SURELY && capacity(life) > 0);
        req->state = SUBMITTED;
        ++life->used;
        ++life->accepted;
        life->for_ring[req->op] += suits_ring(req);
    } else {
        CHECK_EQ(ret, -1);
        CHECK((errno == EINTR && life->cancelled != NOT) ||
              (errno == EAGAIN && life->cancelled != SURELY && capacity(life) == 0));
        withdraw(life->world, req);
    }
    check_capacity(life);
    return ret == 0;
}

static void submit_some(struct life *life) {
    for (size_t n = between(&life->random, 1, life->burst); n > 0 && life->used + 2 <= life->total; --n) {
        struct request *req = &life->requests[life->used];
        choose(life->world, req);
        if (!submit(life, req)) {
            return;
        }
        if (req->wants_twin) {
            make_twin(req + 1, req);
            submit(life, req + 1);
        }
    }
}

static bool pop(struct life *life, bool block) {
    errno = E2BIG;
    struct ioq_ent *ent = ioq_pop(life->ioq, block);
    CHECK_EQ(errno, E2BIG);
    if (!ent) {
        CHECK(!block || life->popped == life->accepted);
        return false;
    }
    CHECK(life->popped < life->accepted);
    uint64_t index = (uint64_t)(uintptr_t)ent->ptr ^ life->key;
    CHECK(index < life->used);
    struct request *req = &life->requests[index];
    CHECK_EQ(req->state, SUBMITTED);
    finish(life->world, req, ent, life->cancelled != NOT);
    ++life->popped;
    life->held[life->nheld++] = req;
    check_capacity(life);
    return true;
}

static void free_one(struct life *life) {
    size_t i = below(&life->random, life->nheld);
    struct request *req = life->held[i];
    check_held(req);
    req->state = FREED;
    ioq_free(life->ioq, req->ent);
    ++life->freed;
    life->held[i] = life->held[--life->nheld];
    check_capacity(life);
}

// What must be refused, and change nothing.
static void be_refused(struct life *life) {
    struct ioq *ioq = life->ioq;
    CHECK_ERRNO(ioq_stat(ioq, AT_FDCWD, ".", 0, NULL, life), EINVAL);
    CHECK_ERRNO(ioq_opendir(ioq, NULL, AT_FDCWD, ".", 0, life), EINVAL);
    CHECK_ERRNO(ioq_closedir(ioq, NULL, life), EINVAL);
    CHECK_ERRNO(ioq_nop(ioq, (enum ioq_nop_type)2, life), EINVAL);
    CHECK_ERRNO(ioq_nop(NULL, IOQ_NOP_LIGHT, life), EINVAL);
    ioq_free(ioq, NULL);
    check_capacity(life);
}

static struct ioq_counts counts(const struct life *life) {
    struct ioq_counts counts;
    ioq_count(life->ioq, &counts);
    uint64_t sum = counts.ring + counts.worker + counts.caller - life->settling;
    CHECK(life->popped <= sum && sum <= life->accepted);
    return counts;
}

static void look(struct life *life) {
    for (size_t i = 0; i < life->nheld; ++i) {
        check_held(life->held[i]);
    }
    check_capacity(life);
    counts(life);
}

static void act(struct life *life) {
    size_t sum = 0, action = 0;
    for (size_t i = 0; i < ACTIONS; ++i) {
        sum += life->weights[i];
    }
    for (size_t pick = below(&life->random, sum); pick >= life->weights[action]; ++action) {
        pick -= life->weights[action];
    }
    size_t n = between(&life->random, 1, life->burst);
    switch ((enum action)action) {
    case SUBMIT:
        submit_some(life);
        break;
    case FLUSH:
        ioq_submit(life->ioq);
        break;
    case POP:
        while (n-- > 0 && pop(life, true)) {
        }
        break;
    case POLL:
        while (n-- > 0) {
            pop(life, false);
        }
        break;
    case FREE:
        while (n-- > 0 && life->nheld > 0) {
            free_one(life);
        }
        break;
    case REFUSED:
        be_refused(life);
        break;
    case PAUSE:
        usleep((useconds_t)below(&life->random, 300));
        break;
    default:
        look(life);
    }
}

static void *cancel_later(void *argument) {
    struct life *life = argument;
    for (volatile size_t left = life->delay; left > 0; --left) {
    }
    ioq_cancel(life->ioq);
    return NULL;
}

// Cancels, from this thread or from another, often with requests on their way.
static void cancel(struct life *life) {
    if (one_in(&life->random, 2)) {
        submit_some(life);
    }
    if (one_in(&life->random, 2)) {
        ioq_submit(life->ioq);
    }
    if (one_in(&life->random, 2)) {
        ioq_cancel(life->ioq);
        life->cancelled = SURELY;
    } else if (life->cancelled == NOT) {
        life->cancelled = PERHAPS;
        life->delay = below(&life->random, 100000);
        CHECK_EQ(pthread_create(&life->canceller, NULL, cancel_later, life), 0);
    }
}

static void join_canceller(struct life *life) {
    if (life->delay > 0) {
        CHECK_EQ(pthread_join(life->canceller, NULL), 0);
        life->delay = 0;
        life->cancelled = SURELY;
    }
}

// Pops everything that is in flight.
static void drain(struct life *life) {
    bool block = life->threads == 0 || one_in(&life->random, 2);
    while (life->popped < life->accepted) {
        if (!pop(life, block)) {
            CHECK(!block);
            sched_yield();
        }
    }
    CHECK(!ioq_pop(life->ioq, true));
    CHECK(!ioq_pop(life->ioq, false));
    look(life);
    struct ioq_counts all = counts(life);
    CHECK_EQ(all.ring + all.worker + all.caller, life->accepted + life->settling);
}

#endif // MATRIX_LIFE_H
