// A program that has bfs_*() functions of its own, as bfs does, with layouts that are nothing like the library's.
//
// The library must call these and, for the same structure, nothing of its own. A program says which ones it has:
//
//     HOST_DIR         bfs_opendir() and bfs_closedir()
//     HOST_READDIR     the others on directories, except
//     HOST_UNWRAPDIR   bfs_unwrapdir()
//     HOST_STAT        bfs_stat()
//     HOST_STATX       bfs_statx_flags() and bfs_statx_convert()
//     HOST_STATX_MASK  bfs_statx_mask()
//
// Each structure knows whether it is one, so that a function of the library's own that ran on it would be noticed.

#ifndef HOST_H
#define HOST_H

#include "test.h"

#include <stdatomic.h>
#include <time.h>

#define HOST_MAGIC UINT64_C(0x686F7374686F7374)

// How often the library called what.
static struct {
    atomic_size_t opendir, polldir, closedir, unwrapdir;
    atomic_size_t stat, flags, mask, convert;
} host_calls;

// How many of the next calls of bfs_opendir() and bfs_stat() a signal interrupts.
static atomic_size_t host_interruptions;

static inline bool host_interrupted(void) {
    size_t left = host_interruptions;
    while (left > 0 && !atomic_compare_exchange_weak(&host_interruptions, &left, left - 1)) {
    }
    errno = left > 0 ? EINTR : errno;
    return left > 0;
}

// A gate for workers: while it is shut, they stop inside bfs_opendir(). They look again and again, since glibc's condition
// variables may lose a wake-up (its bug 25847, until 2.41).
static struct {
    atomic_bool shut;
    atomic_size_t waiting;
} gate;

static inline void gate_set(bool shut) {
    gate.shut = shut;
}

