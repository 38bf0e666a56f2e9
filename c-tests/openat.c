// ioq_openat(): what is opened is what openat2(2) would have opened, with what statx(2) says of it; every error is the same;
// and no descriptor is lost.

#include "test.h"

#include <linux/openat2.h>

static char root[PATH_MAX];
static int root_fd;

static struct open_how how_to(int flags) {
    return (struct open_how){.flags = (uint64_t)(unsigned int)flags | O_CLOEXEC};
}

static int open_with(struct ioq *ioq, int dfd, const char *path, struct open_how how, struct statx *buf) {
    CHECK_EQ(ioq_openat(ioq, dfd, path, &how, STATX_BASIC_STATS, buf, root), 0);
    struct ioq_ent *ent = next(ioq);
    CHECK_EQ(ent->op, IOQ_OPENAT);
    CHECK(ent->openat.path == path);
    CHECK(ent->openat.buf == buf);
    CHECK_EQ(ent->openat.dfd, dfd);
    CHECK_EQ(ent->openat.mask, STATX_BASIC_STATS);
    CHECK(ent->openat.how == &how);
    CHECK(ent->ptr == root);
    int result = ent->result;
    ioq_free(ioq, ent);
    return result;
}

// What the system call says, and what it opens.
static int plain(int dfd, const char *path, struct open_how how, struct stat *opened) {
    long fd = syscall(SYS_openat2, dfd, path, &how, sizeof(how));
    if (fd < 0 && (errno == ENOSYS || errno == EPERM) && how.resolve == 0) {
        // It has no more than 32 flags.
        errno = EINVAL;
        fd = how.flags >> 32 ? -1 : openat(dfd, path, (int)how.flags, (mode_t)how.mode);
    }
    if (fd < 0) {
        return -errno;
    }
    CHECK_EQ(fstat((int)fd, opened), 0);
    return close((int)fd);
}

static void check(struct ioq *ioq, int dfd, const char *path, int flags, uint64_t resolve) {
    struct open_how how = how_to(flags);
    how.resolve = resolve;
    struct stat opened, sb;
    int result = plain(dfd, path, how, &opened);
    int fd = open_with(ioq, dfd, path, how, NULL);
    CHECK_EQ(fd < 0 ? fd : 0, result);
    if (result == 0) {
        CHECK_EQ(fstat(fd, &sb), 0);
        CHECK(sb.st_dev == opened.st_dev && sb.st_ino == opened.st_ino);
        CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
        CHECK_EQ(close(fd), 0);
    }

    // And with an answer, as far as it can be had.
    struct statx want, have, untouched;
    memset(&untouched, 0xA5, sizeof(untouched));
    have = untouched;
    fd = open_with(ioq, dfd, path, how, &have);
    if (fd < 0) {
        CHECK_EQ(fd, result);
        CHECK_EQ(memcmp(&have, &untouched, sizeof(have)), 0);
    } else {
        want = untouched;
        if (statx_refused()) {
            CHECK_EQ(fstat(fd, &sb), 0);
            CHECK(have.stx_ino == sb.st_ino && have.stx_mode == sb.st_mode && have.stx_size == (uint64_t)sb.st_size);
        } else {
            CHECK_EQ(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &want), 0);
            CHECK_EQ(memcmp(&have, &want, sizeof(have)), 0);
        }
        CHECK_EQ(close(fd), 0);
    }
}

static const char *const names[] = {
    "file", "sub", "link", "link-to-sub", "broken", "loop", ".", "..", "sub/..", "missing", "", "missing/x", "file/x",
};

static void as_plain_calls_do(struct ioq *ioq) {
    static const int flags[] = {O_RDONLY, O_RDWR, O_PATH, O_DIRECTORY, O_NOFOLLOW, O_PATH | O_NOFOLLOW, O_NONBLOCK};
    static const uint64_t resolve[] = {RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_IN_ROOT};
    for (size_t i = 0; i < COUNT(names); ++i) {
        for (size_t j = 0; j < COUNT(flags); ++j) {
            check(ioq, root_fd, names[i], flags[j], 0);
        }
        for (size_t j = 0; j < COUNT(resolve); ++j) {
            check(ioq, root_fd, names[i], O_RDONLY, resolve[j]);
        }
        check(ioq, -1, names[i], O_RDONLY, 0);
    }
    check(ioq, AT_FDCWD, root, O_RDONLY, 0);
    check(ioq, -1, root, O_RDONLY, 0);
    int file = openat(root_fd, "file", O_RDONLY | O_CLOEXEC);
    check(ioq, file, "x", O_RDONLY, 0);
    CHECK_EQ(close(file), 0);
}

static void inherited(struct ioq *ioq) {
    struct open_how how = {.flags = O_RDONLY};
    int fd = open_with(ioq, root_fd, "file", how, NULL);
    CHECK(fd >= 0);
    CHECK_EQ(fcntl(fd, F_GETFD), 0);
    CHECK_EQ(close(fd), 0);
}

