// ioq_destroy() at any moment: queued closes run, directories that nobody popped are closed, nothing is left, and
// nothing of the caller's is touched any more.

#include "test.h"

#include <ioq/dir.h>
#include <ioq/stat.h>

static const size_t thread_counts[] = {0, 1, 2, 8};

static char root[PATH_MAX];
static int root_fd;

static int new_fd(void) {
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

static struct bfs_dir *new_dir(void) {
    struct bfs_dir *dir = bfs_allocdir();
    CHECK(dir);
    return dir;
}

// How many descriptors refer to the test's directory.
static size_t fds_on_root(void) {
    struct stat want, sb;
    CHECK_EQ(fstat(root_fd, &want), 0);
    size_t count = 0;
    for (int fd = 0; fd < 1024; ++fd) {
        count += fstat(fd, &sb) == 0 && sb.st_dev == want.st_dev && sb.st_ino == want.st_ino;
    }
    return count;
}

static void unused(struct ioq *ioq) {
    ioq_destroy(ioq);
}

static void cancelled(struct ioq *ioq) {
    ioq_cancel(ioq);
    ioq_destroy(ioq);
}

// Closes run even if they were never submitted.
static void closes_run(struct ioq *ioq) {
    int fds[8], dirfds[8];
    struct bfs_dir *dirs[8];
    for (size_t i = 0; i < COUNT(fds); ++i) {
        fds[i] = new_fd();
        CHECK_EQ(ioq_close(ioq, fds[i], NULL), 0);
        dirs[i] = new_dir();
        CHECK_EQ(bfs_opendir(dirs[i], AT_FDCWD, root, 0), 0);
        dirfds[i] = bfs_dirfd(dirs[i]);
        CHECK_EQ(ioq_closedir(ioq, dirs[i], NULL), 0);
    }
    ioq_destroy(ioq);
    for (size_t i = 0; i < COUNT(fds); ++i) {
        CHECK(!fd_open(fds[i]));
        CHECK(!fd_open(dirfds[i]));
        free(dirs[i]);
    }
}

static void closes_run_after_cancel(struct ioq *ioq) {
    int fds[3] = {new_fd(), new_fd(), new_fd()};
    CHECK_EQ(ioq_close(ioq, fds[0], NULL), 0);
    CHECK_EQ(ioq_close(ioq, fds[1], NULL), 0);
    ioq_submit(ioq);
    CHECK_EQ(ioq_close(ioq, fds[2], NULL), 0);
    ioq_cancel(ioq);
    ioq_destroy(ioq);
    for (size_t i = 0; i < COUNT(fds); ++i) {
        CHECK(!fd_open(fds[i]));
    }
}

// Buffers and paths may go as soon as the queue is gone.
static void in_flight(struct ioq *ioq) {
    struct bfs_stat *bufs = calloc(16, sizeof(*bufs));
    char *paths[16];
    CHECK(bufs);
    for (size_t i = 0; i < COUNT(paths); ++i) {
        paths[i] = strdup(i % 3 ? root : "/missing");
        CHECK(paths[i]);
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, paths[i], BFS_STAT_TRYFOLLOW, &bufs[i], NULL), 0);
        if (i % 5 == 0) {
            ioq_submit(ioq);
        }
    }
    ioq_destroy(ioq);
    for (size_t i = 0; i < COUNT(paths); ++i) {
        free(paths[i]);
    }
    free(bufs);
}

// The queue opened them, and nobody else can close them.
static void opened_and_not_popped(struct ioq *ioq) {
    size_t before = fds_on_root();
    struct bfs_dir *dirs[16];
    for (size_t i = 0; i < COUNT(dirs); ++i) {
        dirs[i] = new_dir();
        CHECK_EQ(ioq_opendir(ioq, dirs[i], AT_FDCWD, root, 0, NULL), 0);
    }
    ioq_submit(ioq);
    while (test_way->threads > 0 && fds_on_root() < before + COUNT(dirs)) {
        sched_yield();
    }
    ioq_destroy(ioq);
    CHECK_EQ(fds_on_root(), before);
    for (size_t i = 0; i < COUNT(dirs); ++i) {
        free(dirs[i]);
    }
}

