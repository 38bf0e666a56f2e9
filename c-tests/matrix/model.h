// The model: what plain system calls say about a path, and how it must look in the library's terms.
//
// A target is a pair of descriptor and path, good or bad. The tree does not change while a queue is at work on it, so
// what the kernel says about a target holds whenever it is asked. It is asked once for each way of asking.

#ifndef MATRIX_MODEL_H
#define MATRIX_MODEL_H

#include "tree.h"

#include <ioq/dir.h>
#include <ioq/stat.h>
#include <sys/statvfs.h>

enum { MAX_TARGETS = 120, STAT_FLAGS = 8, MAX_BASES = 10 };

// The answer to a stat.
struct answer {
    bool known;
    int error;
    struct bfs_stat stat;
};

// The entries of a directory in the order of the file system, or why it cannot be opened.
struct listing {
    bool known;
    int error;
    size_t count;
    struct entry {
        enum bfs_type type;
        char *name;
    } *entries;
};

struct target {
    int dfd;
    char *path; // or NULL
    // Others may use it: its size and its times may change.
    bool shared;
    struct answer answers[STAT_FLAGS];
    // The length of its attribute, or the negated errno; of a link itself the second.
    int attribute[2];
    struct listing listing;
};

struct model {
    struct random random;
    struct tree *tree;
    // Descriptors of directories, other files and nothing, and where in the tree they are, or NULL.
    struct base {
        int fd;
        const char *path;
        bool owned;
    } bases[MAX_BASES];
    size_t nbases;
    struct target targets[MAX_TARGETS];
    size_t ntargets;
    // The file system may take note of when a file was read last, whatever was set.
    bool any_atime;
};

static struct bfs_timespec model_time(const struct statx *sx, unsigned int bit, const struct statx_timestamp *time,
                                  unsigned int field, struct bfs_stat *stat) {
    if (!(sx->stx_mask & bit)) {
        return (struct bfs_timespec){0, 0};
    }
    stat->mask = (enum bfs_stat_field)(stat->mask | field);
    return (struct bfs_timespec){time->tv_sec, time->tv_nsec};
}

// The library's structure for the kernel's.
static struct bfs_stat model_stat(const struct statx *sx) {
    enum { UNIQUE = 0x4000 }; // STATX_MNT_ID_UNIQUE
    dev_t dev = makedev(sx->stx_dev_major, sx->stx_dev_minor);
    struct bfs_stat stat = {
        .mask = BFS_STAT_MODE | BFS_STAT_DEV | BFS_STAT_INO | BFS_STAT_NLINK | BFS_STAT_GID | BFS_STAT_UID |
                BFS_STAT_SIZE | BFS_STAT_BLOCKS | BFS_STAT_RDEV | BFS_STAT_ATTRS | BFS_STAT_MNT_ID,
        .mode = sx->stx_mode,
        .dev = dev,
        .ino = sx->stx_ino,
        .nlink = sx->stx_nlink,
        .gid = sx->stx_gid,
        .uid = sx->stx_uid,
        .size = (int64_t)sx->stx_size,
        .blocks = (int64_t)sx->stx_blocks,
        .rdev = makedev(sx->stx_rdev_major, sx->stx_rdev_minor),
        .mnt_id = sx->stx_mask & (STATX_MNT_ID | UNIQUE) ? sx->stx_mnt_id : dev,
        .attrs = sx->stx_attributes,
    };
    stat.atime = model_time(sx, STATX_ATIME, &sx->stx_atime, BFS_STAT_ATIME, &stat);
    stat.btime = model_time(sx, STATX_BTIME, &sx->stx_btime, BFS_STAT_BTIME, &stat);
    stat.ctime = model_time(sx, STATX_CTIME, &sx->stx_ctime, BFS_STAT_CTIME, &stat);
    stat.mtime = model_time(sx, STATX_MTIME, &sx->stx_mtime, BFS_STAT_MTIME, &stat);
    return stat;
}

