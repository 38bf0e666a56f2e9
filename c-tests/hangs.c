// Requests that hang hold up no others: while more workers were asked for than those are, everything else comes back, with
// the caller blocked, polling or gone, wherever they stand among the others, and even where descriptors are wanting.

#define HOST_DIR
#define HOST_READDIR
#include "host.h"

#include <ioq/stat.h>
#include <linux/openat2.h>
#include <time.h>

enum { OTHERS = 60, MOST = 7, CLOSES = 5 };

// A directory that is given by its descriptor is opened by a plain call of this program's, where the gate is.
static struct bfs_dir dirs[MOST];
static void submit_hanging(struct ioq *ioq, size_t i) {
    int fd = openat(root_fd, "sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0);
    dirs[i] = (struct bfs_dir){.magic = 0};
    CHECK_EQ(ioq_opendir(ioq, &dirs[i], fd, NULL, 0, &dirs[i]), 0);
}

static void submit_other(struct ioq *ioq, size_t i) {
    static const char *const names[] = {"file", "sub", "missing"};
    if (i % 4 == 3) {
        CHECK_EQ(ioq_close(ioq, -1, NULL), 0);
    } else {
        CHECK_EQ(ioq_stat(ioq, root_fd, names[i % 4], 0, stat_buf(), NULL), 0);
    }
}

static void check_other(struct ioq *ioq, struct ioq_ent *ent) {
    CHECK(!ent->ptr);
    CHECK(ent->result == 0 || ent->result == -ENOENT || ent->result == -EBADF);
    ioq_free(ioq, ent);
}

// Lets those that hang go, and takes them.
static void finish(struct ioq *ioq, size_t hanging) {
    gate_set(false);
    size_t count = 0;
    for (struct ioq_ent *ent; (ent = ioq_pop(ioq, true)); ++count) {
        CHECK_EQ(ent->result, 0);
        CHECK_EQ(bfs_closedir(ent->ptr), 0);
        ioq_free(ioq, ent);
    }
    CHECK_EQ(count, hanging);
    ioq_destroy(ioq);
}

// Where those that hang stand.
enum place { FIRST, MIDDLE, LAST, APART };

static bool hangs_at(enum place place, size_t i, size_t hanging) {
    switch (place) {
    case FIRST:
        return i < hanging;
    case MIDDLE:
        return i >= OTHERS / 2 && i < OTHERS / 2 + hanging;
    case LAST:
        return i >= OTHERS;
    default:
        return i % 5 == 2 && i / 5 < hanging;
    }
}

static struct ioq *submit(size_t nthreads, size_t hanging, enum place place) {
    struct ioq *ioq = create(OTHERS + MOST + CLOSES, nthreads);
    gate_set(true);
    size_t hang = 0, other = 0;
    for (size_t i = 0; i < OTHERS + hanging; ++i) {
        if (hangs_at(place, i, hanging)) {
            submit_hanging(ioq, hang++);
        } else {
            submit_other(ioq, other++);
        }
    }
    CHECK_EQ(hang, hanging);
    return ioq;
}

enum caller { BLOCKS, POLLS, POLLS_SELDOM, CALLERS };

static void come_back(struct ioq *ioq, enum caller caller) {
    for (size_t i = 0; i < OTHERS; ++i) {
        struct ioq_ent *ent;
        while (!(ent = ioq_pop(ioq, caller == BLOCKS))) {
            CHECK(caller != BLOCKS);
            if (caller == POLLS) {
                sched_yield();
            } else {
                nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
            }
        }
        check_other(ioq, ent);
    }
}

static void others_come_back(void) {
    for (size_t nthreads = 2; nthreads <= MOST + 1; nthreads *= 2) {
        for (size_t hanging = 1; hanging < nthreads; hanging = hanging * 2 + 1) {
            for (enum place place = FIRST; place <= APART; ++place) {
                for (enum caller caller = BLOCKS; caller < CALLERS; ++caller) {
                    struct ioq *ioq = submit(nthreads, hanging, place);
                    come_back(ioq, caller);
                    finish(ioq, hanging);
                }
            }
        }
    }
}

// A caller that submits and does something else for ever: everything is run, as can be seen without a call.
static void others_run_while_the_caller_is_gone(void) {
    for (size_t nthreads = 2; nthreads <= MOST + 1; nthreads *= 2) {
        for (enum place place = FIRST; place <= APART; ++place) {
            struct ioq *ioq = submit(nthreads, nthreads - 1, place);
            int fds[CLOSES];
            for (size_t i = 0; i < CLOSES; ++i) {
                fds[i] = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
                CHECK_EQ(ioq_close(ioq, fds[i], NULL), 0);
            }
            ioq_submit(ioq);
            for (size_t i = 0; i < CLOSES; ++i) {
                while (fd_open(fds[i])) {
                    sched_yield();
                }
            }
            for (size_t i = 0; i < OTHERS + CLOSES; ++i) {
                check_other(ioq, ioq_pop(ioq, true));
            }
            finish(ioq, nthreads - 1);
        }
    }
}

// Of several queues, too, and one after the other in the same one.
static void again_and_again(void) {
    struct ioq *ioq = create(OTHERS + MOST, 4);
    for (size_t i = 0; i < rounds(50); ++i) {
        gate_set(true);
        for (size_t j = 0; j < 3; ++j) {
            submit_hanging(ioq, j);
            submit_other(ioq, j);
        }
        for (size_t j = 3; j < OTHERS; ++j) {
            submit_other(ioq, j);
        }
        come_back(ioq, i % CALLERS);
        gate_set(false);
        for (size_t j = 0; j < 3; ++j) {
            struct ioq_ent *ent = ioq_pop(ioq, true);
            CHECK_EQ(ent->result, 0);
            CHECK_EQ(bfs_closedir(ent->ptr), 0);
            ioq_free(ioq, ent);
        }
    }
    ioq_destroy(ioq);
}

// From the start of the queue's work on, no descriptor can be had for a ring.
static void without_descriptors(void) {
    for (size_t i = 0; i < rounds(20); ++i) {
        struct ioq *ioq = create(OTHERS + MOST, 4);
        gate_set(true);
        for (size_t j = 0; j < 3; ++j) {
            submit_hanging(ioq, j);
        }
        struct rlimit before;
        int lowest = dup(root_fd);
        CHECK(lowest >= 0);
        close(lowest);
        CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)lowest, before.rlim_max}), 0);
        for (size_t j = 0; j < OTHERS; ++j) {
            submit_other(ioq, j);
        }
        come_back(ioq, i % CALLERS);
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
        finish(ioq, 3);
    }
}