// What was popped is the caller's, freed or not. The rest is not.
static void some_popped(struct ioq *ioq) {
    struct bfs_dir *dirs[16];
    bool popped[COUNT(dirs)] = {false};
    for (size_t i = 0; i < COUNT(dirs); ++i) {
        dirs[i] = new_dir();
        CHECK_EQ(ioq_opendir(ioq, dirs[i], AT_FDCWD, root, 0, &popped[i]), 0);
    }
    for (size_t i = 0; i < COUNT(dirs) / 2; ++i) {
        struct ioq_ent *ent = next(ioq);
        CHECK_EQ(ent->result, 0);
        *(bool *)ent->ptr = true;
        if (i % 2) {
            ioq_free(ioq, ent);
        }
    }
    ioq_destroy(ioq);
    for (size_t i = 0; i < COUNT(dirs); ++i) {
        if (popped[i]) {
            CHECK_EQ(bfs_readdir(dirs[i], NULL), 0);
            CHECK_EQ(bfs_closedir(dirs[i]), 0);
        }
        free(dirs[i]);
    }
}

// Responses that are ready are dropped.
static void ready_and_not_popped(struct ioq *ioq) {
    for (size_t i = 0; i < 16; ++i) {
        CHECK_EQ(ioq_nop(ioq, IOQ_NOP_LIGHT, NULL), 0);
    }
    ioq_free(ioq, next(ioq));
    next(ioq);
    ioq_destroy(ioq);
}

static void (*subject)(struct ioq *ioq);

static void with_queue(void) {
    subject(create(16, test_way->threads));
}

static void each_way(const char *name, void (*part)(struct ioq *ioq)) {
    subject = part;
    for (test_way = test_ways; test_way != test_ways + COUNT(test_ways); ++test_way) {
        for (size_t i = 0; i < rounds(20); ++i) {
            test_run(name, with_queue);
        }
    }
    test_way = test_ways;
}

#define DESTROY_EACH_WAY(part) each_way(#part, part)

// Any mixture of kinds, in any state, with each depth and number of threads.
static void any_moment(void) {
    static const size_t depths[] = {1, 2, 3, 64, 500};
    uint64_t seed = 7;
    for (size_t round = 0; round < rounds(1000); ++round) {
        size_t depth = depths[random_below(&seed, COUNT(depths))];
        struct ioq *ioq = create(depth, thread_counts[random_below(&seed, COUNT(thread_counts))]);
        struct bfs_dir *dirs[64];
        struct bfs_stat bufs[500];
        size_t ndirs = 0, submitted = 0, popped = 0, pops = random_below(&seed, depth + 1);

        while (submitted < depth && random_below(&seed, 200) > 0) {
            size_t kind = random_below(&seed, 4);
            if (kind == 0) {
                CHECK_EQ(ioq_close(ioq, new_fd(), NULL), 0);
            } else if (kind == 1 && ndirs < COUNT(dirs)) {
                dirs[ndirs] = new_dir();
                CHECK_EQ(ioq_opendir(ioq, dirs[ndirs], AT_FDCWD, root, 0, NULL), 0);
                ++ndirs;
            } else {
                CHECK_EQ(ioq_stat(ioq, AT_FDCWD, root, 0, &bufs[submitted], NULL), 0);
            }
            ++submitted;
            if (random_below(&seed, 10) == 0) {
                ioq_submit(ioq);
            }
        }
        for (; popped < pops && popped < submitted; ++popped) {
            struct ioq_ent *ent = ioq_pop(ioq, true);
            CHECK(ent);
            CHECK_EQ(ent->result, 0);
            if (ent->op == IOQ_OPENDIR) {
                CHECK_EQ(bfs_closedir(ent->opendir.dir), 0);
            }
            if (random_below(&seed, 2) == 0) {
                ioq_free(ioq, ent);
            }
        }
        if (random_below(&seed, 3) == 0) {
            ioq_cancel(ioq);
        }
        ioq_destroy(ioq);
        while (ndirs > 0) {
            free(dirs[--ndirs]);
        }
    }
}

int main(void) {
    need_fds(256);
    root_fd = temp_dir(root);
    DESTROY_EACH_WAY(unused);
    DESTROY_EACH_WAY(cancelled);
    DESTROY_EACH_WAY(closes_run);
    DESTROY_EACH_WAY(closes_run_after_cancel);
    DESTROY_EACH_WAY(in_flight);
    DESTROY_EACH_WAY(opened_and_not_popped);
    DESTROY_EACH_WAY(some_popped);
    DESTROY_EACH_WAY(ready_and_not_popped);
    RUN(any_moment);
    remove_temp_dir(root, root_fd);
    return 0;
}
