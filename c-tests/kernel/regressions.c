// Faults that this design has had, or that others like it have had, and what it promises: a case for each, named after it.

#include "cases.h"
#include "load.h"

enum {
    MANY = 1024,
    // The limit of requests in flight before anything is known of the kernel.
    FIRST_LIMIT = 128,
};

static struct bfs_stat bufs[MANY];

static struct ioq *start(const struct kernel_script *script, size_t threads) {
    kernel_start(script);
    struct ioq_options options = {.size = sizeof(options), .depth = MANY, .nthreads = threads, .inflight = script->inflight,
        .flags = script->no_descriptors ? IOQ_NO_DESCRIPTORS : 0};
    struct ioq *ioq = ioq_create_with(&options);
    CHECK(ioq);
    return ioq;
}

static struct kernel_counts destroy(struct ioq *ioq) {
    ioq_destroy(ioq);
    struct kernel_counts seen = kernel_stop();
    CHECK_EQ(seen.submitted + seen.probes + seen.cancels, seen.completed);
    return seen;
}

static struct kernel_counts stop(struct ioq *ioq) {
    CHECK(!ioq_pop(ioq, true));
    CHECK_EQ(ioq_capacity(ioq), MANY);
    return destroy(ioq);
}

static struct ioq_counts counts_of(const struct ioq *ioq) {
    struct ioq_counts counts;
    ioq_count(ioq, &counts);
    return counts;
}

static struct ioq_info info_of(struct ioq *ioq) {
    struct ioq_info info = {.size = sizeof(info)};
    CHECK_EQ(ioq_info(ioq, &info), 0);
    return info;
}

static void stat_many(struct ioq *ioq, size_t count) {
    for (size_t i = 0; i < count; ++i) {
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[i], &bufs[i]), 0);
    }
    ioq_submit(ioq);
}

static void expect(struct ioq *ioq, size_t count, int result) {
    for (; count > 0; --count) {
        struct ioq_ent *ent = ioq_pop(ioq, true);
        CHECK(ent);
        CHECK_EQ(ent->result, result);
        ioq_free(ioq, ent);
    }
}

// The same, of requests that may have run before the queue was cancelled, or not.
static void expect_run_or_cancelled(struct ioq *ioq, size_t count) {
    for (; count > 0; --count) {
        struct ioq_ent *ent = ioq_pop(ioq, true);
        CHECK(ent);
        CHECK(ent->result == 0 || ent->result == -EINTR);
        ioq_free(ioq, ent);
    }
}

static void stat_and_expect(struct ioq *ioq, size_t count) {
    stat_many(ioq, count);
    expect(ioq, count, 0);
}

// Stats until some go through the ring.
static void await_ring(struct ioq *ioq) {
    size_t before = kernel_seen().submitted;
    while (kernel_seen().submitted == before) {
        stat_and_expect(ioq, MANY);
    }
}

// Waits until so many requests were submitted.
static void await_submitted(size_t count) {
    while (kernel_seen().submitted < count) {
        sched_yield();
    }
}

static int open_one(struct ioq *ioq) {
    struct bfs_dir *dir = bfs_allocdir();
    CHECK(dir);
    CHECK_EQ(ioq_opendir(ioq, dir, AT_FDCWD, "/", 0, NULL), 0);
    struct ioq_ent *ent = ioq_pop(ioq, true);
    CHECK(ent);
    int result = ent->result;
    CHECK_EQ(bfs_closedir(dir), result);
    free(dir);
    ioq_free(ioq, ent);
    return result;
}

// Submissions

// A short submission leaves the rest in the queue, from where it must be sent again.
static void what_was_not_taken_is_sent_again(void) {
    struct kernel_script script = {.rules = {{KERNEL_TAKES, .value = 5}}};
    struct ioq *ioq = start(&script, 1);
    stat_and_expect(ioq, MANY);
    CHECK_EQ(stop(ioq).submitted, MANY);
}

// A kernel may want completions to be seen before it takes anything, and says EBUSY until then.
static void await_completion(unsigned int call) {
    struct kernel_counts seen;
    do {
        seen = kernel_seen();
    } while (call > 0 && seen.completed < seen.submitted);
}

static void completions_are_seen_before_submitting_again(void) {
    struct kernel_script script = {.outside = true, .entered = await_completion,
        .rules = {{KERNEL_SUBMIT_FAILS, .value = EBUSY, .ready = 1}, {KERNEL_TAKES, .value = 8}}};
    struct ioq *ioq = start(&script, 1);
    stat_and_expect(ioq, MANY);
    struct kernel_counts seen = stop(ioq);
    CHECK_EQ(seen.submitted, MANY);
    CHECK(seen.enters <= 2 * MANY);
}

// EAGAIN while much is in flight means to wait for some of it, not to ask again at once, nor to give up.
static void a_kernel_that_is_full_is_waited_for(void) {
    struct kernel_script script = {.outside = true, .rules = {{KERNEL_SUBMIT_FAILS, .value = EAGAIN, .busy = 8},
        {KERNEL_TAKES, .value = 8}}};
    struct ioq *ioq = start(&script, 1);
    stat_and_expect(ioq, MANY);
    struct kernel_counts seen = stop(ioq);
    CHECK_EQ(seen.submitted, MANY);
    CHECK(seen.enters <= 4 * MANY);
}

