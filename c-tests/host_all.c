// A program with all functions of its own: the library uses them for directories and for stats.

#define HOST_DIR
#define HOST_READDIR
#define HOST_UNWRAPDIR
#define HOST_STAT
#define HOST_STATX
#define HOST_STATX_MASK
#include "host.h"

int main(void) {
    make_tree();
    RUN_EACH_WAY(check_host_dir);
    RUN_EACH_WAY(check_host_stat);
    remove_temp_dir(root, root_fd);
    return 0;
}