static void check_time(const struct bfs_timespec *have, const struct bfs_timespec *want) {
    CHECK_EQ(have->tv_sec, want->tv_sec);
    CHECK_EQ(have->tv_nsec, want->tv_nsec);
}

// Compares an answer of the library's with the model's, field by field.
static void check_stat(const struct model *model, const struct target *target, const struct bfs_stat *have,
                       const struct bfs_stat *want) {
    CHECK_EQ(have->mask, want->mask);
    CHECK_EQ(have->mode, want->mode);
    CHECK_EQ(have->dev, want->dev);
    CHECK_EQ(have->ino, want->ino);
    CHECK_EQ(have->gid, want->gid);
    CHECK_EQ(have->uid, want->uid);
    CHECK_EQ(have->rdev, want->rdev);
    CHECK_EQ(have->mnt_id, want->mnt_id);
    CHECK_EQ(have->attrs, want->attrs);
    check_time(&have->btime, &want->btime);
    if (target->shared) {
        return;
    }
    CHECK_EQ(have->nlink, want->nlink);
    CHECK_EQ(have->size, want->size);
    CHECK_EQ(have->blocks, want->blocks);
    check_time(&have->ctime, &want->ctime);
    check_time(&have->mtime, &want->mtime);
    if (!model->any_atime) {
        check_time(&have->atime, &want->atime);
    }
}

// What stat(2) says, which was there before statx(2).
static void check_classic(const struct target *target, const char *path, int at_flags, const struct bfs_stat *want) {
    struct stat sb;
    CHECK_EQ(fstatat(target->dfd, path, &sb, at_flags), 0);
    CHECK_EQ(want->mode, sb.st_mode);
    CHECK_EQ(want->dev, sb.st_dev);
    CHECK_EQ(want->ino, sb.st_ino);
    CHECK_EQ(want->uid, sb.st_uid);
    CHECK_EQ(want->gid, sb.st_gid);
    CHECK_EQ(want->rdev, sb.st_rdev);
    CHECK(target->shared || (want->size == sb.st_size && want->blocks == sb.st_blocks && want->nlink == sb.st_nlink));
}

// What a stat of this target must say; the library's synchronous function included, in this very thread.
static const struct answer *answer(const struct model *model, struct target *target, unsigned int flags) {
    struct answer *answer = &target->answers[flags];
    if (answer->known) {
        return answer;
    }
    const char *path = target->path ? target->path : "";
    int at_flags = AT_NO_AUTOMOUNT | (target->path ? 0 : AT_EMPTY_PATH);
    int follow = flags & BFS_STAT_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0;
    int sync = flags & BFS_STAT_NOSYNC ? AT_STATX_DONT_SYNC : 0;
    struct statx sx;
    int ret = statx(target->dfd, path, at_flags | follow | sync, bfs_statx_mask(), &sx);
    if (ret != 0 && (errno == ENOENT || errno == ENOTDIR) && flags & BFS_STAT_TRYFOLLOW) {
        follow = AT_SYMLINK_NOFOLLOW;
        ret = statx(target->dfd, path, at_flags | follow | sync, bfs_statx_mask(), &sx);
    }
    answer->error = ret == 0 ? 0 : errno;
    if (ret == 0) {
        answer->stat = model_stat(&sx);
        check_classic(target, path, at_flags | follow, &answer->stat);
    }
    answer->known = true;

    struct bfs_stat direct;
    if (answer->error == 0) {
        CHECK_EQ(bfs_stat(target->dfd, target->path, flags, &direct), 0);
        check_stat(model, target, &direct, &answer->stat);
    } else {
        CHECK_ERRNO(bfs_stat(target->dfd, target->path, flags, &direct), answer->error);
    }
    return answer;
}

static enum bfs_type model_type(unsigned char type) {
    switch (type) {
    case DT_BLK:
        return BFS_BLK;
    case DT_CHR:
        return BFS_CHR;
    case DT_DIR:
        return BFS_DIR;
    case DT_FIFO:
        return BFS_FIFO;
    case DT_LNK:
        return BFS_LNK;
    case DT_REG:
        return BFS_REG;
    case DT_SOCK:
        return BFS_SOCK;
    default:
        return BFS_UNKNOWN;
    }
}