// However long that takes: the ring is not given up, and workers do the rest meanwhile.
static void a_kernel_that_is_full_for_long_is_waited_for(void) {
    enum { FULL = 8 };
    struct kernel_script script = {.rules = {{KERNEL_SUBMIT_FAILS, .value = EAGAIN, .busy = FULL},
        {KERNEL_TAKES, .value = FULL}, {KERNEL_HOLDS, .value = KERNEL_FOREVER, .count = FULL}}};
    struct ioq *ioq = start(&script, 1);
    stat_many(ioq, MANY);
    expect(ioq, MANY - FIRST_LIMIT, 0);
    CHECK_EQ(kernel_seen().submitted, FULL);
    CHECK_EQ(info_of(ioq).ring_error, 0);
    kernel_release();
    expect(ioq, FIRST_LIMIT, 0);
    CHECK_EQ(stop(ioq).submitted, FIRST_LIMIT);
}

// Nothing in flight, and nothing taken: plain calls, and the ring is left alone. What the kernel is short of it may have
// again, which is worth some patience. Any other error stays, and is asked for once.
static void a_kernel_that_takes_nothing_is_left_alone(void) {
    static const struct {
        int error;
        size_t enters;
    } cases[] = {{EAGAIN, 20}, {EBUSY, 20}, {ENOMEM, 20}, {EBADF, 1}, {ENXIO, 1}, {EPERM, 1}, {ENOSYS, 1}, {EOPNOTSUPP, 1}};
    for (size_t i = 0; i < COUNT(cases); ++i) {
        struct kernel_script script = {.rules = {{KERNEL_ENTER_FAILS, .value = cases[i].error}}};
        struct ioq *ioq = start(&script, 1);
        for (size_t round = 0; round < 4; ++round) {
            stat_and_expect(ioq, MANY);
        }
        CHECK(info_of(ioq).ring_error > 0);
        struct kernel_counts seen = stop(ioq);
        CHECK_EQ(seen.submitted, 0);
        CHECK(seen.enters > 0 && seen.enters <= cases[i].enters);
    }
}

// A few failures of a kernel that is short of something are no reason to give the ring up.
static void a_kernel_that_is_short_for_a_while_is_asked_again(void) {
    static const int errors[] = {EAGAIN, EBUSY, ENOMEM};
    for (size_t i = 0; i < COUNT(errors); ++i) {
        struct kernel_script script = {.rules = {{KERNEL_ENTER_FAILS, .value = errors[i], .count = 5}}};
        struct ioq *ioq = start(&script, 1);
        stat_and_expect(ioq, MANY);
        CHECK_EQ(stop(ioq).submitted, MANY);
    }
}

// What is in flight comes back though every call fails from then on, without another. A ring that is set up so that only
// calls bring completions would wait for ever.
static void what_is_in_flight_comes_back_without_further_calls(void) {
    struct kernel_script script = {.outside = true, .rules = {{KERNEL_ENTER_FAILS, .value = EPERM, .from = 1},
        {KERNEL_TAKES, .value = 20}}};
    struct ioq *ioq = start(&script, 1);
    stat_and_expect(ioq, MANY);
    size_t submitted = stop(ioq).submitted;
    CHECK(submitted > 0 && submitted <= 20);
}

// One that hangs in the ring holds up nothing that the kernel will not take any more.
static void what_is_never_taken_does_not_wait_for_what_was(void) {
    struct kernel_script script = {.outside = true, .rules = {{KERNEL_ENTER_FAILS, .value = EPERM, .from = 1},
        {KERNEL_TAKES, .value = 1}, {KERNEL_HOLDS, .value = KERNEL_FOREVER}}};
    struct ioq *ioq = start(&script, 1);
    stat_many(ioq, MANY);
    expect(ioq, MANY - 1, 0);
    CHECK(!ioq_pop(ioq, false));
    kernel_release();
    expect(ioq, 1, 0);
    CHECK_EQ(stop(ioq).submitted, 1);
}

// Hundreds of interruptions are no reason to give the ring up.
static void interruptions_are_no_error(void) {
    struct kernel_script script = {.rules = {{KERNEL_ENTER_FAILS, .value = EINTR, .count = 700}}};
    struct ioq *ioq = start(&script, 1);
    stat_and_expect(ioq, MANY);
    CHECK_EQ(stop(ioq).submitted, MANY);
}

// A call that has submitted and was interrupted waiting returns how many it took.
static void an_interrupted_wait_submits_nothing_twice(void) {
    struct kernel_script script = {.rules = {{KERNEL_INTERRUPTS, .value = 1}, {KERNEL_HOLDS, .value = 30}}};
    struct ioq *ioq = start(&script, 1);
    stat_and_expect(ioq, MANY);
    CHECK_EQ(stop(ioq).submitted, MANY);
}

// In flight

