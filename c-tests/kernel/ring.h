// The scripted kernel's state: its rings, and what the script says about them. Part of kernel.c.

#ifndef RING_H
#define RING_H

#define _GNU_SOURCE
#include "kernel.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { RINGS = 64, ENTRIES = 1024, COMPLETIONS = 2 * ENTRIES, FDS = 4096, REGION = 1 << 16 };

// Where things are in the mapping of the rings: what liburing calls the kernel's side, at offsets of our own choice.
enum {
    SQ_HEAD = 0, SQ_TAIL = 4, SQ_MASK = 8, SQ_ENTRIES = 12, SQ_FLAGS = 16, SQ_DROPPED = 20,
    CQ_HEAD = 64, CQ_TAIL = 68, CQ_MASK = 72, CQ_ENTRIES = 76, CQ_OVERFLOW = 80, CQ_FLAGS = 84,
    SQ_ARRAY = 4096, CQES = 8192,
};

struct request {
    struct io_uring_sqe sqe;
    unsigned int number; // of the ring's submissions
    unsigned int due;    // after so many calls
    int refusal;         // why it does not run, or 0
    bool hangs;          // until the program lets it go on
};

// As a file, it is there for as long as it has a descriptor or is registered.
struct ring {
    unsigned int number; // of all rings, from 1
    ino_t file;
    unsigned int flags, entries;
    pid_t issuer;
    bool registered; // with its issuer
    bool foreign;    // not the library's
    bool cancelled;  // as a whole
    char *rings, *sqes; // mappings
    struct request requests[COMPLETIONS];
    unsigned int in_flight, registers, calls, taken;
    pthread_t thread; // where completions come from outside
    bool closing;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool running, released;
static struct kernel_script script;
static struct kernel_counts counts;
static unsigned int threads_wanted, registers;
static uint64_t random_state;
static struct ring *rings[RINGS];
// Descriptors of somebody else's, under numbers that were a ring's.
static bool decoys[FDS];

#define VIOLATED(...) (fprintf(stderr, "kernel: " __VA_ARGS__), fputc('\n', stderr), _exit(1))

// ISO C has no conversion between pointers to objects and to functions.
#define REAL(name, pointer) \
    do { \
        void *symbol = dlsym(RTLD_NEXT, name); \
        memcpy(&(pointer), &symbol, sizeof(symbol)); \
    } while (0)

static int real_close(int fd) {
    int (*real)(int);
    REAL("close", real);
    return real(fd);
}

static long real_syscall(long number, const long args[6]) {
    long (*real)(long, ...);
    REAL("syscall", real);
    return real(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

static int real_attr_init(pthread_attr_t *attr) {
    int (*real)(pthread_attr_t *);
    REAL("pthread_attr_init", real);
    return real(attr);
}

static unsigned int load(const char *mapping, size_t offset) {
    return __atomic_load_n((const unsigned int *)(const void *)(mapping + offset), __ATOMIC_ACQUIRE);
}

static void store(char *mapping, size_t offset, unsigned int value) {
    __atomic_store_n((unsigned int *)(void *)(mapping + offset), value, __ATOMIC_RELEASE);
}

static unsigned int random_below(unsigned int limit) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned int)(random_state % limit);
}

// How many completions the program has not seen yet.
static unsigned int ready(const struct ring *ring) {
    return load(ring->rings, CQ_TAIL) - load(ring->rings, CQ_HEAD);
}

// The value of the first rule that applies, or `otherwise`.
static int rule(enum kernel_event event, const struct ring *ring, unsigned int number, unsigned int op, int otherwise) {
    for (const struct kernel_rule *r = script.rules; r != script.rules + KERNEL_RULES; ++r) {
        if (r->event == event && number >= r->from && (r->count == 0 || number - r->from < r->count)
            && (r->every == 0 || (number - r->from) % r->every == 0) && (r->busy == 0 || ring->in_flight >= r->busy)
            && (r->ready == 0 || ready(ring) >= r->ready) && (r->ops == 0 || r->ops & KERNEL_OP(op))) {
            return r->value;
        }
    }
    return otherwise;
}

static struct ring *ring_of(int fd) {
    struct stat sb;
    if (fd < 0 || fstat(fd, &sb) != 0 || !S_ISREG(sb.st_mode)) {
        return NULL;
    }
    for (size_t i = 0; i < RINGS; ++i) {
        if (rings[i] && rings[i]->file == sb.st_ino) {
            return rings[i];
        }
    }
    return NULL;
}

// The lowest descriptor of a ring, or -1.
static int descriptor_of(const struct ring *ring) {
    for (int fd = 0; fd < FDS; ++fd) {
        if (ring_of(fd) == ring) {
            return fd;
        }
    }
    return -1;
}

// The number that a ring has among those that its issuer has registered.
static unsigned int registered_number(const struct ring *ring) {
    return 100 + ring->number;
}

static struct ring *registered_ring(unsigned int number) {
    for (size_t i = 0; i < RINGS; ++i) {
        if (rings[i] && rings[i]->registered && rings[i]->issuer == gettid() && registered_number(rings[i]) == number) {
            return rings[i];
        }
    }
    return NULL;
}

#endif // RING_H