// What opening this target, which has a path, and reading it must give.
static const struct listing *list(struct target *target) {
    struct listing *listing = &target->listing;
    if (listing->known) {
        return listing;
    }
    listing->known = true;
    int fd = openat(target->dfd, target->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        listing->error = errno;
        return listing;
    }
    DIR *dir = fdopendir(fd);
    CHECK(dir);
    for (struct dirent *de; (de = readdir(dir));) {
        if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0) {
            continue;
        }
        if ((listing->count & (listing->count - 1)) == 0) {
            size_t room = listing->count ? 2 * listing->count : 1;
            CHECK(listing->entries = realloc(listing->entries, room * sizeof(*listing->entries)));
        }
        struct entry *entry = &listing->entries[listing->count++];
        *entry = (struct entry){model_type(de->d_type), strdup(de->d_name)};
        CHECK(entry->name);
    }
    CHECK_EQ(closedir(dir), 0);
    return listing;
}

// Reads an open directory to its end, and compares.
static void check_listing(struct bfs_dir *dir, const struct target *target) {
    const struct listing *listing = &target->listing;
    struct bfs_dirent de;
    if (target->shared) {
        int ret;
        while ((ret = bfs_readdir(dir, &de)) > 0) {
        }
        CHECK_EQ(ret, 0);
        return;
    }
    for (size_t i = 0; i < listing->count; ++i) {
        CHECK_EQ(bfs_readdir(dir, &de), 1);
        CHECK_EQ(strcmp(de.name, listing->entries[i].name), 0);
        CHECK_EQ(de.type, listing->entries[i].type);
    }
    CHECK_EQ(bfs_readdir(dir, &de), 0);
    CHECK_EQ(bfs_readdir(dir, &de), 0);
}

static void add_base(struct model *model, int fd, const char *path) {
    if (fd >= 0 && model->nbases < MAX_BASES) {
        model->bases[model->nbases++] = (struct base){fd, path, true};
    }
}

// Descriptors to start from. Directories that cannot be read may still be passed through (O_PATH).
static void make_bases(struct model *model) {
    struct tree *tree = model->tree;
    static const int wrong[] = {-1, INT_MIN, INT_MAX, AT_FDCWD - 1};
    model->bases[0] = (struct base){tree->fd, ".", false};
    model->bases[1] = (struct base){AT_FDCWD, ".", false}; // where this process is
    model->bases[2] = (struct base){wrong[below(&model->random, COUNT(wrong))], NULL, false};
    model->nbases = 3;
    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    add_base(model, fds[0], NULL);
    add_base(model, fds[1], NULL);
    for (int i = 0; i < 5; ++i) {
        const struct file *file = &tree->files[below(&model->random, tree->nfiles)];
        int flags = one_in(&model->random, 2) ? O_PATH | O_NOFOLLOW : O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
        // What lies below a directory is found by what comes after its path.
        add_base(model, openat(tree->fd, file->path, flags | O_CLOEXEC), file->type == S_IFDIR ? file->path : NULL);
    }
}

// A path that means the same, perhaps, or nothing at all.
static char *disguised(struct random *random, const char *path) {
    static const char *const before[] = {"./", ".//", "missing/../", "../"};
    static const char *const after[] = {"/", "/.", "/..", "/missing", "//"};
    static char text[2 * PATH_MAX + NAME_MAX + 16];
    size_t len = 0;
    text[0] = '\0';
    switch (below(random, 8)) {
    case 0:
        len = (size_t)snprintf(text, sizeof(text), "%s%s", before[below(random, COUNT(before))], path);
        break;
    case 1:
        len = (size_t)snprintf(text, sizeof(text), "%s%s", path, after[below(random, COUNT(after))]);
        break;
    case 2: // up to the longest and a little more
        for (size_t want = between(random, PATH_MAX - 3, PATH_MAX + 1), have = strlen(path); len + have + 2 <= want;) {
            len += (size_t)sprintf(text + len, "./");
        }
        snprintf(text + len, sizeof(text) - len, "%s", path);
        break;
    case 3: // a name of the greatest length, or longer by one
        len = (size_t)snprintf(text, sizeof(text), "%s/", path);
        memset(text + len, 'n', NAME_MAX + 1);
        text[len + NAME_MAX + below(random, 2)] = '\0';
        break;
    default:
        snprintf(text, sizeof(text), "%s", path);
    }
    char *copy = strdup(text);
    CHECK(copy);
    return copy;
}