// Whatever the program allows is used, and no more (which the kernel sees to).
static void in_flight_are_as_many_as_the_program_allows(void) {
    static const size_t bounds[] = {1, 2, 3, 10, FIRST_LIMIT};
    for (size_t i = 0; i < COUNT(bounds); ++i) {
        struct kernel_script script = {.inflight = bounds[i], .rules = {{KERNEL_HOLDS, .value = KERNEL_FOREVER}}};
        struct ioq *ioq = start(&script, 1);
        stat_many(ioq, MANY);
        await_submitted(bounds[i]);
        CHECK_EQ(info_of(ioq).ring_limit, bounds[i]);
        CHECK_EQ(info_of(ioq).in_ring, bounds[i]);
        kernel_release();
        expect(ioq, MANY, 0);
        struct kernel_counts seen = stop(ioq);
        CHECK_EQ(seen.most, bounds[i]);
        CHECK_EQ(seen.workers, bounds[i]);
    }
}

// A kernel that gives a ring less room than it was asked for has less in flight, and room for a cancel beside it.
static void a_small_ring_is_not_overfilled(void) {
    enum { ROOM = 64, AT_LEAST = ROOM / 2 };
    struct kernel_script script = {.entries = ROOM, .rules = {{KERNEL_HOLDS, .value = KERNEL_FOREVER}}};
    struct ioq *ioq = start(&script, 1);
    stat_many(ioq, MANY);
    await_submitted(AT_LEAST);
    ioq_cancel(ioq);
    expect_run_or_cancelled(ioq, MANY);
    struct kernel_counts seen = stop(ioq);
    CHECK(seen.most < ROOM);
    CHECK_EQ(seen.cancels, 1);
}

// Each trip takes as long as any other, so more in flight bring more: the limit climbs to what the program allows.
static void take_a_while(unsigned int call) {
    (void)call;
    usleep(3000);
}

static void the_limit_climbs_while_that_pays(void) {
    static const size_t bounds[] = {100, 0};
    for (size_t i = 0; i < COUNT(bounds); ++i) {
        struct kernel_script script = {.inflight = bounds[i], .entered = take_a_while};
        size_t bound = bounds[i] ? bounds[i] : 256;
        struct ioq *ioq = start(&script, 1);
        stat_many(ioq, MANY);
        while (kernel_seen().most < bound) {
            // For each that comes back, another one.
            struct ioq_ent *ent = ioq_pop(ioq, true);
            CHECK(ent);
            CHECK_EQ(ent->result, 0);
            struct bfs_stat *buf = ent->ptr;
            ioq_free(ioq, ent);
            CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, buf, buf), 0);
        }
        expect(ioq, MANY, 0);
        CHECK_EQ(stop(ioq).most, bound);
    }
}

// Most requests come and go while a few take long: what those use must not be given to others meanwhile.
static void buffers_are_not_used_again_while_a_late_completion_names_them(void) {
    struct kernel_script script = {.order = KERNEL_RANDOM, .seed = 1, .rules = {{KERNEL_HOLDS, .value = 60, .every = 7}}};
    struct ioq *ioq = start(&script, 1);
    for (size_t round = 0; round < 4; ++round) {
        stat_and_expect(ioq, MANY);
    }
    CHECK(stop(ioq).submitted > MANY);
}

// A fallback that keeps its buffer leaves none after so many requests. They come one by one: a worker that has much to do
// takes what is pending, now and then.
static void a_fallback_gives_its_buffer_back(void) {
    enum { BUFFERS = 4, REQUESTS = 4 * BUFFERS };
    struct kernel_script script = {.inflight = BUFFERS, .rules = {{KERNEL_REFUSES, .value = ECANCELED}}};
    struct ioq *ioq = start(&script, 1);
    for (size_t i = 0; i < REQUESTS; ++i) {
        stat_and_expect(ioq, 1);
    }
    struct kernel_counts seen = stop(ioq);
    CHECK_EQ(seen.submitted, REQUESTS);
    CHECK_EQ(seen.refused, REQUESTS);
}

// Rings that hang

// As many requests hang as may be in flight, and all others come back through workers.
static void what_a_ring_has_no_room_for_is_run_by_workers(void) {
    static const size_t bounds[] = {1, 0};
    for (size_t i = 0; i < COUNT(bounds); ++i) {
        for (size_t threads = 1; threads <= 3; threads += 2) {
            struct kernel_script script = {.inflight = bounds[i], .rules = {{KERNEL_HOLDS, .value = KERNEL_FOREVER}}};
            size_t hung = bounds[i] ? bounds[i] : FIRST_LIMIT;
            struct ioq *ioq = start(&script, threads);
            stat_many(ioq, MANY);
            expect(ioq, MANY - hung, 0);
            CHECK(!ioq_pop(ioq, false));
            CHECK_EQ(counts_of(ioq).worker, MANY - hung);
            kernel_release();
            expect(ioq, hung, 0);
            CHECK_EQ(counts_of(ioq).ring, hung);
            CHECK_EQ(stop(ioq).submitted, hung);
        }
    }
}

// A few hang, and the others go past them through the ring.
static void a_few_that_hang_leave_the_ring_to_others(void) {
    enum { HANG = 10 };
    struct kernel_script script = {.rules = {{KERNEL_HOLDS, .value = KERNEL_FOREVER, .from = 5, .count = HANG}}};
    struct ioq *ioq = start(&script, 1);
    stat_many(ioq, MANY);
    expect(ioq, MANY - HANG, 0);
    CHECK(!ioq_pop(ioq, false));
    CHECK_EQ(counts_of(ioq).ring, MANY - HANG);
    kernel_release();
    expect(ioq, HANG, 0);
    CHECK_EQ(stop(ioq).submitted, MANY);
}

