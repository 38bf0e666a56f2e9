// The conditions that need a scripted kernel (condition.h, ../kernel/kernel.h).

#define CHECKER_ELSEWHERE // in matrix.c

#include "condition.h"

#include "../kernel/kernel.h"
#include "random.h"

#include <ioq/dir.h>
#include <ioq/stat.h>

static struct kernel_script script;
static enum { RING, REFUSES, HANGS, BROKEN, SLOW, HOSTILE } condition;
// The operation of a queue that the ring refuses.
static enum ioq_op refused;
// The call from which on the ring takes nothing.
static unsigned int last_call;

// Some trouble that a kernel may make.
static struct kernel_rule trouble(struct random *random) {
    static const struct kernel_rule kinds[] = {
        {KERNEL_THREAD_FAILS, .value = EAGAIN},
        {KERNEL_SETUP_FAILS, .value = EMFILE},
        {KERNEL_REGISTER_FAILS, .value = EPERM},
        {KERNEL_SUBMIT_FAILS, .value = EAGAIN, .busy = 1},
        {KERNEL_SUBMIT_FAILS, .value = EBUSY, .busy = 1},
        {KERNEL_ENTER_FAILS, .value = EINTR},
        {KERNEL_TAKES, .value = 1},
        {KERNEL_TAKES, .value = 3},
        {KERNEL_INTERRUPTS, .value = 1},
        {KERNEL_HOLDS, .value = 1},
        {KERNEL_HOLDS, .value = 5},
        {KERNEL_ANSWERS, .value = EACCES},
        {KERNEL_REFUSES, .value = EPERM},
        {KERNEL_REFUSES, .value = EOPNOTSUPP, .ops = KERNEL_STATX},
        {KERNEL_REFUSES, .value = ECANCELED},
        {KERNEL_REFUSES, .value = EINTR},
    };
    struct kernel_rule rule = kinds[below(random, COUNT(kinds))];
    rule.from = (unsigned int)between(random, 1, 30);
    rule.count = (unsigned int)between(random, 1, 20);
    rule.every = (unsigned int)between(random, 1, 5);
    if (rule.event == KERNEL_THREAD_FAILS || rule.event == KERNEL_REGISTER_FAILS) {
        rule.from = (unsigned int)below(random, 3);
    } else if (rule.event == KERNEL_SETUP_FAILS) {
        rule.from = (unsigned int)between(random, 4, 8); // the first, up to four, are of ioq_create()
    }
    return rule;
}

static struct kernel_rule refusal(enum ioq_op op, struct random *random) {
    static const int errors[] = {EACCES, EPERM, EINVAL, ENOSYS, EOPNOTSUPP};
    refused = op;
    condition = REFUSES;
    return (struct kernel_rule){KERNEL_REFUSES, .value = errors[below(random, COUNT(errors))],
        .ops = op == IOQ_STAT ? KERNEL_STATX : KERNEL_OPENAT};
}

static bool choose_rules(const char *name, struct random *random) {
    static const unsigned int versions[] = {0, 0, 0x0600, 0x0513, 0x0512, 0x050b};
    if (strcmp(name, "ring") == 0) {
        condition = RING;
        script.outside = one_in(random, 3);
    } else if (strcmp(name, "no-statx") == 0) {
        script.rules[0] = refusal(IOQ_STAT, random);
    } else if (strcmp(name, "no-openat") == 0) {
        script.rules[0] = refusal(IOQ_OPENDIR, random);
    } else if (strcmp(name, "hangs") == 0) {
        condition = HANGS;
        script.stubborn = one_in(random, 2);
        script.rules[0] = (struct kernel_rule){KERNEL_HOLDS, .value = (int)between(random, 50, 200),
            .every = (unsigned int)between(random, 1, 10)};
    } else if (strcmp(name, "broken") == 0) {
        condition = BROKEN;
        script.outside = true;
        last_call = (unsigned int)between(random, 0, 10);
        script.rules[0] = (struct kernel_rule){KERNEL_ENTER_FAILS, .value = EPERM, .from = last_call};
    } else if (strcmp(name, "slow") == 0) {
        condition = SLOW;
        script.stat_delay = 100;
    } else if (strcmp(name, "hostile") == 0) {
        condition = HOSTILE;
        script.version = versions[below(random, COUNT(versions))];
        script.stubborn = one_in(random, 2);
        script.outside = one_in(random, 3);
        for (size_t i = 0; i < KERNEL_RULES; ++i) {
            script.rules[i] = trouble(random);
        }
    } else {
        return false;
    }
    return true;
}

bool condition_start(const char *name, struct setting *setting, uint64_t seed) {
    struct random random = random_stream(seed, 4);
    if (!choose_rules(name, &random)) {
        return false;
    }
    script.order = (enum kernel_order)below(&random, 3);
    script.burst = one_in(&random, 2) ? 0 : (unsigned int)between(&random, 1, 8);
    script.inflight = setting->inflight;
    script.no_descriptors = setting->no_descriptors;
    script.seed = seed;
    script.strays = true;
    kernel_start(&script);
    setting->interrupts = condition == HOSTILE;
    setting->backend = condition == SLOW ? IOQ_BACKEND_AUTO : IOQ_BACKEND_URING;
    return true;
}

// Whether the condition has come about.
static bool is_settled(struct ioq *ioq) {
    struct ioq_counts counts;
    ioq_count(ioq, &counts);
    struct kernel_counts seen = kernel_seen();
    switch (condition) {
    case RING:
        return seen.submitted > 0;
    case REFUSES:
        return seen.refused > 0;
    case HANGS:
        return seen.in_vain > 0;
    case BROKEN:
        return seen.enters > last_call;
    case SLOW:
        return counts.ring > 0;
    default:
        return true;
    }
}

// Has the queue run one request.
static void run_one(struct ioq *ioq) {
    struct bfs_stat buf;
    struct bfs_dir *dir = NULL;
    if (condition == REFUSES && refused == IOQ_OPENDIR) {
        CHECK(dir = bfs_allocdir());
        CHECK_EQ(ioq_opendir(ioq, dir, AT_FDCWD, "/", 0, NULL), 0);
    } else {
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &buf, NULL), 0);
    }
    ioq_submit(ioq);
    struct ioq_ent *ent;
    while (!(ent = ioq_pop(ioq, false))) {
        usleep(10);
    }
    CHECK_EQ(ent->result, 0);
    ioq_free(ioq, ent);
    CHECK(!dir || bfs_closedir(dir) == 0);
    free(dir);
}

size_t condition_settle(struct ioq *ioq, const struct setting *setting) {
    size_t count = 0;
    for (; setting->threads > 0 && !is_settled(ioq); ++count) {
        run_one(ioq);
    }
    return count;
}

void condition_end(const struct setting *setting, const struct outcome *outcome) {
    struct kernel_counts seen = kernel_stop();
    CHECK_EQ(seen.submitted + seen.probes + seen.cancels, seen.completed);
    if (setting->threads == 0) {
        CHECK_EQ(seen.setups, 0);
        return;
    }
    // In a hostile world there may be no threads.
    if (condition != HOSTILE && !setting->caller_runs) {
        CHECK(outcome->counts.caller <= outcome->nops);
    }
}
