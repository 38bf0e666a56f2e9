// Changes: requests that change names, or what else is known of files. What they change is no part of the tree. Each has two
// names of its own in a directory for this, and the same two in another one, where plain calls make the same change first. So
// it is known how both names must look before and after it.

#ifndef MATRIX_CHANGE_H
#define MATRIX_CHANGE_H

#include "tree.h"

// Where requests change files, and where plain calls do.
enum { BY_QUEUE, BY_CALLS, PLACES };

struct places {
    char path[PLACES][PATH_MAX];
    int fd[PLACES];
};

// How what has a name looks.
struct look {
    bool is_there, is_old;
    mode_t mode;
    nlink_t nlink;
    off_t size;
    uid_t uid;
};

struct change {
    enum ioq_op op;
    char name[2][32];
    // What the request says: paths, of which the first may lead to nothing, and whether they are relative to no directory.
    char path[48];
    bool is_lost;
    int flags;
    mode_t mode;
    uid_t uid;
    struct look before[2], after[2];
};

static const struct timespec change_times[2] = {{1, 2}, {3, 4}};

static void make_places(struct places *places) {
    for (size_t i = 0; i < PLACES; ++i) {
        places->fd[i] = temp_dir(places->path[i]);
        CHECK_EQ(fchmod(places->fd[i], 0777), 0);
    }
}

static void remove_places(const struct places *places) {
    for (size_t i = 0; i < PLACES; ++i) {
        empty_directory(places->fd[i]);
        CHECK_EQ(rmdir(places->path[i]), 0);
    }
}

static void look_at(int dfd, const struct change *change, struct look looks[2]) {
    for (size_t i = 0; i < 2; ++i) {
        struct stat sb;
        looks[i] = (struct look){.is_there = fstatat(dfd, change->name[i], &sb, AT_SYMLINK_NOFOLLOW) == 0};
        if (looks[i].is_there) {
            looks[i].is_old = sb.st_mtim.tv_sec == change_times[1].tv_sec;
            looks[i].mode = sb.st_mode;
            looks[i].nlink = sb.st_nlink;
            looks[i].size = sb.st_size;
            looks[i].uid = sb.st_uid;
        }
    }
}

static bool looks_like(int dfd, const struct change *change, const struct look want[2]) {
    struct look have[2];
    look_at(dfd, change, have);
    bool same = true;
    for (size_t i = 0; i < 2; ++i) {
        same = same && have[i].is_there == want[i].is_there && have[i].is_old == want[i].is_old
            && have[i].mode == want[i].mode && have[i].nlink == want[i].nlink && have[i].size == want[i].size
            && have[i].uid == want[i].uid;
    }
    return same;
}

static int plain_chmod(int dfd, const struct change *change) {
    long ret = change->flags ? syscall(452 /* SYS_fchmodat2 */, dfd, change->path, change->mode, change->flags) : -1;
    if (change->flags == 0 || (ret != 0 && errno == ENOSYS)) {
        ret = fchmodat(dfd, change->path, change->mode, change->flags);
    }
    return (int)ret;
}

static int plain_change(int dfd, const struct change *change) {
    const char *path = change->path, *newpath = change->name[1];
    switch (change->op) {
    case IOQ_UNLINK:
        return unlinkat(dfd, path, change->flags);
    case IOQ_RENAME:
        return (int)syscall(SYS_renameat2, dfd, path, dfd, newpath, change->flags);
    case IOQ_MKDIR:
        return mkdirat(dfd, path, change->mode);
    case IOQ_LINK:
        return linkat(dfd, path, dfd, newpath, change->flags);
    case IOQ_SYMLINK:
        return symlinkat(newpath, dfd, path);
    case IOQ_CHMOD:
        return plain_chmod(dfd, change);
    case IOQ_CHOWN:
        return fchownat(dfd, path, change->uid, (gid_t)-1, change->flags);
    default:
        return utimensat(dfd, path, change_times, change->flags);
    }
}

static int issue_change(struct ioq *ioq, int dfd, const struct change *change, void *ptr) {
    const char *path = change->path, *newpath = change->name[1];
    switch (change->op) {
    case IOQ_UNLINK:
        return ioq_unlink(ioq, dfd, path, change->flags, ptr);
    case IOQ_RENAME:
        return ioq_rename(ioq, dfd, path, dfd, newpath, (unsigned int)change->flags, ptr);
    case IOQ_MKDIR:
        return ioq_mkdir(ioq, dfd, path, change->mode, ptr);
    case IOQ_LINK:
        return ioq_link(ioq, dfd, path, dfd, newpath, change->flags, ptr);
    case IOQ_SYMLINK:
        return ioq_symlink(ioq, newpath, dfd, path, ptr);
    case IOQ_CHMOD:
        return ioq_chmod(ioq, dfd, path, change->mode, change->flags, ptr);
    case IOQ_CHOWN:
        return ioq_chown(ioq, dfd, path, change->uid, (gid_t)-1, change->flags, ptr);
    default:
        return ioq_utimens(ioq, dfd, path, change_times, change->flags, ptr);
    }
}