// Cancelling

// What hangs in the ring is interrupted, once for all.
static void a_cancel_interrupts_what_hangs(void) {
    struct kernel_script script = {.rules = {{KERNEL_HOLDS, .value = KERNEL_FOREVER}}};
    struct ioq *ioq = start(&script, 1);
    stat_many(ioq, FIRST_LIMIT);
    await_submitted(FIRST_LIMIT);
    ioq_cancel(ioq);
    expect(ioq, FIRST_LIMIT, -EINTR);
    struct kernel_counts seen = stop(ioq);
    CHECK_EQ(seen.submitted, FIRST_LIMIT);
    CHECK_EQ(seen.cancels, 1);
}

static void destroying_interrupts_what_hangs(void) {
    struct kernel_script script = {.rules = {{KERNEL_HOLDS, .value = KERNEL_FOREVER}}};
    struct ioq *ioq = start(&script, 1);
    stat_many(ioq, MANY);
    await_submitted(FIRST_LIMIT);
    struct kernel_counts seen = destroy(ioq);
    CHECK_EQ(seen.submitted, FIRST_LIMIT);
    CHECK_EQ(seen.cancels, 1);
}

// The same, of one request: the others stay, and no more than that one is cancelled.
static void one_that_is_cancelled_is_interrupted(void) {
    enum { HANG = 10, ONE = 4 };
    struct kernel_script script = {.rules = {{KERNEL_HOLDS, .value = KERNEL_FOREVER}}};
    struct ioq *ioq = start(&script, 1);
    const struct ioq_ent *handle = NULL;
    for (size_t i = 0; i < HANG; ++i) {
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[i], &bufs[i]), 0);
        handle = i == ONE ? ioq_last(ioq) : handle;
    }
    ioq_submit(ioq);
    await_submitted(HANG);
    ioq_cancel_one(ioq, handle);
    struct ioq_ent *ent = ioq_pop(ioq, true);
    CHECK(ent == handle && ent->ptr == &bufs[ONE]);
    CHECK_EQ(ent->result, -ECANCELED);
    ioq_free(ioq, ent);
    CHECK(!ioq_pop(ioq, false));
    kernel_release();
    expect(ioq, HANG - 1, 0);
    struct kernel_counts seen = stop(ioq);
    CHECK_EQ(seen.submitted, HANG);
    CHECK_EQ(seen.cancels, 1);
}

// What was opened is closed, and not asked about once more by a call that nothing interrupts.
static void one_that_has_opened_something_is_cancelled(void) {
    struct kernel_script script = {.rules = {{KERNEL_HOLDS, .value = KERNEL_FOREVER, .ops = KERNEL_STATX}}};
    struct ioq *ioq = start(&script, 1);
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC};
    struct statx buf;
    CHECK_EQ(ioq_openat(ioq, AT_FDCWD, "/", &how, STATX_TYPE, &buf, NULL), 0);
    ioq_submit(ioq);
    await_submitted(2);
    ioq_cancel_one(ioq, ioq_last(ioq));
    struct ioq_ent *ent = ioq_pop(ioq, true);
    CHECK_EQ(ent->result, -ECANCELED);
    ioq_free(ioq, ent);
    CHECK_EQ(stop(ioq).cancels, 1);
}

// What was cancelled and is not interrupted comes back with a result of its own.
static void one_that_cannot_be_interrupted_goes_on(void) {
    struct kernel_script script = {.stubborn = true, .rules = {{KERNEL_HOLDS, .value = KERNEL_FOREVER}}};
    struct ioq *ioq = start(&script, 1);
    stat_many(ioq, 1);
    await_submitted(1);
    ioq_cancel_one(ioq, ioq_last(ioq));
    while (kernel_seen().cancels == 0) {
        sched_yield();
    }
    CHECK(!ioq_pop(ioq, false));
    kernel_release();
    expect(ioq, 1, 0);
    stop(ioq);
}

// What cannot be interrupted is waited for, and nothing else waits for it. Before Linux 5.19 that is so for all.
static void what_cannot_be_interrupted_holds_up_nothing(void) {
    static const unsigned int versions[] = {0, 0x0512};
    for (size_t i = 0; i < COUNT(versions); ++i) {
        struct kernel_script script = {.version = versions[i], .stubborn = versions[i] == 0,
            .rules = {{KERNEL_HOLDS, .value = KERNEL_FOREVER}}};
        struct ioq *ioq = start(&script, 1);
        stat_many(ioq, FIRST_LIMIT);
        await_submitted(FIRST_LIMIT);
        stat_many(ioq, MANY - FIRST_LIMIT);
        ioq_cancel(ioq);
        expect_run_or_cancelled(ioq, MANY - FIRST_LIMIT);
        CHECK(!ioq_pop(ioq, false));
        kernel_release();
        expect(ioq, FIRST_LIMIT, 0);
        struct kernel_counts seen = stop(ioq);
        CHECK_EQ(seen.submitted, FIRST_LIMIT);
        CHECK_EQ(seen.cancels, 1);
    }
}

// The queue is cancelled while submissions wait for a kernel that takes none: those have not run, and are not to.
static struct ioq *to_cancel;
static unsigned int cancel_call;

