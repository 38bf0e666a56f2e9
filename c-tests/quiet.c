// The library neither reads from the standard streams nor writes to them, nor does it need them to be open.

#include "test.h"

#include <ioq/stat.h>

static void work(size_t nthreads) {
    struct ioq *ioq = create(64, nthreads);
    struct bfs_stat bufs[64];
    for (size_t i = 0; i < COUNT(bufs); ++i) {
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, i % 2 ? "/" : "/missing", 0, &bufs[i], NULL), 0);
    }
    for (size_t i = 0; i < COUNT(bufs) / 2; ++i) {
        CHECK(ioq_pop(ioq, true));
    }
    ioq_cancel(ioq);
    ioq_destroy(ioq);
    CHECK(!ioq_create(0, 0));
}

static void work_all(void) {
    for (size_t nthreads = 0; nthreads < 4; ++nthreads) {
        work(nthreads);
    }
}

static void streams(void) {
    char path[PATH_MAX];
    int dfd = temp_dir(path), in[2];
    int out = openat(dfd, "out", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(out >= 0);
    CHECK_EQ(pipe2(in, O_CLOEXEC), 0);
    CHECK_EQ(write(in[1], "x", 1), 1);

    int saved[3];
    for (int fd = 0; fd < 3; ++fd) {
        saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        CHECK_EQ(dup2(fd == 0 ? in[0] : out, fd), fd);
    }
    work_all();
    for (int fd = 0; fd < 3; ++fd) {
        CHECK_EQ(dup2(saved[fd], fd), fd);
        CHECK_EQ(close(saved[fd]), 0);
    }

    struct stat sb;
    char byte;
    CHECK_EQ(fstat(out, &sb), 0);
    CHECK_EQ(sb.st_size, 0);
    CHECK_EQ(read(in[0], &byte, 1), 1);
    CHECK_EQ(close(out), 0);
    CHECK_EQ(close(in[0]), 0);
    CHECK_EQ(close(in[1]), 0);
    remove_temp_dir(path, dfd);
}

static void closed_streams(void) {
    for (int fd = 0; fd < 3; ++fd) {
        CHECK_EQ(close(fd), 0);
    }
    work_all();
}

int main(void) {
    RUN(streams);
    CHECK_EQ(in_child(closed_streams), 0);
    return 0;
}
