// Faults that this design has had, or that others like it have had: a case for each, named after it.

#include "cases.h"
#include "load.h"

#include <stdatomic.h>

enum { MANY = 1024 };

static struct bfs_stat bufs[MANY];

static struct ioq *start(const struct kernel_script *script, size_t threads) {
    kernel_start(script);
    struct ioq *ioq = ioq_create(MANY, threads);
    CHECK(ioq);
    return ioq;
}

static struct kernel_counts stop(struct ioq *ioq) {
    CHECK(!ioq_pop(ioq, true));
    CHECK_EQ(ioq_capacity(ioq), MANY);
    ioq_destroy(ioq);
    struct kernel_counts seen = kernel_stop();
    CHECK_EQ(seen.submitted, seen.completed);
    return seen;
}

static void stat_many(struct ioq *ioq, size_t count) {
    for (size_t i = 0; i < count; ++i) {
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[i], NULL), 0);
    }
    ioq_submit(ioq);
}

// Before a worker runs this, by a plain call, it sends off what it has for the ring.
static void make_worker_send(struct ioq *ioq) {
    CHECK_EQ(ioq_stat(ioq, AT_FDCWD, NULL, 0, &bufs[MANY - 1], NULL), 0);
}

static void expect(struct ioq *ioq, size_t count, int result) {
    for (; count > 0; --count) {
        struct ioq_ent *ent = ioq_pop(ioq, true);
        CHECK(ent);
        CHECK_EQ(ent->result, result);
        ioq_free(ioq, ent);
    }
}

// Submissions

// A short submission leaves the rest in the queue, from where it must be sent again.
static void what_was_not_taken_is_sent_again(void) {
    struct kernel_script script = {.rules = {{KERNEL_TAKES, .value = 5}}};
    struct ioq *ioq = start(&script, 1);
    stat_many(ioq, MANY);
    expect(ioq, MANY, 0);
    CHECK_EQ(stop(ioq).submitted, MANY);
}

// A kernel may want completions to be seen before it takes anything, and says EBUSY until then.
static void completions_are_seen_before_submitting_again(void) {
    struct kernel_script script = {.version = 0x0512, .rules = {{KERNEL_SUBMIT_FAILS, .value = EBUSY, .ready = 1}}};
    struct ioq *ioq = start(&script, 1);
    for (size_t i = 0; i < MANY / 2; ++i) {
        CHECK_EQ(ioq_nop(ioq, IOQ_NOP_HEAVY, NULL), 0);
        make_worker_send(ioq);
    }
    expect(ioq, MANY, 0);
    struct kernel_counts seen = stop(ioq);
    CHECK_EQ(seen.submitted, MANY / 2);
    CHECK(seen.enters <= 2 * MANY);
}

// EAGAIN while much is in flight means to wait for some of it, not to ask again at once, nor to give up.
static void a_kernel_that_is_full_is_waited_for(void) {
    struct kernel_script script = {.outside = true, .rules = {{KERNEL_SUBMIT_FAILS, .value = EAGAIN, .busy = 8},
        {KERNEL_TAKES, .value = 8}}};
    struct ioq *ioq = start(&script, 1);
    stat_many(ioq, 256);
    expect(ioq, 256, 0);
    struct kernel_counts seen = stop(ioq);
    CHECK_EQ(seen.submitted, 256);
    CHECK(seen.enters <= 4 * 256);
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
            stat_many(ioq, MANY);
            expect(ioq, MANY, 0);
        }
        struct kernel_counts seen = stop(ioq);
        CHECK_EQ(seen.submitted, 0);
        CHECK(seen.enters <= cases[i].enters);
    }
}

// What is in flight comes back though every call fails from then on, without another. A ring that is set up so that only
// calls bring completions would wait for ever.
static void what_is_in_flight_comes_back_without_further_calls(void) {
    struct kernel_script script = {.outside = true, .rules = {{KERNEL_ENTER_FAILS, .value = EPERM, .from = 1}}};
    struct ioq *ioq = start(&script, 1);
    for (size_t i = 0; i < MANY; ++i) {
        if (i % 16 == 15) {
            make_worker_send(ioq);
        } else {
            CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[i], NULL), 0);
        }
    }
    expect(ioq, MANY, 0);
    CHECK(stop(ioq).submitted > 0);
}

