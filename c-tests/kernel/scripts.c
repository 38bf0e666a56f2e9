// The whole load on each of the scripts, four ways: with one worker and with three, cancelled and destroyed on the way.
// Whatever the kernel does, each request comes back once with the right result, nothing stays open, and the number of
// calls stays within bounds.

#include "cases.h"
#include "load.h"

struct scripted {
    const char *name;
    struct kernel_script script;
    // Whether requests go through the ring: some do, none does, or as it happens.
    enum { SOME, NONE, ANY } use;
    // Calls that the script wants repeated at once.
    size_t storm;
};

#define RULES(...) .script = {.rules = {__VA_ARGS__}}
#define ALWAYS(event, number) {event, .value = (number)}

static const struct scripted scripts[] = {
    {.name = "good"},

    // Starting the driver.
    {"driver-fails-to-start-at-first", RULES({KERNEL_THREAD_FAILS, .value = EAGAIN, .count = 1}), .use = ANY},
    {"threads-fail-to-start-now-and-then", RULES({KERNEL_THREAD_FAILS, .value = ENOMEM, .count = 4, .every = 2}), .use = ANY},
    {"workers-fail-to-start-at-first", RULES({KERNEL_THREAD_FAILS, .value = EAGAIN, .from = 1, .count = 4}), .use = SOME},

    // Setting up. The first is the queue's own attempt.
    {"setup-fails-at-first", RULES({KERNEL_SETUP_FAILS, .value = EPERM, .from = 1, .count = 1}), .use = ANY},
    {"setup-fails-emfile", RULES({KERNEL_SETUP_FAILS, .value = EMFILE, .from = 1}), .use = NONE},
    {"setup-fails-enomem", RULES({KERNEL_SETUP_FAILS, .value = ENOMEM, .from = 1}), .use = NONE},
    {"setup-fails-einval", RULES({KERNEL_SETUP_FAILS, .value = EINVAL, .from = 1}), .use = NONE},
    {"maps-nothing", RULES({KERNEL_MAPS_NOTHING, .value = 1, .from = 1}), .use = NONE},
    {"linux-5.11", .script = {.version = 0x050b}},
    {"linux-5.18", .script = {.version = 0x0512}},
    {"linux-5.19", .script = {.version = 0x0513}},
    {"linux-6.0", .script = {.version = 0x0600}},
    {"few-entries", .script = {.entries = 16}},
    {"inflight-1", .script = {.inflight = 1}},
    {"inflight-3", .script = {.inflight = 3, .order = KERNEL_REVERSE}},
    {"inflight-500", .script = {.inflight = 500, .outside = true}},

    // Registering and enabling. A ring whose number is free or somebody else's is not to be used.
    {"register-refused", RULES(ALWAYS(KERNEL_REGISTER_FAILS, EPERM))},
    {"registering-fails-enomem", RULES({KERNEL_REGISTER_FAILS, .value = ENOMEM, .count = 1})},
    {"limiting-workers-fails", RULES({KERNEL_REGISTER_FAILS, .value = EINVAL, .from = 2})},
    {"loses-its-descriptor-unmapped", RULES({KERNEL_LOSES_UNMAPPED, .value = 1, .from = 1}), .use = NONE},
    {"loses-its-descriptor", RULES(ALWAYS(KERNEL_LOSES, KERNEL_FREES)), .use = NONE},
    {"loses-its-descriptor-to-another-ring", RULES(ALWAYS(KERNEL_LOSES, KERNEL_REPLACES)), .use = NONE},
    {"loses-its-descriptor-once-registered",
        RULES({KERNEL_LOSES, .value = KERNEL_FREES, .from = 1, .every = 2}), .use = NONE},

    // Short submissions.
    {"takes-one", RULES(ALWAYS(KERNEL_TAKES, 1))},
    {"takes-two", RULES(ALWAYS(KERNEL_TAKES, 2))},
    {"takes-none-now-and-then", RULES({KERNEL_TAKES, .value = 0, .every = 2})},
    {"takes-none-ever", RULES(ALWAYS(KERNEL_TAKES, 0)), .use = NONE},
    {"takes-none-after-some", RULES({KERNEL_TAKES, .value = 5, .count = 6}, ALWAYS(KERNEL_TAKES, 0))},
    {"takes-none-while-busy", RULES({KERNEL_TAKES, .value = 0, .busy = 4}, {KERNEL_TAKES, .value = 3},
        {KERNEL_HOLDS, .value = 3})},

    // Failing calls.
    {"eagain-now-and-then", RULES({KERNEL_SUBMIT_FAILS, .value = EAGAIN, .every = 3})},
    {"eagain-while-busy", RULES({KERNEL_SUBMIT_FAILS, .value = EAGAIN, .busy = 1}, {KERNEL_TAKES, .value = 7})},
    {"eagain-forever", RULES(ALWAYS(KERNEL_SUBMIT_FAILS, EAGAIN)), .use = NONE},
    {"eagain-after-some", RULES({KERNEL_SUBMIT_FAILS, .value = EAGAIN, .from = 3}, ALWAYS(KERNEL_HOLDS, 4))},
    {"ebusy-now-and-then", RULES({KERNEL_SUBMIT_FAILS, .value = EBUSY, .every = 2})},
    {"ebusy-while-busy", RULES({KERNEL_SUBMIT_FAILS, .value = EBUSY, .busy = 1}, {KERNEL_TAKES, .value = 7})},
    {"ebusy-forever", RULES(ALWAYS(KERNEL_SUBMIT_FAILS, EBUSY)), .use = NONE},
    {"ebusy-after-some-even-for-waiting", RULES({KERNEL_ENTER_FAILS, .value = EBUSY, .from = 4, .count = 20},
        {KERNEL_TAKES, .value = 9}, ALWAYS(KERNEL_HOLDS, 2))},
    {"enomem-forever", RULES(ALWAYS(KERNEL_ENTER_FAILS, ENOMEM)), .use = NONE},
    {"ebadf-forever", RULES(ALWAYS(KERNEL_ENTER_FAILS, EBADF)), .use = NONE},
    {"enxio-after-some", .script = {.outside = true, .rules = {{KERNEL_ENTER_FAILS, .value = ENXIO, .from = 5}}}},
    {"eperm-with-work-in-flight", .script = {.outside = true,
        .rules = {{KERNEL_ENTER_FAILS, .value = EPERM, .from = 2}, {KERNEL_TAKES, .value = 20}}}},
    {"eintr-storm", RULES({KERNEL_ENTER_FAILS, .value = EINTR, .count = 300}), .storm = 300},
    {"eintr-storm-with-work-in-flight", RULES({KERNEL_ENTER_FAILS, .value = EINTR, .from = 2, .count = 500},
        {KERNEL_TAKES, .value = 10}, ALWAYS(KERNEL_HOLDS, 20)), .storm = 500},
    {"waits-interrupted", RULES(ALWAYS(KERNEL_INTERRUPTS, 1), ALWAYS(KERNEL_HOLDS, 5))},

    // Late and reordered completions.
    {"reverse", .script = {.order = KERNEL_REVERSE}},
    {"random-order", .script = {.order = KERNEL_RANDOM, .seed = 5}},
    {"one-at-a-time", .script = {.burst = 1, .order = KERNEL_REVERSE}},
    {"bursts", .script = {.burst = 7, .order = KERNEL_RANDOM}},
    {"held-back", RULES(ALWAYS(KERNEL_HOLDS, 3))},
    {"some-held-back", RULES({KERNEL_HOLDS, .value = 40, .every = 5})},
    {"some-held-back-for-long", RULES({KERNEL_HOLDS, .value = 1000, .from = 20, .count = 8})},
    {"some-cannot-be-interrupted", .script = {.stubborn = true, .rules = {{KERNEL_HOLDS, .value = 300, .every = 20}}}},
    {"outside", .script = {.outside = true, .order = KERNEL_RANDOM}},
    {"outside-linux-5.18", .script = {.outside = true, .version = 0x0512, .order = KERNEL_REVERSE}},
    {"outside-linux-5.11", .script = {.outside = true, .version = 0x050b, .rules = {{KERNEL_TAKES, .value = 3}}}},

    // Refused operations, and answers that look like that.
    {"refuses-statx-eopnotsupp", RULES({KERNEL_REFUSES, .value = EOPNOTSUPP, .ops = KERNEL_STATX})},
    {"refuses-statx-later", RULES({KERNEL_REFUSES, .value = EACCES, .ops = KERNEL_STATX, .from = 50})},
    {"refuses-openat-eacces", RULES({KERNEL_REFUSES, .value = EACCES, .ops = KERNEL_OPENAT})},
    {"refuses-openat-later", RULES({KERNEL_REFUSES, .value = EPERM, .ops = KERNEL_OPENAT, .from = 30})},
    {"refuses-openat2-enosys", RULES({KERNEL_REFUSES, .value = ENOSYS, .ops = KERNEL_OPENAT2})},
    {"refuses-all-enosys", RULES(ALWAYS(KERNEL_REFUSES, ENOSYS))},
    {"refuses-all-later", RULES({KERNEL_REFUSES, .value = EINVAL, .from = 33})},
    {"refuses-some", RULES({KERNEL_REFUSES, .value = EOPNOTSUPP, .every = 3})},
    {"refuses-some-linux-5.11",
        .script = {.version = 0x050b, .rules = {{KERNEL_REFUSES, .value = EINVAL, .every = 3, .count = 90}}}},
    {"answers-some-eacces", RULES({KERNEL_ANSWERS, .value = EACCES, .every = 4})},
    {"answers-all-eperm", RULES(ALWAYS(KERNEL_ANSWERS, EPERM))},
    {"cancels-some", RULES({KERNEL_REFUSES, .value = ECANCELED, .every = 3})},
    {"cancels-all", RULES(ALWAYS(KERNEL_REFUSES, ECANCELED))},
    {"interrupts-some-openats", RULES({KERNEL_REFUSES, .value = EINTR, .every = 3, .ops = KERNEL_OPENAT})},
    {"interrupts-some-openat2s", RULES({KERNEL_REFUSES, .value = EINTR, .every = 3, .ops = KERNEL_OPENAT2})},
    {"interrupts-some-statxs", RULES({KERNEL_REFUSES, .value = EINTR, .every = 3, .ops = KERNEL_STATX})},
};