static void add_target(struct model *model) {
    struct random *random = &model->random;
    struct target *target = &model->targets[model->ntargets++];
    const struct base *base = &model->bases[below(random, one_in(random, 2) ? 2 : model->nbases)];
    const struct file *file = some_file(model->tree, random);
    *target = (struct target){.dfd = base->fd};
    // The first has a path: to open a directory takes one.
    switch (between(random, model->ntargets == 1, 11)) {
    case 0:
        break;
    case 1:
        CHECK(target->path = strdup(one_in(random, 2) ? "" : "missing"));
        break;
    case 2: {
        static const char *const elsewhere[] = {"/", "/dev/null", "/dev", "//", "/proc", "/missing", "/dev/null/x"};
        CHECK(target->path = strdup(elsewhere[below(random, COUNT(elsewhere))]));
        target->shared = true;
        break;
    }
    case 3: {
        char *path = joined(model->tree->root, file->path);
        target->path = disguised(random, path);
        free(path);
        break;
    }
    default: {
        // Below the base, if it has files.
        size_t len = base->path ? strlen(base->path) : 0;
        bool inside = len > 0 && strncmp(file->path, base->path, len) == 0 && file->path[len] == '/';
        target->path = disguised(random, inside ? file->path + len + 1 : file->path);
    }
    }
    // What leads out of the tree, others may use.
    target->shared |= target->path && strstr(target->path, "..");
}

// What getxattr(2) and lgetxattr(2) say, which know no directory but the working directory.
static int attribute_of(const struct model *model, const struct target *target, bool nofollow) {
    bool is_elsewhere = *target->path != '/' && target->dfd != AT_FDCWD;
    if (!*target->path) {
        return -ENOENT;
    } else if (strlen(target->path) >= PATH_MAX) {
        return -ENAMETOOLONG;
    } else if (is_elsewhere && fchdir(target->dfd) != 0) {
        return -errno;
    }
    ssize_t len = (nofollow ? lgetxattr : getxattr)(target->path, ATTRIBUTE, NULL, 0);
    int result = len < 0 ? -errno : (int)len;
    CHECK_EQ(fchdir(model->tree->fd), 0);
    return result;
}

static void make_model(struct model *model, struct tree *tree, uint64_t seed) {
    *model = (struct model){.random = random_stream(seed, 1), .tree = tree};
    struct statvfs vfs;
    CHECK_EQ(fstatvfs(tree->fd, &vfs), 0);
    model->any_atime = !(vfs.f_flag & (ST_NOATIME | ST_RELATIME));
    make_bases(model);
    for (size_t count = between(&model->random, 1, MAX_TARGETS); count > 0; --count) {
        add_target(model);
    }
    // Before there is a queue, whose requests the working directory is for as well.
    for (size_t i = 0; i < model->ntargets; ++i) {
        struct target *target = &model->targets[i];
        for (size_t j = 0; target->path && j < COUNT(target->attribute); ++j) {
            target->attribute[j] = attribute_of(model, target, j > 0);
        }
    }
}

static void free_model(struct model *model) {
    for (size_t i = 0; i < model->ntargets; ++i) {
        struct target *target = &model->targets[i];
        for (size_t j = 0; j < target->listing.count; ++j) {
            free(target->listing.entries[j].name);
        }
        free(target->listing.entries);
        free(target->path);
    }
    for (size_t i = 0; i < model->nbases; ++i) {
        if (model->bases[i].owned) {
            CHECK_EQ(close(model->bases[i].fd), 0);
        }
    }
}

#endif // MATRIX_MODEL_H
