// The rings with a program whose own bfs_*() functions fail, at the points where the ring has done its part already.

#define HOST_DIR
#define HOST_READDIR
#define HOST_UNWRAPDIR
#include "../host.h"

#include "cases.h"
#include "kernel.h"

enum { MANY = 200 };

static struct bfs_dir dirs[MANY];

static const struct kernel_script late = {
    .order = KERNEL_RANDOM, .rules = {{KERNEL_HOLDS, .value = 2, .every = 3}}};
static const struct kernel_script broken = {.rules = {{KERNEL_ENTER_FAILS, .value = EBADF}}};

static struct ioq *start(const struct kernel_script *script) {
    kernel_start(script);
    struct ioq *ioq = ioq_create(MANY, 1);
    CHECK(ioq);
    make_tree();
    return ioq;
}

static void expect(struct ioq *ioq, int result) {
    for (size_t i = 0; i < MANY; ++i) {
        struct ioq_ent *ent = ioq_pop(ioq, true);
        CHECK(ent);
        CHECK_EQ(ent->result, result);
        ioq_free(ioq, ent);
    }
    CHECK(!ioq_pop(ioq, true));
}

static void stop(struct ioq *ioq, size_t submitted) {
    ioq_destroy(ioq);
    remove_temp_dir(root, root_fd);
    CHECK_EQ(kernel_stop().submitted, submitted);
    memset(&host_errors, 0, sizeof(host_errors));
}

static void open_many(struct ioq *ioq) {
    for (size_t i = 0; i < MANY; ++i) {
        dirs[i] = (struct bfs_dir){.magic = 0};
        CHECK_EQ(ioq_opendir(ioq, &dirs[i], root_fd, "sub", 0, &dirs[i]), 0);
    }
}

// The descriptor that the ring has opened is nobody's then.
static void a_descriptor_is_closed_when_opening_fails_after_the_ring_opened_it(void) {
    struct ioq *ioq = start(&late);
    host_errors.opendir = ENOMEM;
    open_many(ioq);
    expect(ioq, -ENOMEM);
    CHECK_EQ(host_calls.opendir, MANY);
    stop(ioq, MANY);
}

static void a_directory_is_opened_though_it_cannot_be_read_ahead(void) {
    struct ioq *ioq = start(&late);
    host_errors.polldir = EIO;
    open_many(ioq);
    expect(ioq, 0);
    for (size_t i = 0; i < MANY; ++i) {
        CHECK_EQ(bfs_closedir(&dirs[i]), 0);
    }
    stop(ioq, MANY);
}

// Then it is closed as a whole, by a plain call, once.
static void a_directory_that_cannot_be_unwrapped_is_closed(void) {
    struct ioq *ioq = start(&late);
    host_errors.unwrapdir = ENOTSUP;
    for (size_t i = 0; i < MANY; ++i) {
        CHECK_EQ(bfs_opendir(&dirs[i], root_fd, "sub", 0), 0);
    }
    for (size_t i = 0; i < MANY; ++i) {
        CHECK_EQ(ioq_closedir(ioq, &dirs[i], &dirs[i]), 0);
    }
    expect(ioq, 0);
    CHECK_EQ(host_calls.closedir, MANY);
    stop(ioq, 0);
}

// What unwrapping left is closed through the ring, once.
static void a_directory_that_can_be_unwrapped_is_closed(void) {
    struct ioq *ioq = start(&late);
    for (size_t i = 0; i < MANY; ++i) {
        CHECK_EQ(bfs_opendir(&dirs[i], root_fd, "sub", 0), 0);
    }
    for (size_t i = 0; i < MANY; ++i) {
        CHECK_EQ(ioq_closedir(ioq, &dirs[i], &dirs[i]), 0);
    }
    expect(ioq, 0);
    CHECK_EQ(host_calls.unwrapdir, MANY);
    CHECK_EQ(host_calls.closedir, 0);
    stop(ioq, MANY);
}

// Requests that no kernel took are run one by one, and the first that is done is not to wait for one that hangs.
static void what_is_done_is_delivered_though_the_next_hangs(void) {
    struct ioq *ioq = start(&broken);
    gate_set(true);
    for (size_t i = 0; i < 5; ++i) {
        CHECK_EQ(ioq_close(ioq, fcntl(root_fd, F_DUPFD_CLOEXEC, 0), NULL), 0);
    }
    dirs[0] = (struct bfs_dir){.magic = 0};
    CHECK_EQ(ioq_opendir(ioq, &dirs[0], root_fd, "sub", 0, NULL), 0);
    for (size_t i = 0; i < 6; ++i) {
        struct ioq_ent *ent;
        while (!(ent = ioq_pop(ioq, false))) {
            sched_yield();
        }
        CHECK_EQ(ent->op, i < 5 ? IOQ_CLOSE : IOQ_OPENDIR);
        CHECK_EQ(ent->result, 0);
        ioq_free(ioq, ent);
        if (i == 4) {
            gate_set(false);
        }
    }
    CHECK_EQ(bfs_closedir(&dirs[0]), 0);
    stop(ioq, 0);
}

int main(int argc, char *argv[]) {
    static const struct named_case cases[] = {
        CASE(a_descriptor_is_closed_when_opening_fails_after_the_ring_opened_it),
        CASE(a_directory_is_opened_though_it_cannot_be_read_ahead),
        CASE(a_directory_that_cannot_be_unwrapped_is_closed),
        CASE(a_directory_that_can_be_unwrapped_is_closed),
        CASE(what_is_done_is_delivered_though_the_next_hangs),
    };
    return run_cases(argc, argv, cases, COUNT(cases));
}
