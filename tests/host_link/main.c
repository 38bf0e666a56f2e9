// Sends requests of each kind through a queue, and tells from the calls of its own functions who served them.
//
// It is linked with none, some or all of the files beside this one. A macro for each tells which: HOST_DIR for dir.c,
// HOST_POLLDIR, HOST_STAT, HOST_STATX_MASK. There is a link named "link" where it runs.

#include "test.h"

#include "dir.h"
#ifdef HOST_STAT
#include "stat.h"
#else
#include <ioq/stat.h>
#endif

// More than travel together, so that several threads are at work.
enum { REQUESTS = 40 };

static void take_all(struct ioq *ioq) {
    for (size_t i = 0; i < REQUESTS; ++i) {
        struct ioq_ent *ent = next(ioq);
        CHECK_EQ(ent->result, 0);
        ioq_free(ioq, ent);
    }
    CHECK(!ioq_pop(ioq, true));
}

static void directories(void) {
    struct ioq *ioq = create(REQUESTS, 2);
    struct bfs_dir *dirs[REQUESTS];
    for (size_t i = 0; i < REQUESTS; ++i) {
        dirs[i] = bfs_allocdir();
        CHECK(dirs[i]);
        CHECK_EQ(ioq_opendir(ioq, dirs[i], AT_FDCWD, ".", 0, NULL), 0);
    }
    take_all(ioq);
    for (size_t i = 0; i < REQUESTS; ++i) {
        CHECK(fd_open(bfs_dirfd(dirs[i])));
        CHECK_EQ(bfs_readdir(dirs[i], NULL), 1);
        CHECK_EQ(ioq_closedir(ioq, dirs[i], NULL), 0);
    }
    take_all(ioq);
    for (size_t i = 0; i < REQUESTS; ++i) {
        free(dirs[i]);
    }
    ioq_destroy(ioq);

    // Whether a ring has opened a directory or not, its provider makes it one, and closes it.
#ifdef HOST_DIR
    CHECK_EQ(opendir_calls, REQUESTS);
    CHECK_EQ(closedir_calls, REQUESTS);
#ifdef HOST_POLLDIR
    CHECK_EQ(polldir_calls, REQUESTS);
#endif
#elif defined(HOST_POLLDIR)
    CHECK_EQ(polldir_calls, 0);
#endif
}

static void files(void) {
    struct stat sb;
    CHECK_EQ(lstat("link", &sb), 0);

    struct ioq *ioq = create(REQUESTS, 2);
    struct bfs_stat bufs[REQUESTS];
    for (size_t i = 0; i < REQUESTS; ++i) {
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "link", BFS_STAT_NOFOLLOW, &bufs[i], NULL), 0);
    }
    take_all(ioq);
    for (size_t i = 0; i < REQUESTS; ++i) {
        CHECK_EQ(bufs[i].ino, sb.st_ino);
#ifdef HOST_STAT
        CHECK_EQ(bufs[i].magic, STAT_MAGIC);
#endif
    }
    ioq_destroy(ioq);

#ifdef HOST_STAT
    CHECK_EQ(stat_calls + convert_calls, REQUESTS);
    CHECK(convert_calls > 0 || !backend_is("uring"));
    CHECK(flags_calls >= convert_calls);
#ifdef HOST_STATX_MASK
    CHECK(mask_calls >= convert_calls);
#endif
#endif
}

typedef void function(void);

// Where code is not position-independent, this gives the program a stub for each of the library's functions, which
// then has the function's name and must still not be taken for the program's own.
static void name_functions(void) {
    function *volatile functions[] = {
        (function *)bfs_opendir, (function *)bfs_polldir, (function *)bfs_closedir,
        (function *)bfs_unwrapdir, (function *)bfs_stat, (function *)bfs_statx_flags,
        (function *)bfs_statx_mask, (function *)bfs_statx_convert,
    };
    for (size_t i = 0; i < COUNT(functions); ++i) {
        CHECK(functions[i]);
    }
}

int main(void) {
    name_functions();
    RUN(directories);
    RUN(files);
    return 0;
}
