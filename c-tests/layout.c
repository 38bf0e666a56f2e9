// The layout of entries and the values of constants, which programs were compiled with.

#include "test.h"

_Static_assert(IOQ_NOP == 0 && IOQ_CLOSE == 1 && IOQ_OPENDIR == 2 && IOQ_CLOSEDIR == 3 && IOQ_STAT == 4, "enum ioq_op");
_Static_assert(IOQ_CALL == 5 && IOQ_STATX == 6, "enum ioq_op");
_Static_assert(IOQ_NOP_LIGHT == 0 && IOQ_NOP_HEAVY == 1, "enum ioq_nop_type");
_Static_assert(sizeof(enum ioq_op) == sizeof(int) && sizeof(enum ioq_nop_type) == sizeof(int), "size of enums");

_Static_assert(sizeof(struct ioq_ent) == 64 && _Alignof(struct ioq_ent) == 64, "struct ioq_ent");
_Static_assert(offsetof(struct ioq_ent, op) == 0, "op");
_Static_assert(offsetof(struct ioq_ent, result) == 4, "result");
_Static_assert(offsetof(struct ioq_ent, ptr) == 8, "ptr");
_Static_assert(offsetof(struct ioq_ent, nop.type) == 16, "nop.type");
_Static_assert(offsetof(struct ioq_ent, close.fd) == 16, "close.fd");
_Static_assert(offsetof(struct ioq_ent, opendir.dir) == 16, "opendir.dir");
_Static_assert(offsetof(struct ioq_ent, opendir.path) == 24, "opendir.path");
_Static_assert(offsetof(struct ioq_ent, opendir.dfd) == 32, "opendir.dfd");
_Static_assert(offsetof(struct ioq_ent, opendir.flags) == 36, "opendir.flags");
_Static_assert(offsetof(struct ioq_ent, closedir.dir) == 16, "closedir.dir");
_Static_assert(offsetof(struct ioq_ent, stat.path) == 16, "stat.path");
_Static_assert(offsetof(struct ioq_ent, stat.buf) == 24, "stat.buf");
_Static_assert(offsetof(struct ioq_ent, stat.dfd) == 40, "stat.dfd");
_Static_assert(offsetof(struct ioq_ent, stat.flags) == 44, "stat.flags");
_Static_assert(offsetof(struct ioq_ent, call.fn) == 16, "call.fn");
_Static_assert(offsetof(struct ioq_ent, call.arg) == 24, "call.arg");
_Static_assert(offsetof(struct ioq_ent, statx.path) == 16, "statx.path");
_Static_assert(offsetof(struct ioq_ent, statx.buf) == 24, "statx.buf");
_Static_assert(offsetof(struct ioq_ent, statx.dfd) == 32, "statx.dfd");
_Static_assert(offsetof(struct ioq_ent, statx.flags) == 36, "statx.flags");
_Static_assert(offsetof(struct ioq_ent, statx.mask) == 40, "statx.mask");

// Entries that are held at the same time are different ones, and each has a cache line of its own.
static void aligned(struct ioq *ioq) {
    struct ioq_ent *ents[16];
    for (size_t i = 0; i < COUNT(ents); ++i) {
        CHECK_EQ(ioq_nop(ioq, IOQ_NOP_LIGHT, &ents[i]), 0);
    }
    for (size_t i = 0; i < COUNT(ents); ++i) {
        ents[i] = next(ioq);
        CHECK_EQ((uintptr_t)ents[i] % 64, 0);
        for (size_t j = 0; j < i; ++j) {
            CHECK(ents[i] != ents[j]);
        }
    }
    for (size_t i = 0; i < COUNT(ents); ++i) {
        ioq_free(ioq, ents[i]);
    }
}

int main(void) {
    RUN_EACH_WAY(aligned);
    return 0;
}
