// Regression: a stat that never got a buffer for statx() had that buffer freed. Here entries have none at all: it is NULL
// whatever became of the request, and the caller's buffer is the caller's.

#include "test.h"

#include <ioq/stat.h>

static struct bfs_stat *new_buf(void) {
    struct bfs_stat *buf = malloc(sizeof(*buf)); // which a checker would see freed
    CHECK(buf);
    memset(buf, 0xA5, sizeof(*buf));
    return buf;
}

static bool untouched(const struct bfs_stat *buf) {
    const unsigned char *bytes = (const void *)buf;
    for (size_t i = 0; i < sizeof(*buf); ++i) {
        if (bytes[i] != 0xA5) {
            return false;
        }
    }
    return true;
}

static void request(struct ioq *ioq, const char *path) {
    struct bfs_stat *buf = new_buf();
    CHECK_EQ(ioq_stat(ioq, AT_FDCWD, path, 0, buf, buf), 0);
}

static void take_stat(struct ioq *ioq, int result) {
    struct ioq_ent *ent = next(ioq);
    CHECK_EQ(ent->result, result);
    CHECK(!ent->stat.xbuf);
    CHECK(ent->stat.buf == ent->ptr);
    CHECK_EQ(untouched(ent->stat.buf), result < 0);
    free(ent->stat.buf);
    ioq_free(ioq, ent);
}

static void succeeded(struct ioq *ioq) {
    request(ioq, "/");
    take_stat(ioq, 0);
}

static void failed(struct ioq *ioq) {
    request(ioq, "/missing");
    take_stat(ioq, -ENOENT);
    request(ioq, "/dev/null/file");
    take_stat(ioq, -ENOTDIR);
}

static void cancelled(struct ioq *ioq) {
    request(ioq, "/"); // still in the queue's buffer, so nobody runs it
    ioq_cancel(ioq);
    take_stat(ioq, -EINTR);
}

static void refused(struct ioq *ioq) {
    CHECK_ERRNO(ioq_stat(ioq, AT_FDCWD, "/", 0, NULL, NULL), EINVAL);
    ioq_cancel(ioq);
    struct bfs_stat *buf = new_buf();
    CHECK_ERRNO(ioq_stat(ioq, AT_FDCWD, "/", 0, buf, NULL), EINTR);
    CHECK(untouched(buf));
    free(buf);
}

static void destroyed(void) {
    for (test_way = test_ways; test_way != test_ways + COUNT(test_ways); ++test_way) {
        struct ioq *ioq = create(16, test_way->threads);
        struct bfs_stat *bufs[16];
        for (size_t i = 0; i < COUNT(bufs); ++i) {
            bufs[i] = new_buf();
            CHECK_EQ(ioq_stat(ioq, AT_FDCWD, i % 2 ? "/" : "/missing", 0, bufs[i], NULL), 0);
            if (i == 11) {
                ioq_submit(ioq);
            }
        }
        ioq_destroy(ioq);
        for (size_t i = 0; i < COUNT(bufs); ++i) {
            free(bufs[i]);
        }
    }
}

int main(void) {
    RUN_EACH_WAY(succeeded);
    RUN_EACH_WAY(failed);
    RUN_EACH_WAY(cancelled);
    RUN_EACH_WAY(refused);
    RUN(destroyed);
    return 0;
}
