// ioq_stat(): every field equals what statx(2) itself says, on every backend, and so does every error.

#include "test.h"

#include <ioq/stat.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

static char root[PATH_MAX];
static int root_fd;

static int stat_by(struct ioq *ioq, int dfd, const char *path, unsigned int flags, struct bfs_stat *buf) {
    CHECK_EQ(ioq_stat(ioq, dfd, path, flags, buf, root), 0);
    struct ioq_ent *ent = next(ioq);
    CHECK_EQ(ent->op, IOQ_STAT);
    CHECK(ent->stat.path == path);
    CHECK(ent->stat.buf == buf);
    CHECK_EQ(ent->stat.dfd, dfd);
    CHECK_EQ(ent->stat.flags, flags);
    CHECK(ent->ptr == root);
    int result = ent->result;
    ioq_free(ioq, ent);
    return result;
}

static void check_time(const struct bfs_stat *buf, unsigned int field, const struct bfs_timespec *have,
                       const struct statx *sx, unsigned int mask, const struct statx_timestamp *want) {
    CHECK_EQ((buf->mask & field) != 0, (sx->stx_mask & mask) != 0);
    if (sx->stx_mask & mask) {
        CHECK_EQ(have->tv_sec, want->tv_sec);
        CHECK_EQ(have->tv_nsec, want->tv_nsec);
    }
}

// What the kernel says. Where statx() is refused, that is what the older call knows.
static int query(int dfd, const char *name, int at_flags, struct statx *sx) {
    if (!statx_refused()) {
        return statx(dfd, name, at_flags, bfs_statx_mask(), sx);
    }
    struct stat sb;
    if (fstatat(dfd, name, &sb, at_flags) != 0) {
        return -1;
    }
    *sx = (struct statx){
        .stx_mask = STATX_BASIC_STATS,
        .stx_mode = (unsigned short)sb.st_mode,
        .stx_dev_major = major(sb.st_dev),
        .stx_dev_minor = minor(sb.st_dev),
        .stx_ino = sb.st_ino,
        .stx_nlink = (unsigned int)sb.st_nlink,
        .stx_gid = sb.st_gid,
        .stx_uid = sb.st_uid,
        .stx_size = (unsigned long long)sb.st_size,
        .stx_blocks = (unsigned long long)sb.st_blocks,
        .stx_rdev_major = major(sb.st_rdev),
        .stx_rdev_minor = minor(sb.st_rdev),
        .stx_atime = {.tv_sec = sb.st_atim.tv_sec, .tv_nsec = (unsigned int)sb.st_atim.tv_nsec},
        .stx_ctime = {.tv_sec = sb.st_ctim.tv_sec, .tv_nsec = (unsigned int)sb.st_ctim.tv_nsec},
        .stx_mtime = {.tv_sec = sb.st_mtim.tv_sec, .tv_nsec = (unsigned int)sb.st_mtim.tv_nsec},
    };
    return 0;
}

