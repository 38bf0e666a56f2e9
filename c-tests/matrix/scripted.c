// The conditions that need a scripted kernel (condition.h, ../kernel/kernel.h).

#define CHECKER_ELSEWHERE // in matrix.c

#include "condition.h"

#include "../kernel/kernel.h"
#include "random.h"

#include <ioq/stat.h>
#include <stdatomic.h>

static struct kernel_script script;
// The number of the worker that gets no ring, from 1, or 0.
static size_t ringless;
// The operation that rings refuse, or 0.
static uint64_t refused;
// Whether plain stats are slow.
static bool slow;

// While workers are being started, each is held in its first call.
static atomic_bool holding;
static atomic_size_t held;

static void hold(unsigned int ring, unsigned int call) {
    (void)ring, (void)call;
    if (atomic_load(&holding)) {
        atomic_fetch_add(&held, 1);
        while (atomic_load(&holding)) {
            usleep(100);
        }
    }
}

// Some trouble that a kernel may make. It does not refuse one close and allow the next: what else fails a close is an
// answer of the file system's.
static struct kernel_rule trouble(struct random *random) {
    enum { NOT_CLOSE = KERNEL_NOP | KERNEL_OPENAT | KERNEL_STATX };
    static const struct kernel_rule kinds[] = {
        {KERNEL_SETUP_FAILS, .value = EMFILE},
        {KERNEL_SUBMIT_FAILS, .value = EAGAIN, .busy = 1},
        {KERNEL_SUBMIT_FAILS, .value = EBUSY, .busy = 1},
        {KERNEL_ENTER_FAILS, .value = EINTR},
        {KERNEL_TAKES, .value = 1},
        {KERNEL_TAKES, .value = 3},
        {KERNEL_INTERRUPTS, .value = 1},
        {KERNEL_HOLDS, .value = 1},
        {KERNEL_HOLDS, .value = 5},
        {KERNEL_REFUSES, .value = EPERM, .ops = NOT_CLOSE},
        {KERNEL_REFUSES, .value = EOPNOTSUPP, .ops = KERNEL_STATX},
        {KERNEL_REFUSES, .value = ECANCELED, .ops = NOT_CLOSE},
        {KERNEL_REFUSES, .value = EINTR, .ops = KERNEL_STATX | KERNEL_OPENAT},
    };
    struct kernel_rule rule = kinds[below(random, COUNT(kinds))];
    rule.from = (unsigned int)between(random, 1, 30);
    rule.count = (unsigned int)between(random, 1, 20);
    rule.every = (unsigned int)between(random, 1, 5);
    return rule;
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static bool choose_rules(const char *name, size_t threads, size_t depth, struct random *random) {
    static const int setup_errors[] = {EMFILE, ENFILE, ENOMEM, EPERM, ENOSYS, EACCES, EAGAIN};
    static const int refusals[] = {EACCES, EPERM, EINVAL, ENOSYS, EOPNOTSUPP};
    static const struct {
        const char *name;
        uint64_t op;
    } ops[] = {{"no-statx", KERNEL_STATX}, {"no-openat", KERNEL_OPENAT}, {"no-close", KERNEL_CLOSE}, {"no-nop", KERNEL_NOP}};
    if (sscanf(name, "mixed-%zu", &ringless) == 1) {
        // Each worker takes a thread, and a request to start it.
        ringless = least(ringless, least(threads, depth));
        // The first setup is that of ioq_create(), which tries one.
        script.rules[0] = (struct kernel_rule){KERNEL_SETUP_FAILS, .value = setup_errors[below(random, COUNT(setup_errors))],
                                               .from = (unsigned int)ringless, .count = 1};
        return true;
    }
    if (strcmp(name, "slow") == 0) {
        slow = true;
        script.stat_delay = 100;
        return true;
    }
    if (strcmp(name, "hostile") == 0) {
        for (size_t i = 0; i < KERNEL_RULES; ++i) {
            script.rules[i] = trouble(random);
        }
        return true;
    }
    for (size_t i = 0; i < COUNT(ops); ++i) {
        if (strcmp(name, ops[i].name) == 0) {
            refused = ops[i].op;
            script.rules[0] = (struct kernel_rule){KERNEL_REFUSES, .value = refusals[below(random, COUNT(refusals))], .ops = refused};
            return true;
        }
    }
    return false;
}

const char *condition_start(const char *name, size_t threads, size_t depth, uint64_t seed) {
    struct random random = random_stream(seed, 4);
    if (!choose_rules(name, threads, depth, &random)) {
        return NULL;
    }
    script.order = (enum kernel_order)below(&random, 3);
    script.burst = one_in(&random, 2) ? 0 : (unsigned int)between(&random, 1, 8);
    script.outside = one_in(&random, 3);
    script.seed = seed;
    script.strays = true;
    script.entered = hold;
    kernel_start(&script);
    return slow ? "auto" : "uring";
}

// Starts workers until the one without a ring is among them, each by a request that the others cannot take.
static size_t settle_mixed(struct ioq *ioq) {
    atomic_store(&holding, true);
    for (size_t i = 1; i <= ringless; ++i) {
        CHECK_EQ(ioq_nop(ioq, IOQ_NOP_HEAVY, NULL), 0);
        ioq_submit(ioq);
        while (i < ringless ? atomic_load(&held) < i : kernel_seen().setups <= ringless) {
            sched_yield();
        }
    }
    atomic_store(&holding, false);
    for (size_t i = 1; i <= ringless; ++i) {
        struct ioq_ent *ent = ioq_pop(ioq, true);
        CHECK(ent);
        CHECK_EQ(ent->result, 0);
        ioq_free(ioq, ent);
    }
    return ringless;
}

// Has workers stat until one of them, having found that slow, does it by a ring.
static size_t settle_slow(struct ioq *ioq) {
    struct ioq_counts counts = {0};
    size_t count = 0;
    for (; counts.ring == 0; ++count) {
        CHECK(count < 1000);
        struct bfs_stat buf;
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &buf, NULL), 0);
        ioq_submit(ioq);
        struct ioq_ent *ent;
        while (!(ent = ioq_pop(ioq, false))) {
            usleep(10);
        }
        CHECK_EQ(ent->result, 0);
        ioq_free(ioq, ent);
        ioq_count(ioq, &counts);
    }
    return count;
}