// Files that cannot be opened until somebody writes to them hang in the ring, if there is one, whatever bound it is given.
static void others_come_back_whatever_the_bound(void) {
    enum { HANGING = 20 };
    static const size_t bounds[] = {1, 0, (size_t)1 << 31, SIZE_MAX};
    CHECK_EQ(mkfifoat(root_fd, "fifo", 0600), 0);
    for (size_t i = 0; i < COUNT(bounds); ++i) {
        struct ioq_options options = {
            .size = sizeof(options), .depth = HANGING + 1, .nthreads = HANGING + 1, .inflight = bounds[i]};
        struct ioq *ioq = ioq_create_with(&options);
        CHECK(ioq);
        struct open_how how = {.flags = O_RDONLY | O_CLOEXEC};
        for (size_t j = 0; j < HANGING; ++j) {
            CHECK_EQ(ioq_openat(ioq, root_fd, "fifo", &how, 0, NULL, &how), 0);
        }
        ioq_submit(ioq);
        CHECK_EQ(ioq_openat(ioq, root_fd, "file", &how, 0, NULL, NULL), 0);
        struct ioq_ent *ent = next(ioq);
        CHECK(!ent->ptr);
        close(ent->result);
        ioq_free(ioq, ent);

        int writer = openat(root_fd, "fifo", O_RDWR | O_CLOEXEC);
        CHECK(writer >= 0);
        for (size_t j = 0; j < HANGING; ++j) {
            ent = next(ioq);
            CHECK(ent->result >= 0);
            close(ent->result);
            ioq_free(ioq, ent);
        }
        close(writer);
        ioq_destroy(ioq);
    }
    CHECK_EQ(unlinkat(root_fd, "fifo", 0), 0);
}

int main(void) {
    make_tree();
    // It runs no other thread while one waits in io_uring_enter().
    if (!in_valgrind()) {
        RUN(others_come_back_whatever_the_bound);
    }
    RUN(others_come_back);
    RUN(others_run_while_the_caller_is_gone);
    RUN(again_and_again);
    RUN(without_descriptors);
    remove_temp_dir(root, root_fd);
    return 0;
}
