// A program with stat functions of its own: directories are the library's.

#define HOST_STAT
#define HOST_STATX
#define HOST_STATX_MASK
#include "host.h"

#include <ioq/dir.h>

static void check_own_dir(struct ioq *ioq) {
    struct bfs_dir *dir = bfs_allocdir();
    CHECK(dir);
    CHECK_EQ(ioq_opendir(ioq, dir, AT_FDCWD, root, 0, dir), 0);
    CHECK_EQ(take(ioq, IOQ_OPENDIR, dir), 0);
    size_t count = 0;
    for (struct bfs_dirent de; bfs_readdir(dir, &de) > 0;) {
        inode(de.name, AT_SYMLINK_NOFOLLOW);
        ++count;
    }
    CHECK_EQ(count, 4);

    int fd = bfs_dirfd(dir);
    CHECK_EQ(ioq_closedir(ioq, dir, dir), 0);
    CHECK_EQ(take(ioq, IOQ_CLOSEDIR, dir), 0);
    CHECK(!fd_open(fd));
    free(dir);
}

int main(void) {
    make_tree();
    RUN_EACH_WAY(check_own_dir);
    RUN_EACH_WAY(check_host_stat);
    remove_temp_dir(root, root_fd);
    return 0;
}
