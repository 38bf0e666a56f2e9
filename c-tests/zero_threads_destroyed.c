// Regression: a queue without any thread was destroyed as if it had some. At every point of its life it is destroyed
// without waiting for anybody, what must run has run, and nothing is left.

#include "test.h"

#include <ioq/dir.h>
#include <ioq/stat.h>

enum { DEPTH = 64 };

static struct bfs_stat buf;
static struct bfs_dir *dir;
static int fd;

// A queue that got as far as this.
static struct ioq *at(int point) {
    struct ioq *ioq = create(DEPTH, 0);
    if (point == 0) {
        return ioq; // unused
    }
    CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &buf, NULL), 0);
    CHECK_EQ(ioq_opendir(ioq, dir, AT_FDCWD, "/", 0, NULL), 0);
    CHECK_EQ(ioq_close(ioq, fd, NULL), 0);
    if (point == 1) {
        return ioq; // buffered
    }
    ioq_submit(ioq);
    if (point == 2) {
        return ioq; // submitted
    }
    CHECK(!ioq_pop(ioq, false));
    if (point == 3) {
        return ioq; // polled
    }
    struct ioq_ent *ent = ioq_pop(ioq, true);
    CHECK(ent);
    if (point == 4) {
        return ioq; // popped and not freed
    }
    ioq_free(ioq, ent);
    if (point == 5) {
        return ioq; // popped and freed
    }
    ioq_cancel(ioq);
    if (point == 6) {
        return ioq; // cancelled
    }
    while ((ent = ioq_pop(ioq, true))) {
        if (ent->op == IOQ_OPENDIR && ent->result == 0) {
            CHECK_EQ(bfs_closedir(dir), 0);
        }
        ioq_free(ioq, ent);
    }
    return point == 7 ? ioq : NULL; // empty
}

static void destroyed(void) {
    for (int point = 0; point <= 7; ++point) {
        dir = bfs_allocdir();
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        CHECK(dir);
        CHECK(fd >= 0);
        struct ioq *ioq = at(point);
        CHECK(ioq);
        ioq_destroy(ioq);
        if (point == 0) {
            CHECK_EQ(close(fd), 0);
        }
        CHECK(!fd_open(fd));
        free(dir);
    }
}

int main(void) {
    RUN(destroyed);
    return 0;
}
