// Random scripts, made from a seed: the load must be done whatever comes together in one.
//
// Without an argument it lists the seeds: IOQ_KERNEL_SEEDS (300) from IOQ_KERNEL_FIRST (1) on. Any other can be given as
// well: `random seed-12345`.

#include "cases.h"
#include "load.h"

static uint64_t seed, state;

static unsigned int below(size_t limit) {
    return (unsigned int)random_below(&state, limit);
}

static int one_of(const int values[], size_t count) {
    return values[below(count)];
}

// A rule about calls: failing ones come to an end, or leave the completions to come from outside.
static struct kernel_rule call_rule(const struct kernel_script *script) {
    static const int errors[] = {EAGAIN, EBUSY, EINTR, ENOMEM, EBADF, ENXIO, EPERM};
    struct kernel_rule rule = {.from = below(8), .count = below(3) ? 1 + below(30) : 0, .every = below(4),
        .busy = below(3) ? 0 : below(40)};
    switch (below(4)) {
    case 0:
        rule.event = KERNEL_SUBMIT_FAILS;
        rule.value = one_of(errors, COUNT(errors));
        break;
    case 1:
        rule.event = KERNEL_ENTER_FAILS;
        rule.value = one_of(errors, COUNT(errors));
        if (rule.count == 0 && !script->outside) {
            rule.count = 20;
        }
        break;
    case 2:
        rule.event = KERNEL_TAKES;
        rule.value = (int)below(8);
        break;
    case 3:
        rule.event = KERNEL_INTERRUPTS;
        rule.value = 1;
        break;
    }
    // Whoever retries what was interrupted cannot but spin if it is so for ever.
    if (rule.count == 0 && (rule.event == KERNEL_INTERRUPTS ? script->outside : rule.value == EINTR)) {
        rule.count = 50;
    }
    return rule;
}

// A rule about submissions.
static struct kernel_rule request_rule(void) {
    static const int refusals[] = {EOPNOTSUPP, EACCES, EINVAL, ENOSYS, EPERM, ECANCELED, EINTR};
    static const uint64_t ops[] = {0, KERNEL_OPENAT, KERNEL_OPENAT2, KERNEL_STATX, KERNEL_CHANGES};
    struct kernel_rule rule = {.from = below(60), .count = below(2) ? 0 : 1 + below(50), .every = below(5),
        .value = one_of(refusals, COUNT(refusals)), .ops = ops[below(COUNT(ops))]};
    switch (below(4)) {
    case 0:
        rule.event = KERNEL_HOLDS;
        rule.value = (int)below(below(3) ? 60 : 600);
        break;
    case 1:
        rule.event = KERNEL_ANSWERS;
        break;
    default:
        rule.event = KERNEL_REFUSES;
        break;
    }
    return rule;
}

// A rule about what comes before a ring can be used. The first setup is the queue's own attempt.
static struct kernel_rule start_rule(void) {
    static const int errors[] = {EMFILE, ENOMEM, EPERM, EINVAL};
    struct kernel_rule rule = {.value = one_of(errors, COUNT(errors)), .from = below(4), .count = 1 + below(3)};
    switch (below(4)) {
    case 0:
        rule.event = KERNEL_THREAD_FAILS;
        break;
    case 1:
        rule.event = KERNEL_SETUP_FAILS;
        rule.from += 4;
        break;
    case 2:
        rule.event = KERNEL_MAPS_NOTHING;
        break;
    default:
        rule.event = KERNEL_REGISTER_FAILS;
        break;
    }
    return rule;
}

static struct kernel_script make_script(void) {
    static const int versions[] = {0x0601, 0x0601, 0x0601, 0x0600, 0x0513, 0x0512, 0x050b};
    static const size_t bounds[] = {0, 0, 1, 2, 10, 64, 500};
    struct kernel_script script = {.version = (unsigned int)one_of(versions, COUNT(versions)),
        .order = (enum kernel_order)below(3), .burst = below(2) ? 0 : 1 + below(20), .outside = below(3) == 0,
        .stubborn = below(2), .entries = below(4) ? 0 : 16U << below(6), .inflight = bounds[below(COUNT(bounds))],
        .seed = seed};
    size_t rules = 0;
    for (unsigned int calls = below(4); calls > 0; --calls) {
        script.rules[rules++] = call_rule(&script);
    }
    for (unsigned int requests = below(4); requests > 0; --requests) {
        script.rules[rules++] = request_rule();
    }
    if (below(4) == 0) {
        script.rules[rules++] = start_rule();
    }
    return script;
}

static void run(void) {
    state = seed * 0x9E3779B97F4A7C15 + 1;
    for (int i = 0; i < 8; ++i) {
        below(1); // lets the bits of small seeds mix
    }
    struct kernel_script script = make_script();
    struct load load = {.depth = 1 + below(400), .threads = 1 + below(4), .total = 100 + below(800),
        .inflight = script.inflight, .block = below(2), .caller_runs = below(4) == 0, .cancels = below(3) == 0,
        .end = (enum load_end)below(3), .seed = seed};
    kernel_start(&script);
    struct load_outcome outcome = load_run(&load);
    struct kernel_counts seen = kernel_stop();
    CHECK(seen.submitted <= outcome.named);
    CHECK_EQ(seen.submitted + seen.probes + seen.cancels, seen.completed);
    // Each call took something, waited, or was interrupted or failed as a rule wanted it.
    CHECK(seen.enters - seen.in_vain <= 10 * load.total + 1000);
}

static uint64_t number(const char *variable, uint64_t otherwise) {
    const char *value = getenv(variable);
    return value ? strtoull(value, NULL, 10) : otherwise;
}

int main(int argc, char *argv[]) {
    if (argc < 2) {
        uint64_t first = number("IOQ_KERNEL_FIRST", 1), seeds = number("IOQ_KERNEL_SEEDS", 300);
        for (uint64_t i = first; i < first + seeds; ++i) {
            printf("seed-%llu\n", (unsigned long long)i);
        }
        return 0;
    }
    unsigned long long given;
    if (sscanf(argv[1], "seed-%llu", &given) != 1) {
        return 2;
    }
    seed = given;
    load_make_files();
    run_case(argv[1], run);
    load_remove_files();
    return 0;
}
