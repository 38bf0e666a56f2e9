/*
 * Directories, for programs that have no bfs_opendir() of their own.
 *
 *     struct bfs_dir *dir = bfs_allocdir();
 *     if (dir && bfs_opendir(dir, AT_FDCWD, "/etc", 0) == 0) {
 *         struct bfs_dirent de;
 *         while (bfs_readdir(dir, &de) > 0) {
 *             puts(de.name);
 *         }
 *         bfs_closedir(dir);
 *     }
 *     free(dir);
 *
 * ioq_opendir() and ioq_closedir() do the same in the background. A directory is used by one thread at a time. If
 * that is cancelled (pthread_cancel()) in one of these functions, the directory is in no defined state any more, and its
 * descriptor may be left open.
 *
 * Generated from the Rust source: edit that, then run `make headers`.
 */

#ifndef IOQ_DIR_H
#define IOQ_DIR_H

#include <assert.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A directory, open or not. */
struct bfs_dir;

/** The type of a file. */
enum bfs_type {
    /** Its type could not be found out. Never in a directory entry. */
    BFS_ERROR = -1,
    /** The file system does not tell without a stat. */
    BFS_UNKNOWN = 0,
    /** Block device. */
    BFS_BLK = 1,
    /** Character device. */
    BFS_CHR = 2,
    /** Directory. */
    BFS_DIR = 3,
    /** Door, on Solaris. */
    BFS_DOOR = 4,
    /** Pipe. */
    BFS_FIFO = 5,
    /** Symbolic link. */
    BFS_LNK = 6,
    /** Event port, on Solaris. */
    BFS_PORT = 7,
    /** Regular file. */
    BFS_REG = 8,
    /** Socket. */
    BFS_SOCK = 9,
    /** Whiteout: hides a file in a lower layer of a union mount. */
    BFS_WHT = 10,
};

/** Flags of bfs_opendir(). */
enum bfs_dir_flags {
    /** List whiteouts too. */
    BFS_DIR_WHITEOUTS = 1,
};

/** A directory entry. */
struct bfs_dirent {
    /** The type of the file; BFS_UNKNOWN on some file systems. */
    enum bfs_type type;
    /**
     * The name of the file, without the directory. It may be longer than NAME_MAX, which some file systems do not keep
     * to. It is the directory's, and valid until the next call with that directory other than bfs_dirfd().
     */
    const char *name;
};

/**
 * Allocate a directory, which is not open.
 *
 * It takes 64 KiB, most of which hold entries that were read ahead.
 *
 * Returns:
 * The directory, to be released with free() once it is not open any more, or NULL with errno set to ENOMEM.
 */
struct bfs_dir *bfs_allocdir(void);

/**
 * Open a directory.
 *
 * The descriptor is close-on-exec, unless the caller brings it.
 *
 * Parameters:
 * - dir: a directory from bfs_allocdir() that is not open. It can be opened again after it was closed.
 * - at_fd: the directory that at_path is relative to, or AT_FDCWD.
 * - at_path: the path; NULL opens at_fd itself. The descriptor then belongs to dir, which closes it, and the
 *   entries are those from its current position on. Whether it is a directory is found out on reading.
 * - flags: enum bfs_dir_flags, or 0. Other bits are ignored.
 *
 * Returns:
 * 0, or -1 with errno set, in which case dir is still not open, and at_fd still the caller's:
 * - EINVAL: dir is NULL.
 * - EBADF: at_path is NULL and at_fd negative.
 * - what openat(2) fails with, such as ENOENT, ENOTDIR, EACCES, ELOOP or EMFILE. Not EINTR: the call is
 *   repeated if a signal interrupts it.
 */
int bfs_opendir(struct bfs_dir *dir, int at_fd, const char *at_path, unsigned int flags);

/**
 * The descriptor of an open directory, which still owns it: it is not to be closed.
 *
 * Returns:
 * The descriptor, or -1 with errno set to EBADF if dir is not open, or to EINVAL if it is NULL.
 */
int bfs_dirfd(const struct bfs_dir *dir);

/**
 * Do the reading that the next bfs_readdir() needs, so that it need not wait.
 *
 * Returns:
 * 1 if entries were read ahead, perhaps only such as bfs_readdir() leaves out; 0 at the end of the directory; or -1
 * with errno set:
 * - EINVAL: dir is NULL.
 * - what getdents64(2) fails with, such as ENOTDIR, EBADF if dir is not open, ENOENT if the directory was
 *   removed since it was opened, or EIO. Not EINTR: the call is repeated if a signal interrupts it.
 */
int bfs_polldir(struct bfs_dir *dir);

/**
 * Read the next entry of a directory, in the order of the file system.
 *
 * "." and ".." are left out, and whiteouts without BFS_DIR_WHITEOUTS.
 *
 * Parameters:
 * - dir: an open directory.
 * - de: where to put the entry, or NULL to pass over it. Left as it was unless the result is 1.
 *
 * Returns:
 * 1 for an entry, 0 at the end of the directory, or -1 with errno set as for bfs_polldir().
 */
int bfs_readdir(struct bfs_dir *dir, struct bfs_dirent *de);

/**
 * Close a directory.
 *
 * It is closed whatever the result, and can be opened again. Its memory stays the caller's.
 *
 * Returns:
 * 0, or -1 with errno set:
 * - EINVAL: dir is NULL.
 * - EBADF: dir is not open.
 * - what close(2) fails with. It is never repeated: the descriptor is gone, on Linux, even after EINTR.
 */
int bfs_closedir(struct bfs_dir *dir);

/**
 * Take the descriptor out of an open directory.
 *
 * The directory is not open any more then, but can be opened again. Its memory stays the caller's. What was read ahead
 * is lost: the descriptor's position is behind it.
 *
 * Returns:
 * The descriptor, which the caller closes, or -1 with errno set to EBADF if dir is not open, or to EINVAL if it
 * is NULL.
 */
int bfs_unwrapdir(struct bfs_dir *dir);

static_assert(sizeof(enum bfs_type) == 4, "ABI");
static_assert(sizeof(struct bfs_dirent) == 2 * sizeof(void *), "ABI");
static_assert(offsetof(struct bfs_dirent, type) == 0, "ABI");
static_assert(offsetof(struct bfs_dirent, name) == sizeof(void *), "ABI");

#ifdef __cplusplus
}
#endif

#endif /* IOQ_DIR_H */