static void cancel_at_call(unsigned int call) {
    if (call == cancel_call) {
        ioq_cancel(to_cancel);
    }
}

static void what_no_kernel_took_is_not_run_after_a_cancel(void) {
    struct kernel_script script = {.entered = cancel_at_call, .rules = {{KERNEL_SUBMIT_FAILS, .value = EAGAIN}}};
    to_cancel = start(&script, 1);
    stat_many(to_cancel, 31);
    expect(to_cancel, 31, -EINTR);
    struct kernel_counts seen = stop(to_cancel);
    CHECK_EQ(seen.submitted, 0);
    CHECK(seen.enters > 0);
}

// The same when the ring refuses to run them.
static void what_was_refused_is_not_run_after_a_cancel(void) {
    struct kernel_script script = {.entered = cancel_at_call, .rules = {{KERNEL_REFUSES, .value = EACCES}}};
    to_cancel = start(&script, 1);
    stat_many(to_cancel, 31);
    expect(to_cancel, 31, -EINTR);
    CHECK(stop(to_cancel).submitted > 0);
}

// Directories that the ring opens for a queue that was cancelled meanwhile: nobody else closes them.
static void what_the_ring_opened_is_closed_after_a_cancel(void) {
    enum { DIRS = 60 };
    for (cancel_call = 0; cancel_call < 20; ++cancel_call) {
        struct kernel_script script = {.entered = cancel_at_call,
            .rules = {{KERNEL_TAKES, .value = 5}, {KERNEL_HOLDS, .value = 3, .every = 2}}};
        to_cancel = start(&script, 1);
        for (size_t i = 0; i < DIRS; ++i) {
            struct bfs_dir *dir = bfs_allocdir();
            CHECK(dir);
            if (ioq_opendir(to_cancel, dir, AT_FDCWD, "/", 0, dir) != 0) {
                CHECK_EQ(errno, EINTR);
                free(dir);
            }
        }
        struct ioq_ent *ent;
        while ((ent = ioq_pop(to_cancel, true))) {
            CHECK(ent->result == 0 || ent->result == -EINTR);
            if (ent->result == 0) {
                CHECK_EQ(bfs_closedir(ent->ptr), 0);
            }
            free(ent->ptr);
            ioq_free(to_cancel, ent);
        }
        CHECK(stop(to_cancel).submitted > 0);
    }
}

// Answers

// The plain call does what the ring would not, so the ring is asked whether it refuses. It does, and is left alone with
// that operation from then on, and used for the other.
static void a_refused_operation_is_run_by_workers(void) {
    static const int errors[] = {EACCES, EPERM, EINVAL, ENOSYS, EOPNOTSUPP};
    for (size_t i = 0; i < COUNT(errors); ++i) {
        struct kernel_script script = {.rules = {{KERNEL_REFUSES, .value = errors[i], .ops = KERNEL_STATX}}};
        struct ioq *ioq = start(&script, 1);
        // The second time, the ring is asked before anything else.
        stat_and_expect(ioq, MANY);
        stat_and_expect(ioq, MANY);
        struct kernel_counts seen = kernel_seen();
        CHECK(seen.submitted > 0 && seen.probes > 0);
        CHECK_EQ(seen.refused, seen.submitted + seen.probes);
        size_t workers = counts_of(ioq).worker;
        stat_and_expect(ioq, MANY);
        CHECK_EQ(kernel_seen().submitted, seen.submitted);
        CHECK_EQ(counts_of(ioq).worker, workers + MANY);
        CHECK_EQ(open_one(ioq), 0);
        CHECK_EQ(stop(ioq).submitted, seen.submitted + 1);
    }
}

// The plain call does what the ring would not, but the ring does not refuse: something else was in the way.
static void an_answer_that_does_not_last_disables_nothing(void) {
    struct kernel_script script = {.rules = {{KERNEL_ANSWERS, .value = EACCES, .count = 10}}};
    struct ioq *ioq = start(&script, 1);
    for (size_t i = 0; i < 30; ++i) {
        stat_and_expect(ioq, 1);
    }
    stat_and_expect(ioq, MANY);
    struct kernel_counts seen = stop(ioq);
    CHECK_EQ(seen.submitted, 30 + MANY);
    CHECK(seen.probes > 0);
}

// A file that may not be opened says nothing about the ring.
static void an_answer_that_plain_calls_give_too_is_no_refusal(void) {
    struct kernel_script script = {.order = KERNEL_FORWARD};
    char path[PATH_MAX];
    int fd = temp_dir(path);
    CHECK_EQ(mkdirat(fd, "forbidden", 0), 0);
    kernel_start(&script); // become_nobody() looks whether there are still rings
    become_nobody();
    struct ioq *ioq = start(&script, 1);
    for (size_t i = 0; i < 20; ++i) {
        struct bfs_dir *dir = bfs_allocdir();
        CHECK(dir);
        CHECK_EQ(ioq_opendir(ioq, dir, fd, "forbidden", 0, NULL), 0);
        expect(ioq, 1, -EACCES);
        free(dir);
    }
    struct kernel_counts seen = stop(ioq);
    CHECK_EQ(seen.submitted, 20);
    CHECK_EQ(seen.probes, 0);
    CHECK_EQ(close(fd), 0);
}

