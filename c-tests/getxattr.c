// ioq_getxattr(): the value of an extended attribute is what getxattr(2) and lgetxattr(2) say, however the file is named.

#include "test.h"

#include <sys/xattr.h>

static char root[PATH_MAX - 64];
static int root_fd;

static int getxattr_by(struct ioq *ioq, int dfd, const char *path, const char *name, void *value, size_t size, int flags) {
    CHECK_EQ(ioq_getxattr(ioq, dfd, path, name, value, size, flags, root), 0);
    struct ioq_ent *ent = next(ioq);
    CHECK_EQ(ent->op, IOQ_GETXATTR);
    CHECK(ent->getxattr.path == path);
    CHECK(ent->getxattr.name == name);
    CHECK(ent->getxattr.value == value);
    CHECK_EQ(ent->getxattr.size, size);
    CHECK_EQ(ent->getxattr.dfd, dfd);
    CHECK_EQ(ent->getxattr.flags, flags);
    CHECK(ent->ptr == root);
    int result = ent->result;
    ioq_free(ioq, ent);
    return result;
}

static char have[65536 + 1], want[65536 + 1];

static void compare(struct ioq *ioq, int dfd, const char *path, const char *name, size_t size, int flags, int result) {
    memset(have, 0xA5, sizeof(have));
    CHECK_EQ(getxattr_by(ioq, dfd, path, name, size > 0 ? have : NULL, size, flags), result);
    CHECK_EQ(memcmp(have, want, sizeof(have)), 0);
}

// Asks for a file in the root, by each of its names.
static void check(struct ioq *ioq, const char *path, const char *name, size_t size, int flags) {
    char absolute[PATH_MAX];
    snprintf(absolute, sizeof(absolute), "%s/%s", root, path);
    memset(want, 0xA5, sizeof(want));
    ssize_t len = (flags ? lgetxattr : getxattr)(absolute, name, want, size);
    int result = len < 0 ? -errno : (int)len;

    compare(ioq, AT_FDCWD, absolute, name, size, flags, result);
    compare(ioq, -1, absolute, name, size, flags, result);
    compare(ioq, root_fd, absolute, name, size, flags, result);
    if (*path) {
        compare(ioq, root_fd, path, name, size, flags, result);
        int sub = openat(root_fd, "sub", O_PATH | O_CLOEXEC);
        char relative[PATH_MAX];
        snprintf(relative, sizeof(relative), "../%s", path);
        compare(ioq, sub, relative, name, size, flags, result);
        CHECK_EQ(close(sub), 0);
    }
}

static const char *const paths[] = {
    "file", "sub", "sub/../file", "link", "link-to-sub", "broken", "loop", "missing", "missing/x", "file/x", ".",
};

static const char *const attributes[] = {"user.short", "user.empty", "user.missing", "trusted.secret", "nonsense"};

static void values(struct ioq *ioq) {
    static const size_t sizes[] = {0, 1, 4, 5, 6, 65536};
    for (size_t i = 0; i < COUNT(paths); ++i) {
        for (size_t j = 0; j < COUNT(attributes); ++j) {
            check(ioq, paths[i], attributes[j], 255, 0);
            check(ioq, paths[i], attributes[j], 255, AT_SYMLINK_NOFOLLOW);
        }
    }
    for (size_t i = 0; i < COUNT(sizes); ++i) {
        check(ioq, "file", "user.short", sizes[i], 0);
        check(ioq, "link", "user.empty", sizes[i], 0);
    }
    char name[300];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    check(ioq, "file", name, 255, 0);
    check(ioq, "file", "", 255, 0);
}

static void in_working_directory(struct ioq *ioq) {
    int before = open(".", O_PATH | O_CLOEXEC);
    CHECK_EQ(fchdir(root_fd), 0);
    memset(want, 0xA5, sizeof(want));
    ssize_t len = getxattr("file", "user.short", want, 255);
    compare(ioq, AT_FDCWD, "file", "user.short", 255, 0, len < 0 ? -errno : (int)len);
    CHECK_EQ(fchdir(before), 0);
    CHECK_EQ(close(before), 0);
}

static void errors(struct ioq *ioq) {
    memset(want, 0xA5, sizeof(want));
    compare(ioq, -1, "file", "user.short", 255, 0, -EBADF);
    compare(ioq, INT_MAX, "file", "user.short", 255, 0, -EBADF);
    compare(ioq, root_fd, "", "user.short", 255, 0, -ENOENT);
    int file = openat(root_fd, "file", O_RDONLY | O_CLOEXEC);
    compare(ioq, file, "x", "user.short", 255, 0, -ENOTDIR);
    CHECK_EQ(close(file), 0);
    // As long as a path may be, and longer.
    static char path[PATH_MAX + 8];
    size_t longest = 0;
    while (longest + strlen("./file") < PATH_MAX) {
        longest += strlen(strcpy(path + longest, "./"));
    }
    strcpy(path + longest, "./file");
    compare(ioq, root_fd, path, "user.short", 255, 0, -ENAMETOOLONG);
    char absolute[PATH_MAX];
    snprintf(absolute, sizeof(absolute), "%s/file", root);
    ssize_t len = getxattr(absolute, "user.short", want, 255);
    compare(ioq, root_fd, path + 2, "user.short", 255, 0, len < 0 ? -errno : (int)len);
}

static void nonsense(struct ioq *ioq) {
    CHECK_ERRNO(ioq_getxattr(ioq, root_fd, NULL, "user.short", have, 1, 0, NULL), EINVAL);
    CHECK_ERRNO(ioq_getxattr(ioq, root_fd, "file", NULL, have, 1, 0, NULL), EINVAL);
    CHECK_ERRNO(ioq_getxattr(ioq, root_fd, "file", "user.short", NULL, 1, 0, NULL), EINVAL);
    CHECK_ERRNO(ioq_getxattr(ioq, root_fd, "file", "user.short", have, 1, AT_EMPTY_PATH, NULL), EINVAL);
    CHECK_ERRNO(ioq_getxattr(NULL, root_fd, "file", "user.short", have, 1, 0, NULL), EINVAL);
    CHECK_EQ(ioq_capacity(ioq), 16);
}

static void as_nobody(void) {
    become_nobody();
    RUN_EACH_WAY(values);
}

int main(void) {
    char path[PATH_MAX];
    root_fd = temp_dir(path);
    CHECK(strlen(path) < sizeof(root));
    strcpy(root, path);
    make_file(root_fd, "file", 1);
    CHECK_EQ(mkdirat(root_fd, "sub", 0755), 0);
    CHECK_EQ(symlinkat("file", root_fd, "link"), 0);
    CHECK_EQ(symlinkat("sub", root_fd, "link-to-sub"), 0);
    CHECK_EQ(symlinkat("missing", root_fd, "broken"), 0);
    CHECK_EQ(symlinkat("loop", root_fd, "loop"), 0);
    int fd = openat(root_fd, "file", O_RDONLY | O_CLOEXEC);
    // Not every file system has attributes. Then there are errors to compare.
    if (fsetxattr(fd, "user.short", "short", 5, 0) == 0) {
        CHECK_EQ(fsetxattr(fd, "user.empty", "", 0, 0), 0);
    }
    CHECK_EQ(close(fd), 0);

    RUN_EACH_WAY(values);
    RUN_EACH_WAY(in_working_directory);
    RUN_EACH_WAY(errors);
    RUN_EACH_WAY(nonsense);
    CHECK_EQ(in_child(as_nobody), 0);

    remove_temp_dir(root, root_fd);
    return 0;
}
