// What a host needs for its directories to be used, and what it uses itself.

#include "dir.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

atomic_int opendir_calls, closedir_calls;

struct bfs_dir *bfs_allocdir(void) {
    return calloc(1, sizeof(struct bfs_dir));
}

int bfs_opendir(struct bfs_dir *dir, int at_fd, const char *at_path, unsigned int flags) {
    ++opendir_calls;
    (void)flags;
    dir->fd = at_path ? openat(at_fd, at_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : at_fd;
    dir->magic = DIR_MAGIC;
    return dir->fd < 0 ? -1 : 0;
}

int bfs_dirfd(const struct bfs_dir *dir) {
    assert(dir->magic == DIR_MAGIC);
    return dir->fd;
}

int bfs_readdir(struct bfs_dir *dir, struct bfs_dirent *de) {
    assert(dir->magic == DIR_MAGIC);
    assert(!de);
    return 1;
}

int bfs_closedir(struct bfs_dir *dir) {
    ++closedir_calls;
    assert(dir->magic == DIR_MAGIC);
    dir->magic = 0;
    return close(dir->fd);
}

// Which queues do without.
int bfs_unwrapdir(struct bfs_dir *dir) {
    assert(dir->magic == DIR_MAGIC);
    dir->magic = 0;
    return dir->fd;
}