// Compares the queue's answer with the kernel's.
static void check(struct ioq *ioq, int dfd, const char *path, unsigned int flags) {
    struct bfs_stat buf;
    memset(&buf, 0xA5, sizeof(buf));
    CHECK_EQ(stat_by(ioq, dfd, path, flags, &buf), 0);

    struct statx sx;
    int at_flags = AT_NO_AUTOMOUNT | (flags & BFS_STAT_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0);
    const char *name = path ? path : "";
    at_flags |= path ? 0 : AT_EMPTY_PATH;
    if (query(dfd, name, at_flags, &sx) != 0) {
        CHECK(flags & BFS_STAT_TRYFOLLOW);
        CHECK_EQ(query(dfd, name, at_flags | AT_SYMLINK_NOFOLLOW, &sx), 0);
    }

    unsigned int basic = BFS_STAT_MODE | BFS_STAT_DEV | BFS_STAT_INO | BFS_STAT_NLINK | BFS_STAT_GID | BFS_STAT_UID |
                         BFS_STAT_SIZE | BFS_STAT_BLOCKS | BFS_STAT_RDEV | BFS_STAT_MNT_ID;
    CHECK_EQ(buf.mask & basic, basic);
    CHECK_EQ((buf.mask & BFS_STAT_ATTRS) != 0, !statx_refused());
    CHECK_EQ(buf.mode, sx.stx_mode);
    CHECK_EQ(buf.dev, makedev(sx.stx_dev_major, sx.stx_dev_minor));
    CHECK_EQ(buf.ino, sx.stx_ino);
    CHECK_EQ(buf.nlink, sx.stx_nlink);
    CHECK_EQ(buf.gid, sx.stx_gid);
    CHECK_EQ(buf.uid, sx.stx_uid);
    CHECK_EQ(buf.size, sx.stx_size);
    CHECK_EQ(buf.blocks, sx.stx_blocks);
    CHECK_EQ(buf.rdev, makedev(sx.stx_rdev_major, sx.stx_rdev_minor));
    CHECK_EQ(buf.attrs, sx.stx_attributes);
    check_time(&buf, BFS_STAT_ATIME, &buf.atime, &sx, STATX_ATIME, &sx.stx_atime);
    check_time(&buf, BFS_STAT_BTIME, &buf.btime, &sx, STATX_BTIME, &sx.stx_btime);
    check_time(&buf, BFS_STAT_CTIME, &buf.ctime, &sx, STATX_CTIME, &sx.stx_ctime);
    check_time(&buf, BFS_STAT_MTIME, &buf.mtime, &sx, STATX_MTIME, &sx.stx_mtime);

    unsigned int mnt_mask = bfs_statx_mask() & ~(STATX_BASIC_STATS | STATX_BTIME);
    CHECK_EQ(buf.mnt_id, sx.stx_mask & mnt_mask ? sx.stx_mnt_id : buf.dev);

    // And the library's own synchronous function agrees.
    struct bfs_stat direct;
    CHECK_EQ(bfs_stat(dfd, path, flags, &direct), 0);
    CHECK_EQ(buf.mask, direct.mask);
    CHECK_EQ(buf.ino, direct.ino);
    CHECK_EQ(buf.mnt_id, direct.mnt_id);
}

static const unsigned int all_flags[] = {
    BFS_STAT_FOLLOW,
    BFS_STAT_NOFOLLOW,
    BFS_STAT_TRYFOLLOW,
    BFS_STAT_NOFOLLOW | BFS_STAT_TRYFOLLOW,
    BFS_STAT_FOLLOW | BFS_STAT_NOSYNC,
    BFS_STAT_NOFOLLOW | BFS_STAT_NOSYNC,
};

static void every_type(struct ioq *ioq) {
    static const char *const names[] = {"file", "hard-link", "sub", "fifo", "socket", "link", "link-to-sub", "."};
    for (size_t i = 0; i < COUNT(names); ++i) {
        for (size_t j = 0; j < COUNT(all_flags); ++j) {
            check(ioq, root_fd, names[i], all_flags[j]);
        }
    }
    check(ioq, AT_FDCWD, root, BFS_STAT_FOLLOW);
    check(ioq, -1, root, BFS_STAT_FOLLOW);
}

// Other file systems than the test's own.
static void devices(struct ioq *ioq) {
    struct bfs_stat buf;
    CHECK_EQ(stat_by(ioq, AT_FDCWD, "/dev/null", BFS_STAT_FOLLOW, &buf), 0);
    CHECK(S_ISCHR(buf.mode));
    CHECK_EQ(buf.rdev, makedev(1, 3));
    check(ioq, AT_FDCWD, "/dev", BFS_STAT_FOLLOW);
}

static void null_path(struct ioq *ioq) {
    static const char *const names[] = {"file", "sub", "link"};
    for (size_t i = 0; i < COUNT(names); ++i) {
        int fd = openat(root_fd, names[i], O_PATH | O_NOFOLLOW | O_CLOEXEC);
        CHECK(fd >= 0);
        for (size_t j = 0; j < COUNT(all_flags); ++j) {
            check(ioq, fd, NULL, all_flags[j]);
        }
        CHECK_EQ(close(fd), 0);
    }
    check(ioq, AT_FDCWD, NULL, BFS_STAT_FOLLOW);

    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    struct bfs_stat buf;
    CHECK_EQ(stat_by(ioq, fds[0], NULL, BFS_STAT_FOLLOW, &buf), 0);
    CHECK(S_ISFIFO(buf.mode));
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(close(fds[1]), 0);
}

