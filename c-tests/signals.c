// No handler of the program's runs on a worker, and no signal is lost to one.

#include "test.h"

#include <ioq/stat.h>
#include <stdatomic.h>

enum { DEPTH = 64 };

static struct ioq *ioq;
static struct bfs_stat bufs[DEPTH];
static atomic_size_t handled, handled_elsewhere;

static void handler(int signal) {
    (void)signal;
    ++handled;
    handled_elsewhere += syscall(SYS_gettid) != getpid();
}

// Gives the workers something to do, and waits until they did it.
static void work(void) {
    size_t done = 0;
    for (size_t i = 0; i < DEPTH; ++i) {
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[i], NULL), 0);
    }
    while (done < DEPTH) {
        struct ioq_ent *ent = ioq_pop(ioq, false);
        if (ent) {
            CHECK_EQ(ent->result, 0);
            ioq_free(ioq, ent);
            ++done;
        } else {
            sched_yield();
        }
    }
}

// Signals at any time of the queue's life.
static void never_on_workers(void) {
    struct sigaction action = {.sa_handler = handler}, before;
    CHECK_EQ(sigaction(SIGUSR1, &action, &before), 0);
    handled = handled_elsewhere = 0;
    for (size_t i = 0; i < rounds(30); ++i) {
        ioq = create(DEPTH, 4);
        for (int j = 0; j < 20; ++j) {
            CHECK_EQ(kill(getpid(), SIGUSR1), 0);
            work();
        }
        ioq_destroy(ioq);
    }
    CHECK(handled > 0);
    CHECK_EQ(handled_elsewhere, 0);
    CHECK_EQ(sigaction(SIGUSR1, &before, NULL), 0);
}

static bool is_synchronous(int sig) {
    return sig == SIGSYS || sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL || sig == SIGTRAP;
}

// While this thread blocks a signal, one that is sent to the process waits for it. It would be gone if any other thread
// were willing to take it.
static void every_signal_waits(void) {
    ioq = create(DEPTH, 4);
    work();
    for (int sig = 1; sig <= SIGRTMAX; ++sig) {
        struct sigaction action = {.sa_handler = handler}, before;
        if (sig == SIGALRM || is_synchronous(sig) || sigaction(sig, &action, &before) != 0) {
            continue; // the watchdog's, those of a thread's own instruction, and those that cannot be handled
        }
        sigset_t set, saved, pending;
        sigemptyset(&set);
        sigaddset(&set, sig);
        CHECK_EQ(sigprocmask(SIG_BLOCK, &set, &saved), 0);
        handled = handled_elsewhere = 0;
        CHECK_EQ(kill(getpid(), sig), 0);
        work();
        CHECK_EQ(sigpending(&pending), 0);
        CHECK(sigismember(&pending, sig));
        CHECK_EQ(handled, 0);
        CHECK_EQ(sigprocmask(SIG_SETMASK, &saved, NULL), 0);
        CHECK_EQ(handled, 1);
        CHECK_EQ(handled_elsewhere, 0);
        CHECK_EQ(sigaction(sig, &before, NULL), 0);
    }
    ioq_destroy(ioq);
}

static void check_same_mask(const sigset_t *want) {
    sigset_t have;
    CHECK_EQ(sigprocmask(SIG_SETMASK, NULL, &have), 0);
    for (int sig = 1; sig <= SIGRTMAX; ++sig) {
        CHECK_EQ(sigismember(&have, sig), sigismember(want, sig));
    }
}

// The caller's own mask is as it was, whatever it was.
static void mask_is_kept(void) {
    sigset_t saved, set;
    CHECK_EQ(sigprocmask(SIG_SETMASK, NULL, &saved), 0);
    for (int i = 0; i < 3; ++i) {
        sigemptyset(&set);
        if (i > 0) {
            sigaddset(&set, SIGUSR2);
            sigaddset(&set, i == 1 ? SIGINT : SIGRTMIN);
        }
        CHECK_EQ(sigprocmask(SIG_SETMASK, &set, NULL), 0);
        ioq = create(DEPTH, 4);
        check_same_mask(&set);
        work();
        check_same_mask(&set);
        ioq_cancel(ioq);
        check_same_mask(&set);
        ioq_destroy(ioq);
        check_same_mask(&set);
    }
    CHECK_EQ(sigprocmask(SIG_SETMASK, &saved, NULL), 0);
}

// A handler that is installed while workers run does not run on them either; nor does the default action's end come
// through them: an ignored signal stays ignored.
static void handlers_come_later(void) {
    ioq = create(DEPTH, 4);
    work();
    struct sigaction action = {.sa_handler = handler}, before;
    CHECK_EQ(sigaction(SIGUSR2, &action, &before), 0);
    handled = handled_elsewhere = 0;
    for (size_t i = 0; i < rounds(200); ++i) {
        CHECK_EQ(kill(getpid(), SIGUSR2), 0);
        work();
    }
    CHECK(handled > 0);
    CHECK_EQ(handled_elsewhere, 0);
    CHECK_EQ(sigaction(SIGUSR2, &before, NULL), 0);
    ioq_destroy(ioq);
}

// setuid() is for the whole process, which libc brings about with a signal of its own to each thread.
static void setuid_works(void) {
    ioq = create(DEPTH, 4);
    work();
    CHECK_EQ(setgid(getgid()), 0);
    CHECK_EQ(setuid(getuid()), 0);
    work();
    ioq_destroy(ioq);
}

int main(void) {
    RUN(never_on_workers);
    if (!wrapped()) { // valgrind keeps pending signals itself
        RUN(every_signal_waits);
    }
    RUN(mask_is_kept);
    RUN(handlers_come_later);
    RUN(setuid_works);
    return 0;
}
