// ioq_unlink(), ioq_rename(), ioq_mkdir(), ioq_link() and ioq_symlink(): in two directories that are alike, one is changed by
// plain calls and the other by requests. All results are the same, and the directories stay alike.

#include "test.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#endif

struct change {
    enum ioq_op op;
    // The second path is relative to "sub" if there is a third, which is nothing but that.
    const char *path, *newpath, *sub;
    unsigned int flags;
};

static const struct change changes[] = {
    {IOQ_MKDIR, "sub", NULL, NULL, 0777},
    {IOQ_MKDIR, "private", NULL, NULL, 0700},
    {IOQ_MKDIR, "strange", NULL, NULL, 01717},
    {IOQ_MKDIR, "sub/sub", NULL, NULL, 0755},
    {IOQ_MKDIR, "sub", NULL, NULL, 0755},
    {IOQ_MKDIR, "file", NULL, NULL, 0755},
    {IOQ_MKDIR, "missing/x", NULL, NULL, 0755},
    {IOQ_MKDIR, "file/x", NULL, NULL, 0755},
    {IOQ_MKDIR, "", NULL, NULL, 0755},
    {IOQ_MKDIR, ".", NULL, NULL, 0755},

    {IOQ_SYMLINK, "file", "link", NULL, 0},
    {IOQ_SYMLINK, "nowhere/at/all", "broken", NULL, 0},
    {IOQ_SYMLINK, "loop", "loop", NULL, 0},
    {IOQ_SYMLINK, "..", "up", "sub", 0},
    {IOQ_SYMLINK, "file", "link", NULL, 0},
    {IOQ_SYMLINK, "", "empty", NULL, 0},
    {IOQ_SYMLINK, "file", "", NULL, 0},
    {IOQ_SYMLINK, "file", "missing/x", NULL, 0},
    {IOQ_SYMLINK, "file", "loop/x", NULL, 0},

    {IOQ_LINK, "file", "hard", NULL, 0},
    {IOQ_LINK, "file", "hard", "sub", 0},
    {IOQ_LINK, "link", "hard-link", NULL, 0},
    {IOQ_LINK, "link", "followed", NULL, AT_SYMLINK_FOLLOW},
    {IOQ_LINK, "broken", "unfollowed", NULL, AT_SYMLINK_FOLLOW},
    {IOQ_LINK, "file", "hard", NULL, 0},
    {IOQ_LINK, "sub", "hard-sub", NULL, 0},
    {IOQ_LINK, "missing", "x", NULL, 0},
    {IOQ_LINK, "file", "missing/x", NULL, 0},
    {IOQ_LINK, "file", "", NULL, 0},
    {IOQ_LINK, "", "x", NULL, 0},
    {IOQ_LINK, "file", "x", NULL, 0x40000000},

    {IOQ_RENAME, "hard", "renamed", NULL, 0},
    {IOQ_RENAME, "renamed", "moved", "sub", 0},
    {IOQ_RENAME, "hard-link", "link", NULL, 0},
    {IOQ_RENAME, "followed", "link", NULL, RENAME_NOREPLACE},
    {IOQ_RENAME, "followed", "kept", NULL, RENAME_NOREPLACE},
    {IOQ_RENAME, "kept", "private", NULL, RENAME_EXCHANGE},
    {IOQ_RENAME, "kept", "missing", NULL, RENAME_EXCHANGE},
    {IOQ_RENAME, "file", "sub", NULL, 0},
    {IOQ_RENAME, "sub", "file", NULL, 0},
    {IOQ_RENAME, "strange", "sub", NULL, 0},
    {IOQ_RENAME, "sub", "sub/x", NULL, 0},
    {IOQ_RENAME, "missing", "x", NULL, 0},
    {IOQ_RENAME, "", "x", NULL, 0},
    {IOQ_RENAME, "file", "file/x", NULL, 0},
    {IOQ_RENAME, ".", "x", NULL, 0},
    {IOQ_RENAME, "file", "x", NULL, RENAME_NOREPLACE | RENAME_EXCHANGE},
    {IOQ_RENAME, "file", "x", NULL, 0x40000000},

    {IOQ_UNLINK, "link", NULL, NULL, 0},
    {IOQ_UNLINK, "broken", NULL, NULL, AT_REMOVEDIR},
    {IOQ_UNLINK, "broken", NULL, NULL, 0},
    {IOQ_UNLINK, "file", NULL, NULL, AT_REMOVEDIR},
    {IOQ_UNLINK, "sub/hard", NULL, NULL, 0},
    {IOQ_UNLINK, "sub", NULL, NULL, 0},
    {IOQ_UNLINK, "sub", NULL, NULL, AT_REMOVEDIR},
    {IOQ_UNLINK, "strange", NULL, NULL, AT_REMOVEDIR},
    {IOQ_UNLINK, "strange", NULL, NULL, AT_REMOVEDIR},
    {IOQ_UNLINK, ".", NULL, NULL, AT_REMOVEDIR},
    {IOQ_UNLINK, "missing", NULL, NULL, 0},
    {IOQ_UNLINK, "missing/x", NULL, NULL, 0},
    {IOQ_UNLINK, "file/x", NULL, NULL, 0},
    {IOQ_UNLINK, "loop/x", NULL, NULL, 0},
    {IOQ_UNLINK, "", NULL, NULL, 0},
    {IOQ_UNLINK, "file", NULL, NULL, 0x40000000},
};

