// Regression: a pointer whose low bit was set, where types are aligned to two bytes only, was taken for a mark of the
// queue's. No bit of what the caller passes means anything to the queue.

#include "test.h"

#include <ioq/stat.h>

static void any_ptr(struct ioq *ioq) {
    for (int bit = 0; bit < 64; ++bit) {
        uintptr_t word = (uintptr_t)1 << bit;
        uintptr_t words[] = {word, ~word, word - 1, word | 1, (uintptr_t)ioq | word};
        for (size_t i = 0; i < COUNT(words); ++i) {
            CHECK_EQ(ioq_nop(ioq, IOQ_NOP_LIGHT, (void *)words[i]), 0);
            CHECK_EQ(take(ioq, IOQ_NOP, (void *)words[i]), 0);
        }
    }
}

static void any_path(struct ioq *ioq) {
    static char paths[64];
    struct bfs_stat buf;
    for (size_t i = 0; i < COUNT(paths) - 2; ++i) {
        strcpy(&paths[i], "/");
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, &paths[i], 0, &buf, &paths[i]), 0);
        struct ioq_ent *ent = next(ioq);
        CHECK_EQ(ent->result, 0);
        CHECK(ent->stat.path == &paths[i]);
        CHECK(ent->ptr == &paths[i]);
        ioq_free(ioq, ent);
    }
}

int main(void) {
    RUN_EACH_WAY(any_ptr);
    RUN_EACH_WAY(any_path);
    return 0;
}
