// Many queues, one after the other, leave no memory, no mapping, no descriptor and no thread.

#include "test.h"

#include <ioq/dir.h>
#include <ioq/stat.h>
#include <malloc.h>

enum { DEPTH = 64 };

static struct bfs_stat bufs[DEPTH];

static void unused(size_t nthreads) {
    ioq_destroy(create(DEPTH, nthreads));
}

static void drained(size_t nthreads) {
    struct ioq *ioq = create(DEPTH, nthreads);
    for (size_t i = 0; i < DEPTH; ++i) {
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[i], NULL), 0);
    }
    for (size_t i = 0; i < DEPTH; ++i) {
        ioq_free(ioq, ioq_pop(ioq, true));
    }
    ioq_destroy(ioq);
}

static void abandoned(size_t nthreads) {
    struct ioq *ioq = create(DEPTH, nthreads);
    struct bfs_dir *dirs[8];
    for (size_t i = 0; i < COUNT(dirs); ++i) {
        dirs[i] = bfs_allocdir();
        CHECK(dirs[i]);
        CHECK_EQ(ioq_opendir(ioq, dirs[i], AT_FDCWD, "/", 0, NULL), 0);
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[i], NULL), 0);
        CHECK_EQ(ioq_close(ioq, open("/", O_RDONLY | O_CLOEXEC), NULL), 0);
    }
    ioq_submit(ioq);
    ioq_destroy(ioq);
    for (size_t i = 0; i < COUNT(dirs); ++i) {
        free(dirs[i]);
    }
}

static void refused(size_t nthreads) {
    CHECK(!ioq_create(0, nthreads));
    CHECK(!ioq_create(DEPTH, SIZE_MAX / 8));
}

static void cycle(size_t i) {
    static void (*const kinds[])(size_t nthreads) = {unused, drained, abandoned, refused};
    kinds[i % COUNT(kinds)](i / COUNT(kinds) % 5);
}

// The process's address space, in pages.
static size_t pages(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    size_t size;
    CHECK(file);
    CHECK_EQ(fscanf(file, "%zu", &size), 1);
    fclose(file);
    return size;
}

// What is lost in every cycle makes every batch of them end with more than it began with. Allocators and thread libraries
// keep things, too, but only until they have enough.
static void many(void) {
    size_t memory, mapped, batches = 0;
    do {
        CHECK(++batches <= 50);
        memory = mallinfo2().uordblks;
        mapped = pages();
        for (size_t i = 0; i < rounds(1000); ++i) {
            cycle(i);
        }
        // In a checker, the memory is the checker's, and it has its own way to find out.
    } while (!wrapped() && (mallinfo2().uordblks > memory || pages() > mapped));
}

int main(void) {
    // One arena, or contention decides how many there are.
    CHECK(mallopt(M_ARENA_MAX, 1) || wrapped());
    RUN(many);
    return 0;
}