static int plain(int dfd, int newdfd, const struct change *change) {
    unsigned int flags = change->flags;
    long ret = -1;
    switch (change->op) {
    case IOQ_UNLINK:
        ret = unlinkat(dfd, change->path, (int)flags);
        break;
    case IOQ_RENAME:
        ret = flags ? syscall(SYS_renameat2, dfd, change->path, newdfd, change->newpath, flags)
                    : renameat(dfd, change->path, newdfd, change->newpath);
        break;
    case IOQ_MKDIR:
        ret = mkdirat(dfd, change->path, flags);
        break;
    case IOQ_LINK:
        ret = linkat(dfd, change->path, newdfd, change->newpath, (int)flags);
        break;
    case IOQ_SYMLINK:
        ret = symlinkat(change->path, newdfd, change->newpath);
        break;
    default:
        CHECK(!"a change");
    }
    return ret == 0 ? 0 : -errno;
}

static void submit(struct ioq *ioq, int dfd, int newdfd, const struct change *change, void *ptr) {
    const char *path = change->path, *newpath = change->newpath;
    unsigned int flags = change->flags;
    int ret = -1;
    switch (change->op) {
    case IOQ_UNLINK:
        ret = ioq_unlink(ioq, dfd, path, (int)flags, ptr);
        break;
    case IOQ_RENAME:
        ret = ioq_rename(ioq, dfd, path, newdfd, newpath, flags, ptr);
        break;
    case IOQ_MKDIR:
        ret = ioq_mkdir(ioq, dfd, path, flags, ptr);
        break;
    case IOQ_LINK:
        ret = ioq_link(ioq, dfd, path, newdfd, newpath, (int)flags, ptr);
        break;
    case IOQ_SYMLINK:
        ret = ioq_symlink(ioq, path, newdfd, newpath, ptr);
        break;
    default:
        CHECK(!"a change");
    }
    CHECK_EQ(ret, 0);
}

