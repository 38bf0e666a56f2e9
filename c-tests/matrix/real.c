// The conditions that this machine's kernel is good for (condition.h).

#define CHECKER_ELSEWHERE // in matrix.c

#include "condition.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

static const char *condition;

static bool condition_is(const char *name) {
    return strcmp(condition, name) == 0;
}

// From here on the kernel refuses to set up an io_uring, for one of the reasons that it may have.
static void refuse_rings(uint64_t seed) {
    static const int reasons[] = {EPERM, ENOSYS, ENOMEM, EMFILE, EACCES, EINVAL, EAGAIN};
    unsigned int reason = (unsigned int)reasons[seed % COUNT(reasons)];
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | reason),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = COUNT(code), .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        skip("system calls cannot be filtered here");
    }
    CHECK_EQ(ring_errno(), reason);
}

const char *condition_start(const char *name, size_t threads, size_t depth, uint64_t seed) {
    (void)threads, (void)depth;
    condition = name;
    if (condition_is("refused")) {
        refuse_rings(seed);
        return "auto";
    }
    return condition_is("auto") || condition_is("uring") || condition_is("sync") ? name : NULL;
}

size_t condition_settle(struct ioq *ioq, size_t threads) {
    (void)ioq, (void)threads;
    return 0;
}

int condition_ring(void) {
    uint32_t params[30] = {0}; // struct io_uring_params
    return (int)syscall(SYS_io_uring_setup, 2, params);
}

void condition_end(const struct outcome *outcome) {
    const struct ioq_counts *counts = &outcome->counts;
    if (condition_is("sync") || condition_is("refused") || outcome->threads == 0) {
        CHECK_EQ(counts->ring, 0);
    }
    if (outcome->threads == 0) {
        CHECK_EQ(counts->worker, 0);
    } else if (condition_is("uring") && outcome->complete) {
        // Everything that a ring can do.
        size_t for_ring = 0;
        for (size_t op = 0; op <= IOQ_STAT; ++op) {
            for_ring += outcome->for_ring[op];
        }
        CHECK_EQ(counts->ring, for_ring);
        CHECK_EQ(counts->caller, 0);
    }
}
