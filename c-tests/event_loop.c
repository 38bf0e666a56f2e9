// A queue in an event loop: its descriptor is readable while, and only while, something is ready, and made for nobody who
// does not ask.

#define HOST_DIR
#define HOST_READDIR
#include "host.h"

#include <ioq/stat.h>
#include <poll.h>
#include <sys/epoll.h>

static bool readable(int fd, int timeout) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int count = poll(&poll_fd, 1, timeout);
    CHECK(count >= 0);
    CHECK_EQ(poll_fd.revents & ~POLLIN, 0);
    return count > 0;
}

static void nothing_is_made_before_it_is_asked_for(void) {
    size_t before = other_fds();
    struct ioq *ioq = create(8, 1);
    CHECK_EQ(ioq_nop(ioq, IOQ_NOP_HEAVY, NULL), 0);
    ioq_free(ioq, ioq_pop(ioq, true));
    CHECK_EQ(other_fds(), before);
    int fd = ioq_fd(ioq);
    CHECK(fd > STDERR_FILENO);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(ioq_fd(ioq), fd);
    CHECK_EQ(other_fds(), before + 1);
    ioq_destroy(ioq);
    CHECK_EQ(other_fds(), before);
}

static void errors(void) {
    CHECK_ERRNO(ioq_fd(NULL), EINVAL);
    struct ioq *ioq = create(8, 0);
    CHECK_ERRNO(ioq_fd(ioq), EOPNOTSUPP);
    ioq_destroy(ioq);

    ioq = create(8, 1);
    struct rlimit before;
    int lowest = dup(root_fd);
    CHECK(lowest >= 0);
    close(lowest);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)lowest, before.rlim_max}), 0);
    CHECK_ERRNO(ioq_fd(ioq), EMFILE);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK(ioq_fd(ioq) >= 0);
    ioq_destroy(ioq);
}

static void submit(struct ioq *ioq, size_t i) {
    CHECK_EQ(ioq_stat(ioq, root_fd, i % 2 ? "file" : "missing", 0, stat_buf(), NULL), 0);
}

// Pops while there is something.
static size_t pop_all(struct ioq *ioq) {
    size_t count = 0;
    for (struct ioq_ent *ent; (ent = ioq_pop(ioq, false)); ++count) {
        ioq_free(ioq, ent);
    }
    return count;
}

// Waits for the descriptor alone, and gets everything; it is level-triggered, and says nothing when nothing is ready.
static void all_come_back(void) {
    for (size_t nthreads = 1; nthreads <= 4; nthreads *= 2) {
        struct ioq *ioq = create(100, nthreads);
        int fd = ioq_fd(ioq);
        CHECK(fd >= 0);
        CHECK(!readable(fd, 0));
        for (size_t round = 0; round < rounds(100); ++round) {
            size_t count = 1 + round % 100;
            for (size_t i = 0; i < count; ++i) {
                submit(ioq, i);
            }
            ioq_submit(ioq);
            for (size_t back = 0; back < count;) {
                CHECK(readable(fd, -1));
                CHECK(readable(fd, -1));
                struct ioq_ent *ent = ioq_pop(ioq, false);
                // Not even once is it readable in vain.
                CHECK(ent);
                ioq_free(ioq, ent);
                ++back;
                if (round % 3 == 0) {
                    back += pop_all(ioq);
                }
            }
            CHECK(!readable(fd, 0));
        }
        ioq_destroy(ioq);
    }
}

// What was ready, or in the caller's hands, when it was asked for counts as well.
static void asked_for_late(void) {
    struct ioq *ioq = create(64, 2);
    for (size_t i = 0; i < 60; ++i) {
        submit(ioq, i);
    }
    ioq_free(ioq, ioq_pop(ioq, true));
    int fd = ioq_fd(ioq);
    for (size_t back = 1; back < 60; ++back) {
        CHECK(readable(fd, -1));
        struct ioq_ent *ent = ioq_pop(ioq, back % 2 == 0);
        CHECK(ent);
        ioq_free(ioq, ent);
    }
    CHECK(!readable(fd, 0));
    ioq_destroy(ioq);
}