static void nonsense(struct ioq *ioq) {
    static const struct open_how hows[] = {
        {.flags = UINT64_C(1) << 40},
        {.flags = O_CREAT, .mode = 0100000},
        {.flags = O_RDONLY, .mode = 0644},
        {.flags = O_RDONLY, .resolve = UINT64_C(1) << 40},
    };
    for (size_t i = 0; i < COUNT(hows); ++i) {
        struct stat opened;
        int result = plain(root_fd, "missing/x", hows[i], &opened);
        CHECK_EQ(open_with(ioq, root_fd, "missing/x", hows[i], NULL), result);
    }
}

static void null_arguments(struct ioq *ioq) {
    struct open_how how = how_to(O_RDONLY);
    CHECK_ERRNO(ioq_openat(ioq, root_fd, NULL, &how, 0, NULL, NULL), EINVAL);
    CHECK_ERRNO(ioq_openat(ioq, root_fd, "file", NULL, 0, NULL, NULL), EINVAL);
    CHECK_ERRNO(ioq_openat(NULL, root_fd, "file", &how, 0, NULL, NULL), EINVAL);
    CHECK_EQ(ioq_capacity(ioq), 16);
}

static void new_files(struct ioq *ioq) {
    mode_t mask = umask(027);
    struct open_how how = how_to(O_WRONLY | O_CREAT | O_EXCL);
    how.mode = 0666;
    struct stat sb;
    int fd = open_with(ioq, root_fd, "new", how, NULL);
    CHECK(fd >= 0);
    CHECK_EQ(fstat(fd, &sb), 0);
    CHECK_EQ(sb.st_mode, S_IFREG | 0640);
    CHECK_EQ(write(fd, "12345", 5), 5);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(open_with(ioq, root_fd, "new", how, NULL), -EEXIST);

    // It is empty when it is asked about.
    struct statx buf = {.stx_size = 1};
    how.flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    fd = open_with(ioq, root_fd, "new", how, &buf);
    CHECK(fd >= 0);
    CHECK_EQ(buf.stx_size, 0);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(fstatat(root_fd, "new", &sb, 0), 0);
    CHECK_EQ(sb.st_size, 0);
    CHECK_EQ(unlinkat(root_fd, "new", 0), 0);
    umask(mask);
}

// What statx(2) fails with is the result, and nothing stays open. (Where it is refused, nothing fails for this mask.)
static void answer_fails(struct ioq *ioq) {
    if (statx_refused()) {
        return;
    }
    struct open_how how = how_to(O_RDONLY);
    struct statx buf = {.stx_size = 1};
    unsigned int reserved = UINT32_C(1) << 31;
    int fd = openat(root_fd, "file", O_RDONLY | O_CLOEXEC);
    CHECK_EQ(syscall(SYS_statx, fd, "", AT_EMPTY_PATH, reserved, &buf), -1);
    int error = errno;
    CHECK_EQ(close(fd), 0);
    size_t before = other_fds();
    for (int i = 0; i < 3; ++i) {
        CHECK_EQ(ioq_openat(ioq, root_fd, "file", &how, reserved, &buf, NULL), 0);
        CHECK_EQ(take(ioq, IOQ_OPENAT, NULL), -error);
    }
    CHECK_EQ(other_fds(), before);
}

static void denied(struct ioq *ioq) {
    check(ioq, root_fd, "locked", O_RDONLY, 0);
    check(ioq, root_fd, "locked", O_PATH, 0);
    check(ioq, root_fd, "locked/x", O_RDONLY, 0);
    check(ioq, root_fd, "file", O_RDWR, 0);
    check(ioq, root_fd, "file", O_RDONLY | O_NOATIME, 0);
}

static void as_nobody(void) {
    become_nobody();
    RUN_EACH_WAY(denied);
}

// Whether a queue's requests of this operation go through a ring.
static bool goes_through_ring(struct ioq *ioq) {
    struct ioq_counts before, after;
    ioq_count(ioq, &before);
    struct open_how how = how_to(O_RDONLY);
    int fd = open_with(ioq, root_fd, "file", how, NULL);
    CHECK(fd >= 0);
    CHECK_EQ(close(fd), 0);
    ioq_count(ioq, &after);
    return after.ring > before.ring;
}

