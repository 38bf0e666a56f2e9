// The conditions that this machine's kernel is good for (condition.h).

#define CHECKER_ELSEWHERE // in matrix.c

#include "condition.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

static bool refused;

// From here on the kernel refuses to set up an io_uring, for one of the reasons that it may have.
static void refuse_rings(uint64_t seed) {
    static const int reasons[] = {EPERM, ENOSYS, ENOMEM, EMFILE, EACCES, EINVAL, EAGAIN};
    int reason = reasons[seed % COUNT(reasons)];
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned int)reason),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = COUNT(code), .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        skip("system calls cannot be filtered here");
    }
    // The question itself has EINVAL for an answer where rings may be had.
    CHECK(ring_errno() == reason || reason == EINVAL);
}

bool condition_start(const char *name, struct setting *setting, uint64_t seed) {
    static const struct {
        const char *name;
        enum ioq_backend backend;
    } conditions[] = {{"auto", IOQ_BACKEND_AUTO}, {"uring", IOQ_BACKEND_URING}, {"sync", IOQ_BACKEND_SYNC},
        {"refused", IOQ_BACKEND_AUTO}};
    for (size_t i = 0; i < COUNT(conditions); ++i) {
        if (strcmp(name, conditions[i].name) == 0) {
            setting->backend = conditions[i].backend;
            refused = strcmp(name, "refused") == 0;
            if (refused) {
                refuse_rings(seed);
            }
            return true;
        }
    }
    return false;
}

size_t condition_settle(struct ioq *ioq, const struct setting *setting) {
    (void)ioq, (void)setting;
    return 0;
}

void condition_end(const struct setting *setting, const struct outcome *outcome) {
    if (refused || setting->backend == IOQ_BACKEND_SYNC) {
        CHECK_EQ(outcome->counts.ring, 0);
    }
    // Threads can be had, so the caller runs what never waits, or what it was asked to run.
    if (setting->threads > 0 && !setting->caller_runs) {
        CHECK(outcome->counts.caller <= outcome->nops);
    }
}
