// What hosts on other systems than Linux lack.

#include "dir.h"

#include <assert.h>

atomic_int unwrapdir_calls;

int bfs_unwrapdir(struct bfs_dir *dir) {
    ++unwrapdir_calls;
    assert(dir->magic == DIR_MAGIC);
    dir->magic = 0;
    return dir->fd;
}
