// Signals in storms, from everywhere, with handlers of both kinds: no function of the queue is interrupted by them, and no
// request fails for one.

#include "test.h"

#include <ioq/dir.h>
#include <ioq/stat.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/time.h>

enum { DEPTH = 64 };

static struct bfs_stat bufs[DEPTH];
static atomic_size_t handled, handled_elsewhere;
static atomic_bool over;

static void handler(int signal) {
    (void)signal;
    ++handled;
    handled_elsewhere += syscall(SYS_gettid) != getpid();
}

static struct sigaction handle(int sig, int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, before;
    CHECK_EQ(sigaction(sig, &action, &before), 0);
    return before;
}

// Every kind of request, all of which succeed.
static void work(struct ioq *ioq, bool block) {
    struct bfs_dir *dirs[DEPTH] = {NULL};
    for (size_t i = 0; i < DEPTH; ++i) {
        if (i % 8 == 0) {
            dirs[i] = bfs_allocdir();
            CHECK(dirs[i]);
            CHECK_EQ(ioq_opendir(ioq, dirs[i], AT_FDCWD, "/", 0, NULL), 0);
        } else if (i % 8 == 1) {
            int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
            CHECK(fd >= 0);
            CHECK_EQ(ioq_close(ioq, fd, NULL), 0);
        } else {
            CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[i], NULL), 0);
        }
    }
    for (size_t i = 0; i < DEPTH; ++i) {
        struct ioq_ent *ent;
        while (!(ent = ioq_pop(ioq, block))) {
            CHECK(!block); // it ends for no signal
            sched_yield();
        }
        CHECK_EQ(ent->result, 0);
        ioq_free(ioq, ent);
    }
    for (size_t i = 0; i < DEPTH; i += 8) {
        CHECK_EQ(ioq_closedir(ioq, dirs[i], NULL), 0);
        CHECK_EQ(take(ioq, IOQ_CLOSEDIR, NULL), 0);
        free(dirs[i]);
    }
}

// Queues through their whole life, and until some hundred signals have arrived.
static void live(void) {
    handled = handled_elsewhere = 0;
    for (size_t i = 0; i < rounds(40) || handled < 200; ++i) {
        test_way = &test_ways[i % COUNT(test_ways)];
        struct ioq *ioq = create(DEPTH, test_way->threads);
        work(ioq, test_way->block);
        work(ioq, test_way->block);
        if (i % 3 == 0) {
            CHECK_EQ(ioq_nop(ioq, IOQ_NOP_HEAVY, NULL), 0);
        }
        ioq_destroy(ioq);
    }
    CHECK_EQ(handled_elsewhere, 0);
}

static void *send(void *main_thread) {
    while (!over) {
        CHECK_EQ(kill(getpid(), SIGUSR1), 0);
        CHECK_EQ(pthread_kill(*(pthread_t *)main_thread, SIGUSR2), 0);
        sched_yield();
    }
    return NULL;
}

// From another thread, to the process and to the thread that uses the queue.
static void storm(int flags) {
    struct sigaction usr1 = handle(SIGUSR1, flags), usr2 = handle(SIGUSR2, flags);
    sigset_t set, saved;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_t self = pthread_self(), sender;
    over = false;
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, &saved), 0);
    CHECK_EQ(pthread_create(&sender, NULL, send, &self), 0);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &saved, NULL), 0);
    live();
    over = true;
    CHECK_EQ(pthread_join(sender, NULL), 0);
    CHECK_EQ(sigaction(SIGUSR1, &usr1, NULL), 0);
    CHECK_EQ(sigaction(SIGUSR2, &usr2, NULL), 0);
}

static void storms(void) {
    storm(0);
    storm(SA_RESTART);
}

// From the kernel, every millisecond.
static void timer(int flags) {
    struct sigaction before = handle(SIGVTALRM, flags), prof = handle(SIGPROF, flags);
    struct itimerval every = {.it_interval.tv_usec = 1000, .it_value.tv_usec = 1000}, never = {.it_value.tv_sec = 0};
    CHECK_EQ(setitimer(ITIMER_PROF, &every, NULL), 0);
    CHECK_EQ(setitimer(ITIMER_VIRTUAL, &every, NULL), 0);
    live();
    CHECK_EQ(setitimer(ITIMER_PROF, &never, NULL), 0);
    CHECK_EQ(setitimer(ITIMER_VIRTUAL, &never, NULL), 0);
    CHECK_EQ(sigaction(SIGVTALRM, &before, NULL), 0);
    CHECK_EQ(sigaction(SIGPROF, &prof, NULL), 0);
}

static void timers(void) {
    timer(0);
    timer(SA_RESTART);
}

// From children that end, which the program waits for.
static void children(int flags) {
    struct sigaction before = handle(SIGCHLD, flags);
    struct ioq *ioq = create(DEPTH, 4);
    handled = handled_elsewhere = 0;
    for (size_t i = 0; i < rounds(60); ++i) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            _exit(0);
        }
        work(ioq, i % 2);
        int status;
        while (waitpid(pid, &status, 0) != pid) {
            CHECK_EQ(errno, EINTR);
        }
    }
    CHECK(handled > 0);
    CHECK_EQ(handled_elsewhere, 0);
    ioq_destroy(ioq);
    CHECK_EQ(sigaction(SIGCHLD, &before, NULL), 0);
}

static void children_end(void) {
    children(0);
    children(SA_RESTART);
}

int main(void) {
    RUN(storms);
    if (!wrapped()) { // a checker takes so long that the timers leave no time for it
        RUN(timers);
    }
    RUN(children_end);
    return 0;
}
