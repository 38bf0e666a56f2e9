// ioq_statx(): the answer is that of statx(2), byte for byte, and so is every error.

#include "test.h"

static char root[PATH_MAX];
static int root_fd;

// What the system call itself says.
static int query(int dfd, const char *path, int flags, unsigned int mask, struct statx *buf) {
    return syscall(SYS_statx, dfd, path, flags, mask, buf) == 0 ? 0 : -errno;
}

static int statx_by(struct ioq *ioq, int dfd, const char *path, int flags, unsigned int mask, struct statx *buf) {
    CHECK_EQ(ioq_statx(ioq, dfd, path, flags, mask, buf, root), 0);
    struct ioq_ent *ent = next(ioq);
    CHECK_EQ(ent->op, IOQ_STATX);
    CHECK(ent->statx.path == path);
    CHECK(ent->statx.buf == buf);
    CHECK_EQ(ent->statx.dfd, dfd);
    CHECK_EQ(ent->statx.flags, flags);
    CHECK_EQ(ent->statx.mask, mask);
    CHECK(ent->ptr == root);
    int result = ent->result;
    ioq_free(ioq, ent);
    return result;
}

// Compares the queue's answer with the kernel's. What fails leaves the buffer alone.
static void check(struct ioq *ioq, int dfd, const char *path, int flags, unsigned int mask) {
    struct statx want, have;
    memset(&want, 0xA5, sizeof(want));
    memset(&have, 0xA5, sizeof(have));
    int result = path ? query(dfd, path, flags, mask, &want) : query(dfd, "", flags | AT_EMPTY_PATH, mask, &want);
    CHECK_EQ(statx_by(ioq, dfd, path, flags, mask, &have), result);
    CHECK_EQ(memcmp(&have, &want, sizeof(have)), 0);
    CHECK_EQ(statx_by(ioq, dfd, path, flags, mask, NULL), result);
}

static const int all_flags[] = {
    0,
    AT_SYMLINK_NOFOLLOW,
    AT_NO_AUTOMOUNT,
    AT_STATX_DONT_SYNC,
    AT_STATX_FORCE_SYNC | AT_SYMLINK_NOFOLLOW,
    AT_EMPTY_PATH,
};

static const unsigned int all_masks[] = {0, STATX_SIZE, STATX_BASIC_STATS | STATX_BTIME};

static void check_all(struct ioq *ioq, int dfd, const char *path) {
    for (size_t i = 0; i < COUNT(all_flags); ++i) {
        for (size_t j = 0; j < COUNT(all_masks); ++j) {
            check(ioq, dfd, path, all_flags[i], all_masks[j]);
        }
    }
}

static void files(struct ioq *ioq) {
    static const char *const names[] = {"file", "sub", "link", "broken", "."};
    for (size_t i = 0; i < COUNT(names); ++i) {
        check_all(ioq, root_fd, names[i]);
    }
    check_all(ioq, AT_FDCWD, root);
    check_all(ioq, -1, root);
}

static void null_path(struct ioq *ioq) {
    int fd = openat(root_fd, "file", O_RDONLY | O_CLOEXEC);
    int link = openat(root_fd, "broken", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    CHECK(fd >= 0 && link >= 0);
    check_all(ioq, fd, NULL);
    check_all(ioq, link, NULL);
    check_all(ioq, AT_FDCWD, NULL);
    check_all(ioq, -1, NULL);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(close(link), 0);
}

static void errors(struct ioq *ioq) {
    static const char *const names[] = {"missing", "", "missing/x", "file/x", "loop", "loop/x"};
    for (size_t i = 0; i < COUNT(names); ++i) {
        check_all(ioq, root_fd, names[i]);
        check_all(ioq, -1, names[i]);
    }
    char name[NAME_MAX + 2];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    check_all(ioq, root_fd, name);
}

static void nonsense(struct ioq *ioq) {
    check(ioq, root_fd, "file", 0x40000000, STATX_SIZE);
    check(ioq, root_fd, "file", AT_STATX_DONT_SYNC | AT_STATX_FORCE_SYNC, STATX_SIZE);
    check(ioq, root_fd, "file", 0, UINT32_C(1) << 31); // reserved
}

static void denied(struct ioq *ioq) {
    check_all(ioq, root_fd, "locked/x");
    check_all(ioq, root_fd, "locked");
}

static void as_nobody(void) {
    become_nobody();
    RUN_EACH_WAY(denied);
}

// What was cancelled has its own result, or none.
static void cancelled(struct ioq *ioq) {
    struct statx bufs[16], untouched, want;
    memset(&untouched, 0xA5, sizeof(untouched));
    int result = query(root_fd, "file", 0, STATX_SIZE, &want);
    for (size_t i = 0; i < COUNT(bufs); ++i) {
        bufs[i] = untouched;
        CHECK_EQ(ioq_statx(ioq, root_fd, "file", 0, STATX_SIZE, &bufs[i], &bufs[i]), 0);
        if (i == 7) {
            ioq_submit(ioq);
        }
    }
    ioq_cancel(ioq);
    CHECK_ERRNO(ioq_statx(ioq, root_fd, "file", 0, STATX_SIZE, NULL, NULL), EINTR);
    for (size_t i = 0; i < COUNT(bufs); ++i) {
        struct ioq_ent *ent = next(ioq);
        CHECK(ent->result == -EINTR || ent->result == result);
        CHECK_EQ(memcmp(ent->ptr, ent->result == 0 ? &want : &untouched, sizeof(want)), 0);
        ioq_free(ioq, ent);
    }
}

// Paths and buffers may go as soon as the queue is gone.
static void destroyed(void) {
    for (size_t round = 0; round < rounds(50); ++round) {
        struct ioq *ioq = create(16, round % 4);
        struct statx *bufs = calloc(16, sizeof(*bufs));
        char *path = strdup(root);
        CHECK(bufs && path);
        for (size_t i = 0; i < 16; ++i) {
            CHECK_EQ(ioq_statx(ioq, AT_FDCWD, path, 0, STATX_BASIC_STATS, i % 3 ? &bufs[i] : NULL, NULL), 0);
            if (i % 5 == 0) {
                ioq_submit(ioq);
            }
        }
        ioq_destroy(ioq);
        memset(path, '/', strlen(path));
        free(path);
        free(bufs);
    }
}

int main(void) {
    root_fd = temp_dir(root);
    make_file(root_fd, "file", 4321);
    CHECK_EQ(mkdirat(root_fd, "sub", 0750), 0);
    CHECK_EQ(mkdirat(root_fd, "locked", 0), 0);
    CHECK_EQ(symlinkat("file", root_fd, "link"), 0);
    CHECK_EQ(symlinkat("missing", root_fd, "broken"), 0);
    CHECK_EQ(symlinkat("loop", root_fd, "loop"), 0);

    RUN_EACH_WAY(files);
    RUN_EACH_WAY(null_path);
    RUN_EACH_WAY(errors);
    RUN_EACH_WAY(nonsense);
    CHECK_EQ(in_child(as_nobody), 0);
    RUN_EACH_WAY(cancelled);
    RUN(destroyed);

    remove_temp_dir(root, root_fd);
    return 0;
}
