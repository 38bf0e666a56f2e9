// A program that gives up its standard streams, as a daemon does, finds no ring under their numbers, and what it puts there
// is its own for good.

#include "test.h"

#include <ioq/dir.h>
#include <ioq/stat.h>

static bool is_null(int fd) {
    struct stat null, sb;
    CHECK_EQ(stat("/dev/null", &null), 0);
    return fstat(fd, &sb) == 0 && sb.st_rdev == null.st_rdev && sb.st_ino == null.st_ino;
}

static void work(struct ioq *ioq) {
    static struct bfs_stat bufs[32];
    for (size_t i = 0; i < COUNT(bufs); ++i) {
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[i], NULL), 0);
    }
    for (struct ioq_ent *ent; (ent = ioq_pop(ioq, true));) {
        CHECK_EQ(ent->result, 0);
        ioq_free(ioq, ent);
    }
}

static void daemonize(void) {
    struct ioq *ioq = create(64, 4);
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    work(ioq);
    CHECK(!fd_is_ring(STDIN_FILENO) && !fd_is_ring(STDOUT_FILENO));
    int fd = open("/dev/null", O_RDWR);
    CHECK_EQ(fd, STDIN_FILENO);
    CHECK_EQ(dup(fd), STDOUT_FILENO);
    work(ioq);
    ioq_destroy(ioq);
    CHECK(is_null(STDIN_FILENO) && is_null(STDOUT_FILENO));
}

static void stay_free(void) {
    CHECK_EQ(in_child(daemonize), 0);
}

// Where rings can be registered, a program may close what it did not open, and put others there.
static void close_all(void) {
    if (!rings_register()) {
        return;
    }
    struct ioq *ioq = create(64, 4);
    work(ioq);
    for (int fd = 3; fd < 64; ++fd) {
        close(fd);
    }
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    CHECK_EQ(fd, 3);
    while (fd < 32) {
        fd = dup(fd);
        CHECK(fd >= 0);
    }
    work(ioq);
    ioq_destroy(ioq);
    for (fd = 3; fd <= 32; ++fd) {
        CHECK(is_null(fd));
    }
}

static void what_is_put_there_stays(void) {
    CHECK_EQ(in_child(close_all), 0);
}

int main(void) {
    RUN(stay_free);
    RUN(what_is_put_there_stays);
    return 0;
}