// openat() in a kernel thread can be interrupted, where the library's own call would be repeated. To the caller, EINTR
// means cancelled.
static void an_interrupted_request_is_run_again(void) {
    struct kernel_script script = {.rules = {{KERNEL_REFUSES, .value = EINTR}}};
    struct ioq *ioq = start(&script, 1);
    CHECK_EQ(open_one(ioq), 0);
    stat_and_expect(ioq, 1);
    struct kernel_counts seen = stop(ioq);
    CHECK_EQ(seen.submitted, 2);
    CHECK_EQ(seen.probes, 0);
}

// Threads, and when to use the ring

// Whatever goes through the ring does so through one, which the driver makes.
static void a_queue_has_one_ring(void) {
    struct kernel_script script = {.order = KERNEL_FORWARD};
    struct ioq *ioq = start(&script, 8);
    for (int i = 0; i < 5; ++i) {
        stat_and_expect(ioq, MANY);
    }
    struct kernel_counts seen = stop(ioq);
    CHECK_EQ(seen.rings, 1);
    CHECK_EQ(seen.submitted, 5 * MANY);
}

// Nothing but stats and opens is submitted (which the kernel sees to), and the others come back all the same.
static void what_a_ring_is_not_for_is_run_elsewhere(void) {
    struct kernel_script script = {.order = KERNEL_FORWARD};
    struct ioq *ioq = start(&script, 1);
    for (size_t i = 0; i < MANY / 4; ++i) {
        struct bfs_dir *dir = bfs_allocdir();
        CHECK(dir);
        CHECK_EQ(bfs_opendir(dir, AT_FDCWD, "/", 0), 0);
        CHECK_EQ(ioq_closedir(ioq, dir, dir), 0);
        CHECK_EQ(ioq_close(ioq, fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0), NULL), 0);
        CHECK_EQ(ioq_nop(ioq, i % 2 ? IOQ_NOP_LIGHT : IOQ_NOP_HEAVY, NULL), 0);
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, NULL, 0, &bufs[i], NULL), 0);
    }
    for (size_t i = 0; i < MANY; ++i) {
        struct ioq_ent *ent = ioq_pop(ioq, true);
        CHECK(ent);
        CHECK_EQ(ent->result, 0);
        free(ent->ptr);
        ioq_free(ioq, ent);
    }
    CHECK_EQ(stop(ioq).submitted, 0);
}

// Where the driver cannot be started, the workers do its part, although the caller does nothing more, and it is tried again.
static void a_driver_that_cannot_be_started_is_tried_again(void) {
    struct kernel_script script = {.rules = {{KERNEL_THREAD_FAILS, .value = EAGAIN, .count = 1}}};
    struct ioq *ioq = start(&script, 1);
    stat_many(ioq, 1);
    while (counts_of(ioq).worker == 0) {
        sched_yield();
    }
    expect(ioq, 1, 0);
    CHECK_EQ(kernel_seen().unstarted, 1);
    await_ring(ioq);
    CHECK_EQ(info_of(ioq).ring_error, 0);
    stop(ioq);
}

// Where no thread can be started, the caller runs its requests.
static void without_any_thread_the_caller_runs(void) {
    struct kernel_script script = {.rules = {{KERNEL_THREAD_FAILS, .value = EAGAIN}}};
    struct ioq *ioq = start(&script, 4);
    stat_and_expect(ioq, MANY);
    CHECK_EQ(counts_of(ioq).caller, MANY);
    CHECK(info_of(ioq).worker_error != 0 && info_of(ioq).ring_error != 0);
    CHECK_EQ(stop(ioq).setups, 1);
}

// A call that does not wait tries again to start threads, too, of whatever kind it is.
static void polls_try_again_to_start_threads(void) {
    static const struct timespec past;
    for (size_t until = 0; until < 2; ++until) {
        struct kernel_script script = {.rules = {{KERNEL_THREAD_FAILS, .value = EAGAIN, .count = 3}}};
        struct ioq *ioq = start(&script, 2);
        stat_many(ioq, 1);
        ioq_submit(ioq);
        struct ioq_ent *ent;
        while (!(ent = until ? ioq_pop_until(ioq, &past) : ioq_pop(ioq, false))) {
            sched_yield();
        }
        CHECK_EQ(ent->result, 0);
        ioq_free(ioq, ent);
        stop(ioq);
    }
}

// Where the kernel's threads cannot be limited, no more is in flight than it has threads by itself.
static void no_more_is_sent_than_the_kernel_has_threads_for(void) {
    struct kernel_script script = {.rules = {{KERNEL_REGISTER_FAILS, .value = EINVAL, .from = 2}}};
    struct ioq *ioq = start(&script, 1);
    await_ring(ioq);
    CHECK(info_of(ioq).ring_limit > 0);
    CHECK(info_of(ioq).ring_limit <= 4 * (size_t)sysconf(_SC_NPROCESSORS_ONLN));
    stop(ioq);
}

