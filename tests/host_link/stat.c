// What a host needs for its stats to be used, by rings too.

#include "stat.h"

#include <assert.h>

// What the library's own mask asks for, on kernels that know it, and no mask of a host here does.
#define MNT_ID_UNIQUE 0x4000

atomic_int stat_calls, flags_calls, convert_calls;

int bfs_stat(int at_fd, const char *at_path, unsigned int flags, struct bfs_stat *buf) {
    ++stat_calls;
    struct statx sx;
    if (statx(at_fd, at_path, (int)flags, STAT_MASK, &sx) != 0) {
        return -1;
    }
    *buf = (struct bfs_stat){.magic = STAT_MAGIC, .ino = sx.stx_ino};
    return 0;
}

int bfs_statx_flags(unsigned int flags) {
    ++flags_calls;
    return (int)flags;
}

int bfs_statx_convert(struct bfs_stat *dest, const struct statx *src) {
    ++convert_calls;
    assert(!(src->stx_mask & MNT_ID_UNIQUE));
    *dest = (struct bfs_stat){.magic = STAT_MAGIC, .ino = src->stx_ino};
    return 0;
}
