// The whole load on each of the scripts, four ways: with one worker and with three, cancelled and destroyed on the way.
// Whatever the kernel does, each request comes back once with the right result, nothing stays open, and the number of
// calls stays within bounds.

#include "cases.h"
#include "load.h"

struct scripted {
    const char *name;
    struct kernel_script script;
    // No request can go through a ring.
    bool unused;
    // Calls that the script wants repeated at once.
    size_t storm;
};

#define RULES(...) .script = {.rules = {__VA_ARGS__}}
#define ALWAYS(event, number) {event, .value = (number)}

static const struct scripted scripts[] = {
    {.name = "good"},

    // Setting up. The first is the queue's own attempt.
    {"setup-fails-emfile", RULES({KERNEL_SETUP_FAILS, .value = EMFILE, .from = 1}), .unused = true},
    {"setup-fails-enomem", RULES({KERNEL_SETUP_FAILS, .value = ENOMEM, .from = 1}), .unused = true},
    {"setup-fails-einval", RULES({KERNEL_SETUP_FAILS, .value = EINVAL, .from = 1}), .unused = true},
    {"setup-fails-for-the-second-worker", RULES({KERNEL_SETUP_FAILS, .value = EPERM, .from = 2, .count = 1})},
    {"setup-fails-for-all-but-one", RULES({KERNEL_SETUP_FAILS, .value = ENOSYS, .from = 2})},
    {"maps-nothing", RULES({KERNEL_MAPS_NOTHING, .value = 1, .from = 1}), .unused = true},
    {"linux-5.1", .script = {.version = 0x0501}},
    {"linux-5.4", .script = {.version = 0x0504}},
    {"linux-5.6", .script = {.version = 0x0506}},
    {"linux-5.18", .script = {.version = 0x0512}},
    {"linux-5.19", .script = {.version = 0x0513}},
    {"linux-6.0", .script = {.version = 0x0600}},

    // Registering and enabling. A ring whose number is free or somebody else's is not to be used.
    {"register-refused", RULES(ALWAYS(KERNEL_REGISTER_FAILS, EPERM))},
    {"register-refused-to-the-second-worker", RULES({KERNEL_REGISTER_FAILS, .value = EOPNOTSUPP, .ring = 3})},
    {"registering-fails-enomem", RULES({KERNEL_REGISTER_FAILS, .value = ENOMEM, .count = 1})},
    {"registering-fails-ebadf", RULES({KERNEL_REGISTER_FAILS, .value = EBADF, .count = 1}), .unused = true},
    {"registering-fails-eexist", RULES({KERNEL_REGISTER_FAILS, .value = EEXIST, .count = 1}), .unused = true},
    {"enabling-fails-ebadfd", RULES({KERNEL_REGISTER_FAILS, .value = EBADFD, .from = 1}), .unused = true},
    {"enabling-fails-ebadfd-for-the-second-worker",
        RULES({KERNEL_REGISTER_FAILS, .value = EBADFD, .from = 1, .ring = 3})},

    // Short submissions.
    {"takes-one", RULES(ALWAYS(KERNEL_TAKES, 1))},
    {"takes-two", RULES(ALWAYS(KERNEL_TAKES, 2))},
    {"takes-none-now-and-then", RULES({KERNEL_TAKES, .value = 0, .every = 2})},
    {"takes-none-ever", RULES(ALWAYS(KERNEL_TAKES, 0)), .unused = true},
    {"takes-none-after-some", RULES({KERNEL_TAKES, .value = 5, .count = 6}, ALWAYS(KERNEL_TAKES, 0))},
    {"takes-none-while-busy", RULES({KERNEL_TAKES, .value = 0, .busy = 4}, {KERNEL_TAKES, .value = 3},
        {KERNEL_HOLDS, .value = 3})},

    // Failing calls.
    {"eagain-now-and-then", RULES({KERNEL_SUBMIT_FAILS, .value = EAGAIN, .every = 3})},
    {"eagain-while-busy", RULES({KERNEL_SUBMIT_FAILS, .value = EAGAIN, .busy = 1}, {KERNEL_TAKES, .value = 7})},
    {"eagain-forever", RULES(ALWAYS(KERNEL_SUBMIT_FAILS, EAGAIN)), .unused = true},
    {"eagain-after-some", RULES({KERNEL_SUBMIT_FAILS, .value = EAGAIN, .from = 3}, ALWAYS(KERNEL_HOLDS, 4))},
    {"ebusy-now-and-then", RULES({KERNEL_SUBMIT_FAILS, .value = EBUSY, .every = 2})},
    {"ebusy-while-busy", RULES({KERNEL_SUBMIT_FAILS, .value = EBUSY, .busy = 1}, {KERNEL_TAKES, .value = 7})},
    {"ebusy-forever", RULES(ALWAYS(KERNEL_SUBMIT_FAILS, EBUSY)), .unused = true},
    {"ebusy-after-some-even-for-waiting", RULES({KERNEL_ENTER_FAILS, .value = EBUSY, .from = 4, .count = 20},
        {KERNEL_TAKES, .value = 9}, ALWAYS(KERNEL_HOLDS, 2))},
    {"enomem-forever", RULES(ALWAYS(KERNEL_ENTER_FAILS, ENOMEM)), .unused = true},
    {"ebadf-forever", RULES(ALWAYS(KERNEL_ENTER_FAILS, EBADF)), .unused = true},
    {"enxio-after-some", .script = {.outside = true, .rules = {{KERNEL_ENTER_FAILS, .value = ENXIO, .from = 5}}}},
    {"ebadf-with-work-in-flight", .script = {.outside = true,
        .rules = {{KERNEL_ENTER_FAILS, .value = EBADF, .from = 2}, {KERNEL_TAKES, .value = 20}}}},
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
    {"outside", .script = {.outside = true, .order = KERNEL_RANDOM}},
    {"outside-one-at-a-time", .script = {.outside = true, .burst = 1}},
    {"outside-linux-5.18", .script = {.outside = true, .version = 0x0512, .order = KERNEL_REVERSE}},
    {"outside-linux-5.4", .script = {.outside = true, .version = 0x0504, .rules = {{KERNEL_TAKES, .value = 3}}}},

    // Refused operations.
    {"refuses-statx-eopnotsupp", RULES({KERNEL_REFUSES, .value = EOPNOTSUPP, .ops = KERNEL_STATX})},
    {"refuses-statx-later", RULES({KERNEL_REFUSES, .value = EACCES, .ops = KERNEL_STATX, .from = 50})},
    {"refuses-openat-eacces", RULES({KERNEL_REFUSES, .value = EACCES, .ops = KERNEL_OPENAT})},
    {"refuses-openat-later", RULES({KERNEL_REFUSES, .value = EPERM, .ops = KERNEL_OPENAT, .from = 30})},
    {"refuses-close-einval", RULES({KERNEL_REFUSES, .value = EINVAL, .ops = KERNEL_CLOSE})},
    {"refuses-close-later", RULES({KERNEL_REFUSES, .value = EACCES, .ops = KERNEL_CLOSE, .from = 40})},
    {"refuses-nop-enosys", RULES({KERNEL_REFUSES, .value = ENOSYS, .ops = KERNEL_NOP})},
    {"refuses-all-eperm", RULES(ALWAYS(KERNEL_REFUSES, EPERM))},
    {"refuses-all-later", RULES({KERNEL_REFUSES, .value = EINVAL, .from = 33})},
    {"refuses-some", RULES({KERNEL_REFUSES, .value = EOPNOTSUPP, .every = 3, .ops = KERNEL_OPENAT | KERNEL_STATX})},
    {"cancels-some", RULES({KERNEL_REFUSES, .value = ECANCELED, .every = 3})},
    {"cancels-all", RULES(ALWAYS(KERNEL_REFUSES, ECANCELED))},
    {"interrupts-some-openats", RULES({KERNEL_REFUSES, .value = EINTR, .every = 3, .ops = KERNEL_OPENAT})},
    {"interrupts-some-statxs", RULES({KERNEL_REFUSES, .value = EINTR, .every = 3, .ops = KERNEL_STATX})},
};

