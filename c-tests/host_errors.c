// Host functions that fail: nothing leaks, nothing is closed twice, and the error comes back.

#define HOST_DIR
#define HOST_READDIR
#define HOST_UNWRAPDIR
#define HOST_STAT
#include "host.h"

// The descriptor may have been opened before the failure; it is nobody's then, and must go.
static void opendir_fails(struct ioq *ioq) {
    size_t before = open_fds();
    host_errors.opendir = ENOMEM;
    struct bfs_dir dirs[16] = {{.magic = 0}};
    for (size_t i = 0; i < COUNT(dirs); ++i) {
        CHECK_EQ(ioq_opendir(ioq, &dirs[i], root_fd, "sub", 0, &dirs[i]), 0);
    }
    for (size_t i = 0; i < COUNT(dirs); ++i) {
        struct ioq_ent *ent = next(ioq);
        CHECK_EQ(ent->result, -ENOMEM);
        ioq_free(ioq, ent);
    }
    host_errors.opendir = 0;
    // The queue may have set up its ring meanwhile.
    CHECK(open_fds() <= before + 1);
}

// The caller's own descriptor stays the caller's.
static void opendir_fails_on_fd(struct ioq *ioq) {
    host_errors.opendir = ENOMEM;
    struct bfs_dir dir = {.magic = 0};
    int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_EQ(ioq_opendir(ioq, &dir, fd, NULL, 0, &dir), 0);
    CHECK_EQ(take(ioq, IOQ_OPENDIR, &dir), -ENOMEM);
    CHECK_EQ(close(fd), 0);
    host_errors.opendir = 0;
}

// A call that a signal interrupted is repeated. Its result would say that the queue was cancelled.
static void interrupted(struct ioq *ioq) {
    struct bfs_dir dir = {.magic = 0};
    struct bfs_stat buf = {.magic = 0};

    host_interruptions = 20;
    CHECK_EQ(ioq_opendir(ioq, &dir, root_fd, "sub", 0, &dir), 0);
    CHECK_EQ(take(ioq, IOQ_OPENDIR, &dir), 0);
    CHECK_EQ(host_interruptions, 0);

    host_interruptions = 20;
    CHECK_EQ(ioq_stat(ioq, root_fd, "file", 0, &buf, &buf), 0);
    CHECK_EQ(take(ioq, IOQ_STAT, &buf), 0);
    CHECK_EQ(host_interruptions, 0);
    CHECK_EQ(buf.magic, HOST_MAGIC);

    CHECK_EQ(ioq_closedir(ioq, &dir, &dir), 0);
    CHECK_EQ(take(ioq, IOQ_CLOSEDIR, &dir), 0);
}

// But a file system may answer so for ever. Then that is the result, and nothing hangs.
static void interrupted_for_ever(struct ioq *ioq) {
    struct bfs_dir dir = {.magic = 0};
    struct bfs_stat buf = {.magic = 0};

    host_interruptions = SIZE_MAX;
    CHECK_EQ(ioq_opendir(ioq, &dir, root_fd, "sub", 0, &dir), 0);
    CHECK_EQ(take(ioq, IOQ_OPENDIR, &dir), -EINTR);
    CHECK_EQ(dir.magic, 0);
    // Without a path, no ring does it in place of the function.
    CHECK_EQ(ioq_stat(ioq, root_fd, NULL, 0, &buf, &buf), 0);
    CHECK_EQ(take(ioq, IOQ_STAT, &buf), -EINTR);
    CHECK_EQ(buf.magic, 0);
    host_interruptions = 0;
}

// Reading ahead is no more than a help.
static void polldir_fails(struct ioq *ioq) {
    host_errors.polldir = EIO;
    check_host_dir(ioq);
    host_errors.polldir = 0;
}

int main(void) {
    make_tree();
    RUN_EACH_WAY(opendir_fails);
    RUN_EACH_WAY(opendir_fails_on_fd);
    RUN_EACH_WAY(interrupted);
    RUN_EACH_WAY(interrupted_for_ever);
    RUN_EACH_WAY(polldir_fails);
    remove_temp_dir(root, root_fd);
    return 0;
}
