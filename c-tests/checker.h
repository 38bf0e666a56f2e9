// What it changes for a test program to run inside valgrind, or to contain a sanitizer: included by test.h.

#ifndef CHECKER_H
#define CHECKER_H

#include <stdbool.h>
#include <stdlib.h>
#include <sys/types.h>

// Whether there is such a checker, which is slow and has memory, descriptors and threads of its own.
static inline bool wrapped(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#else
    const char *wrapper = getenv("IOQ_TEST_WRAPPER");
    return wrapper && *wrapper;
#endif
}

// How often to repeat something.
static inline size_t rounds(size_t normal) {
    return wrapped() ? (normal + 19) / 20 : normal;
}

// The checker's own thread beside the program's, or 0.
static pid_t checkers_thread;

// Calls a function in a forked child, which ends after that.
static inline void call_in_child(void (*function)(void));

#ifdef __SANITIZE_THREAD__

#include <dirent.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *checker_nothing(void *arg) {
    return arg;
}

// The sanitizer starts its thread together with the program's first, so that one is started before anything is counted.
__attribute__((constructor)) static void checker_start_thread(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, checker_nothing, NULL) != 0 || pthread_join(thread, NULL) != 0) {
        abort();
    }
    // A thread may stay in this list for a moment after it was joined, but the sanitizer's came before.
    DIR *dir = opendir("/proc/self/task");
    for (struct dirent *de; !checkers_thread && (de = readdir(dir));) {
        pid_t tid = (pid_t)atoi(de->d_name);
        checkers_thread = tid == getpid() ? 0 : tid;
    }
    closedir(dir);
}

// Part of the sanitizer's runtime (tsan_interface_ann.cpp).
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);

// A child finds what every thread had done when it was forked, and cannot join any of them. The sanitizer knows nothing of
// that: it would call the child's first look a race, and its parent's threads leaked.
static inline void call_in_child(void (*function)(void)) {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
    function();
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
    syscall(SYS_exit_group, 0); // which the sanitizer does not see
}

#else

static inline void call_in_child(void (*function)(void)) {
    function();
}

#endif

#endif // CHECKER_H
