// ioq_cancel() while a worker is in the middle of a request: that one keeps its own result, the others get theirs.

#define HOST_DIR
#define HOST_READDIR
#define HOST_UNWRAPDIR
#define HOST_STAT
#define HOST_STATX
#define HOST_STATX_MASK
#include "host.h"

#include <pthread.h>

// The worker is held inside the first request, so it is known which ones it has not run.
static void during(void) {
    struct ioq *ioq = create(16, 1);
    struct bfs_dir running = {.magic = 0}, pending = {.magic = 0}, closed = {.magic = 0};
    struct bfs_stat buf = {.magic = 0};
    int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
    CHECK_EQ(bfs_opendir(&closed, root_fd, "sub", 0), 0);

    gate_set(true);
    CHECK_EQ(ioq_opendir(ioq, &running, root_fd, "sub", 0, &running), 0);
    ioq_submit(ioq);
    gate_await(1);

    CHECK_EQ(ioq_stat(ioq, root_fd, "file", 0, &buf, &buf), 0);
    CHECK_EQ(ioq_close(ioq, fd, &fd), 0);
    ioq_submit(ioq);
    CHECK_EQ(ioq_opendir(ioq, &pending, root_fd, "sub", 0, &pending), 0);
    CHECK_EQ(ioq_closedir(ioq, &closed, &closed), 0);
    CHECK_EQ(ioq_nop(ioq, IOQ_NOP_HEAVY, ioq), 0);
    ioq_cancel(ioq);
    CHECK_ERRNO(ioq_nop(ioq, IOQ_NOP_HEAVY, ioq), EINTR);
    gate_set(false);

    for (int i = 0; i < 6; ++i) {
        struct ioq_ent *ent = ioq_pop(ioq, true);
        CHECK(ent);
        bool runs = ent->ptr == &running || ent->op == IOQ_CLOSE || ent->op == IOQ_CLOSEDIR;
        if (ent->op == IOQ_STAT && ent->result == 0) {
            // A ring need not wait for the worker.
            CHECK(!surely_sync() && buf.magic == HOST_MAGIC);
            buf.magic = 0;
        } else {
            CHECK_EQ(ent->result, runs ? 0 : -EINTR);
        }
        ioq_free(ioq, ent);
    }
    CHECK(!ioq_pop(ioq, true));
    CHECK_EQ(ioq_capacity(ioq), 16);
    ioq_destroy(ioq);

    CHECK_EQ(running.magic, HOST_MAGIC);
    CHECK_EQ(bfs_closedir(&running), 0);
    CHECK_EQ(pending.magic, 0);
    CHECK_EQ(closed.magic, 0);
    CHECK_EQ(buf.magic, 0);
    CHECK(!fd_open(fd));
}

static void *cancel_and_open_gate(void *ioq) {
    ioq_cancel(ioq);
    gate_set(false);
    return NULL;
}

// A caller that waits for the one running request goes on waiting when another thread cancels.
static void while_popping(void) {
    for (size_t round = 0; round < rounds(200); ++round) {
        struct ioq *ioq = create(16, 1);
        struct bfs_dir dir = {.magic = 0};
        gate_set(true);
        CHECK_EQ(ioq_opendir(ioq, &dir, root_fd, "sub", 0, &dir), 0);
        ioq_submit(ioq);
        gate_await(1);

        pthread_t canceller;
        CHECK_EQ(pthread_create(&canceller, NULL, cancel_and_open_gate, ioq), 0);
        CHECK_EQ(take(ioq, IOQ_OPENDIR, &dir), 0);
        CHECK_EQ(pthread_join(canceller, NULL), 0);
        ioq_destroy(ioq);
        CHECK_EQ(bfs_closedir(&dir), 0);
    }
}

int main(void) {
    make_tree();
    RUN(during);
    RUN(while_popping);
    remove_temp_dir(root, root_fd);
    return 0;
}