static int subdirectory(int dfd, const struct change *change) {
    int fd = change->sub ? openat(dfd, change->sub, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : fcntl(dfd, F_DUPFD_CLOEXEC, 0);
    CHECK(fd >= 0);
    return fd;
}

static void check_alike(int left, int right);

static void check_files_alike(int left, int right, const char *name) {
    struct stat sb, want;
    CHECK_EQ(fstatat(left, name, &want, AT_SYMLINK_NOFOLLOW), 0);
    CHECK_EQ(fstatat(right, name, &sb, AT_SYMLINK_NOFOLLOW), 0);
    CHECK_EQ(sb.st_mode, want.st_mode);
    CHECK_EQ(sb.st_nlink, want.st_nlink);
    if (S_ISLNK(sb.st_mode)) {
        char have_target[PATH_MAX] = "", want_target[PATH_MAX] = "";
        CHECK_EQ(readlinkat(right, name, have_target, PATH_MAX - 1), readlinkat(left, name, want_target, PATH_MAX - 1));
        CHECK_EQ(strcmp(have_target, want_target), 0);
    } else if (S_ISDIR(sb.st_mode)) {
        int left_fd = openat(left, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        int right_fd = openat(right, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        check_alike(left_fd, right_fd);
        CHECK_EQ(close(left_fd), 0);
        CHECK_EQ(close(right_fd), 0);
    }
}

// Everything below one directory is below the other, too.
static void check_alike(int left, int right) {
    int fds[] = {left, right};
    size_t counts[2] = {0};
    for (size_t i = 0; i < COUNT(fds); ++i) {
        DIR *dir = fdopendir(openat(fds[i], ".", O_RDONLY | O_CLOEXEC));
        CHECK(dir);
        for (struct dirent *de; (de = readdir(dir));) {
            ++counts[i];
            if (i == 0 && strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0) {
                check_files_alike(left, right, de->d_name);
            }
        }
        CHECK_EQ(closedir(dir), 0);
    }
    CHECK_EQ(counts[0], counts[1]);
}

static void every_change(struct ioq *ioq) {
    char left_path[PATH_MAX], right_path[PATH_MAX];
    int left = temp_dir(left_path), right = temp_dir(right_path);
    make_file(left, "file", 1);
    make_file(right, "file", 1);
    for (size_t i = 0; i < COUNT(changes); ++i) {
        const struct change *change = &changes[i];
        int left_sub = subdirectory(left, change), right_sub = subdirectory(right, change);
        int result = plain(left, left_sub, change);
        submit(ioq, right, right_sub, change, &left);
        CHECK_EQ(take(ioq, change->op, &left), result);
        check_alike(left, right);

        CHECK_EQ(close(left_sub), 0);
        CHECK_EQ(close(right_sub), 0);
    }
    remove_temp_dir(left_path, left);
    remove_temp_dir(right_path, right);
}

// With no directory, and in one that belongs to somebody else.
static int foreign_fd;

static void nothing_changes(struct ioq *ioq) {
    struct stat stat;
    CHECK_EQ(fstat(foreign_fd, &stat), 0);
    for (size_t i = 0; i < COUNT(changes); ++i) {
        const struct change *change = &changes[i];
        const int fds[] = {-1, stat.st_uid == geteuid() ? INT_MAX : foreign_fd};
        // One thing that is wrong is enough.
        bool is_empty = !*change->path || (change->newpath && !*change->newpath);
        for (size_t j = 0; j < COUNT(fds) && !is_empty; ++j) {
            int result = plain(fds[j], fds[j], change);
            CHECK(result < 0);
            submit(ioq, fds[j], fds[j], change, &foreign_fd);
            CHECK_EQ(take(ioq, change->op, &foreign_fd), result);
        }
    }
}

static void absolute(struct ioq *ioq) {
    char root[PATH_MAX], path[PATH_MAX], other[PATH_MAX];
    int root_fd = temp_dir(root);
    CHECK(snprintf(path, sizeof(path), "%.4000s/one", root) > 0);
    CHECK(snprintf(other, sizeof(other), "%.4000s/two", root) > 0);
    CHECK_EQ(ioq_mkdir(ioq, AT_FDCWD, path, 0755, NULL), 0);
    CHECK_EQ(take(ioq, IOQ_MKDIR, NULL), 0);
    CHECK_EQ(ioq_rename(ioq, -1, path, AT_FDCWD, other, 0, NULL), 0);
    CHECK_EQ(take(ioq, IOQ_RENAME, NULL), 0);
    CHECK_EQ(ioq_unlink(ioq, -1, other, AT_REMOVEDIR, NULL), 0);
    CHECK_EQ(take(ioq, IOQ_UNLINK, NULL), 0);
    remove_temp_dir(root, root_fd);
}

static void null_arguments(struct ioq *ioq) {
    CHECK_ERRNO(ioq_unlink(ioq, AT_FDCWD, NULL, 0, NULL), EINVAL);
    CHECK_ERRNO(ioq_unlink(NULL, -1, "x", 0, NULL), EINVAL);
    CHECK_ERRNO(ioq_rename(ioq, AT_FDCWD, NULL, AT_FDCWD, "x", 0, NULL), EINVAL);
    CHECK_ERRNO(ioq_rename(ioq, AT_FDCWD, "x", AT_FDCWD, NULL, 0, NULL), EINVAL);
    CHECK_ERRNO(ioq_rename(NULL, -1, "x", -1, "y", 0, NULL), EINVAL);
    CHECK_ERRNO(ioq_mkdir(ioq, AT_FDCWD, NULL, 0, NULL), EINVAL);
    CHECK_ERRNO(ioq_mkdir(NULL, -1, "x", 0, NULL), EINVAL);
    CHECK_ERRNO(ioq_link(ioq, AT_FDCWD, NULL, AT_FDCWD, "x", 0, NULL), EINVAL);
    CHECK_ERRNO(ioq_link(ioq, AT_FDCWD, "x", AT_FDCWD, NULL, 0, NULL), EINVAL);
    CHECK_ERRNO(ioq_link(NULL, -1, "x", -1, "y", 0, NULL), EINVAL);
    CHECK_ERRNO(ioq_symlink(ioq, NULL, AT_FDCWD, "x", NULL), EINVAL);
    CHECK_ERRNO(ioq_symlink(ioq, "x", AT_FDCWD, NULL, NULL), EINVAL);
    CHECK_ERRNO(ioq_symlink(NULL, "x", -1, "y", NULL), EINVAL);
    CHECK_EQ(ioq_capacity(ioq), 16);
}

static void as_nobody(void) {
    become_nobody();
    RUN_EACH_WAY(nothing_changes);
}

int main(void) {
    umask(027);
    char path[PATH_MAX];
    foreign_fd = temp_dir(path);
    make_file(foreign_fd, "file", 1);
    CHECK_EQ(mkdirat(foreign_fd, "sub", 0755), 0);

    RUN_EACH_WAY(every_change);
    RUN_EACH_WAY(nothing_changes);
    RUN_EACH_WAY(absolute);
    RUN_EACH_WAY(null_arguments);
    if (geteuid() == 0) {
        CHECK_EQ(in_child(as_nobody), 0);
    }

    remove_temp_dir(path, foreign_fd);
    return 0;
}