static const struct {
    const char *name;
    struct load load;
} loads[] = {
    {"one-worker", {.depth = 128, .threads = 1, .total = 600, .block = true, .end = DRAINED}},
    {"three-workers", {.depth = 300, .threads = 3, .total = 1200, .block = false, .end = DRAINED}},
    {"cancelled", {.depth = 200, .threads = 2, .total = 800, .block = true, .end = CANCELLED}},
    {"destroyed", {.depth = 200, .threads = 2, .total = 800, .block = false, .end = DESTROYED}},
};

static const struct scripted *chosen;
static const struct load *chosen_load;

static void run(void) {
    kernel_start(&chosen->script);
    struct ioq_counts counts = load_run(chosen_load);
    struct kernel_counts kernel = kernel_stop();

    CHECK_EQ(kernel.submitted, kernel.completed);
    CHECK(chosen->unused ? kernel.submitted == 0 : kernel.submitted > 0);
    if (chosen_load->end == DRAINED) {
        CHECK_EQ(counts.ring + counts.worker, chosen_load->total);
        // A close that was refused is tried on another descriptor.
        CHECK(kernel.submitted <= counts.ring + kernel.refused);
    }
    // Hot spinning would be hundreds of calls for each request, and with nothing in flight dozens for each ring.
    size_t storms = chosen->storm * chosen_load->threads;
    CHECK(kernel.enters <= 8 * chosen_load->total + storms);
    CHECK(kernel.idle <= kernel.submitted + counts.worker + 16 * chosen_load->threads + storms);
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
                chosen_load = &loads[j].load;
                load_make_files();
                run_case(argv[1], run);
                load_remove_files();
                return 0;
            }
        }
    }
    return argc < 2 ? 0 : 2;
}
