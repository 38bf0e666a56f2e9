// ioq_readlink(): what is in the buffer is what readlinkat(2) puts there, and so is every error.

#include "test.h"

static char root[PATH_MAX];
static int root_fd;

static int readlink_by(struct ioq *ioq, int dfd, const char *path, char *buf, size_t size) {
    CHECK_EQ(ioq_readlink(ioq, dfd, path, buf, size, root), 0);
    struct ioq_ent *ent = next(ioq);
    CHECK_EQ(ent->op, IOQ_READLINK);
    CHECK(ent->readlink.path == path);
    CHECK(ent->readlink.buf == buf);
    CHECK_EQ(ent->readlink.size, size);
    CHECK_EQ(ent->readlink.dfd, dfd);
    CHECK(ent->ptr == root);
    int result = ent->result;
    ioq_free(ioq, ent);
    return result;
}

static void check(struct ioq *ioq, int dfd, const char *path, size_t size) {
    static char have[PATH_MAX], want[PATH_MAX];
    memset(have, 0xA5, sizeof(have));
    memset(want, 0xA5, sizeof(want));
    ssize_t len = readlinkat(dfd, path, want, size);
    CHECK_EQ(readlink_by(ioq, dfd, path, have, size), len < 0 ? -errno : len);
    CHECK_EQ(memcmp(have, want, sizeof(have)), 0);
}

static void links(struct ioq *ioq) {
    static const char *const names[] = {"link", "broken", "loop", "long", "sub/up", "link-to-sub", "link-to-sub/up"};
    for (size_t i = 0; i < COUNT(names); ++i) {
        for (size_t size = 1; size <= PATH_MAX; size *= 2) {
            check(ioq, root_fd, names[i], size);
        }
    }
    char absolute[PATH_MAX];
    CHECK(snprintf(absolute, sizeof(absolute), "%.4000s/link", root) > 0);
    check(ioq, -1, absolute, PATH_MAX);
    check(ioq, AT_FDCWD, absolute, PATH_MAX);

    // That of a descriptor, as readlinkat(2) has it.
    int fd = openat(root_fd, "link", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    check(ioq, fd, "", PATH_MAX);
    CHECK_EQ(close(fd), 0);
}

static void errors(struct ioq *ioq) {
    static const char *const names[] = {"file", "sub", ".", "missing", "", "missing/x", "file/x", "loop/x"};
    for (size_t i = 0; i < COUNT(names); ++i) {
        check(ioq, root_fd, names[i], PATH_MAX);
        check(ioq, -1, names[i], PATH_MAX);
    }
    check(ioq, root_fd, "link", 0);
    char *const nowhere = NULL;
    CHECK_ERRNO(ioq_readlink(ioq, root_fd, NULL, root, 1, NULL), EINVAL);
    CHECK_ERRNO(ioq_readlink(ioq, root_fd, "link", nowhere, 1, NULL), EINVAL);
    CHECK_ERRNO(ioq_readlink(NULL, root_fd, "link", root, 1, NULL), EINVAL);
}

static void denied(struct ioq *ioq) {
    check(ioq, root_fd, "locked/x", PATH_MAX);
}

static void as_nobody(void) {
    become_nobody();
    RUN_EACH_WAY(denied);
}

int main(void) {
    root_fd = temp_dir(root);
    make_file(root_fd, "file", 1);
    CHECK_EQ(mkdirat(root_fd, "sub", 0755), 0);
    CHECK_EQ(mkdirat(root_fd, "locked", 0), 0);
    CHECK_EQ(symlinkat("file", root_fd, "link"), 0);
    CHECK_EQ(symlinkat("sub", root_fd, "link-to-sub"), 0);
    CHECK_EQ(symlinkat("..", root_fd, "sub/up"), 0);
    CHECK_EQ(symlinkat("missing", root_fd, "broken"), 0);
    CHECK_EQ(symlinkat("loop", root_fd, "loop"), 0);
    char target[1000];
    memset(target, 'x', sizeof(target) - 1);
    target[sizeof(target) - 1] = '\0';
    CHECK_EQ(symlinkat(target, root_fd, "long"), 0);

    RUN_EACH_WAY(links);
    RUN_EACH_WAY(errors);
    CHECK_EQ(in_child(as_nobody), 0);

    remove_temp_dir(root, root_fd);
    return 0;
}