static const struct {
    const char *name;
    struct load load;
} loads[] = {
    {"one-worker", {.depth = 128, .threads = 1, .total = 600, .block = true, .end = DRAINED}},
    {"three-workers", {.depth = 300, .threads = 3, .total = 1200, .block = false, .cancels = true, .end = DRAINED}},
    {"cancelled", {.depth = 200, .threads = 2, .total = 800, .block = true, .end = CANCELLED}},
    {"destroyed", {.depth = 200, .threads = 2, .total = 800, .block = false, .end = DESTROYED}},
};

static const struct scripted *chosen;
static struct load load;

static void check_use(const struct load_outcome *outcome, const struct kernel_counts *kernel) {
    CHECK(kernel->submitted <= outcome->named);
    CHECK(chosen->use == ANY || (kernel->submitted > 0) == (chosen->use == SOME));
    const struct ioq_counts *counts = &outcome->counts;
    if (load.end == DRAINED) {
        CHECK_EQ(counts->ring + counts->worker + counts->caller, load.total);
        CHECK(counts->ring <= kernel->submitted + outcome->nops);
    }
}

static void run(void) {
    kernel_start(&chosen->script);
    load.inflight = chosen->script.inflight;
    struct load_outcome outcome = load_run(&load);
    struct kernel_counts kernel = kernel_stop();

    check_use(&outcome, &kernel);
    CHECK_EQ(kernel.submitted + kernel.probes + kernel.cancels, kernel.completed);
    // One of the queue's own, and those that were tried before.
    CHECK(kernel.rings <= 3 || chosen->use != SOME);
    // Hot spinning would be hundreds of calls for each request, and with nothing in flight dozens for each ring.
    CHECK(kernel.enters - kernel.in_vain <= 8 * load.total + chosen->storm);
    CHECK(kernel.idle <= kernel.submitted + 16 + chosen->storm);
}

int main(int argc, char *argv[]) {
    for (size_t i = 0; i < COUNT(scripts); ++i) {
        for (size_t j = 0; j < COUNT(loads); ++j) {
            char name[128];
            snprintf(name, sizeof(name), "%s::%s", scripts[i].name, loads[j].name);
            if (argc < 2) {
                puts(name);
            } else if (strcmp(argv[1], name) == 0) {
                chosen = &scripts[i];
                load = loads[j].load;
                load_make_files();
                run_case(argv[1], run);
                load_remove_files();
                return 0;
            }
        }
    }
    return argc < 2 ? 0 : 2;
}
