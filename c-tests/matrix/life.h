// The life of a queue, from create to destroy: random actions, the arithmetic of its capacity, and its end at any point.

#ifndef MATRIX_LIFE_H
#define MATRIX_LIFE_H

#include "response.h"

#include <poll.h>
#include <pthread.h>
#include <time.h>

enum action { SUBMIT, FLUSH, POP, POLL, POP_UNTIL, POP_MANY, FREE, CANCEL_ONE, REFUSED, PAUSE, LOOK, ACTIONS };

struct life {
    struct ioq *ioq;
    const struct setting *setting;
    struct world *world;
    // What to do; what to ask is the world's choice.
    struct random random;
    size_t weights[ACTIONS];
    size_t burst;
    // All requests. Those that were accepted, popped and freed are counted.
    struct request *requests;
    size_t total, used, accepted, popped, freed;
    // The entry of the request that was accepted last.
    const struct ioq_ent *last;
    // What is popped and not freed. The first of them, which are so many at most, are kept until the end.
    struct request **held;
    size_t nheld, nkept, keep;
    // Turns a request's index into what the queue is given as its pointer, which may be anything.
    uint64_t key;
    // The queue's descriptor, or -1.
    int fd;
    // Whether the queue was cancelled: perhaps, while another thread is at it.
    enum { NOT, PERHAPS, SURELY } cancelled;
    bool cancelled_some;
    pthread_t canceller;
    size_t delay;
    struct outcome outcome;
    // How many requests there were before.
    size_t settling;
};

static size_t capacity(const struct life *life) {
    return life->setting->depth - (life->accepted - life->freed);
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
    int ret = issue(life->ioq, life->world, req, pointer_of(life, req));
    if (ret == 0) {
        CHECK(life->cancelled != SURELY && capacity(life) > 0);
        req->state = SUBMITTED;
        req->handle = life->last = ioq_last(life->ioq);
        ++life->used;
        ++life->accepted;
        life->outcome.nops += req->op == IOQ_NOP;
        life->outcome.for_ring += is_for_ring(life->world, req);
    } else {
        CHECK_EQ(ret, -1);
        CHECK((errno == EINTR && life->cancelled != NOT) ||
              (errno == EAGAIN && life->cancelled != SURELY && capacity(life) == 0));
        withdraw(life->world, req);
    }
    CHECK(ioq_last(life->ioq) == life->last);
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

// How many requests the caller has run.
static uint64_t run_by_caller(const struct life *life) {
    struct ioq_counts counts;
    ioq_count(life->ioq, &counts);
    return counts.caller;
}

// Checks what was popped.
static void receive(struct life *life, struct ioq_ent *ent) {
    CHECK(life->popped < life->accepted);
    uint64_t index = (uint64_t)(uintptr_t)ent->ptr ^ life->key;
    CHECK(index < life->used);
    struct request *req = &life->requests[index];
    CHECK_EQ(req->state, SUBMITTED);
    CHECK(req->handle == ent);
    finish(life->world, req, ent, life->cancelled != NOT);
    ++life->popped;
    life->held[life->nheld++] = req;
    if (life->nkept < life->keep) {
        struct request **first = &life->held[life->nkept++];
        life->held[life->nheld - 1] = *first;
        *first = req;
    }
}

// A pop that does not block never runs a request.
static bool pop(struct life *life, bool block) {
    uint64_t before = run_by_caller(life);
    errno = E2BIG;
    struct ioq_ent *ent = ioq_pop(life->ioq, block);
    CHECK_EQ(errno, E2BIG);
    CHECK(block || run_by_caller(life) == before);
    if (ent) {
        receive(life, ent);
    } else {
        CHECK(!block || life->popped == life->accepted);
    }
    check_capacity(life);
    return ent;
}

// Nor does one that waits for a time, which may be over.
static bool pop_until(struct life *life) {
    struct timespec deadline;
    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &deadline), 0);
    deadline.tv_nsec += (long)below(&life->random, 2000000) - 1000000;
    deadline.tv_sec += deadline.tv_nsec / 1000000000 - (deadline.tv_nsec < 0);
    deadline.tv_nsec = (deadline.tv_nsec + 1000000000) % 1000000000;
    uint64_t before = run_by_caller(life);
    errno = E2BIG;
    struct ioq_ent *ent = ioq_pop_until(life->ioq, &deadline);
    CHECK_EQ(errno, ent || life->popped == life->accepted ? E2BIG : ETIMEDOUT);
    CHECK_EQ(run_by_caller(life), before);
    if (ent) {
        receive(life, ent);
    }
    check_capacity(life);
    return ent;
}

static bool pop_many(struct life *life, bool block) {
    enum { MOST = 100 };
    struct ioq_ent *ents[MOST];
    size_t count = below(&life->random, MOST + 1);
    errno = E2BIG;
    size_t popped = ioq_pop_many(life->ioq, ents, count, block);
    CHECK_EQ(errno, E2BIG);
    CHECK(popped <= count && (popped > 0 || !block || count == 0 || life->popped == life->accepted));
    for (size_t i = 0; i < popped; ++i) {
        receive(life, ents[i]);
    }
    check_capacity(life);
    return popped > 0;
}

