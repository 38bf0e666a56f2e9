// The layout of entries and the values of constants, which programs were compiled with.

#include "test.h"

_Static_assert(IOQ_NOP == 0 && IOQ_CLOSE == 1 && IOQ_OPENDIR == 2 && IOQ_CLOSEDIR == 3 && IOQ_STAT == 4, "enum ioq_op");
_Static_assert(IOQ_CALL == 5 && IOQ_STATX == 6 && IOQ_LIST == 7 && IOQ_OPENAT == 8, "enum ioq_op");
_Static_assert(IOQ_READLINK == 9 && IOQ_GETXATTR == 10 && IOQ_ACCESS == 11, "enum ioq_op");
_Static_assert(IOQ_UNLINK == 12 && IOQ_RENAME == 13 && IOQ_MKDIR == 14 && IOQ_LINK == 15, "enum ioq_op");
_Static_assert(IOQ_SYMLINK == 16 && IOQ_CHMOD == 17 && IOQ_CHOWN == 18 && IOQ_UTIMENS == 19, "enum ioq_op");
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
_Static_assert(offsetof(struct ioq_ent, unlink.path) == ARGS, "unlink.path");
_Static_assert(offsetof(struct ioq_ent, unlink.dfd) == ARGS + POINTER, "unlink.dfd");
_Static_assert(offsetof(struct ioq_ent, unlink.flags) == ARGS + POINTER + 4, "unlink.flags");
_Static_assert(offsetof(struct ioq_ent, rename.oldpath) == ARGS, "rename.oldpath");
_Static_assert(offsetof(struct ioq_ent, rename.newpath) == ARGS + POINTER, "rename.newpath");
_Static_assert(offsetof(struct ioq_ent, rename.olddfd) == ARGS + 2 * POINTER, "rename.olddfd");
_Static_assert(offsetof(struct ioq_ent, rename.newdfd) == ARGS + 2 * POINTER + 4, "rename.newdfd");
_Static_assert(offsetof(struct ioq_ent, rename.flags) == ARGS + 2 * POINTER + 8, "rename.flags");
_Static_assert(offsetof(struct ioq_ent, mkdir.path) == ARGS, "mkdir.path");
_Static_assert(offsetof(struct ioq_ent, mkdir.dfd) == ARGS + POINTER, "mkdir.dfd");
_Static_assert(offsetof(struct ioq_ent, mkdir.mode) == ARGS + POINTER + 4, "mkdir.mode");
_Static_assert(offsetof(struct ioq_ent, link.oldpath) == ARGS, "link.oldpath");
_Static_assert(offsetof(struct ioq_ent, link.newpath) == ARGS + POINTER, "link.newpath");
_Static_assert(offsetof(struct ioq_ent, link.olddfd) == ARGS + 2 * POINTER, "link.olddfd");
_Static_assert(offsetof(struct ioq_ent, link.newdfd) == ARGS + 2 * POINTER + 4, "link.newdfd");
_Static_assert(offsetof(struct ioq_ent, link.flags) == ARGS + 2 * POINTER + 8, "link.flags");
_Static_assert(offsetof(struct ioq_ent, symlink.target) == ARGS, "symlink.target");
_Static_assert(offsetof(struct ioq_ent, symlink.path) == ARGS + POINTER, "symlink.path");
_Static_assert(offsetof(struct ioq_ent, symlink.dfd) == ARGS + 2 * POINTER, "symlink.dfd");
_Static_assert(offsetof(struct ioq_ent, chmod.path) == ARGS, "chmod.path");
_Static_assert(offsetof(struct ioq_ent, chmod.dfd) == ARGS + POINTER, "chmod.dfd");
_Static_assert(offsetof(struct ioq_ent, chmod.mode) == ARGS + POINTER + 4, "chmod.mode");
_Static_assert(offsetof(struct ioq_ent, chmod.flags) == ARGS + POINTER + 8, "chmod.flags");
_Static_assert(offsetof(struct ioq_ent, chown.path) == ARGS, "chown.path");
_Static_assert(offsetof(struct ioq_ent, chown.dfd) == ARGS + POINTER, "chown.dfd");
_Static_assert(offsetof(struct ioq_ent, chown.uid) == ARGS + POINTER + 4, "chown.uid");
_Static_assert(offsetof(struct ioq_ent, chown.gid) == ARGS + POINTER + 8, "chown.gid");
_Static_assert(offsetof(struct ioq_ent, chown.flags) == ARGS + POINTER + 12, "chown.flags");
_Static_assert(offsetof(struct ioq_ent, utimens.path) == ARGS, "utimens.path");
_Static_assert(offsetof(struct ioq_ent, utimens.times) == ARGS + POINTER, "utimens.times");
_Static_assert(offsetof(struct ioq_ent, utimens.dfd) == ARGS + 2 * POINTER, "utimens.dfd");
_Static_assert(offsetof(struct ioq_ent, utimens.flags) == ARGS + 2 * POINTER + 4, "utimens.flags");

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
