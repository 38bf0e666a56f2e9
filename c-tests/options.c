// ioq_create_with(): what it takes and refuses, and that it may grow.

#include "test.h"

#include <ioq/stat.h>

// More than the structure has, as a program may have that was compiled with a later header.
struct later {
    struct ioq_options options;
    unsigned char more[64];
};

static struct later options(size_t size) {
    struct later later;
    memset(&later, 0, sizeof(later));
    later.options.size = size;
    later.options.depth = 16;
    later.options.backend = IOQ_BACKEND_SYNC;
    return later;
}

static void refused(const struct later *later, int error) {
    errno = 0;
    CHECK(!ioq_create_with(&later->options));
    CHECK_EQ(errno, error);
}

static void accepted(const struct later *later) {
    struct ioq *ioq = ioq_create_with(&later->options);
    CHECK(ioq);
    CHECK_EQ(ioq_capacity(ioq), later->options.depth);
    CHECK_EQ(ioq_nop(ioq, IOQ_NOP_HEAVY, ioq), 0);
    CHECK_EQ(take(ioq, IOQ_NOP, ioq), 0);
    ioq_destroy(ioq);
}

static void sizes(void) {
    errno = 0;
    CHECK(!ioq_create_with(NULL));
    CHECK_EQ(errno, EINVAL);
    for (size_t size = 0; size < sizeof(struct ioq_options); ++size) {
        struct later later = options(size);
        refused(&later, EINVAL);
    }
    for (size_t size = sizeof(struct ioq_options); size <= sizeof(struct later); ++size) {
        struct later later = options(size);
        accepted(&later);
        if (size > sizeof(struct ioq_options)) {
            later.more[size - sizeof(struct ioq_options) - 1] = 1;
            refused(&later, E2BIG);
        }
    }
}

static void values(void) {
    struct later later = options(sizeof(struct ioq_options));
    later.options.depth = 0;
    refused(&later, EINVAL);
    later.options.depth = SIZE_MAX;
    refused(&later, ENOMEM);
    later.options.depth = 16;

    later.options.nthreads = SIZE_MAX;
    refused(&later, ENOMEM);
    for (later.options.nthreads = 0; later.options.nthreads < 4; ++later.options.nthreads) {
        accepted(&later);
    }

    for (unsigned int backend = 4; backend; backend <<= 1) {
        later.options.backend = backend;
        refused(&later, EINVAL);
    }
    later.options.backend = IOQ_BACKEND_SYNC;

    for (unsigned int flags = 4; flags; flags <<= 1) {
        later.options.flags = flags;
        refused(&later, EINVAL);
    }
    for (later.options.flags = 0; later.options.flags < 4; ++later.options.flags) {
        accepted(&later);
    }
    later.options.flags = 0;

    for (later.options.inflight = 1; later.options.inflight; later.options.inflight <<= 3) {
        accepted(&later);
    }
}

// How many threads of the process have this name.
static size_t threads_named(const char *name) {
    DIR *dir = opendir("/proc/self/task");
    CHECK(dir);
    size_t count = 0;
    for (struct dirent *de; (de = readdir(dir));) {
        char path[300], comm[32] = "";
        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", de->d_name);
        FILE *file = fopen(path, "re");
        if (file) {
            CHECK(fgets(comm, sizeof(comm), file));
            fclose(file);
        }
        comm[strcspn(comm, "\n")] = '\0';
        count += strcmp(comm, name) == 0;
    }
    closedir(dir);
    return count;
}

static void names(void) {
    static const char *const names[][2] = {{NULL, "ioq-0"}, {"", "-0"}, {"x", "x-0"}, {"much too long", "much too l-0"}};
    for (size_t i = 0; i < COUNT(names); ++i) {
        struct later later = options(sizeof(struct ioq_options));
        later.options.nthreads = 1;
        later.options.name = names[i][0];
        struct ioq *ioq = ioq_create_with(&later.options);
        CHECK(ioq);
        CHECK_EQ(ioq_close(ioq, -1, NULL), 0);
        CHECK_EQ(take(ioq, IOQ_CLOSE, NULL), -EBADF);
        CHECK_EQ(threads_named(names[i][1]), 1);
        ioq_destroy(ioq);
    }
}

// A stack that is too small is made as large as it must be, and one that cannot be had is no reason to fail.
static void stacks(void) {
    for (size_t size = 1; size; size <<= 7) {
        struct later later = options(sizeof(struct ioq_options));
        later.options.nthreads = 2;
        later.options.stack_size = size;
        accepted(&later);
    }
}

// However few may be in flight, and however many.
static void in_flight(void) {
    static const size_t bounds[] = {1, 2, 3, 64, 100000, SIZE_MAX};
    for (size_t i = 0; i < COUNT(bounds); ++i) {
        struct later later = options(sizeof(struct ioq_options));
        later.options.backend = IOQ_BACKEND_DEFAULT;
        later.options.depth = 500;
        later.options.nthreads = 2;
        later.options.inflight = bounds[i];
        struct ioq *ioq = ioq_create_with(&later.options);
        if (!ioq && backend_is("uring") && ring_errno() != 0) {
            skip("IOQ_BACKEND=uring, and no io_uring to be had here");
        }
        CHECK(ioq);
        static struct bfs_stat bufs[500];
        for (size_t j = 0; j < COUNT(bufs); ++j) {
            CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[j], NULL), 0);
        }
        size_t popped = 0;
        for (struct ioq_ent *ent; (ent = ioq_pop(ioq, true)); ++popped) {
            CHECK_EQ(ent->result, 0);
            ioq_free(ioq, ent);
        }
        CHECK_EQ(popped, COUNT(bufs));
        ioq_destroy(ioq);
    }
}

int main(void) {
    RUN(sizes);
    RUN(values);
    RUN(names);
    RUN(stacks);
    RUN(in_flight);
    return 0;
}
