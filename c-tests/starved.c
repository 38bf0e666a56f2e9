// Workers that get no memory: what they do needs none. Only the program's first thread is given any here, so requests
// run, workers sleep and wake each other, and rings are done without, all without an allocation.

#include "test.h"

#include <ioq/dir.h>
#include <ioq/stat.h>
#include <stdatomic.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

int main(void) {
    skip("the sanitizer has an allocator of its own");
}

#else

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static atomic_size_t refused;

static bool is_refused(void) {
    if (gettid() == getpid()) {
        return false;
    }
    atomic_fetch_add(&refused, 1);
    errno = ENOMEM;
    return true;
}

// Take the place of the C library's, for it and for every library.
void *malloc(size_t size) {
    return is_refused() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return is_refused() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    return is_refused() ? NULL : __libc_realloc(old, size);
}

enum { DEPTH = 64, THREADS = 4 };

static struct bfs_stat bufs[DEPTH];
static struct bfs_dir *dirs[DEPTH];

static void request(struct ioq *ioq, size_t i) {
    switch (i % 4) {
    case 0:
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[i], NULL), 0);
        break;
    case 1:
        CHECK_EQ(ioq_nop(ioq, i % 8 == 1 ? IOQ_NOP_HEAVY : IOQ_NOP_LIGHT, NULL), 0);
        break;
    case 2:
        dirs[i] = bfs_allocdir();
        CHECK(dirs[i]);
        CHECK_EQ(ioq_opendir(ioq, dirs[i], AT_FDCWD, "/", 0, NULL), 0);
        break;
    default:
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/missing", 0, &bufs[i], NULL), 0);
        break;
    }
}

static void answer(struct ioq *ioq, struct ioq_ent *ent) {
    switch (ent->op) {
    case IOQ_STAT:
        CHECK_EQ(ent->result, strcmp(ent->stat.path, "/") == 0 ? 0 : -ENOENT);
        break;
    case IOQ_OPENDIR:
        CHECK_EQ(ent->result, 0);
        CHECK_EQ(bfs_closedir(ent->opendir.dir), 0);
        free(ent->opendir.dir);
        break;
    default:
        CHECK_EQ(ent->result, 0);
    }
    ioq_free(ioq, ent);
}

// Each way to wait comes up: callers that poll leave all to workers, those that block sleep until a worker is done,
// and pauses let every worker park.
static void work(void) {
    struct ioq *ioq = create(DEPTH, THREADS);
    for (size_t round = 0; round < 50; ++round) {
        for (size_t i = 0; i < DEPTH; ++i) {
            request(ioq, i);
            if (i % 5 == 0) {
                ioq_submit(ioq);
            }
        }
        for (size_t i = 0; i < DEPTH; ++i) {
            struct ioq_ent *ent;
            while (!(ent = ioq_pop(ioq, round % 2))) {
                sched_yield();
            }
            answer(ioq, ent);
        }
        if (round % 10 == 0) {
            usleep(20000);
        }
    }
    CHECK(!ioq_pop(ioq, true));
    ioq_destroy(ioq);
}

int main(void) {
    if (wrapped()) {
        skip("a checker has an allocator of its own");
    }
    ioq_destroy(create(1, 1)); // skips where there are no rings but have to be
    RUN(work);
    if (backend_is("uring")) {
        CHECK(atomic_load(&refused) > 0); // a ring's memory at least
    }
    return 0;
}

#endif
