// The ring with a program whose own bfs_*() functions fail, or hang, where the ring has done its part already.

#define HOST_DIR
#define HOST_READDIR
#include "../host.h"

#include "cases.h"
#include "kernel.h"

#include <ioq/stat.h>

enum { MANY = 200 };

static struct bfs_dir dirs[MANY];
static struct bfs_stat bufs[MANY];

static const struct kernel_script late = {
    .order = KERNEL_RANDOM, .rules = {{KERNEL_HOLDS, .value = 2, .every = 3}}};

static struct ioq *start(const struct kernel_script *script, size_t threads) {
    kernel_start(script);
    struct ioq *ioq = ioq_create(2 * MANY, threads);
    CHECK(ioq);
    make_tree();
    return ioq;
}

static void expect(struct ioq *ioq, enum ioq_op op, int result, size_t count) {
    for (; count > 0; --count) {
        struct ioq_ent *ent = ioq_pop(ioq, true);
        CHECK(ent);
        CHECK_EQ(ent->op, op);
        CHECK_EQ(ent->result, result);
        ioq_free(ioq, ent);
    }
}

static struct kernel_counts stop(struct ioq *ioq) {
    CHECK(!ioq_pop(ioq, true));
    ioq_destroy(ioq);
    remove_temp_dir(root, root_fd);
    return kernel_stop();
}

static void open_many(struct ioq *ioq, size_t count) {
    for (size_t i = 0; i < count; ++i) {
        dirs[i] = (struct bfs_dir){.magic = 0};
        CHECK_EQ(ioq_opendir(ioq, &dirs[i], root_fd, "sub", 0, &dirs[i]), 0);
    }
    ioq_submit(ioq);
}

static void stat_many(struct ioq *ioq) {
    for (size_t i = 0; i < MANY; ++i) {
        CHECK_EQ(ioq_stat(ioq, root_fd, "file", 0, &bufs[i], &bufs[i]), 0);
    }
    ioq_submit(ioq);
}

static void close_many(size_t count) {
    for (size_t i = 0; i < count; ++i) {
        CHECK_EQ(bfs_closedir(&dirs[i]), 0);
    }
}

// The descriptor that the ring has opened is nobody's then.
static void a_descriptor_is_closed_when_opening_fails_after_the_ring_opened_it(void) {
    struct ioq *ioq = start(&late, 1);
    host_errors.opendir = ENOMEM;
    open_many(ioq, MANY);
    expect(ioq, IOQ_OPENDIR, -ENOMEM, MANY);
    CHECK_EQ(host_calls.opendir, MANY);
    CHECK(stop(ioq).submitted > 0);
}

static void a_directory_is_opened_though_it_cannot_be_read_ahead(void) {
    struct ioq *ioq = start(&late, 1);
    host_errors.polldir = EIO;
    open_many(ioq, MANY);
    expect(ioq, IOQ_OPENDIR, 0, MANY);
    close_many(MANY);
    CHECK(stop(ioq).submitted > 0);
}

// The directory that a worker reads hangs, and what the ring can do alone comes back.
static void the_ring_goes_on_while_a_directory_hangs(void) {
    struct kernel_script script = {.order = KERNEL_RANDOM};
    struct ioq *ioq = start(&script, 1);
    gate_set(true);
    open_many(ioq, 1);
    gate_await(1);
    stat_many(ioq);
    expect(ioq, IOQ_STAT, 0, MANY);
    CHECK(!ioq_pop(ioq, false));
    gate_set(false);
    expect(ioq, IOQ_OPENDIR, 0, 1);
    close_many(1);
    CHECK_EQ(stop(ioq).submitted, MANY + 1);
}

// Requests that no kernel took are run by workers, and while one hangs in a worker, the other runs the rest.
static void what_no_kernel_took_does_not_wait_for_what_hangs(void) {
    struct kernel_script script = {.rules = {{KERNEL_ENTER_FAILS, .value = EBADF}}};
    struct ioq *ioq = start(&script, 2);
    gate_set(true);
    for (size_t i = 0; i < 5; ++i) {
        CHECK_EQ(ioq_stat(ioq, root_fd, "file", 0, &bufs[i], &bufs[i]), 0);
    }
    open_many(ioq, 1);
    expect(ioq, IOQ_STAT, 0, 5);
    CHECK(!ioq_pop(ioq, false));
    gate_set(false);
    expect(ioq, IOQ_OPENDIR, 0, 1);
    close_many(1);
    CHECK_EQ(stop(ioq).submitted, 0);
}

// What a queue that was destroyed has opened is closed by whoever can, once.
static void what_nobody_popped_is_closed(void) {
    struct ioq *ioq = start(&late, 1);
    open_many(ioq, MANY);
    ioq_free(ioq, ioq_pop(ioq, true));
    ioq_destroy(ioq);
    remove_temp_dir(root, root_fd);
    CHECK(kernel_stop().submitted > 0);
    size_t open = 0;
    for (size_t i = 0; i < MANY; ++i) {
        open += dirs[i].magic == HOST_MAGIC;
    }
    CHECK_EQ(open, 1);
    for (size_t i = 0; i < MANY; ++i) {
        CHECK(dirs[i].magic != HOST_MAGIC || bfs_closedir(&dirs[i]) == 0);
    }
}

int main(int argc, char *argv[]) {
    static const struct named_case cases[] = {
        CASE(a_descriptor_is_closed_when_opening_fails_after_the_ring_opened_it),
        CASE(a_directory_is_opened_though_it_cannot_be_read_ahead),
        CASE(the_ring_goes_on_while_a_directory_hangs),
        CASE(what_no_kernel_took_does_not_wait_for_what_hangs),
        CASE(what_nobody_popped_is_closed),
    };
    return run_cases(argc, argv, cases, COUNT(cases));
}
