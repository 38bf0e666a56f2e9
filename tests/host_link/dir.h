// Directories of the program's own, unlike the library's in all but the names.

#ifndef DIR_H
#define DIR_H

#define _GNU_SOURCE
#include <ioq/dir.h>
#include <stdatomic.h>
#include <stdint.h>

#define DIR_MAGIC UINT64_C(0x7269642074736F68)

struct bfs_dir {
    uint64_t magic;
    int fd;
    // So that a function of the library's that took this for its own would do no harm, and be seen.
    char room[1 << 17];
};

// How often each function was called. Each is defined in the file of its function.
extern atomic_int opendir_calls, polldir_calls, closedir_calls;

#endif // DIR_H
