// A random tree of files: empty and large ones, directories deep and wide, links to files, to directories, to nothing and
// in circles, fifos, sockets, devices, files and directories without permissions, curious names, the longest names, and
// paths of every length up to the longest.

#ifndef MATRIX_TREE_H
#define MATRIX_TREE_H

#include "random.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>

#define ATTRIBUTE "user.matrix"
#define VALUE "value"

enum { MAX_FILES = 160, MAX_DIRS = 32, LIKELY = 12, WIDE = 300, CHAIN = 45 };

// A file, by its path from the root of the tree. The root itself is ".".
struct file {
    char *path;
    mode_t type;
};

struct tree {
    struct random random;
    char root[PATH_MAX];
    int fd;
    struct file files[MAX_FILES], dirs[MAX_DIRS];
    size_t nfiles, ndirs;
};

static void random_name(struct random *random, char name[NAME_MAX + 1]) {
    static const char *const curious[] = {" ", "-", "--", "...", "..a", "a.", ".hidden", "a\nb", "\\", "*", "%s%n", "\xFF"};
    size_t len = one_in(random, 4) ? NAME_MAX : between(random, 1, 24);
    switch (below(random, 5)) {
    case 0:
        strcpy(name, curious[below(random, COUNT(curious))]);
        break;
    case 1:
        for (size_t i = 0; i < len; ++i) {
            do {
                name[i] = (char)between(random, 1, 255);
            } while (name[i] == '/');
        }
        name[len] = '\0';
        break;
    case 2:
        memset(name, 'a' + (int)below(random, 26), len);
        name[len] = '\0';
        break;
    default:
        snprintf(name, NAME_MAX + 1, "name-%zu", below(random, 10000));
    }
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        strcpy(name, "dots");
    }
}

// One of the first, which are the root and those that every tree has, or any.
static const struct file *some_file(const struct tree *tree, struct random *random) {
    size_t count = one_in(random, 2) && tree->nfiles > LIKELY ? LIKELY : tree->nfiles;
    return &tree->files[below(random, count)];
}

static char *joined(const char *dir, const char *name) {
    size_t size = strlen(dir) + strlen(name) + 2;
    char *path = malloc(size);
    CHECK(path);
    snprintf(path, size, "%s/%s", dir, name);
    return path;
}

// Creates a file of the given type, and returns 0 or the error.
static int create_one(struct tree *tree, const char *path, mode_t type, const char *target) {
    struct random *random = &tree->random;
    int fd, ret;
    switch (type) {
    case S_IFDIR:
        ret = mkdirat(tree->fd, path, 0755);
        break;
    case S_IFLNK:
        ret = symlinkat(target, tree->fd, path);
        break;
    case S_IFREG:
        ret = fd = openat(tree->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600 + (mode_t)below(random, 0100));
        if (fd >= 0) {
            // Sparse: the space that a file takes may still change after it was written.
            CHECK_EQ(ftruncate(fd, one_in(random, 3) ? 0 : (off_t)below(random, 1 << 20)), 0);
            CHECK_EQ(close(fd), 0);
            ret = 0;
        }
        break;
    default:
        ret = mknodat(tree->fd, path, type | 0644, makedev(1, 3));
    }
    return ret == 0 ? 0 : errno;
}

// Adds a file to the tree, if its path is not too long, not taken yet, and a name that this file system knows.
static bool add(struct tree *tree, char *path, mode_t type, const char *target) {
    int error = tree->nfiles < MAX_FILES ? create_one(tree, path, type, target) : ENOSPC;
    if (error != 0) {
        // Devices are for root, and names that are not Unicode for most file systems.
        CHECK(error == EEXIST || error == ENAMETOOLONG || error == EILSEQ || error == EINVAL || error == EPERM ||
              error == ENOSPC);
        free(path);
        return false;
    }
    tree->files[tree->nfiles++] = (struct file){path, type};
    if (type == S_IFDIR && tree->ndirs < MAX_DIRS) {
        tree->dirs[tree->ndirs++] = (struct file){path, type};
    }
    return true;
}

static void add_link(struct tree *tree, char *path) {
    struct random *random = &tree->random;
    char *target;
    switch (below(random, 6)) {
    case 0:
        target = strdup("missing");
        break;
    case 1: // a circle, if the link is where the root is
        target = strdup(path);
        break;
    case 2:
        target = joined(some_file(tree, random)->path, "x");
        break;
    case 3: // the longest
        target = malloc(PATH_MAX);
        CHECK(target);
        for (size_t i = 0; i < PATH_MAX - 1; ++i) {
            target[i] = i % 2 ? '/' : '.';
        }
        target[PATH_MAX - 1] = '\0';
        break;
    default:
        target = joined(tree->root, some_file(tree, random)->path);
    }
    CHECK(target);
    target[strnlen(target, PATH_MAX - 1)] = '\0';
    add(tree, path, S_IFLNK, target);
    free(target);
}

static void add_random(struct tree *tree) {
    static const mode_t types[] = {S_IFREG, S_IFREG, S_IFDIR, S_IFDIR, S_IFLNK, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR};
    char name[NAME_MAX + 1];
    random_name(&tree->random, name);
    mode_t type = types[below(&tree->random, COUNT(types))];
    char *path = joined(tree->dirs[below(&tree->random, tree->ndirs)].path, name);
    if (type == S_IFLNK) {
        add_link(tree, path);
    } else {
        add(tree, path, type, NULL);
    }
}

