// ioq_close(): the descriptor is closed; what close(2) has against it comes back.

#include "test.h"

static int close_by(struct ioq *ioq, int fd) {
    CHECK_EQ(ioq_close(ioq, fd, &fd), 0);
    struct ioq_ent *ent = next(ioq);
    CHECK_EQ(ent->op, IOQ_CLOSE);
    CHECK_EQ(ent->close.fd, fd);
    CHECK(ent->ptr == &fd);
    int result = ent->result;
    ioq_free(ioq, ent);
    return result;
}

static void success(struct ioq *ioq) {
    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    CHECK_EQ(close_by(ioq, fds[1]), 0);
    CHECK(!fd_open(fds[1]));

    // The other end sees it too: the file is closed, not only the number free.
    char byte;
    CHECK_EQ(read(fds[0], &byte, 1), 0);

    CHECK_EQ(close_by(ioq, fds[0]), 0);
    CHECK(!fd_open(fds[0]));
}

static void a_duplicate(struct ioq *ioq) {
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    int other = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    CHECK(other >= 0);
    CHECK_EQ(close_by(ioq, fd), 0);
    CHECK(!fd_open(fd));
    CHECK(fd_open(other));
    CHECK_EQ(close_by(ioq, other), 0);
}

static void bad_fd(struct ioq *ioq) {
    CHECK_EQ(close_by(ioq, -1), -EBADF);
    CHECK_EQ(close_by(ioq, INT_MAX), -EBADF);
    CHECK_EQ(close_by(ioq, INT_MIN), -EBADF);

    // Low numbers that were free may be those of rings by now.
    int low = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int fd = fcntl(low, F_DUPFD_CLOEXEC, 40);
    CHECK(fd >= 40);
    CHECK_EQ(close(low), 0);
    CHECK_EQ(close_by(ioq, fd), 0);
    CHECK_EQ(close_by(ioq, fd), -EBADF);
}

// A ring cannot close a ring. To the caller that must make no difference.
static void a_ring(struct ioq *ioq) {
    uint32_t params[30] = {0}; // struct io_uring_params
    long fd = syscall(SYS_io_uring_setup, 2, params);
    if (fd >= 0) {
        CHECK_EQ(close_by(ioq, (int)fd), 0);
    }
}

// A descriptor that does not exist takes none of its neighbours with it.
static void several(struct ioq *ioq) {
    int fds[5];
    for (size_t i = 0; i < COUNT(fds); ++i) {
        fds[i] = i % 2 ? -1 : open("/dev/null", O_RDONLY | O_CLOEXEC);
        CHECK_EQ(ioq_close(ioq, fds[i], &fds[i]), 0);
    }
    for (size_t i = 0; i < COUNT(fds); ++i) {
        struct ioq_ent *ent = next(ioq);
        int *fd = ent->ptr;
        CHECK_EQ(ent->close.fd, *fd);
        CHECK_EQ(ent->result, (fd - fds) % 2 ? -EBADF : 0);
        ioq_free(ioq, ent);
    }
}

int main(void) {
    RUN_EACH_WAY(success);
    RUN_EACH_WAY(a_duplicate);
    RUN_EACH_WAY(bad_fd);
    RUN_EACH_WAY(a_ring);
    RUN_EACH_WAY(several);
    return 0;
}
