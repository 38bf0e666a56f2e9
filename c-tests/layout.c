// The layout of entries and the values of constants, which programs were compiled with.

#include "test.h"

_Static_assert(IOQ_NOP == 0 && IOQ_CLOSE == 1 && IOQ_OPENDIR == 2 && IOQ_CLOSEDIR == 3 && IOQ_STAT == 4, "enum ioq_op");
_Static_assert(IOQ_CALL == 5 && IOQ_STATX == 6 && IOQ_LIST == 7 && IOQ_OPENAT == 8, "enum ioq_op");
_Static_assert(IOQ_READLINK == 9 && IOQ_GETXATTR == 10 && IOQ_ACCESS == 11, "enum ioq_op");
_Static_assert(IOQ_NOP_LIGHT == 0 && IOQ_NOP_HEAVY == 1, "enum ioq_nop_type");
_Static_assert(sizeof(enum ioq_op) == sizeof(int) && sizeof(enum ioq_nop_type) == sizeof(int), "size of enums");

_Static_assert(sizeof(struct ioq_ent) == 64 && _Alignof(struct ioq_ent) == 64, "struct ioq_ent");
_Static_assert(offsetof(struct ioq_ent, op) == 0, "op");
_Static_assert(offsetof(struct ioq_ent, result) == 4, "result");
_Static_assert(offsetof(struct ioq_ent, ptr) == 8, "ptr");

enum { POINTER = sizeof(void *), ARGS = 8 + POINTER };
_Static_assert(offsetof(struct ioq_ent, nop.type) == ARGS, "nop.type");
_Static_assert(offsetof(struct ioq_ent, close.fd) == ARGS, "close.fd");
_Static_assert(offsetof(struct ioq_ent, opendir.dir) == ARGS, "opendir.dir");
_Static_assert(offsetof(struct ioq_ent, opendir.path) == ARGS + POINTER, "opendir.path");
_Static_assert(offsetof(struct ioq_ent, opendir.dfd) == ARGS + 2 * POINTER, "opendir.dfd");
_Static_assert(offsetof(struct ioq_ent, opendir.flags) == ARGS + 2 * POINTER + 4, "opendir.flags");
_Static_assert(offsetof(struct ioq_ent, closedir.dir) == ARGS, "closedir.dir");
_Static_assert(offsetof(struct ioq_ent, stat.path) == ARGS, "stat.path");
_Static_assert(offsetof(struct ioq_ent, stat.buf) == ARGS + POINTER, "stat.buf");
_Static_assert(offsetof(struct ioq_ent, stat.dfd) == ARGS + 3 * POINTER, "stat.dfd");
_Static_assert(offsetof(struct ioq_ent, stat.flags) == ARGS + 3 * POINTER + 4, "stat.flags");
_Static_assert(offsetof(struct ioq_ent, call.fn) == ARGS, "call.fn");
_Static_assert(offsetof(struct ioq_ent, call.arg) == ARGS + POINTER, "call.arg");
_Static_assert(offsetof(struct ioq_ent, statx.path) == ARGS, "statx.path");
_Static_assert(offsetof(struct ioq_ent, statx.buf) == ARGS + POINTER, "statx.buf");
_Static_assert(offsetof(struct ioq_ent, statx.dfd) == ARGS + 2 * POINTER, "statx.dfd");
_Static_assert(offsetof(struct ioq_ent, statx.flags) == ARGS + 2 * POINTER + 4, "statx.flags");
_Static_assert(offsetof(struct ioq_ent, statx.mask) == ARGS + 2 * POINTER + 8, "statx.mask");
_Static_assert(offsetof(struct ioq_ent, openat.path) == ARGS, "openat.path");
_Static_assert(offsetof(struct ioq_ent, openat.how) == ARGS + POINTER, "openat.how");
_Static_assert(offsetof(struct ioq_ent, openat.buf) == ARGS + 2 * POINTER, "openat.buf");
_Static_assert(offsetof(struct ioq_ent, openat.dfd) == ARGS + 3 * POINTER, "openat.dfd");
_Static_assert(offsetof(struct ioq_ent, openat.mask) == ARGS + 3 * POINTER + 4, "openat.mask");
_Static_assert(offsetof(struct ioq_ent, readlink.path) == ARGS, "readlink.path");
_Static_assert(offsetof(struct ioq_ent, readlink.buf) == ARGS + POINTER, "readlink.buf");
_Static_assert(offsetof(struct ioq_ent, readlink.size) == ARGS + 2 * POINTER, "readlink.size");
_Static_assert(offsetof(struct ioq_ent, readlink.dfd) == ARGS + 3 * POINTER, "readlink.dfd");
_Static_assert(offsetof(struct ioq_ent, getxattr.path) == ARGS, "getxattr.path");
_Static_assert(offsetof(struct ioq_ent, getxattr.name) == ARGS + POINTER, "getxattr.name");
_Static_assert(offsetof(struct ioq_ent, getxattr.value) == ARGS + 2 * POINTER, "getxattr.value");
_Static_assert(offsetof(struct ioq_ent, getxattr.size) == ARGS + 3 * POINTER, "getxattr.size");
_Static_assert(offsetof(struct ioq_ent, getxattr.dfd) == ARGS + 4 * POINTER, "getxattr.dfd");
_Static_assert(offsetof(struct ioq_ent, getxattr.flags) == ARGS + 4 * POINTER + 4, "getxattr.flags");
_Static_assert(offsetof(struct ioq_ent, access.path) == ARGS, "access.path");
_Static_assert(offsetof(struct ioq_ent, access.dfd) == ARGS + POINTER, "access.dfd");
_Static_assert(offsetof(struct ioq_ent, access.mode) == ARGS + POINTER + 4, "access.mode");
_Static_assert(offsetof(struct ioq_ent, access.flags) == ARGS + POINTER + 8, "access.flags");

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
