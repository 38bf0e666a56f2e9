// ioq_chmod(), ioq_chown() and ioq_utimens(): of two files that are alike, one is changed by plain calls and the other by
// requests. All results are the same, and the files stay alike.

#include "test.h"

static char left_path[PATH_MAX], right_path[PATH_MAX];
static int left_fd, right_fd;

static const char *const names[] = {"file", "sub", "link", "broken", "missing", "", "missing/x", "file/x", "loop/x", "."};

static const int all_flags[] = {0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, 0x40000000};

static void check_alike(const char *name) {
    for (int flags = 0; flags <= AT_SYMLINK_NOFOLLOW; flags += AT_SYMLINK_NOFOLLOW) {
        struct stat have, want;
        int ret = fstatat(left_fd, name, &want, flags);
        CHECK_EQ(fstatat(right_fd, name, &have, flags), ret);
        if (ret == 0) {
            CHECK_EQ(have.st_mode, want.st_mode);
            CHECK_EQ(have.st_uid, want.st_uid);
            CHECK_EQ(have.st_gid, want.st_gid);
        }
    }
}

static int plain_chmod(int dfd, const char *path, mode_t mode, int flags) {
    long ret = flags ? syscall(452 /* SYS_fchmodat2 */, dfd, path, mode, flags) : fchmodat(dfd, path, mode, 0);
    if (ret != 0 && errno == ENOSYS) {
        ret = fchmodat(dfd, path, mode, flags);
    }
    return ret == 0 ? 0 : -errno;
}

static int chmod_by(struct ioq *ioq, int dfd, const char *path, mode_t mode, int flags) {
    CHECK_EQ(ioq_chmod(ioq, dfd, path, mode, flags, left_path), 0);
    return take(ioq, IOQ_CHMOD, left_path);
}

static void modes(struct ioq *ioq) {
    static const mode_t all_modes[] = {0600, 0755, 06711, 01777, 0};
    for (size_t i = 0; i < COUNT(names); ++i) {
        for (size_t j = 0; j < COUNT(all_flags); ++j) {
            for (size_t k = 0; k < COUNT(all_modes); ++k) {
                // The directory itself is needed.
                bool is_root = !*names[i] || strcmp(names[i], ".") == 0;
                mode_t mode = is_root ? all_modes[k] | 0700 : all_modes[k];
                int result = plain_chmod(left_fd, names[i], mode, all_flags[j]);
                CHECK_EQ(chmod_by(ioq, right_fd, names[i], mode, all_flags[j]), result);
                check_alike(names[i]);
                result = plain_chmod(-1, names[i], mode, all_flags[j]);
                CHECK_EQ(chmod_by(ioq, -1, names[i], mode, all_flags[j]), result);
            }
        }
    }
    CHECK_EQ(chmod_by(ioq, AT_FDCWD, right_path, 0755, 0), 0);
    CHECK_EQ(chmod(left_path, 0755), 0);
    check_alike(".");
}

static int chown_by(struct ioq *ioq, int dfd, const char *path, uid_t uid, gid_t gid, int flags) {
    CHECK_EQ(ioq_chown(ioq, dfd, path, uid, gid, flags, left_path), 0);
    return take(ioq, IOQ_CHOWN, left_path);
}

static void owners(struct ioq *ioq) {
    const uid_t none = (uid_t)-1;
    const uid_t uids[] = {none, geteuid(), 1, 65534, none};
    const gid_t gids[] = {none, none, getegid(), 65534, 2};
    for (size_t i = 0; i < COUNT(names); ++i) {
        for (size_t j = 0; j < COUNT(all_flags); ++j) {
            for (size_t k = 0; k < COUNT(uids); ++k) {
                int flags = all_flags[j];
                int result = fchownat(left_fd, names[i], uids[k], gids[k], flags) == 0 ? 0 : -errno;
                CHECK_EQ(chown_by(ioq, right_fd, names[i], uids[k], gids[k], flags), result);
                check_alike(names[i]);
                result = fchownat(-1, names[i], uids[k], gids[k], flags) == 0 ? 0 : -errno;
                CHECK_EQ(chown_by(ioq, -1, names[i], uids[k], gids[k], flags), result);
            }
        }
    }
}

// What programs with times of 64 bits call on machines of 32.
int ioq_utimens_time64(struct ioq *, int, const char *, const struct timespec *, int, void *);

static int utimens_by(struct ioq *ioq, int dfd, const char *path, const struct timespec *times, int flags) {
    static size_t calls;
    bool time64 = sizeof(time_t) == 8 && calls++ % 2;
    CHECK_EQ((time64 ? ioq_utimens_time64 : ioq_utimens)(ioq, dfd, path, times, flags, left_path), 0);
    return take(ioq, IOQ_UTIMENS, left_path);
}

