// What it changes for a test program to run inside valgrind, or to contain a sanitizer: included by test.h.

#ifndef CHECKER_H
#define CHECKER_H

#include <stdbool.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

// Whether it runs inside another program, valgrind.
static inline bool in_valgrind(void) {
    const char *wrapper = getenv("IOQ_TEST_WRAPPER");
    return wrapper && *wrapper;
}

// Whether there is such a checker, which is slow and has memory, descriptors and threads of its own.
static inline bool wrapped(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#else
    return in_valgrind();
#endif
}

// Whether time passes slowly here: for such a checker, or where the processor is emulated.
static inline bool is_slow(void) {
    return wrapped() || getenv("IOQ_TEST_SLOW");
}

// How often to repeat something.
static inline size_t rounds(size_t normal) {
    return is_slow() ? (normal + 19) / 20 : normal;
}

// One file of a program is enough; the others define CHECKER_ELSEWHERE.
#if defined(__SANITIZE_ADDRESS__) && !defined(CHECKER_ELSEWHERE)

static pid_t checker_pid;

__attribute__((constructor)) static void checker_know_self(void) {
    checker_pid = getpid();
}

// Asked by LeakSanitizer at exit. A forked child has lost what its parent's other threads held; so, as in
// tests/valgrind.sh, leaks count in the program itself.
int __lsan_is_turned_off(void) {
    return getpid() != checker_pid;
}

#endif

#ifdef __SANITIZE_THREAD__

#include <dirent.h>
#include <pthread.h>
#include <signal.h>

// The threads beside the program's: the sanitizer's own, and one that does nothing.
static pid_t checkers_threads[2];

static void *checker_sleep(void *arg) {
    for (;;) {
        pause();
    }
    return arg;
}

// A child finds what every thread had done when it was forked, and cannot join any of them. The sanitizer knows nothing of
// that: it would call the child's first look a race, and its parent's threads leaked. But it lets be the children of a
// process with several threads. So there is always another. The sanitizer starts its own together with that.
__attribute__((constructor)) static void checker_start_threads(void) {
    sigset_t all, saved;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &saved);
    if (pthread_create(&thread, NULL, checker_sleep, NULL) != 0 || pthread_detach(thread) != 0) {
        abort();
    }
    pthread_sigmask(SIG_SETMASK, &saved, NULL);

    size_t count = 0;
    DIR *dir = opendir("/proc/self/task");
    for (struct dirent *de; count < 2 && (de = readdir(dir));) {
        pid_t tid = (pid_t)atoi(de->d_name);
        if (tid != 0 && tid != getpid()) {
            checkers_threads[count++] = tid;
        }
    }
    closedir(dir);
}

// Whether a thread of this process is there because of the checker.
static inline bool is_checkers_thread(pid_t tid) {
    return tid == checkers_threads[0] || tid == checkers_threads[1];
}

#else

static inline bool is_checkers_thread(pid_t tid) {
    (void)tid;
    return false;
}

#endif

#endif // CHECKER_H
