// A program with nothing but bfs_opendir(), bfs_closedir() and bfs_stat(): that is enough.

#define HOST_DIR
#define HOST_STAT
#include "host.h"

int main(void) {
    make_tree();
    RUN_EACH_WAY(check_host_dir);
    RUN_EACH_WAY(check_host_stat);
    remove_temp_dir(root, root_fd);
    return 0;
}