static void check_times_alike(const char *name, int flags) {
    struct stat have, want;
    if (fstatat(left_fd, name, &want, flags) != 0) {
        return; // it needs no file to omit both
    }
    CHECK_EQ(fstatat(right_fd, name, &have, flags), 0);
    CHECK_EQ(have.st_atim.tv_sec, want.st_atim.tv_sec);
    CHECK_EQ(have.st_atim.tv_nsec, want.st_atim.tv_nsec);
    CHECK_EQ(have.st_mtim.tv_sec, want.st_mtim.tv_sec);
    CHECK_EQ(have.st_mtim.tv_nsec, want.st_mtim.tv_nsec);
}

static void times(struct ioq *ioq) {
    // The first sets all, so the files are alike from then on.
    static const struct timespec all_times[][2] = {
        {{1, 2}, {3, 4}},
        {{1000000000, 999999999}, {0, UTIME_OMIT}},
        {{0, UTIME_OMIT}, {2000000000, 123456789}},
        {{0, UTIME_OMIT}, {0, UTIME_OMIT}},
        {{1, 1000000000}, {1, 1}}, // no time
    };
    for (size_t i = 0; i < COUNT(names); ++i) {
        for (size_t j = 0; j < COUNT(all_flags); ++j) {
            for (size_t k = 0; k < COUNT(all_times); ++k) {
                int result = utimensat(left_fd, names[i], all_times[k], all_flags[j]) == 0 ? 0 : -errno;
                CHECK_EQ(utimens_by(ioq, right_fd, names[i], all_times[k], all_flags[j]), result);
                if (result == 0) {
                    check_times_alike(names[i], all_flags[j]);
                }
                result = utimensat(-1, names[i], all_times[k], all_flags[j]) == 0 ? 0 : -errno;
                CHECK_EQ(utimens_by(ioq, -1, names[i], all_times[k], all_flags[j]), result);
            }
        }
    }
}

// No times are the present one.
static void now(struct ioq *ioq) {
    static const struct timespec present[] = {{0, UTIME_NOW}, {0, UTIME_NOW}}, past[] = {{1, 1}, {1, 1}};
    const struct timespec *const ways[] = {NULL, present};
    for (size_t i = 0; i < COUNT(ways); ++i) {
        struct stat sb;
        CHECK_EQ(utimensat(right_fd, "file", past, 0), 0);
        CHECK_EQ(utimens_by(ioq, right_fd, "file", ways[i], 0), 0);
        CHECK_EQ(fstatat(right_fd, "file", &sb, 0), 0);
        CHECK(sb.st_atim.tv_sec > 1000000000 && sb.st_mtim.tv_sec > 1000000000);
    }
    CHECK_EQ(utimens_by(ioq, right_fd, "missing", NULL, 0), -ENOENT);
}

static void null_arguments(struct ioq *ioq) {
    CHECK_ERRNO(ioq_chmod(ioq, AT_FDCWD, NULL, 0, 0, NULL), EINVAL);
    CHECK_ERRNO(ioq_chmod(NULL, -1, "x", 0, 0, NULL), EINVAL);
    CHECK_ERRNO(ioq_chown(ioq, AT_FDCWD, NULL, 0, 0, 0, NULL), EINVAL);
    CHECK_ERRNO(ioq_chown(NULL, -1, "x", 0, 0, 0, NULL), EINVAL);
    CHECK_ERRNO(ioq_utimens(ioq, AT_FDCWD, NULL, NULL, 0, NULL), EINVAL);
    CHECK_ERRNO(ioq_utimens(NULL, -1, "x", NULL, 0, NULL), EINVAL);
    CHECK_EQ(ioq_capacity(ioq), 16);
}

static int make_files(char path[PATH_MAX]) {
    int fd = temp_dir(path);
    make_file(fd, "file", 1);
    CHECK_EQ(mkdirat(fd, "sub", 0755), 0);
    CHECK_EQ(symlinkat("file", fd, "link"), 0);
    CHECK_EQ(symlinkat("missing", fd, "broken"), 0);
    CHECK_EQ(symlinkat("loop", fd, "loop"), 0);
    return fd;
}

// Of files that belong to somebody else.
static void as_nobody(void) {
    become_nobody();
    RUN_EACH_WAY(modes);
    RUN_EACH_WAY(owners);
    RUN_EACH_WAY(times);
}

int main(void) {
    left_fd = make_files(left_path);
    right_fd = make_files(right_path);

    RUN_EACH_WAY(modes);
    RUN_EACH_WAY(owners);
    RUN_EACH_WAY(times);
    RUN_EACH_WAY(now);
    RUN_EACH_WAY(null_arguments);
    if (geteuid() == 0) {
        CHECK_EQ(in_child(as_nobody), 0);
    }

    remove_temp_dir(left_path, left_fd);
    remove_temp_dir(right_path, right_fd);
    return 0;
}
