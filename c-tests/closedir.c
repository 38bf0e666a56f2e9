// ioq_closedir(): the directory is closed whatever the result, and its memory stays the caller's.

#include "test.h"

#include <ioq/dir.h>

static struct bfs_dir *dir;

static int close_by(struct ioq *ioq) {
    CHECK_EQ(ioq_closedir(ioq, dir, &dir), 0);
    struct ioq_ent *ent = next(ioq);
    CHECK_EQ(ent->op, IOQ_CLOSEDIR);
    CHECK(ent->closedir.dir == dir);
    CHECK(ent->ptr == &dir);
    int result = ent->result;
    ioq_free(ioq, ent);
    return result;
}

static void success(struct ioq *ioq) {
    CHECK_EQ(bfs_opendir(dir, AT_FDCWD, "/", 0), 0);
    int fd = bfs_dirfd(dir);
    CHECK_EQ(close_by(ioq), 0);
    CHECK(!fd_open(fd));
}

// One that the queue opened, half read, and then again with the same memory.
static void opened_by_queue(struct ioq *ioq) {
    for (int i = 0; i < 3; ++i) {
        CHECK_EQ(ioq_opendir(ioq, dir, AT_FDCWD, "/", 0, dir), 0);
        CHECK_EQ(take(ioq, IOQ_OPENDIR, dir), 0);
        struct bfs_dirent de;
        CHECK_EQ(bfs_readdir(dir, &de), 1);
        int fd = bfs_dirfd(dir);
        CHECK_EQ(close_by(ioq), 0);
        CHECK(!fd_open(fd));
    }
}

// The queue's ring takes the lowest number that is free, which must not be that of the directory.
static void bad_fd(struct ioq *ioq) {
    int lower = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(lower >= 0);
    CHECK_EQ(bfs_opendir(dir, AT_FDCWD, "/", 0), 0);
    CHECK_EQ(close(lower), 0);
    CHECK_EQ(close(bfs_dirfd(dir)), 0);
    CHECK_EQ(close_by(ioq), -EBADF);

    CHECK_EQ(bfs_opendir(dir, AT_FDCWD, "/", 0), 0);
    CHECK_EQ(close_by(ioq), 0);
}

int main(void) {
    dir = bfs_allocdir();
    CHECK(dir);
    RUN_EACH_WAY(success);
    RUN_EACH_WAY(opened_by_queue);
    RUN_EACH_WAY(bad_fd);
    free(dir);
    return 0;
}
