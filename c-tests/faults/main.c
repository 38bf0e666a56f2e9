// faults KIND once|on WORKLOAD THREADS DEPTH block|poll|help
// faults any random WORKLOAD THREADS DEPTH block|poll|help
//
// Runs a workload again and again, each time in a child of its own, in which the N-th call of one kind fails, for N from 1 on, and
// for each error that such a call may have. It ends with the first N that was not reached: then nothing failed. Responses
// are popped by calls that block, or do not; or block and help, as IOQ_CALLER_RUNS allows.
//
// In every run each request that was accepted must come back once, with the right result or the very error that was
// injected into a call for it; and no memory, mapping, descriptor or thread may stay behind.

#include "../test.h"

#include "inject.h"
#include "request.h"
#include "workload.h"
#include <sys/mman.h>

static const struct workload *workload;
static struct use use;
static struct tally *tally;
static char title[128];
static unsigned long runs, faults;

// In the child.
static void run(const struct fault *fault) {
    watchdog();
    sigset_t mask_before, mask;
    CHECK_EQ(pthread_sigmask(0, NULL, &mask_before), 0);
    size_t fds_before = open_fds(), threads_before = threads();
    inject(fault, tally);
    delay_stats(workload->delay);
    workload->run(&use);
    CHECK_EQ(open_fds(), fds_before);
    ledger_check();
    CHECK_EQ(pthread_sigmask(0, NULL, &mask), 0);
    for (int signal = 1; signal < NSIG; ++signal) {
        CHECK_EQ(sigismember(&mask, signal), sigismember(&mask_before, signal));
    }
    while (threads() != threads_before) {
        sched_yield();
    }
    if (tally->faults == 0 && workload->delay > 0) {
        check_rings_used();
    }
}

// Runs the workload in a child. Returns whether something failed on purpose.
static bool run_apart(const struct fault *fault) {
    if (fault->mode == RANDOM) {
        snprintf(title, sizeof(title), "seed %lu", fault->first);
    } else {
        const char *error = fault->error == SHORT ? "submits one" : strerror(fault->error);
        const char *duration = fault->mode == ON ? "from then on" : "once";
        snprintf(title, sizeof(title), "call %lu: %s, %s", fault->first, error, duration);
    }
    test_part = title;
    *tally = (struct tally){0};

    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        run(fault);
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "%s: %s\n", title, strsignal(WTERMSIG(status)));
        _exit(1);
    } else if (WEXITSTATUS(status) == 77) {
        _exit(77);
    } else if (status != 0) {
        fprintf(stderr, "%s: failed\n", title);
        _exit(1);
    }
    ++runs;
    faults += tally->faults;
    return tally->faults > 0;
}

static size_t number(const char *arg) {
    char *end;
    unsigned long value = strtoul(arg, &end, 10);
    CHECK(end != arg && *end == '\0');
    return value;
}

// Each call, with each error.
static void run_each(struct fault fault) {
    for (const int *error = kinds[fault.kind].errors; *error; ++error) {
        fault.error = *error;
        fault.first = 0;
        do {
            ++fault.first;
        } while (run_apart(&fault));
    }
}

static void run_random(struct fault fault) {
    const char *seed = getenv("IOQ_SEED");
    unsigned long last = seed ? number(seed) : 40;
    for (fault.first = seed ? last : 1; fault.first <= last; ++fault.first) {
        run_apart(&fault);
    }
}

int main(int argc, char *argv[]) {
    CHECK_EQ(argc, 7);
    struct fault fault = {.mode = strcmp(argv[2], "random") == 0 ? RANDOM : strcmp(argv[2], "on") == 0 ? ON : ONCE};
    while (fault.mode != RANDOM && strcmp(kinds[fault.kind].name, argv[1]) != 0) {
        ++fault.kind;
        CHECK(fault.kind < KINDS);
    }
    for (workload = workloads; strcmp(workload->name, argv[3]) != 0;) {
        ++workload;
        CHECK(workload->name);
    }
    use = (struct use){
        .threads = number(argv[4]),
        .depth = number(argv[5]),
        .block = strcmp(argv[6], "poll") != 0,
        .flags = workload->flags | (strcmp(argv[6], "help") == 0 ? IOQ_CALLER_RUNS : 0),
        .inflight = workload->inflight,
    };

    if (fault.mode != RANDOM && fault.kind == COMPLETION && !completions_can_fail()) {
        skip("this kernel cannot make a ring's operations fail (Linux 6.10 can)");
    }

    tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(tally != MAP_FAILED);
    patch_library();
    make_tree();
    if (fault.mode == RANDOM) {
        run_random(fault);
    } else {
        run_each(fault);
    }
    remove_tree();
    printf("%lu runs, %lu faults\n", runs, faults);
    return 0;
}
