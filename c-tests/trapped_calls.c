// A program that handles the signals of a thread's own instructions, on the workers too: it emulates system calls that a
// filter traps, as sandboxes do, or its own functions read a file through its mapping and it is cut short.

#define HOST_DIR
#define HOST_READDIR
#include "host.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <ucontext.h>

static const int synchronous[] = {SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};

static _Thread_local sigjmp_buf back;
static atomic_size_t handled;

struct bfs_stat {
    int signal;
};

int bfs_stat(int at_fd, const char *at_path, unsigned int flags, struct bfs_stat *buf);

// Raises a signal in this thread, and survives that.
int bfs_stat(int at_fd, const char *at_path, unsigned int flags, struct bfs_stat *buf) {
    (void)at_fd, (void)at_path;
    if (flags == SIGBUS) {
        // Beyond the end of the file.
        int fd = openat(root_fd, "file", O_RDONLY | O_CLOEXEC);
        long page = sysconf(_SC_PAGESIZE);
        volatile char *map = mmap(NULL, (size_t)page * 2, PROT_READ, MAP_SHARED, fd, 0);
        CHECK(map != MAP_FAILED);
        close(fd);
        if (sigsetjmp(back, 1) == 0) {
            (void)map[page];
            _exit(1);
        }
        munmap((void *)map, (size_t)page * 2);
    } else if (sigsetjmp(back, 1) == 0) {
        pthread_kill(pthread_self(), (int)flags);
        _exit(1);
    }
    buf->signal = (int)flags;
    return 0;
}

static void jump(int sig) {
    (void)sig;
    ++handled;
    siglongjmp(back, 1);
}

static void are_handled(struct ioq *ioq) {
    for (size_t i = 0; i < COUNT(synchronous); ++i) {
        int sig = synchronous[i];
        struct sigaction action = {.sa_handler = jump}, before;
        CHECK_EQ(sigaction(sig, &action, &before), 0);
        struct bfs_stat buf = {0};
        size_t was = handled;
        CHECK_EQ(ioq_stat(ioq, root_fd, NULL, (unsigned int)sig, &buf, &buf), 0);
        CHECK_EQ(take(ioq, IOQ_STAT, &buf), 0);
        CHECK_EQ(buf.signal, sig);
        CHECK_EQ(handled, was + 1);
        CHECK_EQ(sigaction(sig, &before, NULL), 0);
    }
}

#ifdef __x86_64__
static void emulate(int sig, siginfo_t *info, void *context) {
    (void)sig;
    CHECK_EQ(info->si_syscall, SYS_getppid);
    ++handled;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = 1;
}

// For good, traps the system call of a heavy no-op.
static void trapped(void) {
    struct sigaction action = {.sa_sigaction = emulate, .sa_flags = SA_SIGINFO};
    CHECK_EQ(sigaction(SIGSYS, &action, NULL), 0);
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = COUNT(code), .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        return;
    }
    struct ioq *ioq = create(16, 1);
    handled = 0;
    for (size_t i = 0; i < 16; ++i) {
        CHECK_EQ(ioq_nop(ioq, IOQ_NOP_HEAVY, NULL), 0);
    }
    ioq_submit(ioq);
    for (size_t i = 0; i < 16; ++i) {
        struct ioq_ent *ent;
        while (!(ent = ioq_pop(ioq, false))) {
            sched_yield();
        }
        CHECK_EQ(ent->result, 0);
        ioq_free(ioq, ent);
    }
    CHECK_EQ(handled, 16);
    ioq_destroy(ioq);
}

static void are_emulated(void) {
    CHECK_EQ(in_child(trapped), 0);
}
#endif

int main(void) {
    make_tree();
    if (!wrapped()) { // a checker has such signals for itself
        RUN_EACH_WAY(are_handled);
#ifdef __x86_64__
        RUN(are_emulated);
#endif
    }
    remove_temp_dir(root, root_fd);
    return 0;
}