// One that hangs in a ring holds up nothing that the kernel will not take any more, as there is another worker.
static void what_is_never_taken_does_not_wait_for_what_was(void) {
    enum { OTHERS = 20 };
    struct kernel_script script = {.outside = true,
        .rules = {{KERNEL_ENTER_FAILS, .value = EPERM, .from = 1, .ring = 2},
            {KERNEL_HOLDS, .value = 100, .count = 1, .ring = 2}}};
    struct ioq *ioq = start(&script, 2);
    CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[OTHERS], &bufs[OTHERS]), 0);
    make_worker_send(ioq);
    stat_many(ioq, OTHERS);
    for (size_t i = 0; i <= OTHERS + 1; ++i) {
        struct ioq_ent *ent = ioq_pop(ioq, true);
        CHECK(ent);
        CHECK_EQ(ent->result, 0);
        CHECK_EQ(ent->ptr == &bufs[OTHERS], i == OTHERS + 1);
        ioq_free(ioq, ent);
    }
    CHECK(stop(ioq).submitted > 0);
}

// Hundreds of interruptions are no reason to give the ring up.
static void interruptions_are_no_error(void) {
    struct kernel_script script = {.rules = {{KERNEL_ENTER_FAILS, .value = EINTR, .count = 700}}};
    struct ioq *ioq = start(&script, 1);
    stat_many(ioq, MANY);
    expect(ioq, MANY, 0);
    CHECK_EQ(stop(ioq).submitted, MANY);
}

// A call that has submitted and was interrupted waiting returns how many it took.
static void an_interrupted_wait_submits_nothing_twice(void) {
    struct kernel_script script = {.rules = {{KERNEL_INTERRUPTS, .value = 1}, {KERNEL_HOLDS, .value = 30}}};
    struct ioq *ioq = start(&script, 1);
    stat_many(ioq, MANY);
    expect(ioq, MANY, 0);
    CHECK_EQ(stop(ioq).submitted, MANY);
}

// The queue is cancelled while submissions wait for a kernel that takes none: those have not run, and are not to.
static struct ioq *to_cancel;

static void cancel_in_enter(unsigned int ring, unsigned int call) {
    if (ring > 1 && call == 0) {
        ioq_cancel(to_cancel);
    }
}

static void what_no_kernel_took_is_not_run_after_a_cancel(void) {
    struct kernel_script script = {.entered = cancel_in_enter, .rules = {{KERNEL_SUBMIT_FAILS, .value = EAGAIN}}};
    to_cancel = start(&script, 1);
    stat_many(to_cancel, 31);
    expect(to_cancel, 31, -EINTR);
    CHECK_EQ(stop(to_cancel).submitted, 0);
}

// The same when the ring refuses to run them.
static void what_was_refused_is_not_run_after_a_cancel(void) {
    struct kernel_script script = {.entered = cancel_in_enter, .rules = {{KERNEL_REFUSES, .value = EACCES}}};
    to_cancel = start(&script, 1);
    stat_many(to_cancel, 31);
    expect(to_cancel, 31, -EINTR);
    CHECK(stop(to_cancel).submitted > 0);
}

// A queue of one slot, with a worker that gives its ring up and sends the request back, and the stop message that came
// meanwhile: there is room for both. The caller sleeps, so nobody else would make any.
static void cancel_once_the_caller_sleeps(unsigned int ring, unsigned int call) {
    if (ring > 1 && call == 0) {
        while (!is_asleep(getpid())) {
            sched_yield();
        }
        ioq_cancel(to_cancel);
    }
}

static void what_a_ring_gives_back_finds_room_beside_the_stop_message(void) {
    struct kernel_script script = {.entered = cancel_once_the_caller_sleeps,
        .rules = {{KERNEL_ENTER_FAILS, .value = EPERM}}};
    kernel_start(&script);
    to_cancel = ioq_create(1, 1);
    CHECK(to_cancel);
    CHECK_EQ(ioq_stat(to_cancel, AT_FDCWD, "/", 0, &bufs[0], NULL), 0);
    expect(to_cancel, 1, -EINTR);
    ioq_destroy(to_cancel);
    CHECK_EQ(kernel_stop().submitted, 0);
}

// Places

// Most requests come and go while a few take long: their places must not be given to others meanwhile.
static void places_are_not_used_again_while_a_late_completion_names_them(void) {
    struct kernel_script script = {.order = KERNEL_RANDOM, .seed = 1,
        .rules = {{KERNEL_HOLDS, .value = 60, .every = 7}}};
    struct ioq *ioq = start(&script, 1);
    for (size_t round = 0; round < 4; ++round) {
        stat_many(ioq, MANY);
        expect(ioq, MANY, 0);
    }
    struct kernel_counts seen = stop(ioq);
    CHECK_EQ(seen.submitted, 4 * MANY);
    CHECK(seen.most <= 64);
}

// A fallback that keeps its place, and with it the statx buffer, has none left after 64 requests.
static void a_fallback_gives_its_place_and_buffer_back(void) {
    struct kernel_script script = {.rules = {{KERNEL_REFUSES, .value = ECANCELED}}};
    struct ioq *ioq = start(&script, 1);
    stat_many(ioq, MANY);
    expect(ioq, MANY, 0);
    struct kernel_counts seen = stop(ioq);
    CHECK_EQ(seen.submitted, MANY);
    CHECK_EQ(seen.refused, MANY);
}

