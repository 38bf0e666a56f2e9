/*
 * Stats, for programs that have no bfs_stat() of their own.
 *
 *     struct bfs_stat buf;
 *     if (bfs_stat(AT_FDCWD, "/etc/passwd", BFS_STAT_NOFOLLOW, &buf) == 0) {
 *         printf("%lld\n", (long long)buf.size);
 *     }
 *
 * ioq_stat() does the same in the background. These functions may be called from any thread.
 *
 * Generated from the Rust source: edit that, then run `make headers`.
 */

#ifndef IOQ_STAT_H
#define IOQ_STAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* statx(2), which <sys/stat.h> defines under _GNU_SOURCE. */
struct statx;

/** A time. On 32-bit machines, struct timespec depends on the flags that a program is compiled with. */
#ifdef __LP64__
#define bfs_timespec timespec
#else
struct bfs_timespec {
    int64_t tv_sec;
    int64_t tv_nsec;
};
#endif

/** Fields of struct bfs_stat. */
enum bfs_stat_field {
    /** mode is filled. */
    BFS_STAT_MODE = (1 << 0),
    /** dev is filled. */
    BFS_STAT_DEV = (1 << 1),
    /** ino is filled. */
    BFS_STAT_INO = (1 << 2),
    /** nlink is filled. */
    BFS_STAT_NLINK = (1 << 3),
    /** gid is filled. */
    BFS_STAT_GID = (1 << 4),
    /** uid is filled. */
    BFS_STAT_UID = (1 << 5),
    /** size is filled. */
    BFS_STAT_SIZE = (1 << 6),
    /** blocks is filled. */
    BFS_STAT_BLOCKS = (1 << 7),
    /** rdev is filled. */
    BFS_STAT_RDEV = (1 << 8),
    /** attrs is filled. */
    BFS_STAT_ATTRS = (1 << 9),
    /** atime is filled. */
    BFS_STAT_ATIME = (1 << 10),
    /** btime is filled. */
    BFS_STAT_BTIME = (1 << 11),
    /** ctime is filled. */
    BFS_STAT_CTIME = (1 << 12),
    /** mtime is filled. */
    BFS_STAT_MTIME = (1 << 13),
    /** mnt_id is filled. */
    BFS_STAT_MNT_ID = (1 << 14),
};

/** Flags of bfs_stat(). */
enum bfs_stat_flags {
    /** Follow symbolic links. This is 0, and so the default. */
    BFS_STAT_FOLLOW = 0,
    /** Stat a symbolic link itself. */
    BFS_STAT_NOFOLLOW = (1 << 0),
    /**
     * Follow symbolic links, but stat the link itself if it leads nowhere. Without meaning beside
     * BFS_STAT_NOFOLLOW.
     */
    BFS_STAT_TRYFOLLOW = (1 << 1),
    /** Be content with what a network file system has cached (AT_STATX_DONT_SYNC). */
    BFS_STAT_NOSYNC = (1 << 2),
};

/**
 * What is known about a file.
 *
 * It is the same on every machine and in every program, whatever _FILE_OFFSET_BITS and _TIME_BITS are there.
 *
 * After a success of bfs_stat(), all fields are valid, except that the times and attrs are so only if mask has
 * them. A field that is not in mask is 0.
 */
struct bfs_stat {
    /** The fields that are filled. */
    enum bfs_stat_field mask;
    /** File type and permissions, as in inode(7). */
    mode_t mode;
    /** The device that holds the file. */
    dev_t dev;
    /** The inode number, unique on that device. */
    uint64_t ino;
    /** The number of hard links. */
    uint64_t nlink;
    /** The group that the file belongs to. */
    gid_t gid;
    /** The user that the file belongs to. */
    uid_t uid;
    /** The size in bytes. */
    int64_t size;
    /** The space that is allocated for the file, in units of 512 bytes. */
    int64_t blocks;
    /** The device that the file stands for, if it is a device. */
    dev_t rdev;
    /**
     * The mount that holds the file. Since Linux 6.8 an ID that is never used again (STATX_MNT_ID_UNIQUE), since
     * Linux 5.8 that of /proc/self/mountinfo, and before that, or where statx(2) is refused, the same as dev.
     */
    uint64_t mnt_id;
    /** STATX_ATTR_*, as in statx(2). */
    unsigned long long attrs;
    /** When the file was last read. */
    struct bfs_timespec atime;
    /** When the file was created. */
    struct bfs_timespec btime;
    /** When the inode was last changed. */
    struct bfs_timespec ctime;
    /** When the contents were last changed. */
    struct bfs_timespec mtime;
};

