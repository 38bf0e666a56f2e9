// A caller that submits as fast as it pops, so that there is always something to do: even so, what is done and what waits
// beside a slow request comes back, and so does what a ring has done.

#define HOST_DIR
#define HOST_READDIR
#define HOST_UNWRAPDIR
#include "host.h"

#include <linux/openat2.h>

// Plain calls, as there are no functions for a ring to use in its place. They keep a processor busy.
struct bfs_stat {
    char unused;
};

int bfs_stat(int at_fd, const char *at_path, unsigned int flags, struct bfs_stat *buf);

int bfs_stat(int at_fd, const char *at_path, unsigned int flags, struct bfs_stat *buf) {
    (void)at_fd, (void)at_path, (void)flags, (void)buf;
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - start.tv_sec) * 1000000000 + now.tv_nsec - start.tv_nsec < 20000);
    return 0;
}

static struct bfs_stat buf;

// Goes on until as many responses with this pointer have come.
static void saturate(struct ioq *ioq, bool block, size_t count, void *ptr) {
    for (size_t others = 0; count > 0;) {
        while (ioq_capacity(ioq) > 0) {
            CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &buf, NULL), 0);
        }
        ioq_submit(ioq);
        struct ioq_ent *ent = ioq_pop(ioq, block);
        if (!ent) {
            sched_yield();
            continue;
        }
        CHECK_EQ(ent->result, ent->op == IOQ_OPENAT ? -ENOENT : 0);
        CHECK(ent->op != IOQ_OPENDIR);
        if (ent->ptr == ptr) {
            --count;
        } else {
            ++others;
        }
        CHECK(others < 50000);
        ioq_free(ioq, ent);
    }
}

static void finish(struct ioq *ioq) {
    for (struct ioq_ent *ent; (ent = ioq_pop(ioq, true));) {
        CHECK_EQ(ent->result, 0);
        ioq_free(ioq, ent);
    }
    ioq_destroy(ioq);
}

// One in the middle of a block hangs.
static void neighbours(size_t nthreads, bool block) {
    enum { BLOCK = 31, PLACE = 3 };
    struct ioq *ioq = create(256, nthreads);
    struct bfs_dir dir = {.magic = 0};
    gate_set(true);
    for (size_t i = 0; i < BLOCK; ++i) {
        if (i == PLACE) {
            int fd = openat(root_fd, "sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            CHECK(fd >= 0);
            CHECK_EQ(ioq_opendir(ioq, &dir, fd, NULL, 0, NULL), 0);
        } else {
            CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &buf, &dir), 0);
        }
    }
    ioq_submit(ioq);
    gate_await(1);
    saturate(ioq, block, BLOCK - 1, &dir);
    gate_set(false);
    finish(ioq);
    CHECK_EQ(bfs_closedir(&dir), 0);
}

static void beside_a_slow_request(void) {
    for (size_t i = 0; i < rounds(5); ++i) {
        neighbours(2, true);
        neighbours(2, false);
        neighbours(4, false);
    }
}

// Workers find plain calls to do for ever, and the ring has something else.
static void in_a_ring(void) {
    enum { SENT = 8 };
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC};
    for (size_t i = 0; i < rounds(5); ++i) {
        struct ioq *ioq = create(256, 1);
        for (size_t j = 0; j < SENT; ++j) {
            CHECK_EQ(ioq_openat(ioq, root_fd, "missing", &how, 0, NULL, &how), 0);
        }
        saturate(ioq, false, SENT, &how);
        struct ioq_counts counts;
        ioq_count(ioq, &counts);
        CHECK(counts.ring == SENT || !backend_is("uring") || ring_use_errno() != 0);
        finish(ioq);
    }
}

static int hang(void *arg) {
    gate_pass();
    (void)arg;
    return 0;
}

// The ring always has something, and all workers but one hang: what only a worker can do comes back.
static void beside_a_ring(size_t hanging, bool block) {
    struct ioq *ioq = create(64, hanging + 1);
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC};
    char target[16];
    gate_set(true);
    for (size_t i = 0; i < hanging; ++i) {
        CHECK_EQ(ioq_call(ioq, hang, NULL, NULL), 0);
    }
    ioq_submit(ioq);
    gate_await(hanging);
    CHECK_EQ(ioq_readlink(ioq, root_fd, "link", target, sizeof(target), target), 0);
    for (size_t others = 0;;) {
        while (ioq_capacity(ioq) > 0) {
            CHECK_EQ(ioq_openat(ioq, root_fd, "missing", &how, 0, NULL, NULL), 0);
        }
        struct ioq_ent *ent = ioq_pop(ioq, block);
        if (!ent) {
            sched_yield();
            continue;
        }
        bool is_back = ent->ptr == target;
        CHECK(is_back || ent->result == -ENOENT);
        ioq_free(ioq, ent);
        if (is_back) {
            break;
        }
        CHECK(++others < 50000);
    }
    gate_set(false);
    for (struct ioq_ent *ent; (ent = ioq_pop(ioq, true));) {
        ioq_free(ioq, ent);
    }
    ioq_destroy(ioq);
}

static void workers_hang(void) {
    for (size_t i = 0; i < rounds(5); ++i) {
        for (size_t hanging = 1; hanging <= 3; ++hanging) {
            beside_a_ring(hanging, true);
            beside_a_ring(hanging, false);
        }
    }
}

int main(void) {
    make_tree();
    RUN(beside_a_slow_request);
    RUN(in_a_ring);
    RUN(workers_hang);
    remove_temp_dir(root, root_fd);
    return 0;
}
