// Rings that are taken away while they work: the process closes their descriptors, whose numbers become those of other
// files, or forbids itself to use them, as one does that enters a sandbox. What was in flight comes back all the same,
// and the queue goes on.

#include "test.h"

#include <ioq/dir.h>
#include <ioq/stat.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

enum { DEPTH = 64 };

static const char no_filter[] = "system calls cannot be filtered here";

static struct bfs_stat bufs[DEPTH];

static void submit_all(struct ioq *ioq) {
    for (size_t i = 0; i < DEPTH; ++i) {
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, i % 4 ? "/" : "/missing", 0, &bufs[i], &bufs[i]), 0);
        if (i % 8 == 0) {
            ioq_submit(ioq);
        }
    }
    ioq_submit(ioq);
}

static void pop_all(struct ioq *ioq) {
    for (size_t i = 0; i < DEPTH; ++i) {
        struct ioq_ent *ent = next(ioq);
        CHECK_EQ(ent->result, ((struct bfs_stat *)ent->ptr - bufs) % 4 ? 0 : -ENOENT);
        CHECK(ent->result != 0 || ent->stat.buf->mask & BFS_STAT_INO);
        ioq_free(ioq, ent);
    }
    CHECK(!ioq_pop(ioq, true));
}

// A ring of the program's.
static int make_ring(void) {
    struct io_uring_params params = {0};
    return (int)syscall(SYS_io_uring_setup, 2, &params);
}

static void close_all(void) {
    if (syscall(SYS_close_range, 3, ~0U, 0) != 0) {
        for (int fd = 3; fd < 1024; ++fd) {
            close(fd);
        }
    }
}

static void give_numbers_to(int file) {
    for (int fd = 0; fd < 1024; ++fd) {
        if (fd != file && fd_is_ring(fd)) {
            CHECK_EQ(dup3(file, fd, O_CLOEXEC), fd);
        }
    }
}

static void give_numbers_to_a_file(void) {
    give_numbers_to(open("/dev/null", O_RDONLY | O_CLOEXEC));
}

// One that nothing ever completes in.
static void give_numbers_to_a_ring(void) {
    int fd = make_ring();
    if (fd >= 0) {
        give_numbers_to(fd);
    }
}

// For every thread there is.
static void forbid(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = COUNT(code), .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
        || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) != 0) {
        skip(no_filter);
    }
}

static void (*take_away)(void);
static bool in_flight;

static void lose_rings(void) {
    struct ioq *ioq = create(DEPTH, test_way->threads);
    submit_all(ioq);
    pop_all(ioq);
    if (in_flight) {
        submit_all(ioq);
    }
    take_away();
    if (in_flight) {
        pop_all(ioq);
    }
    for (int i = 0; i < 5; ++i) {
        submit_all(ioq);
        pop_all(ioq);
    }
    ioq_destroy(ioq);
    await_threads(1);
}

// And with work that nobody takes any more.
static void lose_rings_and_destroy(void) {
    struct ioq *ioq = create(DEPTH, test_way->threads);
    submit_all(ioq);
    take_away();
    ioq_destroy(ioq);
    await_threads(1);
}

// Whether it ran: rings cannot be forbidden everywhere.
static bool run(void (*part)(void)) {
    int status = in_child(part);
    bool skipped = take_away == forbid && WIFEXITED(status) && WEXITSTATUS(status) == 77;
    CHECK(status == 0 || skipped);
    return !skipped;
}

int main(void) {
    watchdog();
    ioq_destroy(create(1, 1)); // skips where there are no rings but have to be
    // The rest needs rings that are known by more than their numbers.
    static void (*const ways_to_take[])(void) = {
        give_numbers_to_a_file, forbid, close_all, give_numbers_to_a_ring};
    bool complete = true;
    size_t ways = rings_register() ? COUNT(ways_to_take) : 2;
    for (test_way = test_ways; test_way != test_ways + COUNT(test_ways); ++test_way) {
        for (size_t i = 0; i < rounds(40); ++i) {
            take_away = ways_to_take[i % ways];
            in_flight = i / ways % 2 == 0;
            complete &= run(lose_rings);
            complete &= run(lose_rings_and_destroy);
        }
    }
    if (!complete) {
        skip(no_filter);
    }
    return 0;
}