static inline void gate_pass(void) {
    if (syscall(SYS_gettid) == getpid()) {
        return;
    }
    ++gate.waiting;
    while (gate.shut) {
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
    --gate.waiting;
}

// Waits until that many workers stand before the gate.
static inline void gate_await(size_t workers) {
    while (gate.waiting < workers) {
        sched_yield();
    }
}

#ifdef HOST_DIR

// What the functions fail with, or 0.
static struct {
    int opendir, polldir, unwrapdir;
} host_errors;

struct bfs_dir {
    uint64_t magic;
    bool polled;
    int fd;
};

int bfs_opendir(struct bfs_dir *dir, int at_fd, const char *at_path, unsigned int flags);
int bfs_closedir(struct bfs_dir *dir);

int bfs_opendir(struct bfs_dir *dir, int at_fd, const char *at_path, unsigned int flags) {
    ++host_calls.opendir;
    CHECK_EQ(flags, 0);
    gate_pass();
    if (host_interrupted()) {
        return -1;
    }
    if (host_errors.opendir) {
        errno = host_errors.opendir;
        return -1;
    }
    int fd = at_path ? openat(at_fd, at_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : at_fd;
    if (fd < 0) {
        errno = at_path ? errno : EBADF;
        return -1;
    }
    *dir = (struct bfs_dir){.magic = HOST_MAGIC, .fd = fd};
    return 0;
}

int bfs_closedir(struct bfs_dir *dir) {
    ++host_calls.closedir;
    CHECK_EQ(dir->magic, HOST_MAGIC);
    dir->magic = 0;
    return close(dir->fd);
}

#endif // HOST_DIR

#ifdef HOST_READDIR

struct bfs_dirent;

struct bfs_dir *bfs_allocdir(void);
int bfs_dirfd(const struct bfs_dir *dir);
int bfs_polldir(struct bfs_dir *dir);
int bfs_readdir(struct bfs_dir *dir, struct bfs_dirent *de);

struct bfs_dir *bfs_allocdir(void) {
    return calloc(1, sizeof(struct bfs_dir));
}

int bfs_dirfd(const struct bfs_dir *dir) {
    CHECK_EQ(dir->magic, HOST_MAGIC);
    return dir->fd;
}

int bfs_polldir(struct bfs_dir *dir) {
    ++host_calls.polldir;
    CHECK_EQ(dir->magic, HOST_MAGIC);
    dir->polled = true;
    errno = host_errors.polldir;
    return host_errors.polldir ? -1 : 1;
}

int bfs_readdir(struct bfs_dir *dir, struct bfs_dirent *de) {
    (void)de;
    CHECK_EQ(dir->magic, HOST_MAGIC);
    return 0;
}

#endif // HOST_READDIR

#ifdef HOST_UNWRAPDIR

int bfs_unwrapdir(struct bfs_dir *dir);

int bfs_unwrapdir(struct bfs_dir *dir) {
    ++host_calls.unwrapdir;
    CHECK_EQ(dir->magic, HOST_MAGIC);
    if (host_errors.unwrapdir) {
        errno = host_errors.unwrapdir;
        return -1;
    }
    dir->magic = 0;
    return dir->fd;
}

#endif // HOST_UNWRAPDIR

#ifdef HOST_STAT

struct bfs_stat {
    uint64_t magic;
    // Of the statx() that filled it.
    unsigned int mask;
    uint64_t ino;
};

enum { HOST_FOLLOW = 0, HOST_NOFOLLOW = 1 << 0, HOST_TRYFOLLOW = 1 << 1 };

static inline void host_fill(struct bfs_stat *buf, const struct statx *sx) {
    *buf = (struct bfs_stat){.magic = HOST_MAGIC, .mask = sx->stx_mask, .ino = sx->stx_ino};
}

// As statx(2), and where that is refused, as much as stat(2) knows.
static inline int host_statx(int at_fd, const char *at_path, int at_flags, struct statx *sx) {
    int ret = statx(at_fd, at_path, at_flags, STATX_BASIC_STATS | STATX_BTIME, sx);
    if (ret != 0 && statx_refused()) {
        struct stat sb = {.st_ino = 0};
        ret = fstatat(at_fd, at_path, &sb, at_flags);
        *sx = (struct statx){.stx_mask = STATX_BASIC_STATS, .stx_ino = sb.st_ino};
    }
    return ret;
}

int bfs_stat(int at_fd, const char *at_path, unsigned int flags, struct bfs_stat *buf);

int bfs_stat(int at_fd, const char *at_path, unsigned int flags, struct bfs_stat *buf) {
    ++host_calls.stat;
    if (host_interrupted()) {
        return -1;
    }
    struct statx sx;
    int at_flags = at_path ? 0 : AT_EMPTY_PATH;
    at_flags |= flags & HOST_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0;
    at_path = at_path ? at_path : "";
    int ret = host_statx(at_fd, at_path, at_flags, &sx);
    if (ret != 0 && flags & HOST_TRYFOLLOW && errno == ENOENT) {
        ret = host_statx(at_fd, at_path, at_flags | AT_SYMLINK_NOFOLLOW, &sx);
    }
    if (ret == 0) {
        host_fill(buf, &sx);
    }
    return ret;
}

#endif // HOST_STAT

#ifdef HOST_STATX

int bfs_statx_flags(unsigned int flags);
int bfs_statx_convert(struct bfs_stat *dest, const struct statx *src);

int bfs_statx_flags(unsigned int flags) {
    ++host_calls.flags;
    return flags & HOST_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0;
}

int bfs_statx_convert(struct bfs_stat *dest, const struct statx *src) {
    ++host_calls.convert;
    host_fill(dest, src);
    return 0;
}

#endif // HOST_STATX

#ifdef HOST_STATX_MASK

unsigned int bfs_statx_mask(void);

unsigned int bfs_statx_mask(void) {
    ++host_calls.mask;
    return STATX_BASIC_STATS | STATX_BTIME;
}

#endif // HOST_STATX_MASK

// A directory with something of each kind in it, for the programs below.
static char root[PATH_MAX];
static int root_fd;

static inline void make_tree(void) {
    root_fd = temp_dir(root);
    make_file(root_fd, "file", 1);
    CHECK_EQ(mkdirat(root_fd, "sub", 0755), 0);
    CHECK_EQ(symlinkat("file", root_fd, "link"), 0);
    CHECK_EQ(symlinkat("missing", root_fd, "broken"), 0);
}

static inline ino_t inode(const char *name, int at_flags) {
    struct stat sb;
    CHECK_EQ(fstatat(root_fd, name, &sb, at_flags), 0);
    return sb.st_ino;
}

#ifdef HOST_DIR

// Opens and closes directories through the queue, with this program's functions.
static inline void check_host_dir(struct ioq *ioq) {
    static const char *const names[] = {"sub", ".", NULL};
    for (size_t i = 0; i < COUNT(names); ++i) {
        struct bfs_dir dir = {.magic = 0};
        size_t opened = host_calls.opendir, closed = host_calls.closedir + host_calls.unwrapdir;
        int dfd = names[i] ? root_fd : fcntl(root_fd, F_DUPFD_CLOEXEC, 0);

        CHECK_EQ(ioq_opendir(ioq, &dir, dfd, names[i], 0, &dir), 0);
        CHECK_EQ(take(ioq, IOQ_OPENDIR, &dir), 0);
        CHECK_EQ(dir.magic, HOST_MAGIC);
        CHECK_EQ(host_calls.opendir, opened + 1);
        CHECK(fd_open(dir.fd));
        CHECK(names[i] || dir.fd == dfd);
#ifdef HOST_READDIR
        CHECK(dir.polled);
#endif

        int fd = dir.fd;
        CHECK_EQ(ioq_closedir(ioq, &dir, &dir), 0);
        CHECK_EQ(take(ioq, IOQ_CLOSEDIR, &dir), 0);
        CHECK_EQ(dir.magic, 0);
        CHECK_EQ(host_calls.closedir + host_calls.unwrapdir, closed + 1);
        CHECK(!fd_open(fd));
    }

    struct bfs_dir dir = {.magic = 0};
    CHECK_EQ(ioq_opendir(ioq, &dir, root_fd, "missing", 0, &dir), 0);
    CHECK_EQ(take(ioq, IOQ_OPENDIR, &dir), -ENOENT);
    CHECK_EQ(ioq_opendir(ioq, &dir, root_fd, "file", 0, &dir), 0);
    CHECK_EQ(take(ioq, IOQ_OPENDIR, &dir), -ENOTDIR);
    CHECK_EQ(dir.magic, 0);
}

#endif // HOST_DIR

#ifdef HOST_STAT

static inline void expect_host_stat(struct ioq *ioq, int dfd, const char *name, unsigned int flags, ino_t ino) {
    struct bfs_stat buf = {.magic = 0};
    size_t calls = host_calls.stat + host_calls.convert;
    CHECK_EQ(ioq_stat(ioq, dfd, name, flags, &buf, &buf), 0);
    CHECK_EQ(take(ioq, IOQ_STAT, &buf), 0);
    CHECK_EQ(buf.magic, HOST_MAGIC);
    CHECK_EQ(buf.ino, ino);
    CHECK_EQ(buf.mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
    CHECK(host_calls.stat + host_calls.convert > calls);

    // The birth time is asked for where the file system has one. A ring may know it though statx() is refused.
    if (!statx_refused()) {
        struct statx sx;
        CHECK_EQ(statx(root_fd, "", AT_EMPTY_PATH, STATX_BTIME, &sx), 0);
        CHECK_EQ(buf.mask & STATX_BTIME, sx.stx_mask & STATX_BTIME);
    }
}

// Stats files through the queue, with this program's functions.
static inline void check_host_stat(struct ioq *ioq) {
    expect_host_stat(ioq, root_fd, "file", HOST_FOLLOW, inode("file", 0));
    expect_host_stat(ioq, root_fd, "link", HOST_FOLLOW, inode("file", 0));
    expect_host_stat(ioq, root_fd, "link", HOST_TRYFOLLOW, inode("file", 0));
    expect_host_stat(ioq, root_fd, "link", HOST_NOFOLLOW, inode("link", AT_SYMLINK_NOFOLLOW));
    expect_host_stat(ioq, root_fd, "broken", HOST_TRYFOLLOW, inode("broken", AT_SYMLINK_NOFOLLOW));
    expect_host_stat(ioq, root_fd, NULL, HOST_FOLLOW, inode(".", 0));

    struct bfs_stat buf = {.magic = 0};
    CHECK_EQ(ioq_stat(ioq, root_fd, "missing", HOST_FOLLOW, &buf, &buf), 0);
    CHECK_EQ(take(ioq, IOQ_STAT, &buf), -ENOENT);
    CHECK_EQ(ioq_stat(ioq, root_fd, "broken", HOST_FOLLOW, &buf, &buf), 0);
    CHECK_EQ(take(ioq, IOQ_STAT, &buf), -ENOENT);
    CHECK_EQ(ioq_stat(ioq, root_fd, "missing", HOST_TRYFOLLOW, &buf, &buf), 0);
    CHECK_EQ(take(ioq, IOQ_STAT, &buf), -ENOENT);
    CHECK_EQ(buf.magic, 0);
}

#endif // HOST_STAT

#endif // HOST_H
