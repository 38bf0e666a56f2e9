// No use to anybody without the rest of its family.

#include "dir.h"

#include <assert.h>

atomic_int polldir_calls;

int bfs_polldir(struct bfs_dir *dir) {
    ++polldir_calls;
    assert(dir->magic == DIR_MAGIC);
    return 1;
}
