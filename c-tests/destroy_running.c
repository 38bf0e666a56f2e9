// ioq_destroy() while workers are in the middle of requests: it waits for them, and cleans up after them with the
// functions that opened what there is to close.

#define HOST_DIR
#define HOST_READDIR
#define HOST_UNWRAPDIR
#include "host.h"

#include <pthread.h>

static pid_t destroyer;

static void *open_gate(void *arg) {
    (void)arg;
    while (!is_asleep(destroyer)) {
        sched_yield();
    }
    gate_set(false);
    return NULL;
}

static void with_workers(size_t nthreads) {
    struct ioq *ioq = create(64, nthreads);
    struct bfs_dir dirs[32] = {{.magic = 0}};
    gate_set(true);
    for (size_t i = 0; i < COUNT(dirs); ++i) {
        CHECK_EQ(ioq_opendir(ioq, &dirs[i], root_fd, "sub", 0, NULL), 0);
        ioq_submit(ioq);
    }
    gate_await(1);
    int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_EQ(ioq_close(ioq, fd, NULL), 0);

    pthread_t opener;
    destroyer = (pid_t)syscall(SYS_gettid);
    CHECK_EQ(pthread_create(&opener, NULL, open_gate, NULL), 0);
    ioq_destroy(ioq);
    CHECK_EQ(pthread_join(opener, NULL), 0);

    CHECK(!fd_open(fd));
    for (size_t i = 0; i < COUNT(dirs); ++i) {
        CHECK_EQ(dirs[i].magic, 0);
    }
    // At least the one that stood before the gate was opened, and had to be closed.
    CHECK(host_calls.closedir + host_calls.unwrapdir > 0);
    host_calls.closedir = host_calls.unwrapdir = 0;
}

static void one_worker(void) {
    with_workers(1);
}

static void many_workers(void) {
    with_workers(8);
}

int main(void) {
    make_tree();
    for (size_t i = 0; i < rounds(50); ++i) {
        RUN(one_worker);
        RUN(many_workers);
    }
    remove_temp_dir(root, root_fd);
    return 0;
}