// A setup that fails costs the ring for now. It is tried again later, and then used.
static void a_setup_that_failed_is_tried_again(void) {
    static const int errors[] = {EMFILE, ENFILE, ENOMEM, EPERM, ENOSYS, EAGAIN};
    for (size_t i = 0; i < COUNT(errors); ++i) {
        struct kernel_script script = {.rules = {{KERNEL_SETUP_FAILS, .value = errors[i], .from = 1, .count = 2}}};
        struct ioq *ioq = start(&script, 1);
        // One request has it tried again once at most.
        stat_and_expect(ioq, 1);
        CHECK_EQ(info_of(ioq).ring_error, errors[i]);
        await_ring(ioq);
        CHECK_EQ(info_of(ioq).ring_error, 0);
        CHECK_EQ(stop(ioq).setups, 4);
    }
}

// The same where the memory of a ring cannot be mapped.
static void a_ring_that_cannot_be_mapped_is_tried_again(void) {
    struct kernel_script script = {.rules = {{KERNEL_MAPS_NOTHING, .value = 1, .from = 1, .count = 1}}};
    struct ioq *ioq = start(&script, 1);
    await_ring(ioq);
    CHECK_EQ(stop(ioq).rings, 2);
}

// Who insists on a ring is told why there is none.
static void without_a_ring_there_is_no_queue(void) {
    static const struct {
        struct kernel_script script;
        int error;
    } cases[] = {
        {{.rules = {{KERNEL_SETUP_FAILS, .value = EMFILE}}}, EMFILE},
        {{.rules = {{KERNEL_SETUP_FAILS, .value = ENOMEM}}}, ENOMEM},
        {{.rules = {{KERNEL_SETUP_FAILS, .value = EPERM}}}, EPERM},
        {{.rules = {{KERNEL_SETUP_FAILS, .value = ENOSYS}}}, ENOSYS},
        {{.version = 0x0506}, ENOSYS},
        {{.version = 0x050a}, ENOSYS},
    };
    for (size_t i = 0; i < COUNT(cases); ++i) {
        kernel_start(&cases[i].script);
        errno = 0;
        CHECK(!ioq_create(MANY, 1));
        CHECK_EQ(errno, cases[i].error);
        // Without workers there is no ring either.
        struct ioq *ioq = ioq_create(MANY, 0);
        CHECK(ioq);
        stat_and_expect(ioq, 1);
        stop(ioq);
    }
}

// Each kernel gets the best setup that it knows, and is told how many threads to have.
static void each_kernel_gets_the_setup_that_it_knows(void) {
    static const struct {
        unsigned int version, flags, workers;
    } cases[] = {
        {0x050b, 0, 0},
        {0x050f, 0, 256},
        {0x0512, IORING_SETUP_SUBMIT_ALL, 256},
        {0x0513, IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN, 256},
        {0x0600, IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_R_DISABLED, 256},
    };
    for (size_t i = 0; i < COUNT(cases); ++i) {
        struct kernel_script script = {.version = cases[i].version};
        struct ioq *ioq = start(&script, 1);
        stat_and_expect(ioq, MANY);
        struct kernel_counts seen = stop(ioq);
        CHECK_EQ(seen.submitted, MANY);
        CHECK_EQ(seen.flags, cases[i].flags | IORING_SETUP_CLAMP);
        CHECK_EQ(seen.workers, cases[i].workers);
    }
}

// Where nobody insists on anything, requests that wait go through the ring, and those that do not any more need none.
static void the_ring_is_used_while_requests_are_slow(void) {
    CHECK_EQ(setenv("IOQ_BACKEND", "auto", 1), 0);
    struct kernel_script script = {.stat_delay = 200};
    struct ioq *ioq = start(&script, 2);
    await_ring(ioq);
    kernel_delay_stats(0);
    size_t before;
    do {
        before = kernel_seen().submitted;
        stat_and_expect(ioq, MANY);
    } while (kernel_seen().submitted > before);
    stop(ioq);
}

// Descriptors

// Once it is set up, a ring has no descriptor, or on older kernels one that is out of the way (which the kernel sees to).
static void the_standard_streams_are_left_alone(void) {
    static const struct {
        unsigned int version, descriptors;
    } cases[] = {{0x050b, 1}, {0x0511, 1}, {0x0512, 0}, {0, 0}};
    for (size_t i = 0; i < COUNT(cases); ++i) {
        struct kernel_script script = {.version = cases[i].version};
        struct ioq *ioq = start(&script, 1);
        int saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
        CHECK(saved > STDERR_FILENO);
        CHECK_EQ(close(STDIN_FILENO), 0);
        size_t before = open_fds();
        stat_and_expect(ioq, MANY);
        CHECK_ERRNO(fcntl(STDIN_FILENO, F_GETFD), EBADF);
        CHECK_EQ(open_fds(), before + cases[i].descriptors);
        CHECK_EQ(stop(ioq).submitted, MANY);
        CHECK_EQ(dup2(saved, STDIN_FILENO), STDIN_FILENO);
        CHECK_EQ(close(saved), 0);
    }
}

// Where a ring would need a descriptor, and the program allows none, there is no ring.
static void a_queue_without_descriptors_has_none(void) {
    static const struct {
        unsigned int version;
        bool has_ring;
    } cases[] = {{0x050b, false}, {0x0511, false}, {0x0512, true}, {0, true}};
    for (size_t i = 0; i < COUNT(cases); ++i) {
        struct kernel_script script = {.version = cases[i].version, .no_descriptors = true};
        struct ioq *ioq = start(&script, 1);
        size_t before = open_fds();
        stat_and_expect(ioq, MANY);
        // There may be one for a moment, as it is tried again.
        while (open_fds() != before) {
            sched_yield();
        }
        CHECK_EQ(info_of(ioq).ring_error, cases[i].has_ring ? 0 : ENOSYS);
        CHECK_EQ(stop(ioq).submitted, cases[i].has_ring ? MANY : 0);
    }
}

