// A program of the time before bfs_statx_mask(), on a system without bfs_unwrapdir(): what it lacks is done without, for
// the library's own do not fit its structures.

#define HOST_DIR
#define HOST_READDIR
#define HOST_STAT
#define HOST_STATX
#include "host.h"

int main(void) {
    make_tree();
    RUN_EACH_WAY(check_host_dir);
    RUN_EACH_WAY(check_host_stat);
    remove_temp_dir(root, root_fd);
    return 0;
}
