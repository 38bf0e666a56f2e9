// What programs pass by mistake is refused or ignored.

#include "test.h"

#include <ioq/dir.h>
#include <ioq/stat.h>

static void null_queue(void) {
    struct bfs_dir *dir = bfs_allocdir();
    CHECK(dir);
    struct bfs_stat buf;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);

    CHECK_EQ(ioq_capacity(NULL), 0);
    CHECK_ERRNO(ioq_nop(NULL, IOQ_NOP_LIGHT, NULL), EINVAL);
    CHECK_ERRNO(ioq_close(NULL, fd, NULL), EINVAL);
    CHECK_ERRNO(ioq_opendir(NULL, dir, AT_FDCWD, "/", 0, NULL), EINVAL);
    CHECK_ERRNO(ioq_closedir(NULL, dir, NULL), EINVAL);
    CHECK_ERRNO(ioq_stat(NULL, AT_FDCWD, "/", 0, &buf, NULL), EINVAL);
    ioq_submit(NULL);
    CHECK(!ioq_pop(NULL, false));
    CHECK(!ioq_pop(NULL, true));
    ioq_free(NULL, NULL);
    ioq_cancel(NULL);
    ioq_destroy(NULL);

    CHECK_EQ(close(fd), 0);
    free(dir);
}

// Nothing is queued for a request that is refused.
static void null_arguments(struct ioq *ioq) {
    CHECK_ERRNO(ioq_opendir(ioq, NULL, AT_FDCWD, "/", 0, NULL), EINVAL);
    CHECK_ERRNO(ioq_closedir(ioq, NULL, NULL), EINVAL);
    CHECK_ERRNO(ioq_stat(ioq, AT_FDCWD, "/", 0, NULL, NULL), EINVAL);
    ioq_free(ioq, NULL);
    CHECK_EQ(ioq_capacity(ioq), 16);
    CHECK(!ioq_pop(ioq, true));
}

static void nop_type(struct ioq *ioq) {
    static const int types[] = {2, 3, -1, INT_MAX, INT_MIN};
    for (size_t i = 0; i < COUNT(types); ++i) {
        CHECK_ERRNO(ioq_nop(ioq, (enum ioq_nop_type)types[i], NULL), EINVAL);
    }
    CHECK_EQ(ioq_capacity(ioq), 16);
}

static void depth_zero(void) {
    errno = 0;
    CHECK(!ioq_create(0, 0));
    CHECK_EQ(errno, EINVAL);
    errno = 0;
    CHECK(!ioq_create(0, 4));
    CHECK_EQ(errno, EINVAL);
}

// Neither a size that wraps around nor one that is merely impossible gets a queue.
static void too_large(void) {
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX / 2 + 2, SIZE_MAX / 8, SIZE_MAX / 64 + 1, SIZE_MAX / 128};
    for (size_t i = 0; i < COUNT(sizes); ++i) {
        errno = 0;
        CHECK(!ioq_create(sizes[i], 1));
        CHECK_EQ(errno, ENOMEM);
        errno = 0;
        CHECK(!ioq_create(1, sizes[i]));
        CHECK_EQ(errno, ENOMEM);
    }
}

// Success leaves errno alone.
static void errno_is_kept(struct ioq *ioq) {
    struct bfs_stat buf;
    errno = EXDEV;
    CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/missing", 0, &buf, NULL), 0);
    CHECK_EQ(errno, EXDEV);
    CHECK_EQ(ioq_close(ioq, -1, NULL), 0);
    CHECK_EQ(errno, EXDEV);
    ioq_submit(ioq);
    CHECK_EQ(errno, EXDEV);
    for (int i = 0; i < 2; ++i) {
        struct ioq_ent *ent = next(ioq);
        CHECK(ent->result < 0);
        CHECK_EQ(errno, EXDEV);
        ioq_free(ioq, ent);
        CHECK_EQ(errno, EXDEV);
    }
    CHECK(!ioq_pop(ioq, true));
    CHECK_EQ(errno, EXDEV);
    CHECK_EQ(ioq_capacity(ioq), 16);
    CHECK_EQ(errno, EXDEV);
}

int main(void) {
    RUN(null_queue);
    RUN_EACH_WAY(null_arguments);
    RUN_EACH_WAY(nop_type);
    RUN(depth_zero);
    RUN(too_large);
    RUN_EACH_WAY(errno_is_kept);
    return 0;
}
