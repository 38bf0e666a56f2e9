// Large queues: what is not used costs no memory and no time, and what can never be used is refused at once.

#include "test.h"

static size_t resident(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file);
    CHECK_EQ(fscanf(file, "%*u %lu", &pages), 1);
    CHECK_EQ(fclose(file), 0);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

// Far less than a queue would take that touches all its memory. malloc() keeps blocks of up to 32 MiB, and has to clear
// them when they are used again.
enum { LITTLE = 80 << 20 };

static void use(struct ioq *ioq) {
    for (int i = 0; i < 1000; ++i) {
        CHECK_EQ(ioq_nop(ioq, i % 2 ? IOQ_NOP_LIGHT : IOQ_NOP_HEAVY, NULL), 0);
    }
    for (int i = 0; i < 1000; ++i) {
        struct ioq_ent *ent = next(ioq);
        CHECK_EQ(ent->result, 0);
        ioq_free(ioq, ent);
    }
    CHECK(!ioq_pop(ioq, true));
}

static void deep(void) {
    // A 32-bit program has no room for the entries of the deepest.
    for (int shift = 23; shift <= (SIZE_MAX > UINT32_MAX ? 25 : 24); ++shift) {
        for (size_t nthreads = 0; nthreads <= 2; ++nthreads) {
            size_t before = resident();
            struct ioq *ioq = create(((size_t)1 << shift) + 1, nthreads);
            test_way = &test_ways[nthreads > 0 ? 1 : 0];
            use(ioq);
            CHECK(resident() < before + LITTLE);
            ioq_destroy(ioq);
        }
    }
}

// Linux has never more than 2^22 threads.
static void too_many_threads(void) {
    for (size_t nthreads = ((size_t)1 << 22) + 1; nthreads < SIZE_MAX / 4; nthreads *= 4) {
        size_t before = resident();
        errno = 0;
        CHECK(!ioq_create(1, nthreads));
        CHECK_EQ(errno, ENOMEM);
        CHECK(resident() < before + LITTLE);
    }
}

int main(void) {
    need_address_space(2u << 30);
    ioq_destroy(create(1, 1)); // skips where there are no rings but have to be
    if (wrapped()) {
        skip("a checker has memory of its own");
    }
    RUN(deep);
    RUN(too_many_threads);
    return 0;
}