size_t condition_settle(struct ioq *ioq, size_t threads) {
    size_t depth = ioq_capacity(ioq);
    size_t count = threads == 0 ? 0 : slow ? settle_slow(ioq) : ringless > 0 ? settle_mixed(ioq) : 0;
    CHECK_EQ(ioq_capacity(ioq), depth);
    return count;
}

int condition_ring(void) {
    return -1; // or its own rings and the library's would be hard to tell apart
}

void condition_end(const struct outcome *outcome) {
    static const uint64_t ops[IOQ_STAT + 1] = {KERNEL_NOP, KERNEL_CLOSE, KERNEL_OPENAT, KERNEL_CLOSE, KERNEL_STATX};
    struct kernel_counts seen = kernel_stop();
    if (outcome->threads == 0) {
        CHECK_EQ(seen.setups, 0);
        return;
    }
    CHECK(!slow || outcome->counts.ring > 0);
    if (ringless > 0) {
        CHECK(seen.setups > ringless);
        CHECK_EQ(seen.rings, seen.setups - 1);
    }
    size_t asked = 0;
    for (size_t op = 0; op <= IOQ_STAT; ++op) {
        asked += refused & ops[op] ? outcome->for_ring[op] : 0;
    }
    if (refused && outcome->complete) {
        CHECK_EQ(seen.refused > 0, asked > 0);
    }
    CHECK(!outcome->complete || seen.submitted == seen.completed);
}
