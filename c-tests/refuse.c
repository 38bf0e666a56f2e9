// refuse WHAT... PROGRAM [ARGUMENT]...: runs a program to which something is refused.
//
//     CALL=ERRNO   that system call fails so, as in a container: io_uring_setup=EPERM
//     LIMIT=NUMBER a resource limit: fds=32, memlock=0 (bytes), memory=64 (MiB of address space)
//
// This is a launcher for the test programs and no test itself.

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

// The C library's headers may be older than these calls, which have the same number on all processors.
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_getxattrat
#define SYS_getxattrat 464
#endif

struct word {
    const char *name;
    long value;
};

#define WORD(prefix, name) {#name, prefix##name}

static const struct word calls[] = {
    WORD(SYS_, io_uring_setup),
    WORD(SYS_, io_uring_enter),
    WORD(SYS_, io_uring_register),
    WORD(SYS_, statx),
    WORD(SYS_, openat2),
    WORD(SYS_, faccessat2),
    WORD(SYS_, fchmodat2),
    WORD(SYS_, getxattrat),
};

static const struct word errors[] = {{"EPERM", EPERM}, {"ENOSYS", ENOSYS}, {"EOPNOTSUPP", EOPNOTSUPP}};

static const struct word limits[] = {{"fds", RLIMIT_NOFILE}, {"memlock", RLIMIT_MEMLOCK}, {"memory", RLIMIT_AS}};

_Noreturn static void fail(const char *what) {
    perror(what);
    exit(1);
}

static const struct word *find(const struct word *words, size_t count, const char *name, size_t len) {
    for (size_t i = 0; i < count; ++i) {
        if (strlen(words[i].name) == len && memcmp(words[i].name, name, len) == 0) {
            return &words[i];
        }
    }
    return NULL;
}

// Makes one system call fail. Filters add up.
static void refuse(long call, long error) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned int)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = COUNT(code), .filter = code};

    // Without the privilege to filter, a process may do it if it promises never to gain any.
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0 &&
        (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)) {
        fprintf(stderr, "skipped: system calls cannot be filtered here\n");
        exit(77);
    }
}

static void limit(const struct word *which, const char *number) {
    rlim_t value = strtoul(number, NULL, 10) << (which->value == RLIMIT_AS ? 20 : 0);
    struct rlimit limit = {.rlim_cur = value, .rlim_max = value};
    if (setrlimit((int)which->value, &limit) != 0) {
        fail(which->name);
    }
}

// Takes one argument, or returns false if it is the program.
static bool take(const char *argument) {
    const char *value = strchr(argument, '=');
    if (!value) {
        return false;
    }
    size_t len = (size_t)(value++ - argument);
    const struct word *call = find(calls, COUNT(calls), argument, len);
    const struct word *error = find(errors, COUNT(errors), value, strlen(value));
    const struct word *resource = find(limits, COUNT(limits), argument, len);
    if (call && error) {
        refuse(call->value, error->value);
    } else if (resource) {
        limit(resource, value);
    } else {
        errno = EINVAL;
        fail(argument);
    }
    return true;
}

int main(int argc, char *argv[]) {
    int i = 1;
    while (i < argc && take(argv[i])) {
        ++i;
    }
    if (i == argc) {
        fprintf(stderr, "usage: %s WHAT... PROGRAM [ARGUMENT]...\n", argv[0]);
        return 1;
    }
    execvp(argv[i], argv + i);
    fail(argv[i]);
}
