// ioq_access(): what may be done with a file is what faccessat(3) says.

#include "test.h"

static char root[PATH_MAX];
static int root_fd;

static int access_by(struct ioq *ioq, int dfd, const char *path, int mode, int flags) {
    CHECK_EQ(ioq_access(ioq, dfd, path, mode, flags, root), 0);
    struct ioq_ent *ent = next(ioq);
    CHECK_EQ(ent->op, IOQ_ACCESS);
    CHECK(ent->access.path == path);
    CHECK_EQ(ent->access.dfd, dfd);
    CHECK_EQ(ent->access.mode, mode);
    CHECK_EQ(ent->access.flags, flags);
    CHECK(ent->ptr == root);
    int result = ent->result;
    ioq_free(ioq, ent);
    return result;
}

static void check(struct ioq *ioq, int dfd, const char *path, int mode, int flags) {
    int result = faccessat(dfd, path, mode, flags) == 0 ? 0 : -errno;
    CHECK_EQ(access_by(ioq, dfd, path, mode, flags), result);
}

static const char *const names[] = {
    "file", "secret", "script", "sub", "locked", "locked/x", "link", "broken", "loop", ".", "missing", "", "file/x",
};

static void every_mode(struct ioq *ioq) {
    static const int flags[] = {0, AT_EACCESS, AT_SYMLINK_NOFOLLOW, AT_EACCESS | AT_SYMLINK_NOFOLLOW};
    for (size_t i = 0; i < COUNT(names); ++i) {
        for (size_t j = 0; j < COUNT(flags); ++j) {
            for (int mode = F_OK; mode <= (R_OK | W_OK | X_OK); ++mode) {
                check(ioq, root_fd, names[i], mode, flags[j]);
            }
            check(ioq, -1, names[i], R_OK, flags[j]);
        }
    }
    check(ioq, AT_FDCWD, root, X_OK, 0);
    check(ioq, -1, root, X_OK, AT_EACCESS);
}

static void as_nobody(void) {
    become_nobody();
    RUN_EACH_WAY(every_mode);
}

// A real user ID that is another than the effective one makes a difference.
static void as_two(void) {
    CHECK_EQ(setresuid(65534, 0, 0), 0);
    RUN_EACH_WAY(every_mode);
}

static void nonsense(struct ioq *ioq) {
    check(ioq, root_fd, "file", 8, 0);
    check(ioq, root_fd, "file", -1, 0);
    check(ioq, root_fd, "file", R_OK, 0x40000000);
    CHECK_ERRNO(ioq_access(ioq, root_fd, NULL, R_OK, 0, NULL), EINVAL);
    CHECK_ERRNO(ioq_access(NULL, root_fd, "file", R_OK, 0, NULL), EINVAL);
}

int main(void) {
    root_fd = temp_dir(root);
    make_file(root_fd, "file", 1);
    make_file(root_fd, "secret", 1);
    CHECK_EQ(fchmodat(root_fd, "secret", 0600, 0), 0);
    make_file(root_fd, "script", 1);
    CHECK_EQ(fchmodat(root_fd, "script", 0711, 0), 0);
    CHECK_EQ(mkdirat(root_fd, "sub", 0755), 0);
    CHECK_EQ(mkdirat(root_fd, "locked", 0700), 0);
    make_file(root_fd, "locked/x", 1);
    CHECK_EQ(symlinkat("secret", root_fd, "link"), 0);
    CHECK_EQ(symlinkat("missing", root_fd, "broken"), 0);
    CHECK_EQ(symlinkat("loop", root_fd, "loop"), 0);

    RUN_EACH_WAY(every_mode);
    RUN_EACH_WAY(nonsense);
    CHECK_EQ(in_child(as_nobody), 0);
    if (geteuid() == 0) {
        CHECK_EQ(in_child(as_two), 0);
    }

    remove_temp_dir(root, root_fd);
    return 0;
}