/**
 * Stat a file.
 *
 * This is statx(2), or fstatat(2) where that is not allowed or too new. Automounts are not triggered.
 *
 * Parameters:
 * - at_fd: the directory that at_path is relative to, or AT_FDCWD.
 * - at_path: the path; NULL stats at_fd itself, which may be any kind of file.
 * - flags: enum bfs_stat_flags, or 0. Other bits are ignored.
 * - buf: where to put the result. Left as it was on failure.
 *
 * Returns:
 * 0, or -1 with errno set:
 * - EINVAL: buf is NULL.
 * - ENOTSUP: the file system does not tell one of mode, number of links, owner, group, inode number, size and blocks.
 * - what statx(2) fails with, such as ENOENT, ENOTDIR, EACCES, ELOOP, EBADF, or EINTR on file systems that
 *   a signal can interrupt. With BFS_STAT_TRYFOLLOW, ENOENT and ENOTDIR mean that there is no link either.
 */
int bfs_stat(int at_fd, const char *at_path, unsigned int flags, struct bfs_stat *buf);

/**
 * The flags of statx(2) for enum bfs_stat_flags: those of AT_SYMLINK_NOFOLLOW and AT_STATX_DONT_SYNC that were
 * asked for, and AT_NO_AUTOMOUNT.
 *
 * BFS_STAT_TRYFOLLOW has no flag: the caller tries again with AT_SYMLINK_NOFOLLOW after ENOENT or ENOTDIR.
 */
int bfs_statx_flags(unsigned int flags);

/** The mask to give to statx(2): basic stats, birth time and mount ID. */
unsigned int bfs_statx_mask(void);

/**
 * Convert the result of statx(2).
 *
 * Parameters:
 * - dest: where to put the converted result. Left as it was on failure.
 * - src: what statx(2) filled in.
 *
 * Returns:
 * 0, or -1 with errno set:
 * - EINVAL: dest or src is NULL.
 * - ENOTSUP: any of the basic stats is missing, the times apart.
 */
int bfs_statx_convert(struct bfs_stat *dest, const struct statx *src);

static_assert(sizeof(enum bfs_stat_field) == 4, "ABI");
static_assert(sizeof(enum bfs_stat_flags) == 4, "ABI");
static_assert(sizeof(struct bfs_timespec) == 16, "ABI");
static_assert(sizeof(struct bfs_stat) == 144, "ABI");
static_assert(offsetof(struct bfs_stat, mask) == 0, "ABI");
static_assert(offsetof(struct bfs_stat, mode) == 4, "ABI");
static_assert(offsetof(struct bfs_stat, dev) == 8, "ABI");
static_assert(offsetof(struct bfs_stat, ino) == 16, "ABI");
static_assert(offsetof(struct bfs_stat, nlink) == 24, "ABI");
static_assert(offsetof(struct bfs_stat, gid) == 32, "ABI");
static_assert(offsetof(struct bfs_stat, uid) == 36, "ABI");
static_assert(offsetof(struct bfs_stat, size) == 40, "ABI");
static_assert(offsetof(struct bfs_stat, blocks) == 48, "ABI");
static_assert(offsetof(struct bfs_stat, rdev) == 56, "ABI");
static_assert(offsetof(struct bfs_stat, mnt_id) == 64, "ABI");
static_assert(offsetof(struct bfs_stat, attrs) == 72, "ABI");
static_assert(offsetof(struct bfs_stat, atime) == 80, "ABI");
static_assert(offsetof(struct bfs_stat, btime) == 96, "ABI");
static_assert(offsetof(struct bfs_stat, ctime) == 112, "ABI");
static_assert(offsetof(struct bfs_stat, mtime) == 128, "ABI");

#ifdef __cplusplus
}
#endif

#endif /* IOQ_STAT_H */