// Rings and workers

static atomic_uint rings_entered;

static void enter_together(unsigned int ring, unsigned int call) {
    (void)ring;
    if (call == 0) {
        ++rings_entered;
    }
    while (rings_entered < 2) {
        sched_yield();
    }
}

// A queue whose later workers do not know what the first found out never uses their rings.
static void each_worker_uses_its_ring(void) {
    struct kernel_script script = {.entered = enter_together};
    rings_entered = 0;
    struct ioq *ioq = start(&script, 2);
    stat_many(ioq, MANY);
    // A caller that sleeps starts nobody; so this one polls until both are there.
    size_t popped = 0;
    for (; rings_entered < 2; sched_yield()) {
        struct ioq_ent *ent = ioq_pop(ioq, false);
        popped += ent != NULL;
        ioq_free(ioq, ent);
    }
    expect(ioq, MANY - popped, 0);
    struct kernel_counts seen = stop(ioq);
    CHECK_EQ(seen.rings, 3);
    CHECK_EQ(rings_entered, 2);
    CHECK_EQ(seen.submitted, MANY);
}

// An operation that a ring refuses is known to it from then on, and costs it no other.
static void a_refused_operation_is_not_tried_again(void) {
    struct kernel_script script = {.rules = {{KERNEL_REFUSES, .value = EOPNOTSUPP, .ops = KERNEL_STATX}}};
    struct ioq *ioq = start(&script, 1);
    stat_many(ioq, MANY);
    expect(ioq, MANY, 0);
    struct kernel_counts seen = kernel_seen();
    CHECK(seen.refused > 0 && seen.refused <= 64);
    stat_many(ioq, MANY);
    expect(ioq, MANY, 0);
    CHECK_EQ(kernel_seen().refused, seen.refused);
    CHECK_EQ(ioq_nop(ioq, IOQ_NOP_HEAVY, NULL), 0);
    expect(ioq, 1, 0);
    CHECK_EQ(stop(ioq).submitted, seen.submitted + 1);
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
    for (size_t i = 0; i < 200; ++i) {
        struct bfs_dir *dir = bfs_allocdir();
        CHECK(dir);
        CHECK_EQ(ioq_opendir(ioq, dir, fd, "forbidden", 0, NULL), 0);
        expect(ioq, 1, -EACCES);
        free(dir);
    }
    CHECK_EQ(stop(ioq).submitted, 200);
    CHECK_EQ(close(fd), 0);
}

// Descriptors

// openat() in a kernel thread can be interrupted, where the library's own call would be repeated. To the caller, EINTR
// means cancelled.
static void an_interrupted_request_is_run_again(void) {
    struct kernel_script script = {.rules = {{KERNEL_ANSWERS, .value = EINTR, .ops = KERNEL_STATX | KERNEL_OPENAT}}};
    struct ioq *ioq = start(&script, 1);
    struct bfs_dir *dir = bfs_allocdir();
    CHECK(dir);
    CHECK_EQ(ioq_opendir(ioq, dir, AT_FDCWD, "/", 0, NULL), 0);
    CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[0], NULL), 0);
    expect(ioq, 2, 0);
    CHECK_EQ(bfs_closedir(dir), 0);
    free(dir);
    CHECK_EQ(stop(ioq).submitted, 2);
}

// The descriptor is gone, whatever close() says, and its number may be somebody else's already. Some of these could also
// be a refusal of the ring to close anything, but are the file system's answer here.
static void a_close_that_failed_is_not_repeated(void) {
    static const int errors[] = {EIO, EINTR, EDQUOT, ENOSPC, EACCES, EPERM, EINVAL, ENOSYS, EOPNOTSUPP};
    for (size_t i = 0; i < COUNT(errors); ++i) {
        struct kernel_script script = {.rules = {{KERNEL_ANSWERS, .value = errors[i], .count = 1, .ops = KERNEL_CLOSE}}};
        struct ioq *ioq = start(&script, 1);
        int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);
        CHECK(fd >= 0);
        CHECK_EQ(ioq_close(ioq, fd, NULL), 0);
        expect(ioq, 1, -errors[i]);
        // Nor does the ring stop closing.
        for (int j = 0; j < 3; ++j) {
            CHECK_EQ(ioq_close(ioq, fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 200), NULL), 0);
            expect(ioq, 1, 0);
        }
        CHECK(stop(ioq).submitted >= 4);
    }
}

