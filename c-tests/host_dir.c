// A program with directory functions of its own: stats are the library's.

#define HOST_DIR
#define HOST_READDIR
#define HOST_UNWRAPDIR
#include "host.h"

#include <ioq/stat.h>

static void check_own_stat(struct ioq *ioq) {
    struct bfs_stat buf;
    CHECK_EQ(ioq_stat(ioq, root_fd, "link", BFS_STAT_NOFOLLOW, &buf, &buf), 0);
    CHECK_EQ(take(ioq, IOQ_STAT, &buf), 0);
    CHECK(buf.mask & BFS_STAT_INO);
    CHECK_EQ(buf.ino, inode("link", AT_SYMLINK_NOFOLLOW));

    CHECK_EQ(ioq_stat(ioq, root_fd, "broken", BFS_STAT_TRYFOLLOW, &buf, &buf), 0);
    CHECK_EQ(take(ioq, IOQ_STAT, &buf), 0);
    CHECK_EQ(buf.ino, inode("broken", AT_SYMLINK_NOFOLLOW));
    CHECK(S_ISLNK(buf.mode));
}

int main(void) {
    make_tree();
    RUN_EACH_WAY(check_host_dir);
    RUN_EACH_WAY(check_own_stat);
    remove_temp_dir(root, root_fd);
    return 0;
}