static void check_change_entry(const struct change *change, int dfd, const struct ioq_ent *ent) {
    const char *path = change->path, *newpath = change->name[1];
    switch (change->op) {
    case IOQ_UNLINK:
        CHECK(ent->unlink.path == path && ent->unlink.dfd == dfd && ent->unlink.flags == change->flags);
        break;
    case IOQ_RENAME:
        CHECK(ent->rename.oldpath == path && ent->rename.newpath == newpath);
        CHECK(ent->rename.olddfd == dfd && ent->rename.newdfd == dfd && ent->rename.flags == (unsigned int)change->flags);
        break;
    case IOQ_MKDIR:
        CHECK(ent->mkdir.path == path && ent->mkdir.dfd == dfd && ent->mkdir.mode == change->mode);
        break;
    case IOQ_LINK:
        CHECK(ent->link.oldpath == path && ent->link.newpath == newpath);
        CHECK(ent->link.olddfd == dfd && ent->link.newdfd == dfd && ent->link.flags == change->flags);
        break;
    case IOQ_SYMLINK:
        CHECK(ent->symlink.target == newpath && ent->symlink.path == path && ent->symlink.dfd == dfd);
        break;
    case IOQ_CHMOD:
        CHECK(ent->chmod.path == path && ent->chmod.dfd == dfd);
        CHECK(ent->chmod.mode == change->mode && ent->chmod.flags == change->flags);
        break;
    case IOQ_CHOWN:
        CHECK(ent->chown.path == path && ent->chown.dfd == dfd && ent->chown.uid == change->uid);
        CHECK(ent->chown.gid == (gid_t)-1 && ent->chown.flags == change->flags);
        break;
    default:
        CHECK(ent->utimens.path == path && ent->utimens.times == change_times);
        CHECK(ent->utimens.dfd == dfd && ent->utimens.flags == change->flags);
    }
}

static int change_dfd(const struct places *places, const struct change *change, size_t place) {
    return change->is_lost ? -1 : places->fd[place];
}

static int change_flags(struct random *random, enum ioq_op op) {
    switch (op) {
    case IOQ_UNLINK:
        return one_in(random, 3) ? AT_REMOVEDIR : 0;
    case IOQ_RENAME:
        return (int)below(random, 4); // RENAME_NOREPLACE and RENAME_EXCHANGE, which exclude each other
    case IOQ_LINK:
        return one_in(random, 3) ? AT_SYMLINK_FOLLOW : 0;
    default:
        return one_in(random, 3) ? AT_SYMLINK_NOFOLLOW : 0;
    }
}

// Makes a file, a directory or nothing by a name, in both places.
static void prepare(const struct places *places, const char *name, size_t kind) {
    for (size_t i = 0; i < PLACES; ++i) {
        if (kind == 1) {
            CHECK_EQ(mkdirat(places->fd[i], name, 0755), 0);
        } else if (kind > 1) {
            make_file(places->fd[i], name, kind);
        }
    }
}

// Chooses a change, which plain calls make at once. Returns what comes of it.
static int choose_change(struct random *random, const struct places *places, enum ioq_op op, struct change *change) {
    static const char *const ways[] = {"%s", "%s", "%s", "%s", "./%s", "missing/%s", "%s/.", ""};
    static size_t count;
    *change = (struct change){.op = op, .flags = change_flags(random, op), .is_lost = one_in(random, 12)};
    change->mode = (mode_t)below(random, 01000);
    change->uid = one_in(random, 2) ? geteuid() : 1;
    for (size_t i = 0; i < 2; ++i) {
        snprintf(change->name[i], sizeof(change->name[i]), "%d-%zu", (int)getpid(), count++);
    }
    bool creates = op == IOQ_MKDIR || op == IOQ_SYMLINK;
    prepare(places, change->name[0], one_in(random, 4) == creates ? between(random, 1, 3) : 0);
    prepare(places, change->name[1], one_in(random, 4) ? between(random, 1, 3) : 0);
    const char *way = ways[below(random, COUNT(ways))], *rest = strstr(way, "%s");
    snprintf(change->path, sizeof(change->path), "%.*s%s%s", rest ? (int)(rest - way) : 0, way, rest ? change->name[0] : "",
        rest ? rest + 2 : "");
    if (!*change->path && op == IOQ_RENAME) {
        change->flags %= 3; // wrong once is enough: which of two errors comes depends on the backend
    }

    look_at(places->fd[BY_CALLS], change, change->before);
    int result = plain_change(change_dfd(places, change, BY_CALLS), change) == 0 ? 0 : -errno;
    look_at(places->fd[BY_CALLS], change, change->after);
    return result;
}

// Whether it was surely made, surely not, or perhaps. It may never be half made.
enum made { NOT_MADE, MADE, PERHAPS_MADE };

// Checks what has come of a change, and removes it.
static void finish_change(const struct places *places, const struct change *change, enum made made) {
    bool is_before = looks_like(places->fd[BY_QUEUE], change, change->before);
    bool is_after = looks_like(places->fd[BY_QUEUE], change, change->after);
    CHECK(made == MADE ? is_after : made == NOT_MADE ? is_before : is_before || is_after);
    for (size_t i = 0; i < PLACES * 2; ++i) {
        const char *name = change->name[i / PLACES];
        if (unlinkat(places->fd[i % PLACES], name, 0) != 0 && errno != ENOENT) {
            CHECK_EQ(unlinkat(places->fd[i % PLACES], name, AT_REMOVEDIR), 0);
        }
    }
}

#endif // MATRIX_CHANGE_H