// The same holds for what a directory has taken over, which may be any file.
static void a_directory_whose_close_failed_is_not_closed_again(void) {
    static const int errors[] = {EIO, EACCES, EPERM, EINVAL, ENOSYS, EOPNOTSUPP};
    for (size_t i = 0; i < COUNT(errors); ++i) {
        struct kernel_script script = {.rules = {{KERNEL_ANSWERS, .value = errors[i], .count = 1, .ops = KERNEL_CLOSE}}};
        struct ioq *ioq = start(&script, 1);
        struct bfs_dir *dir = bfs_allocdir();
        CHECK(dir);
        CHECK_EQ(bfs_opendir(dir, AT_FDCWD, "/", 0), 0);
        CHECK_EQ(ioq_closedir(ioq, dir, NULL), 0);
        expect(ioq, 1, -errors[i]);
        CHECK_ERRNO(bfs_dirfd(dir), EBADF);
        free(dir);
        CHECK(stop(ioq).submitted > 0);
    }
}

// A close that the ring did refuse is done by a plain call.
static void a_refused_close_closes(void) {
    static const int errors[] = {EACCES, EPERM, EINVAL, ENOSYS, EOPNOTSUPP, ECANCELED};
    for (size_t i = 0; i < COUNT(errors); ++i) {
        struct kernel_script script = {.rules = {{KERNEL_REFUSES, .value = errors[i], .ops = KERNEL_CLOSE}}};
        struct ioq *ioq = start(&script, 1);
        for (int j = 0; j < 10; ++j) {
            int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);
            CHECK_EQ(ioq_close(ioq, fd, NULL), 0);
            expect(ioq, 1, 0);
            CHECK_ERRNO(fcntl(fd, F_GETFD), EBADF);
        }
        CHECK(stop(ioq).submitted > 0);
    }
}

// A ring cannot close a ring: the kernel says EBADF.
static void a_ring_of_the_programs_own_is_closed(void) {
    struct kernel_script script = {.order = KERNEL_FORWARD};
    struct ioq *ioq = start(&script, 1);
    struct io_uring_params params = {0};
    long fd = syscall(SYS_io_uring_setup, 4, &params);
    CHECK(fd >= 0);
    CHECK_EQ(ioq_close(ioq, (int)fd, NULL), 0);
    expect(ioq, 1, 0);
    CHECK_ERRNO(fcntl((int)fd, F_GETFD), EBADF);
    CHECK(stop(ioq).submitted > 0);
}

// A caller that sleeps cannot start a worker, and a worker never does: so who sleeps with work pending starts them before,
// even while the first one looks for its first request. Here no worker goes on before there are two.
static atomic_uint working;

static void await_another(unsigned int ring, unsigned int call) {
    (void)ring;
    working += call == 0;
    while (working < 2) {
        sched_yield();
    }
}

static void a_caller_that_sleeps_leaves_enough_workers(void) {
    for (int i = 0; i < 20; ++i) {
        working = 0;
        struct kernel_script script = {.entered = await_another};
        struct ioq *ioq = start(&script, 2);
        stat_many(ioq, MANY);
        expect(ioq, MANY, 0);
        CHECK_EQ(stop(ioq).submitted, MANY);
    }
}

// Directories that the ring opens for a queue that was cancelled meanwhile: nobody else closes them.
static unsigned int cancel_call;

static void cancel_at_call(unsigned int ring, unsigned int call) {
    if (ring > 1 && call == cancel_call) {
        ioq_cancel(to_cancel);
    }
}

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

int main(int argc, char *argv[]) {
    static const struct named_case cases[] = {
        CASE(what_was_not_taken_is_sent_again),
        CASE(completions_are_seen_before_submitting_again),
        CASE(a_kernel_that_is_full_is_waited_for),
        CASE(a_kernel_that_takes_nothing_is_left_alone),
        CASE(what_is_in_flight_comes_back_without_further_calls),
        CASE(what_is_never_taken_does_not_wait_for_what_was),
        CASE(interruptions_are_no_error),
        CASE(an_interrupted_wait_submits_nothing_twice),
        CASE(what_no_kernel_took_is_not_run_after_a_cancel),
        CASE(what_was_refused_is_not_run_after_a_cancel),
        CASE(what_a_ring_gives_back_finds_room_beside_the_stop_message),
        CASE(places_are_not_used_again_while_a_late_completion_names_them),
        CASE(a_fallback_gives_its_place_and_buffer_back),
        CASE(each_worker_uses_its_ring),
        CASE(a_refused_operation_is_not_tried_again),
        CASE(an_answer_that_plain_calls_give_too_is_no_refusal),
        CASE(an_interrupted_request_is_run_again),
        CASE(a_close_that_failed_is_not_repeated),
        CASE(a_directory_whose_close_failed_is_not_closed_again),
        CASE(a_refused_close_closes),
        CASE(a_ring_of_the_programs_own_is_closed),
        CASE(a_caller_that_sleeps_leaves_enough_workers),
        CASE(what_the_ring_opened_is_closed_after_a_cancel),
    };
    return run_cases(argc, argv, cases, COUNT(cases));
}