// What every tree has: of each kind of link one, and what they lead to.
static void add_basic(struct tree *tree) {
    static const struct {
        const char *name, *target;
        mode_t type;
    } files[] = {
        {"file", NULL, S_IFREG},        {"sub", NULL, S_IFDIR},        {"fifo", NULL, S_IFIFO},
        {"to-file", "file", S_IFLNK},   {"to-sub", "sub", S_IFLNK},    {"to-nothing", "missing", S_IFLNK},
        {"to-self", "to-self", S_IFLNK}, {"through", "file/x", S_IFLNK}, {"sub/up", "..", S_IFLNK},
    };
    for (size_t i = 0; i < COUNT(files); ++i) {
        CHECK(add(tree, joined(".", files[i].name), files[i].type, files[i].target));
    }
}

// Directories inside each other, down to a file whose path could not be longer by a byte.
static void add_deep(struct tree *tree) {
    char *dir = strdup("."), name[NAME_MAX + 1];
    CHECK(dir);
    for (;;) {
        size_t left = PATH_MAX - 1 - strlen(dir) - 1;
        size_t len = left > NAME_MAX ? left - NAME_MAX < 3 ? 200 : NAME_MAX : left;
        memset(name, 'd', len);
        name[len] = '\0';
        char *path = joined(dir, name);
        free(dir);
        if (!add(tree, path, left > NAME_MAX ? S_IFDIR : S_IFREG, NULL) || left <= NAME_MAX) {
            return;
        }
        CHECK(dir = strdup(path));
    }
}

// More entries than fit into the buffer of a directory.
static void add_wide(struct tree *tree) {
    char *wide = joined(".", "wide"), name[NAME_MAX + 1];
    if (add(tree, wide, S_IFDIR, NULL)) {
        for (int i = 0; i < WIDE; ++i) {
            snprintf(name, sizeof(name), "wide/%d-%0*d", i, (int)between(&tree->random, 220, 250), 0);
            CHECK_EQ(symlinkat("x", tree->fd, name), 0);
        }
    }
}

// Links to links, more of them than the kernel follows (40).
static void add_chain(struct tree *tree) {
    char name[32], target[32] = "end";
    for (int i = 0; i < CHAIN; ++i) {
        snprintf(name, sizeof(name), "chain-%d", i);
        if (!add(tree, joined(".", name), S_IFLNK, target)) {
            return;
        }
        strcpy(target, name);
    }
    add(tree, joined(".", "end"), one_in(&tree->random, 2) ? S_IFDIR : S_IFREG, NULL);
}

// Times of all kinds. The last access is in the future, so that no access changes it (relatime).
static void set_times(struct tree *tree, const struct file *file) {
    static const time_t modified[] = {0, 1, -1, -1000000000, 1600000000};
    struct timespec times[2] = {
        {time(NULL) + 1000000, (long)below(&tree->random, 1000000000)},
        {modified[below(&tree->random, COUNT(modified))], (long)below(&tree->random, 1000000000)},
    };
    CHECK_EQ(utimensat(tree->fd, file->path, times, AT_SYMLINK_NOFOLLOW), 0);
}

// An attribute, where the file system has such.
static void set_attribute(struct tree *tree, const char *path) {
    int fd = openat(tree->fd, path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    fsetxattr(fd, ATTRIBUTE, VALUE, strlen(VALUE), 0);
    CHECK_EQ(close(fd), 0);
}

static void change_mode(struct tree *tree, const struct file *file) {
    static const mode_t modes[] = {0, 0, 0111, 0444, 0555, 0700, 06711, 01777};
    if (file->type == S_IFREG || file->type == S_IFDIR) {
        CHECK_EQ(fchmodat(tree->fd, file->path, modes[below(&tree->random, COUNT(modes))], 0), 0);
    }
}

static void make_tree(struct tree *tree, uint64_t seed) {
    *tree = (struct tree){.random = random_stream(seed, 0)};
    tree->fd = temp_dir(tree->root);
    tree->files[tree->nfiles++] = tree->dirs[tree->ndirs++] = (struct file){strdup("."), S_IFDIR};
    if (one_in(&tree->random, 4)) {
        add_wide(tree);
    }
    add_basic(tree);
    if (one_in(&tree->random, 4)) {
        add_deep(tree);
    }
    if (one_in(&tree->random, 4)) {
        add_chain(tree);
    }
    for (size_t count = between(&tree->random, 0, 50); count > 0; --count) {
        add_random(tree);
    }
    set_attribute(tree, "file");
    set_attribute(tree, "sub");
    for (size_t i = tree->nfiles; i-- > 0;) {
        set_times(tree, &tree->files[i]);
    }
    // From the inside out, while the paths can still be walked.
    for (size_t i = tree->nfiles; i-- > 1;) {
        if (one_in(&tree->random, 6)) {
            change_mode(tree, &tree->files[i]);
        }
    }
}

// Removes what is in a directory, which nftw(3) cannot do below PATH_MAX.
static void empty_directory(int fd) {
    DIR *dir = fdopendir(fd);
    CHECK(dir);
    for (struct dirent *de; (de = readdir(dir));) {
        if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0) {
            continue;
        }
        if (unlinkat(fd, de->d_name, 0) == 0) {
            continue;
        }
        CHECK_EQ(errno, EISDIR);
        CHECK_EQ(fchmodat(fd, de->d_name, 0700, 0), 0);
        int child = openat(fd, de->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        CHECK(child >= 0);
        empty_directory(child);
        CHECK_EQ(unlinkat(fd, de->d_name, AT_REMOVEDIR), 0);
    }
    CHECK_EQ(closedir(dir), 0);
}

static void remove_tree(struct tree *tree) {
    empty_directory(tree->fd);
    CHECK_EQ(rmdir(tree->root), 0);
    for (size_t i = 0; i < tree->nfiles; ++i) {
        free(tree->files[i].path);
    }
}

#endif // MATRIX_TREE_H