// A FIFO is not opened before there is somebody at the other end, although the system could do so without waiting.
static void fifo(void) {
    struct ioq *ioq = create(16, 2);
    bool through_ring = goes_through_ring(ioq);
    struct open_how how = how_to(O_WRONLY);
    CHECK_EQ(ioq_openat(ioq, root_fd, "fifo", &how, 0, NULL, NULL), 0);
    ioq_submit(ioq);
    usleep(20000);
    CHECK(!ioq_pop(ioq, false));
    int reader = openat(root_fd, "fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    CHECK(reader >= 0);
    int writer = take(ioq, IOQ_OPENAT, NULL);
    CHECK(writer >= 0);
    CHECK_EQ(fcntl(writer, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_WRONLY);
    CHECK_EQ(close(writer), 0);
    CHECK_EQ(close(reader), 0);

    // In a ring it can be interrupted.
    CHECK_EQ(ioq_openat(ioq, root_fd, "fifo", &how, 0, NULL, NULL), 0);
    ioq_submit(ioq);
    usleep(20000);
    ioq_cancel(ioq);
    reader = through_ring ? -1 : openat(root_fd, "fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    writer = take(ioq, IOQ_OPENAT, NULL);
    if (through_ring) {
        CHECK_EQ(writer, -EINTR);
    } else {
        CHECK(writer == -EINTR || (writer >= 0 && close(writer) == 0));
    }
    CHECK(reader < 0 || close(reader) == 0);
    ioq_destroy(ioq);
}

static void submit_some(struct ioq *ioq, const struct open_how *how, struct statx *bufs) {
    for (size_t i = 0; i < 16; ++i) {
        CHECK_EQ(ioq_openat(ioq, root_fd, "file", how, STATX_SIZE, i % 2 ? &bufs[i] : NULL, &bufs[i]), 0);
        if (i % 5 == 2) {
            ioq_submit(ioq);
        }
    }
}

static void cancelled(struct ioq *ioq) {
    struct statx bufs[16], untouched;
    memset(&untouched, 0xA5, sizeof(untouched));
    for (size_t i = 0; i < COUNT(bufs); ++i) {
        bufs[i] = untouched;
    }
    struct open_how how = how_to(O_RDONLY);
    submit_some(ioq, &how, bufs);
    ioq_cancel(ioq);
    CHECK_ERRNO(ioq_openat(ioq, root_fd, "file", &how, 0, NULL, NULL), EINTR);
    for (size_t i = 0; i < COUNT(bufs); ++i) {
        struct ioq_ent *ent = next(ioq);
        if (ent->result < 0) {
            CHECK_EQ(ent->result, -EINTR);
            CHECK_EQ(memcmp(ent->ptr, &untouched, sizeof(untouched)), 0);
        } else {
            CHECK_EQ(close(ent->result), 0);
            CHECK(!ent->openat.buf || ent->openat.buf->stx_size == 3);
        }
        ioq_free(ioq, ent);
    }
}

// What was opened, and not popped, is closed.
static void destroyed(void) {
    for (size_t round = 0; round < rounds(60); ++round) {
        struct ioq *ioq = create(16, round % 4);
        struct statx *bufs = calloc(16, sizeof(*bufs));
        CHECK(bufs);
        size_t before = other_fds();
        struct open_how how = how_to(O_RDONLY);
        submit_some(ioq, &how, bufs);
        for (size_t i = 0; round % 2 && i < round % 4; ++i) {
            sched_yield();
        }
        if (round % 3 == 0) {
            struct ioq_ent *ent = ioq_pop(ioq, true);
            CHECK(ent->result < 0 || close(ent->result) == 0);
        }
        if (round % 5 == 0) {
            ioq_cancel(ioq);
        }
        ioq_destroy(ioq);
        free(bufs);
        CHECK_EQ(other_fds(), before);
    }
}

int main(void) {
    root_fd = temp_dir(root);
    make_file(root_fd, "file", 3);
    CHECK_EQ(mkdirat(root_fd, "sub", 0755), 0);
    CHECK_EQ(mkdirat(root_fd, "locked", 0), 0);
    CHECK_EQ(mkfifoat(root_fd, "fifo", 0600), 0);
    CHECK_EQ(symlinkat("file", root_fd, "link"), 0);
    CHECK_EQ(symlinkat("sub", root_fd, "link-to-sub"), 0);
    CHECK_EQ(symlinkat("missing", root_fd, "broken"), 0);
    CHECK_EQ(symlinkat("loop", root_fd, "loop"), 0);

    // valgrind does not know the call, and does not see the ring make it.
    if (!wrapped() || surely_sync() || syscall(SYS_openat2, -1, "", NULL, 0) == 0 || errno != ENOSYS) {
        RUN_EACH_WAY(as_plain_calls_do);
    }
    RUN_EACH_WAY(inherited);
    RUN_EACH_WAY(nonsense);
    RUN_EACH_WAY(null_arguments);
    RUN_EACH_WAY(new_files);
    RUN_EACH_WAY(answer_fails);
    CHECK_EQ(in_child(as_nobody), 0);
    if (!wrapped()) { // valgrind lets no thread run while one waits for a ring
        RUN(fifo);
    }
    RUN_EACH_WAY(cancelled);
    RUN(destroyed);

    remove_temp_dir(root, root_fd);
    return 0;
}
