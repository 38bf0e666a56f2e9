// Misuses of the library that make its own code do wrong: canaries NAME
//
// A checker that sees into the library reports each of them; one that does not, because the library was built without
// it or because something keeps it quiet, proves nothing. canaries.sh tells which of them it must report.

#include <ioq.h>

#include <errno.h>
#include <fcntl.h>
#include <ioq/stat.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ioq *create(size_t nthreads) {
    struct ioq *ioq = ioq_create(16, nthreads);
    if (!ioq) {
        perror("ioq_create");
        exit(1);
    }
    return ioq;
}

// Without a worker, the request runs in the pop.
static void stat_into(void *buf, size_t nthreads) {
    struct ioq *ioq = create(nthreads);
    ioq_stat(ioq, AT_FDCWD, "/", 0, buf, NULL);
    ioq_free(ioq, ioq_pop(ioq, true));
    ioq_destroy(ioq);
}

// The buffer of a stat is freed before the response was popped.
static void freed_buffer(void) {
    void *buf = malloc(sizeof(struct bfs_stat));
    struct ioq *ioq = create(0);
    ioq_stat(ioq, AT_FDCWD, "/", 0, buf, NULL);
    free(buf);
    ioq_free(ioq, ioq_pop(ioq, true));
    ioq_destroy(ioq);
}

// The buffer is too small.
static void small_buffer(void) {
    void *buf = malloc(sizeof(struct bfs_stat) - 8);
    stat_into(buf, 0);
    free(buf);
}

__attribute__((noinline)) static void create_and_forget(void) {
    struct ioq *ioq = create(0);
    ioq_nop(ioq, IOQ_NOP_LIGHT, NULL);
}

__attribute__((noinline)) static void wipe_stack(void) {
    volatile char bytes[4096];
    for (size_t i = 0; i < sizeof(bytes); ++i) {
        bytes[i] = 0;
    }
}

// A queue is never destroyed.
static void leaked_queue(void) {
    create_and_forget();
    wipe_stack();
}

static atomic_bool done;

static void *submit_one(void *ioq) {
    ioq_nop(ioq, IOQ_NOP_LIGHT, NULL);
    atomic_store_explicit(&done, true, memory_order_relaxed);
    return NULL;
}

// Two threads use a queue without a lock. Only by luck it is not at the same time.
static void two_callers(void) {
    struct ioq *ioq = create(0);
    pthread_t thread;
    if (pthread_create(&thread, NULL, submit_one, ioq) != 0) {
        exit(1);
    }
    while (!atomic_load_explicit(&done, memory_order_relaxed)) {
        sched_yield();
    }
    ioq_capacity(ioq);
    pthread_join(thread, NULL);
    ioq_destroy(ioq);
}

// The result of a request is read without a pop, while a worker may write it.
static void early_look(void) {
    static struct bfs_stat buf;
    struct ioq *ioq = create(1);
    ioq_stat(ioq, AT_FDCWD, "/", 0, &buf, NULL);
    ioq_submit(ioq);
    struct ioq_counts counts;
    do {
        sched_yield();
        ioq_count(ioq, &counts);
    } while (counts.worker == 0);
    printf("%llu\n", (unsigned long long)buf.size);
    ioq_free(ioq, ioq_pop(ioq, true));
    ioq_destroy(ioq);
}

// The program itself computes what C does not define.
static void overflow(void) {
    volatile int most = 0x7fffffff;
    printf("%d\n", most + 1);
}

int main(int argc, char *argv[]) {
    static const struct {
        const char *name;
        void (*run)(void);
    } canaries[] = {
        {"freed_buffer", freed_buffer}, {"small_buffer", small_buffer}, {"leaked_queue", leaked_queue},
        {"two_callers", two_callers},   {"early_look", early_look},     {"overflow", overflow},
    };
    for (size_t i = 0; argc == 2 && i < sizeof(canaries) / sizeof(canaries[0]); ++i) {
        if (strcmp(argv[1], canaries[i].name) == 0) {
            canaries[i].run();
            return 0;
        }
    }
    fprintf(stderr, "usage: %s NAME\n", argv[0]);
    return 2;
}