// Edge-triggered: there is an edge whenever something gets ready after nothing was.
static void edges(void) {
    struct ioq *ioq = create(64, 2);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(epoll >= 0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, ioq_fd(ioq), &event), 0);
    for (size_t round = 0; round < rounds(300); ++round) {
        size_t count = 1 + round % 64;
        for (size_t i = 0; i < count; ++i) {
            submit(ioq, i);
        }
        ioq_submit(ioq);
        for (size_t back = 0; back < count;) {
            CHECK_EQ(epoll_wait(epoll, &event, 1, -1), 1);
            back += pop_all(ioq);
        }
    }
    CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_DEL, ioq_fd(ioq), NULL), 0);
    ioq_destroy(ioq);
    close(epoll);
}

// Something hangs: the descriptor tells of everything else, and then of that.
static void one_hangs(void) {
    struct ioq *ioq = create(64, 3);
    int ioq_poll = ioq_fd(ioq);
    gate_set(true);
    struct bfs_dir dir = {.magic = 0};
    int fd = openat(root_fd, "sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK_EQ(ioq_opendir(ioq, &dir, fd, NULL, 0, &dir), 0);
    for (size_t i = 0; i < 40; ++i) {
        submit(ioq, i);
    }
    ioq_submit(ioq);
    for (size_t back = 0; back < 40; ++back) {
        CHECK(readable(ioq_poll, -1));
        struct ioq_ent *ent = ioq_pop(ioq, false);
        CHECK(ent && !ent->ptr);
        ioq_free(ioq, ent);
    }
    CHECK(!readable(ioq_poll, 20));
    gate_set(false);
    CHECK(readable(ioq_poll, -1));
    struct ioq_ent *ent = ioq_pop(ioq, false);
    CHECK(ent && ent->ptr == &dir);
    CHECK_EQ(bfs_closedir(&dir), 0);
    ioq_free(ioq, ent);
    ioq_destroy(ioq);
}

// A cancelled queue's requests come back to an event loop, too.
static void cancelled(void) {
    struct ioq *ioq = create(64, 2);
    int fd = ioq_fd(ioq);
    for (size_t i = 0; i < 64; ++i) {
        submit(ioq, i);
    }
    ioq_cancel(ioq);
    ioq_submit(ioq);
    for (size_t back = 0; back < 64;) {
        CHECK(readable(fd, -1));
        back += pop_all(ioq);
    }
    CHECK(!readable(fd, 0));
    ioq_destroy(ioq);
}

// No ring that was made and closed in this thread comes back to it as a signal would.
static void nothing_is_interrupted(void) {
    for (size_t i = 0; i < rounds(50); ++i) {
        struct ioq *ioq = create(8, 1);
        CHECK_EQ(poll(NULL, 0, 2), 0);
        CHECK_EQ(ioq_stat(ioq, root_fd, "file", 0, stat_buf(), NULL), 0);
        ioq_free(ioq, ioq_pop(ioq, true));
        ioq_destroy(ioq);
        CHECK_EQ(poll(NULL, 0, 2), 0);
    }
}

// How often any thread of the process went to sleep.
static long sleeps(void) {
    struct rusage usage;
    CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_nvcsw;
}

// Hundreds of idle queues take no processor.
static void idle(void) {
    enum { QUEUES = 200 };
    static struct ioq *queues[QUEUES];
    static struct pollfd fds[QUEUES];
    bool poor = has_limit_below(RLIMIT_NOFILE, 2 * QUEUES + 32) || has_limit_below(RLIMIT_AS, RLIM_INFINITY);
    size_t count = poor ? 2 : QUEUES;
    for (size_t i = 0; i < count; ++i) {
        queues[i] = create(8, 1);
        fds[i] = (struct pollfd){.fd = ioq_fd(queues[i]), .events = POLLIN};
        CHECK(fds[i].fd >= 0);
    }
    long before = sleeps();
    CHECK_EQ(poll(fds, count, 300), 0);
    // Those that began just now go to sleep once or twice. A thread of each that woke up every 10 ms would thirty times.
    CHECK(sleeps() - before < 10 * (long)count);
    for (size_t i = 0; i < count; ++i) {
        ioq_destroy(queues[i]);
    }
}

int main(void) {
    make_tree();
    RUN(nothing_is_made_before_it_is_asked_for);
    RUN(errors);
    RUN(all_come_back);
    RUN(asked_for_late);
    RUN(edges);
    RUN(one_hangs);
    RUN(cancelled);
    RUN(nothing_is_interrupted);
    RUN(idle);
    remove_temp_dir(root, root_fd);
    return 0;
}
