// Regression: ioq_create() that failed half way tore down fields that it had not made yet. Each of its allocations fails
// once here, all memory is full of rubbish, and what it had taken until then is given back, once.

#include "test.h"

#include <ioq/stat.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

int main(void) {
    skip("the sanitizer has an allocator of its own");
}

#else

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_memalign(size_t align, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *memory);

static bool counting;
static size_t allocations, fail_at;
static long held;

// Whether the allocation that is asked for is to fail.
static bool fails(void) {
    if (!counting) {
        return false;
    }
    if (++allocations == fail_at) {
        errno = ENOMEM;
        return true;
    }
    ++held;
    return false;
}

static void *rubbish(void *memory, size_t size) {
    return memory && counting ? memset(memory, 0xA5, size) : memory;
}

// Take the place of the C library's, for it and for every library.
void *malloc(size_t size) {
    return fails() ? NULL : rubbish(__libc_malloc(size), size);
}

void *calloc(size_t count, size_t size) {
    return fails() ? NULL : __libc_calloc(count, size);
}

int posix_memalign(void **memory, size_t align, size_t size) {
    if (fails()) {
        return ENOMEM;
    }
    *memory = rubbish(__libc_memalign(align, size), size);
    return *memory ? 0 : ENOMEM;
}

void *aligned_alloc(size_t align, size_t size) {
    return fails() ? NULL : rubbish(__libc_memalign(align, size), size);
}

void *realloc(void *old, size_t size) {
    if (!old) {
        return malloc(size);
    }
    if (counting && ++allocations == fail_at) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_realloc(old, size);
}

void free(void *memory) {
    held -= counting && memory;
    __libc_free(memory);
}

static struct ioq *create_counted(size_t nthreads, size_t fail) {
    allocations = 0;
    fail_at = fail;
    held = 0;
    counting = true;
    errno = 0;
    struct ioq *ioq = ioq_create(64, nthreads);
    counting = false;
    return ioq;
}

static void with_threads(size_t nthreads) {
    struct ioq *ioq;
    size_t failures = 0;
    while (!(ioq = create_counted(nthreads, failures + 1))) {
        CHECK_EQ(errno, ENOMEM);
        CHECK_EQ(held, 0);
        ++failures;
    }
    CHECK(failures > 0);
    CHECK_EQ(allocations, failures);

    struct bfs_stat buf;
    CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &buf, &buf), 0);
    CHECK_EQ(take(ioq, IOQ_STAT, &buf), 0);
    ioq_destroy(ioq);
}

static void without_memory(void) {
    for (size_t nthreads = 0; nthreads <= 8; nthreads = nthreads * 2 + 1) {
        with_threads(nthreads);
    }
}

// Too much of anything.
static void too_large(void) {
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX / 2 + 1, SIZE_MAX / 16, SIZE_MAX / 64};
    for (size_t i = 0; i < COUNT(sizes); ++i) {
        for (int j = 0; j < 2; ++j) {
            errno = 0;
            CHECK(!(j ? ioq_create(sizes[i], 1) : ioq_create(16, sizes[i])));
            CHECK_EQ(errno, ENOMEM);
        }
    }
}

int main(void) {
    if (wrapped()) {
        skip("a checker has an allocator of its own");
    }
    ioq_destroy(create(1, 1)); // skips where there are no rings but have to be
    RUN(without_memory);
    RUN(too_large);
    return 0;
}

#endif