// The program closes a descriptor that it does not know while the ring is set up, and the number may be that of another
// ring then. That is not touched, and a later ring is used.
static void a_ring_whose_number_is_taken_away_is_not_used(void) {
    static const enum kernel_loss losses[] = {KERNEL_FREES, KERNEL_REPLACES};
    for (size_t i = 0; i < COUNT(losses); ++i) {
        for (unsigned int when = 0; when < 2; ++when) {
            struct kernel_script script = {.rules = {{KERNEL_LOSES, .value = losses[i], .from = when, .count = 1}}};
            struct ioq *ioq = start(&script, 1);
            await_ring(ioq);
            CHECK_EQ(stop(ioq).setups, 3);
        }
    }
}

// However many lists there are, with few descriptors open for them: they are finished before others are begun, and meanwhile
// their stats are the ring's.
static void the_stats_of_many_lists_go_through_the_ring(void) {
    enum { LISTS = 400 };
    static struct ioq_list *lists[LISTS];
    load_make_files();
    size_t fds = open_fds();
    struct kernel_script script = {0};
    struct ioq *ioq = start(&script, 1);
    for (size_t i = 0; i < LISTS; ++i) {
        CHECK_EQ(ioq_list(ioq, load_fd, "wide", IOQ_LIST_STAT, STATX_INO, &lists[i], &lists[i]), 0);
    }
    ioq_submit(ioq);
    size_t most = 0;
    for (struct ioq_ent *ent; (ent = ioq_pop(ioq, true));) {
        size_t now = open_fds();
        most = now > most ? now : most;
        struct ioq_list **list = ent->ptr;
        CHECK_EQ(ent->result, 0);
        CHECK_EQ((*list)->count, LOAD_WIDE);
        ioq_list_free(*list);
        ioq_free(ioq, ent);
    }
    CHECK(stop(ioq).submitted > LISTS * LOAD_WIDE / 2);
    CHECK(most < fds + 40);
    load_remove_files();
}

int main(int argc, char *argv[]) {
    static const struct named_case cases[] = {
        CASE(what_was_not_taken_is_sent_again),
        CASE(completions_are_seen_before_submitting_again),
        CASE(a_kernel_that_is_full_is_waited_for),
        CASE(a_kernel_that_is_full_for_long_is_waited_for),
        CASE(a_kernel_that_takes_nothing_is_left_alone),
        CASE(a_kernel_that_is_short_for_a_while_is_asked_again),
        CASE(what_is_in_flight_comes_back_without_further_calls),
        CASE(what_is_never_taken_does_not_wait_for_what_was),
        CASE(interruptions_are_no_error),
        CASE(an_interrupted_wait_submits_nothing_twice),
        CASE(in_flight_are_as_many_as_the_program_allows),
        CASE(a_small_ring_is_not_overfilled),
        CASE(the_limit_climbs_while_that_pays),
        CASE(buffers_are_not_used_again_while_a_late_completion_names_them),
        CASE(a_fallback_gives_its_buffer_back),
        CASE(what_a_ring_has_no_room_for_is_run_by_workers),
        CASE(a_few_that_hang_leave_the_ring_to_others),
        CASE(a_cancel_interrupts_what_hangs),
        CASE(destroying_interrupts_what_hangs),
        CASE(one_that_is_cancelled_is_interrupted),
        CASE(one_that_has_opened_something_is_cancelled),
        CASE(one_that_cannot_be_interrupted_goes_on),
        CASE(what_cannot_be_interrupted_holds_up_nothing),
        CASE(what_no_kernel_took_is_not_run_after_a_cancel),
        CASE(what_was_refused_is_not_run_after_a_cancel),
        CASE(what_the_ring_opened_is_closed_after_a_cancel),
        CASE(a_refused_operation_is_run_by_workers),
        CASE(an_answer_that_does_not_last_disables_nothing),
        CASE(an_answer_that_plain_calls_give_too_is_no_refusal),
        CASE(an_interrupted_request_is_run_again),
        CASE(a_queue_has_one_ring),
        CASE(what_a_ring_is_not_for_is_run_elsewhere),
        CASE(a_driver_that_cannot_be_started_is_tried_again),
        CASE(without_any_thread_the_caller_runs),
        CASE(polls_try_again_to_start_threads),
        CASE(no_more_is_sent_than_the_kernel_has_threads_for),
        CASE(a_setup_that_failed_is_tried_again),
        CASE(a_ring_that_cannot_be_mapped_is_tried_again),
        CASE(without_a_ring_there_is_no_queue),
        CASE(each_kernel_gets_the_setup_that_it_knows),
        CASE(the_ring_is_used_while_requests_are_slow),
        CASE(the_standard_streams_are_left_alone),
        CASE(a_queue_without_descriptors_has_none),
        CASE(a_ring_whose_number_is_taken_away_is_not_used),
        CASE(the_stats_of_many_lists_go_through_the_ring),
    };
    return run_cases(argc, argv, cases, COUNT(cases));
}