// A link that leads nowhere stands for itself, if the flags say so.
static void broken_links(struct ioq *ioq) {
    static const char *const names[] = {"broken", "through-file"};
    for (size_t i = 0; i < COUNT(names); ++i) {
        check(ioq, root_fd, names[i], BFS_STAT_NOFOLLOW);
        check(ioq, root_fd, names[i], BFS_STAT_TRYFOLLOW);
        check(ioq, root_fd, names[i], BFS_STAT_TRYFOLLOW | BFS_STAT_NOSYNC);

        struct bfs_stat buf;
        CHECK_EQ(stat_by(ioq, root_fd, names[i], BFS_STAT_TRYFOLLOW, &buf), 0);
        CHECK(S_ISLNK(buf.mode));
    }

    struct bfs_stat buf;
    CHECK_EQ(stat_by(ioq, root_fd, "broken", BFS_STAT_FOLLOW, &buf), -ENOENT);
    CHECK_EQ(stat_by(ioq, root_fd, "through-file", BFS_STAT_FOLLOW, &buf), -ENOTDIR);
    CHECK_EQ(stat_by(ioq, root_fd, "missing", BFS_STAT_TRYFOLLOW, &buf), -ENOENT);
    CHECK_EQ(stat_by(ioq, root_fd, "file/x", BFS_STAT_TRYFOLLOW, &buf), -ENOTDIR);
    CHECK_EQ(stat_by(ioq, root_fd, "loop", BFS_STAT_TRYFOLLOW, &buf), -ELOOP);
    CHECK_EQ(stat_by(ioq, -1, NULL, BFS_STAT_TRYFOLLOW, &buf), -EBADF);
}

static void expect(struct ioq *ioq, int dfd, const char *path, int error) {
    struct bfs_stat buf, untouched;
    memset(&untouched, 0xA5, sizeof(untouched));
    for (size_t i = 0; i < COUNT(all_flags); ++i) {
        buf = untouched;
        CHECK_EQ(stat_by(ioq, dfd, path, all_flags[i], &buf), -error);
        CHECK_EQ(memcmp(&buf, &untouched, sizeof(buf)), 0);
    }
}

static void errors(struct ioq *ioq) {
    expect(ioq, root_fd, "missing", ENOENT);
    expect(ioq, root_fd, "", ENOENT);
    expect(ioq, root_fd, "missing/x", ENOENT);
    expect(ioq, root_fd, "file/x", ENOTDIR);
    expect(ioq, root_fd, "loop/x", ELOOP);
    expect(ioq, -1, "file", EBADF);
    expect(ioq, -1, NULL, EBADF);
    expect(ioq, INT_MAX, NULL, EBADF);

    int file = openat(root_fd, "file", O_RDONLY | O_CLOEXEC);
    expect(ioq, file, "x", ENOTDIR);
    CHECK_EQ(close(file), 0);

    char name[NAME_MAX + 2], path[PATH_MAX + 2];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    expect(ioq, root_fd, name, ENAMETOOLONG);
    for (size_t i = 0; i < sizeof(path) - 1; ++i) {
        path[i] = i % 2 ? '/' : '.';
    }
    path[sizeof(path) - 1] = '\0';
    expect(ioq, root_fd, path, ENAMETOOLONG);
}

static void denied(struct ioq *ioq) {
    expect(ioq, root_fd, "locked/x", EACCES);
    check(ioq, root_fd, "locked", BFS_STAT_FOLLOW);
}

static void as_nobody(void) {
    become_nobody();
    RUN_EACH_WAY(denied);
}

// A socket's path is short; the tree's may not be.
static void make_socket(void) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/socket", root_fd);
    CHECK_EQ(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_EQ(close(fd), 0);
}

int main(void) {
    root_fd = temp_dir(root);
    make_file(root_fd, "file", 4321);
    make_socket();
    CHECK_EQ(linkat(root_fd, "file", root_fd, "hard-link", 0), 0);
    CHECK_EQ(mkdirat(root_fd, "sub", 0750), 0);
    CHECK_EQ(mkdirat(root_fd, "locked", 0), 0);
    CHECK_EQ(mkfifoat(root_fd, "fifo", 0600), 0);
    CHECK_EQ(symlinkat("file", root_fd, "link"), 0);
    CHECK_EQ(symlinkat("sub", root_fd, "link-to-sub"), 0);
    CHECK_EQ(symlinkat("missing", root_fd, "broken"), 0);
    CHECK_EQ(symlinkat("file/x", root_fd, "through-file"), 0);
    CHECK_EQ(symlinkat("loop", root_fd, "loop"), 0);

    RUN_EACH_WAY(every_type);
    RUN_EACH_WAY(devices);
    RUN_EACH_WAY(null_path);
    RUN_EACH_WAY(broken_links);
    RUN_EACH_WAY(errors);
    CHECK_EQ(in_child(as_nobody), 0);

    remove_temp_dir(root, root_fd);
    return 0;
}
