// A process that may open few files: rings that cannot be had are done without, and what fails for want of a descriptor
// says so and leaves none behind.

#include "test.h"

#include <ioq/dir.h>
#include <ioq/stat.h>

enum { DEPTH = 64 };

static struct rlimit saved;

// The limit is one on numbers, so those below the highest one in use must not be free.
static void fill_gaps(void) {
    int top = 0, fd;
    for (int i = 0; i < 1024; ++i) {
        top = fcntl(i, F_GETFD) >= 0 ? i : top;
    }
    need_fds((rlim_t)top + 32); // inherited ones may be beyond the limit already
    while ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) < top) {
        CHECK(fd >= 0);
    }
    CHECK_EQ(close(fd), 0);
}

// Leaves room for so many more descriptors.
static void limit_fds(int room) {
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(close(fd), 0);
    struct rlimit limit = {.rlim_cur = (rlim_t)(fd + room), .rlim_max = saved.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void restore_limit(void) {
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &saved), 0);
}

static struct ioq_ent *poll_one(struct ioq *ioq) {
    struct ioq_ent *ent;
    while (!(ent = ioq_pop(ioq, false))) {
        sched_yield();
    }
    return ent;
}

static void stat_all(struct ioq *ioq) {
    static struct bfs_stat bufs[DEPTH];
    for (size_t i = 0; i < DEPTH; ++i) {
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[i], NULL), 0);
        ioq_submit(ioq);
    }
    for (size_t i = 0; i < DEPTH; ++i) {
        struct ioq_ent *ent = poll_one(ioq);
        CHECK_EQ(ent->result, 0);
        CHECK(ent->stat.buf->mask & BFS_STAT_INO);
        ioq_free(ioq, ent);
    }
}

// No ring can be had, and the queue does without.
static void no_room(void) {
    limit_fds(0);
    for (size_t nthreads = 1; nthreads <= 8; nthreads *= 2) {
        struct ioq *ioq = create(DEPTH, nthreads);
        stat_all(ioq);
        stat_all(ioq);
        CHECK_EQ(ring_fds(), 0);
        ioq_destroy(ioq);
    }
    restore_limit();
}

// There are few descriptors, and many workers.
static void some_room(void) {
    limit_fds(3);
    struct ioq *ioq = create(DEPTH, 8);
    for (int i = 0; i < 20; ++i) {
        stat_all(ioq);
    }
    CHECK(ring_fds() <= 3);
    ioq_destroy(ioq);
    restore_limit();
}

// Directories that cannot be opened now can be opened once others were closed. (What one close gives back, a worker
// may have taken for its ring.)
static void directories(void) {
    limit_fds(8);
    struct ioq *ioq = create(DEPTH, 2);
    struct bfs_dir *dirs[16];
    size_t opened = 0, refused = 0;
    for (size_t i = 0; i < COUNT(dirs); ++i) {
        dirs[i] = bfs_allocdir();
        CHECK(dirs[i]);
        CHECK_EQ(ioq_opendir(ioq, dirs[i], AT_FDCWD, "/", 0, &dirs[i]), 0);
    }
    for (size_t i = 0; i < COUNT(dirs); ++i) {
        struct ioq_ent *ent = poll_one(ioq);
        struct bfs_dir **dir = ent->ptr;
        CHECK(ent->result == 0 || ent->result == -EMFILE);
        if (ent->result == 0) {
            ++opened;
        } else {
            ++refused;
            free(*dir);
            *dir = NULL;
        }
        ioq_free(ioq, ent);
    }
    CHECK(opened > 0);
    CHECK(refused > 0);

    for (size_t i = 0; i < COUNT(dirs); ++i) {
        if (dirs[i]) {
            CHECK_EQ(ioq_closedir(ioq, dirs[i], dirs[i]), 0);
            CHECK_EQ(take(ioq, IOQ_CLOSEDIR, dirs[i]), 0);
        }
    }
    for (size_t i = 0; i < COUNT(dirs); ++i) {
        if (dirs[i]) {
            CHECK_EQ(ioq_opendir(ioq, dirs[i], AT_FDCWD, "/", 0, dirs[i]), 0);
            CHECK_EQ(take(ioq, IOQ_OPENDIR, dirs[i]), 0);
            CHECK_EQ(bfs_closedir(dirs[i]), 0);
            free(dirs[i]);
        }
    }
    ioq_destroy(ioq);
    restore_limit();
}

int main(void) {
    if (wrapped()) {
        skip("a checker has descriptors of its own, beyond the limit");
    }
    ioq_destroy(create(1, 1)); // skips where there are no rings but have to be
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &saved), 0);
    fill_gaps();
    RUN(no_room);
    RUN(some_room);
    RUN(directories);
    return 0;
}
