// Stats of the program's own, unlike the library's in all but the names.

#ifndef STAT_H
#define STAT_H

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/stat.h>

#define STAT_MAGIC UINT64_C(0x74617473206F7774)
#define STAT_MASK (STATX_BASIC_STATS | STATX_BTIME)

// Not the library's value: only the functions here understand it.
enum bfs_stat_flags { BFS_STAT_NOFOLLOW = AT_SYMLINK_NOFOLLOW };

struct bfs_stat {
    uint64_t magic;
    ino_t ino;
    // So that a function of the library's that took this for its own would do no harm, and be seen.
    char room[256];
};

int bfs_stat(int at_fd, const char *at_path, unsigned int flags, struct bfs_stat *buf);
int bfs_statx_flags(unsigned int flags);
unsigned int bfs_statx_mask(void);
int bfs_statx_convert(struct bfs_stat *dest, const struct statx *src);

// How often each function was called. Each is defined in the file of its function.
extern atomic_int stat_calls, flags_calls, mask_calls, convert_calls;

#endif // STAT_H
