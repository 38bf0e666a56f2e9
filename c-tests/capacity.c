// A queue holds exactly as many requests as it was made for, from submission until ioq_free().

#include "test.h"

#include <ioq/dir.h>
#include <ioq/stat.h>

static const size_t depths[] = {1, 2, 3, 5, 64, 100, 4096};

// Every kind of request is refused by a full queue, and the refused ones are not the queue's.
static void check_full(struct ioq *ioq) {
    static struct bfs_stat buf;
    static struct bfs_dir *dir;
    dir = bfs_allocdir();
    CHECK(dir);
    CHECK_EQ(ioq_capacity(ioq), 0);
    CHECK_ERRNO(ioq_nop(ioq, IOQ_NOP_LIGHT, NULL), EAGAIN);
    CHECK_ERRNO(ioq_nop(ioq, IOQ_NOP_HEAVY, NULL), EAGAIN);
    CHECK_ERRNO(ioq_stat(ioq, AT_FDCWD, "/", 0, &buf, NULL), EAGAIN);
    CHECK_ERRNO(ioq_close(ioq, STDERR_FILENO, NULL), EAGAIN);
    CHECK_ERRNO(ioq_opendir(ioq, dir, AT_FDCWD, "/", 0, NULL), EAGAIN);
    CHECK_EQ(bfs_opendir(dir, AT_FDCWD, "/", 0), 0);
    CHECK_ERRNO(ioq_closedir(ioq, dir, NULL), EAGAIN);
    CHECK_EQ(bfs_closedir(dir), 0);
    free(dir);
}

static void fill(struct ioq *ioq) {
    for (size_t left = ioq_capacity(ioq); left > 0; --left) {
        CHECK_EQ(ioq_capacity(ioq), left);
        CHECK_EQ(ioq_nop(ioq, left % 2 ? IOQ_NOP_LIGHT : IOQ_NOP_HEAVY, NULL), 0);
    }
    check_full(ioq);
}

// Neither a submission nor a pop makes room; each free makes room for one.
static void exact_depth(size_t depth, size_t nthreads) {
    struct ioq *ioq = create(depth, nthreads);
    struct ioq_ent **ents = calloc(depth, sizeof(*ents));
    CHECK(ents);

    for (int round = 0; round < 3; ++round) {
        fill(ioq);
        ioq_submit(ioq);
        check_full(ioq);

        for (size_t i = 0; i < depth; ++i) {
            ents[i] = ioq_pop(ioq, true);
            CHECK(ents[i]);
            CHECK_EQ(ioq_capacity(ioq), 0);
        }
        check_full(ioq);
        CHECK(!ioq_pop(ioq, true));

        for (size_t i = 0; i < depth; ++i) {
            ioq_free(ioq, ents[i]);
            CHECK_EQ(ioq_capacity(ioq), i + 1);
        }
    }

    ioq_destroy(ioq);
    free(ents);
}

static void exact(void) {
    for (size_t i = 0; i < COUNT(depths); ++i) {
        exact_depth(depths[i], 0);
        exact_depth(depths[i], 1);
        exact_depth(depths[i], 3);
    }
}

// All entries but one are held, and many requests go through the place that is left.
static void one_place(void) {
    for (size_t i = 0; i < COUNT(depths); ++i) {
        struct ioq *ioq = create(depths[i], 2);
        fill(ioq);
        for (size_t j = 1; j < depths[i]; ++j) {
            CHECK(ioq_pop(ioq, true));
        }
        for (int j = 0; j < 100; ++j) {
            struct ioq_ent *ent = ioq_pop(ioq, true);
            CHECK(ent);
            CHECK(!ioq_pop(ioq, true));
            ioq_free(ioq, ent);
            CHECK_EQ(ioq_capacity(ioq), 1);
            CHECK_EQ(ioq_nop(ioq, IOQ_NOP_LIGHT, NULL), 0);
            check_full(ioq);
        }
        ioq_destroy(ioq);
    }
}

// A depth of which only a part is used costs nothing more to use.
static void deep(void) {
    struct ioq *ioq = create(1 << 19, 1);
    for (int i = 0; i < 100; ++i) {
        CHECK_EQ(ioq_nop(ioq, IOQ_NOP_LIGHT, NULL), 0);
    }
    CHECK_EQ(ioq_capacity(ioq), (1 << 19) - 100);
    for (int i = 0; i < 100; ++i) {
        ioq_free(ioq, next(ioq));
    }
    CHECK_EQ(ioq_capacity(ioq), 1 << 19);
    ioq_destroy(ioq);
}

int main(void) {
    RUN(exact);
    RUN(one_place);
    RUN(deep);
    return 0;
}