static void free_one(struct life *life) {
    size_t i = between(&life->random, life->nkept, life->nheld - 1);
    struct request *req = life->held[i];
    check_held(req);
    req->state = FREED;
    ioq_free(life->ioq, req->ent);
    ++life->freed;
    life->held[i] = life->held[--life->nheld];
    check_capacity(life);
}

// Cancels one request that is on its way, most likely one of the last.
static void cancel_one(struct life *life) {
    size_t back = life->used > 0 ? skewed(&life->random, life->used) : 0;
    struct request *req = &life->requests[life->used - back];
    if (back > 0 && req->state == SUBMITTED) {
        ioq_cancel_one(life->ioq, req->handle);
        req->cancelled = life->cancelled_some = true;
    }
}

// What must be refused, and change nothing.
static void be_refused(struct life *life) {
    struct ioq *ioq = life->ioq;
    CHECK_ERRNO(ioq_stat(ioq, AT_FDCWD, ".", 0, NULL, life), EINVAL);
    CHECK_ERRNO(ioq_opendir(ioq, NULL, AT_FDCWD, ".", 0, life), EINVAL);
    CHECK_ERRNO(ioq_closedir(ioq, NULL, life), EINVAL);
    CHECK_ERRNO(ioq_nop(ioq, (enum ioq_nop_type)2, life), EINVAL);
    CHECK_ERRNO(ioq_nop(NULL, IOQ_NOP_LIGHT, life), EINVAL);
    CHECK(!ioq_pop_until(ioq, &(struct timespec){.tv_nsec = 1000000000}) && errno == EINVAL);
    ioq_free(ioq, NULL);
    ioq_cancel_one(ioq, NULL);
    CHECK(ioq_last(ioq) == life->last);
    check_capacity(life);
}

static struct ioq_counts counts(const struct life *life) {
    struct ioq_counts counts;
    ioq_count(life->ioq, &counts);
    uint64_t sum = counts.ring + counts.worker + counts.caller - life->settling;
    CHECK(life->popped <= sum && sum <= life->accepted);
    return counts;
}

// What the queue says of itself adds up, however far it is by now.
static void check_info(const struct life *life) {
    struct ioq_info info = {.size = sizeof(info)};
    CHECK_EQ(ioq_info(life->ioq, &info), 0);
    CHECK_EQ(info.held, life->popped - life->freed);
    CHECK_EQ(info.pending + info.running + info.ready, life->accepted - life->popped);
    CHECK(info.workers <= life->setting->threads);
    CHECK(info.ring_limit <= (life->setting->inflight ? life->setting->inflight : 256));
    CHECK(life->popped < life->accepted || info.oldest == 0);
}

static void look(struct life *life) {
    for (size_t i = 0; i < life->nheld; ++i) {
        check_held(life->held[i]);
    }
    check_capacity(life);
    check_info(life);
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
    case POP_UNTIL:
        while (n-- > 0 && pop_until(life)) {
        }
        break;
    case POP_MANY:
        pop_many(life, one_in(&life->random, 2));
        break;
    case FREE:
        while (n-- > 0 && life->nheld > life->nkept) {
            free_one(life);
        }
        break;
    case CANCEL_ONE:
        cancel_one(life);
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
        for (size_t n = below(&life->random, life->burst); n > 0; --n) {
            pop(life, false);
        }
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

// From now on, perhaps, an event loop looks after the queue.
static void open_descriptor(struct life *life) {
    if (life->fd >= 0 || !one_in(&life->random, 4)) {
        return;
    }
    life->fd = ioq_fd(life->ioq);
    if (life->fd < 0) {
        // In a hostile world there may be no threads.
        CHECK_EQ(errno, life->setting->threads == 0 ? EOPNOTSUPP : EAGAIN);
    } else {
        CHECK_EQ(ioq_fd(life->ioq), life->fd);
    }
}

static bool is_readable(const struct life *life, int timeout) {
    struct pollfd poll_fd = {.fd = life->fd, .events = POLLIN};
    return poll(&poll_fd, 1, timeout) == 1;
}

// Gets something, or nothing so far, in a way of the life's choice.
static bool get(struct life *life, size_t way) {
    switch (way) {
    case 0:
        return pop(life, true);
    case 1:
        return pop_many(life, true);
    case 2:
        return pop_until(life);
    case 3:
        return (life->fd < 0 || is_readable(life, -1)) && pop(life, false);
    default:
        return pop(life, false);
    }
}

// Pops everything that is in flight.
static void drain(struct life *life) {
    ioq_submit(life->ioq);
    size_t way = below(&life->random, life->setting->threads == 0 ? 2 : 5);
    while (life->popped < life->accepted) {
        if (!get(life, way)) {
            sched_yield();
        }
    }
    CHECK(!ioq_pop(life->ioq, true));
    CHECK(!ioq_pop(life->ioq, false));
    CHECK(life->fd < 0 || !is_readable(life, 0));
    look(life);
    struct ioq_counts all = counts(life);
    CHECK_EQ(all.ring + all.worker + all.caller, life->accepted + life->settling);
}

#endif // MATRIX_LIFE_H
