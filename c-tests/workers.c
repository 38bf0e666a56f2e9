// The library's threads as the system sees them: their number, their names, their descriptors.

#include "test.h"

#include <ioq/stat.h>

enum { DEPTH = 256, MOST = 16 };

static struct bfs_stat bufs[DEPTH];

// Has every worker that wants to start do so.
static void work(struct ioq *ioq) {
    for (size_t i = 0; i < DEPTH; ++i) {
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &bufs[i], NULL), 0);
        if (i % 8 == 0) {
            ioq_submit(ioq);
        }
    }
    for (size_t i = 0; i < DEPTH; ++i) {
        struct ioq_ent *ent;
        while (!(ent = ioq_pop(ioq, false))) {
            sched_yield();
        }
        CHECK_EQ(ent->result, 0);
        ioq_free(ioq, ent);
    }
}

// Marks the numbers of the workers. Returns whether each has a name of its own: a thread that was started just now, by
// the kernel for a ring too, goes by its creator's for a moment.
static bool read_names(bool seen[], size_t nthreads) {
    bool settled = true;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks);
    for (struct dirent *de; (de = readdir(tasks));) {
        char path[PATH_MAX], name[32] = "";
        int tid = atoi(de->d_name);
        if (de->d_name[0] == '.' || tid == getpid() || is_checkers_thread(tid)) {
            continue;
        }
        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", de->d_name);
        FILE *file = fopen(path, "r");
        if (!file || !fgets(name, sizeof(name), file)) {
            name[0] = '\0'; // left meanwhile
        }
        if (file) {
            fclose(file);
        }

        size_t number;
        int end = 0;
        if (sscanf(name, "ioq-%zu%n", &number, &end) == 1 && name[end] == '\n') {
            CHECK(number < nthreads);
            settled = settled && !seen[number];
            seen[number] = true;
        } else if (strcmp(name, "ioq-ring\n") != 0 && strncmp(name, "iou-", 4) != 0) { // the kernel's io_uring workers
            settled = false;
        }
    }
    closedir(tasks);
    return settled;
}

static void check_names(size_t nthreads) {
    struct ioq *ioq = create(DEPTH, nthreads);
    work(ioq);

    bool seen[MOST];
    do {
        memset(seen, 0, sizeof(seen));
    } while (!read_names(seen, nthreads));

    size_t workers = 0;
    for (size_t i = 0; i < COUNT(seen); ++i) {
        workers += seen[i];
    }
    // Where a ring does it all, no worker is needed.
    CHECK(workers >= !backend_is("uring") && workers <= nthreads);
    ioq_destroy(ioq);
    while (threads() > 1) {
        sched_yield();
    }
}

static void names(void) {
    for (size_t nthreads = 1; nthreads <= MOST; nthreads *= 2) {
        check_names(nthreads);
    }
}

// At most one descriptor a queue, and that a ring, at every moment; and none at rest where rings can be registered.
static void descriptors(void) {
    for (size_t nthreads = 0; nthreads <= 8; nthreads = nthreads * 2 + 1) {
        size_t before = open_fds();
        struct ioq *ioq = create(DEPTH, nthreads);
        CHECK_EQ(open_fds(), before);
        for (size_t i = 0; nthreads > 0 && i < rounds(100); ++i) {
            work(ioq);
            size_t now = open_fds(), rings = ring_fds();
            CHECK(now <= before + 1);
            CHECK(rings <= 1);
            CHECK(!surely_sync() || rings == 0);
        }
        CHECK(!rings_register() || open_fds() == before);
        ioq_destroy(ioq);
        CHECK_EQ(open_fds(), before);
    }
}

// A queue that is not used starts nothing.
static void unused(void) {
    size_t threads_before = threads(), fds_before = open_fds();
    struct ioq *ioq = create(DEPTH, 8);
    CHECK(!ioq_pop(ioq, false));
    CHECK(!ioq_pop(ioq, true));
    CHECK_EQ(threads(), threads_before);
    CHECK_EQ(open_fds(), fds_before);
    ioq_destroy(ioq);
}

int main(void) {
    RUN(names);
    RUN(descriptors);
    RUN(unused);
    return 0;
}
