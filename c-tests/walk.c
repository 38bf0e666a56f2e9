// ioq_walk_*(): the same entries as a plain walk finds, once each, in an order that holds.

#include "test.h"

#include <ioq/walk.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

enum { MASK = STATX_BASIC_STATS };

static char root[PATH_MAX];
static int root_fd;

// What a walk has returned: a line for each entry.
struct seen {
    char **lines;
    size_t count, size;
};

static void add_line(struct seen *seen, const char *kind, const char *path) {
    if (seen->count == seen->size) {
        seen->size = 2 * seen->size + 64;
        seen->lines = realloc(seen->lines, seen->size * sizeof(*seen->lines));
        CHECK(seen->lines);
    }
    size_t size = strlen(kind) + strlen(path) + 2;
    char *line = malloc(size);
    CHECK(line);
    snprintf(line, size, "%s %s", kind, path);
    seen->lines[seen->count++] = line;
}

static void forget(struct seen *seen) {
    for (size_t i = 0; i < seen->count; ++i) {
        free(seen->lines[i]);
    }
    free(seen->lines);
    *seen = (struct seen){0};
}

static int compare_lines(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void check_same(struct seen *want, struct seen *have) {
    qsort(want->lines, want->count, sizeof(*want->lines), compare_lines);
    qsort(have->lines, have->count, sizeof(*have->lines), compare_lines);
    for (size_t i = 0; i < want->count && i < have->count; ++i) {
        if (strcmp(want->lines[i], have->lines[i]) != 0) {
            fprintf(stderr, "not %s but %s\n", want->lines[i], have->lines[i]);
            CHECK(false);
        }
    }
    CHECK_EQ(want->count, have->count);
}

static const char *kind_of(unsigned char type) {
    return type == DT_DIR ? "dir" : type == DT_LNK ? "link" : type == DT_REG ? "file" : type == DT_FIFO ? "fifo" : "?";
}

// What a walk must return of a tree, by plain calls. Recursive: trees here are not deep.
static void expect_tree(struct seen *seen, const char *path, unsigned int flags, size_t depth, size_t max_depth) {
    struct stat sb;
    bool follow = flags & IOQ_WALK_FOLLOW || (depth == 0 && flags & IOQ_WALK_FOLLOW_ROOTS);
    if (!follow || stat(path, &sb) != 0) {
        CHECK_EQ(lstat(path, &sb), 0);
    }
    const char *kind = kind_of((unsigned char)IFTODT(sb.st_mode));
    if (!S_ISDIR(sb.st_mode)) {
        add_line(seen, kind, path);
        return;
    }
    if (flags & IOQ_WALK_PRE || !(flags & IOQ_WALK_POST)) {
        add_line(seen, kind, path);
    }
    if (max_depth == 0 || depth < max_depth) {
        DIR *dir = opendir(path);
        CHECK(dir);
        for (struct dirent *de; (de = readdir(dir));) {
            if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0) {
                char below[PATH_MAX];
                const char *slash = path[strlen(path) - 1] == '/' ? "" : "/";
                CHECK(snprintf(below, sizeof(below), "%s%s%s", path, slash, de->d_name) < PATH_MAX);
                expect_tree(seen, below, flags, depth + 1, max_depth);
            }
        }
        closedir(dir);
    }
    if (flags & IOQ_WALK_POST) {
        add_line(seen, "after", path);
    }
}

// What is known of a directory that was returned, in its word.
struct dir {
    struct dir *parent;
    char *path;
    size_t inside;
};

// Checks what holds for each entry, and keeps account of the directories.
static void check_entry(const struct ioq_walk_ent *ent, unsigned int flags) {
    CHECK_EQ(strlen(ent->path), ent->path_len);
    CHECK(ent->name >= ent->path && ent->name + strlen(ent->name) == ent->path + ent->path_len);
    CHECK_EQ(ent->depth == 0, !ent->parent_data);
    CHECK_EQ(ent->error, 0);
    CHECK(ent->ino);
    CHECK_EQ(ent->stat != NULL, (flags & IOQ_WALK_STAT) != 0);
    struct stat sb;
    bool follow = flags & IOQ_WALK_FOLLOW || (ent->depth == 0 && flags & IOQ_WALK_FOLLOW_ROOTS);
    if (!follow || fstatat(ent->dirfd, ent->name, &sb, 0) != 0) {
        CHECK_EQ(fstatat(ent->dirfd, ent->name, &sb, AT_SYMLINK_NOFOLLOW), 0);
    }
    CHECK_EQ(ent->type, IFTODT(sb.st_mode));
    CHECK_EQ(ent->ino, sb.st_ino);
    if (ent->stat) {
        CHECK_EQ(ent->stat->stx_ino, sb.st_ino);
        CHECK_EQ(ent->stat->stx_size, sb.st_size);
        CHECK_EQ(makedev(ent->stat->stx_dev_major, ent->stat->stx_dev_minor), sb.st_dev);
    }
    CHECK_EQ(ent->data != NULL, ent->type == DT_DIR);

    struct dir *parent = ent->parent_data ? *ent->parent_data : NULL;
    bool both = flags & IOQ_WALK_PRE && flags & IOQ_WALK_POST;
    if (both && ent->parent_data) {
        CHECK(parent);
        CHECK(strncmp(parent->path, ent->path, strlen(parent->path)) == 0);
        parent->inside += ent->post ? (size_t)-1 : ent->type == DT_DIR;
    }
    if (both && ent->data && !ent->post) {
        CHECK(!*ent->data);
        struct dir *dir = malloc(sizeof(*dir));
        CHECK(dir);
        *dir = (struct dir){.parent = parent, .path = strdup(ent->path)};
        *ent->data = dir;
    } else if (both && ent->post) {
        struct dir *dir = *ent->data;
        CHECK(dir && strcmp(dir->path, ent->path) == 0);
        CHECK_EQ(dir->inside, 0);
        free(dir->path);
        free(dir);
    }
}

static struct ioq_walk *open_walk(const char *const *roots, const struct ioq_walk_options *options) {
    struct ioq_walk *walk = ioq_walk_open(roots, options);
    if (!walk && backend_is("uring") && ring_errno() != 0) {
        skip("IOQ_BACKEND=uring, and no io_uring to be had here");
    }
    CHECK(walk);
    return walk;
}

static void walk_tree(struct seen *seen, const char *path, struct ioq_walk_options options) {
    const char *roots[] = {path, NULL};
    options.size = sizeof(options);
    options.mask = MASK;
    struct ioq_walk *walk = open_walk(roots, &options);
    const struct ioq_walk_ent *ent;
    int ret;
    while ((ret = ioq_walk_next(walk, &ent)) > 0) {
        check_entry(ent, options.flags);
        add_line(seen, ent->post ? "after" : kind_of(ent->type), ent->path);
    }
    CHECK_EQ(ret, 0);
    CHECK_EQ(ioq_walk_next(walk, &ent), 0);
    CHECK(!ent);
    CHECK_EQ(ioq_walk_close(walk), 0);
}

static void compare(const char *path, struct ioq_walk_options options) {
    struct seen want = {0}, have = {0};
    expect_tree(&want, path, options.flags, 0, options.max_depth);
    walk_tree(&have, path, options);
    check_same(&want, &have);
    forget(&want);
    forget(&have);
}

static const unsigned int all_flags[] = {
    0,
    IOQ_WALK_STAT,
    IOQ_WALK_POST,
    IOQ_WALK_STAT | IOQ_WALK_PRE | IOQ_WALK_POST,
    IOQ_WALK_STAT | IOQ_WALK_PRE | IOQ_WALK_POST | IOQ_WALK_XDEV,
    IOQ_WALK_POST | IOQ_WALK_XDEV,
    IOQ_WALK_SORT | IOQ_WALK_PRE | IOQ_WALK_POST | IOQ_WALK_XDEV,
    IOQ_WALK_FOLLOW,
    IOQ_WALK_FOLLOW | IOQ_WALK_STAT | IOQ_WALK_POST,
    IOQ_WALK_FOLLOW_ROOTS | IOQ_WALK_STAT,
    IOQ_WALK_SORT | IOQ_WALK_PRE | IOQ_WALK_POST,
    IOQ_WALK_SORT | IOQ_WALK_FOLLOW | IOQ_WALK_STAT | IOQ_WALK_POST,
    IOQ_WALK_CALLER_RUNS | IOQ_WALK_STAT,
};

static void same_as_plain(void) {
    static const char *const paths[] = {"tree", "tree/", "tree/file", "tree/link", "tree/broken", "tree/link-to-dir", "tree/.", "tree/empty"};
    CHECK_EQ(fchdir(root_fd), 0);
    for (size_t i = 0; i < COUNT(paths); ++i) {
        for (size_t j = 0; j < COUNT(all_flags); ++j) {
            compare(paths[i], (struct ioq_walk_options){.flags = all_flags[j]});
        }
        compare(paths[i], (struct ioq_walk_options){.flags = IOQ_WALK_STAT, .max_depth = 1});
        compare(paths[i], (struct ioq_walk_options){.flags = IOQ_WALK_PRE | IOQ_WALK_POST, .max_depth = 2});
        compare(paths[i], (struct ioq_walk_options){.flags = IOQ_WALK_PRE | IOQ_WALK_POST, .max_fds = 1});
        compare(paths[i], (struct ioq_walk_options){.flags = IOQ_WALK_SORT | IOQ_WALK_POST, .max_fds = 1, .max_memory = 1});
        compare(paths[i], (struct ioq_walk_options){.flags = IOQ_WALK_STAT, .nthreads = 1, .max_memory = 1});
    }
    struct seen have = {0};
    const char *roots[] = {root, NULL};
    struct ioq_walk *walk = open_walk(roots, NULL);
    const struct ioq_walk_ent *ent;
    while (ioq_walk_next(walk, &ent) > 0) {
        add_line(&have, "", ent->path);
    }
    CHECK(have.count > 10);
    forget(&have);
    ioq_walk_close(walk);
}

// Sorted by name, and each directory's content right after it.
static void sorted(void) {
    const char *roots[] = {"tree/wide", "tree", NULL};
    struct ioq_walk_options options = {.size = sizeof(options), .flags = IOQ_WALK_SORT};
    struct ioq_walk *walk = open_walk(roots, &options);
    const struct ioq_walk_ent *ent;
    char before[PATH_MAX] = "";
    size_t roots_seen = 0;
    while (ioq_walk_next(walk, &ent) > 0) {
        // Slashes come first, as the content of a directory does.
        char path[PATH_MAX];
        snprintf(path, sizeof(path), "%s", ent->path);
        for (char *c = path; *c; ++c) {
            *c = *c == '/' ? '\1' : *c;
        }
        if (ent->depth == 0) {
            CHECK_EQ(strcmp(ent->path, roots[roots_seen++]), 0);
        } else {
            CHECK(strcmp(before, path) < 0);
        }
        snprintf(before, sizeof(before), "%s", path);
    }
    CHECK_EQ(roots_seen, 2);
    ioq_walk_close(walk);
}

// Each root once, those that are not there with their error; nothing of the second before the first is finished.
static void several_roots(void) {
    const char *roots[] = {"tree/a", "missing", "tree/file", "tree/a///", "", NULL};
    struct ioq_walk_options options = {.size = sizeof(options), .flags = IOQ_WALK_ROOT_BY_ROOT | IOQ_WALK_PRE | IOQ_WALK_POST};
    for (int in_order = 1; in_order >= 0; --in_order) {
        struct ioq_walk *walk = open_walk(roots, &options);
        const struct ioq_walk_ent *ent;
        size_t found = 0, errors = 0, after = 0;
        while (ioq_walk_next(walk, &ent) > 0) {
            if (ent->depth > 0) {
                continue;
            }
            CHECK(ent->path == ent->name);
            CHECK_EQ(ent->dirfd, AT_FDCWD);
            CHECK(!in_order || ent->post || strcmp(ent->path, found + errors == 3 ? "tree/a/" : roots[found + errors]) == 0);
            CHECK(!in_order || ent->post || after + errors + (found > 2) >= found);
            after += ent->post;
            if (ent->error) {
                CHECK_EQ(ent->error, ENOENT);
                CHECK_EQ(ent->type, DT_UNKNOWN);
                CHECK(!ent->data);
                ++errors;
            } else {
                found += !ent->post;
            }
        }
        CHECK_EQ(found, 3);
        CHECK_EQ(errors, 2);
        CHECK_EQ(after, 2);
        ioq_walk_close(walk);
        options.flags &= ~(unsigned int)IOQ_WALK_ROOT_BY_ROOT;
    }
    const char *none[] = {NULL};
    struct ioq_walk *walk = open_walk(none, &options);
    const struct ioq_walk_ent *ent;
    CHECK_EQ(ioq_walk_next(walk, &ent), 0);
    ioq_walk_close(walk);
}

// What is pruned or skipped is not entered; what is pruned is returned, twice if asked for.
static bool skips(const struct ioq_walk_ent *ent, void *arg) {
    ++*(size_t *)arg;
    CHECK(!ent->post);
    CHECK(!ent->data);
    CHECK(strncmp(ent->path, "tree", 4) == 0);
    return strcmp(ent->name, "a") == 0 || strcmp(ent->name, "file") == 0;
}

static void left_out(void) {
    const char *roots[] = {"tree", NULL};
    size_t asked = 0, count = 0, pruned = 0;
    struct ioq_walk_options options = {
        .size = sizeof(options), .flags = IOQ_WALK_PRE | IOQ_WALK_POST, .skip = skips, .arg = &asked};
    struct ioq_walk *walk = open_walk(roots, &options);
    const struct ioq_walk_ent *ent;
    while (ioq_walk_next(walk, &ent) > 0) {
        CHECK(!strstr(ent->path, "tree/a") && strcmp(ent->path, "tree/file") != 0);
        CHECK(!strstr(ent->path, "wide/"));
        if (strcmp(ent->name, "wide") == 0) {
            ++pruned;
            ioq_walk_prune(walk);
        }
        count += !ent->post;
    }
    CHECK_EQ(pruned, 2);
    CHECK(asked > count && asked <= count + 4);
    ioq_walk_close(walk);
    ioq_walk_prune(NULL);
}

// Circles end where they close, with an error.
static void circles(void) {
    const char *roots[] = {"circle", NULL};
    for (int post = 0; post < 2; ++post) {
        struct ioq_walk_options options = {
            .size = sizeof(options), .flags = IOQ_WALK_FOLLOW | IOQ_WALK_PRE | (post ? IOQ_WALK_POST : 0)};
        struct ioq_walk *walk = open_walk(roots, &options);
        const struct ioq_walk_ent *ent;
        size_t errors = 0, count = 0;
        while (ioq_walk_next(walk, &ent) > 0) {
            if (ent->error == ELOOP && ent->post) {
                CHECK(strcmp(ent->path, "circle/in/back") == 0 || strcmp(ent->path, "circle/self") == 0);
                ++errors;
            } else if (ent->error) {
                CHECK_EQ(ent->error, ELOOP); // a link to itself
                CHECK_EQ(strcmp(ent->path, "circle/itself"), 0);
                CHECK(!ent->post);
            }
            ++count;
        }
        CHECK_EQ(errors, 2);
        CHECK_EQ(count, post ? 9 : 7);
        ioq_walk_close(walk);
    }
}

// Without waiting, by the descriptor.
static void event_loop(void) {
    const char *roots[] = {"tree", NULL};
    struct ioq_walk *walk = open_walk(roots, NULL);
    struct pollfd poll_fd = {.fd = ioq_walk_fd(walk), .events = POLLIN};
    CHECK(poll_fd.fd >= 0);
    const struct ioq_walk_ent *ent;
    struct seen want = {0}, have = {0};
    for (int ret; (ret = ioq_walk_try_next(walk, &ent)) != 0;) {
        if (ret > 0) {
            add_line(&have, kind_of(ent->type), ent->path);
        } else {
            CHECK_EQ(errno, EAGAIN);
            CHECK_EQ(poll(&poll_fd, 1, -1), 1);
        }
    }
    expect_tree(&want, "tree", 0, 0, 0);
    check_same(&want, &have);
    forget(&want);
    forget(&have);
    ioq_walk_close(walk);
}

// Closed after so many entries, nothing is left.
static void closed_early(void) {
    const char *roots[] = {"tree", "missing", "circle", NULL};
    for (size_t round = 0; round < rounds(60); ++round) {
        struct ioq_walk_options options = {
            .size = sizeof(options), .flags = round % 2 ? IOQ_WALK_STAT | IOQ_WALK_POST : IOQ_WALK_FOLLOW, .mask = MASK, .nthreads = 1 + round % 3};
        struct ioq_walk *walk = open_walk(roots, &options);
        const struct ioq_walk_ent *ent;
        for (size_t i = 0; i < round && ioq_walk_next(walk, &ent) > 0; ++i) {
        }
        CHECK_EQ(ioq_walk_close(walk), 0);
    }
    CHECK_EQ(ioq_walk_close(NULL), 0);
}

static void refused(const char *const *roots, const struct ioq_walk_options *options, int error) {
    errno = 0;
    CHECK(!ioq_walk_open(roots, options));
    CHECK_EQ(errno, error);
}

static void arguments(void) {
    const char *roots[] = {"tree", NULL};
    struct ioq_walk_options options = {.size = sizeof(options)};
    refused(NULL, &options, EINVAL);
    options.size = sizeof(options) - 1;
    refused(roots, &options, EINVAL);
    options.size = sizeof(options);
    options.flags = IOQ_WALK_CALLER_RUNS << 1;
    refused(roots, &options, EINVAL);
    options.flags = 0;
    options.mask = 1U << 31;
    refused(roots, &options, EINVAL);
    struct {
        struct ioq_walk_options options;
        char more[8];
    } newer = {{.size = sizeof(newer)}, ""};
    struct ioq_walk *walk = open_walk(roots, &newer.options);
    const struct ioq_walk_ent *ent;
    CHECK_ERRNO(ioq_walk_next(NULL, &ent), EINVAL);
    CHECK_ERRNO(ioq_walk_next(walk, NULL), EINVAL);
    CHECK_ERRNO(ioq_walk_try_next(NULL, &ent), EINVAL);
    CHECK_ERRNO(ioq_walk_fd(NULL), EINVAL);
    ioq_walk_close(walk);
    newer.more[7] = 1;
    refused(roots, &newer.options, E2BIG);
}

// Directories that cannot be opened, and entries that cannot be statted, are entries.
static void denied(void) {
    become_nobody();
    const char *roots[] = {"denied", NULL};
    struct ioq_walk_options options = {.size = sizeof(options), .flags = IOQ_WALK_STAT, .mask = MASK};
    struct ioq_walk *walk = open_walk(roots, &options);
    const struct ioq_walk_ent *ent;
    size_t unopened = 0, unstatted = 0, count = 0;
    while (ioq_walk_next(walk, &ent) > 0) {
        ++count;
        if (ent->error) {
            CHECK_EQ(ent->error, EACCES);
            unopened += ent->post && strcmp(ent->path, "denied/locked") == 0;
            unstatted += !ent->post && !ent->stat && strcmp(ent->path, "denied/unsearchable/file") == 0;
        }
    }
    CHECK_EQ(unopened, 1);
    CHECK_EQ(unstatted, 1);
    CHECK_EQ(count, 5);
    ioq_walk_close(walk);
}

static void make_tree(void) {
    static const char *const dirs[] = {"tree", "tree/a", "tree/a/b", "tree/a/b/c", "tree/a/d", "tree/empty", "tree/wide",
        "circle", "circle/in", "denied", "denied/locked", "denied/unsearchable"};
    for (size_t i = 0; i < COUNT(dirs); ++i) {
        CHECK_EQ(mkdirat(root_fd, dirs[i], 0755), 0);
    }
    make_file(root_fd, "tree/file", 100);
    make_file(root_fd, "tree/a/b/c/file", 1);
    make_file(root_fd, "tree/a/new\nline", 0);
    CHECK_EQ(mkfifoat(root_fd, "tree/a/fifo", 0600), 0);
    CHECK_EQ(symlinkat("file", root_fd, "tree/link"), 0);
    CHECK_EQ(symlinkat("nowhere", root_fd, "tree/broken"), 0);
    CHECK_EQ(symlinkat("a/b", root_fd, "tree/link-to-dir"), 0);
    CHECK_EQ(symlinkat("../../empty", root_fd, "tree/a/b/link-to-empty"), 0);
    for (int i = 0; i < 300; ++i) {
        char name[64];
        snprintf(name, sizeof(name), "tree/wide/%03d", i);
        CHECK_EQ(mkdirat(root_fd, name, 0755), 0);
        snprintf(name, sizeof(name), "tree/wide/%03d/%s", i, i % 2 ? "x" : "a name of another length");
        make_file(root_fd, name, 0);
    }
    CHECK_EQ(symlinkat(".", root_fd, "circle/self"), 0);
    CHECK_EQ(symlinkat("..", root_fd, "circle/in/back"), 0);
    CHECK_EQ(symlinkat("itself", root_fd, "circle/itself"), 0);
    make_file(root_fd, "denied/unsearchable/file", 0);
    CHECK_EQ(fchmodat(root_fd, "denied/locked", 0, 0), 0);
    CHECK_EQ(fchmodat(root_fd, "denied/unsearchable", 0444, 0), 0);
}

static void as_nobody(void) {
    CHECK_EQ(in_child(denied), 0);
}

enum { SKIPPED = 77, OLD = 1000 };

// With a file system mounted in an empty directory, which nobody else sees. What is read there has another time of access.
static void walk_around_a_mount(void) {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "", MS_REC | MS_PRIVATE, "") != 0
        || mount("none", "tree/empty", "tmpfs", MS_STRICTATIME, "") != 0) {
        _exit(SKIPPED);
    }
    close(open("tree/empty/inside", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    static const unsigned int stats[] = {0, IOQ_WALK_STAT};
    for (size_t i = 0; i < COUNT(stats); ++i) {
        struct stat stat;
        const struct timespec times[] = {{.tv_sec = OLD}, {.tv_sec = OLD}};
        CHECK_EQ(utimensat(AT_FDCWD, "tree/empty", times, 0), 0);
        struct ioq_walk_options options = {
            .size = sizeof(options), .flags = stats[i] | IOQ_WALK_PRE | IOQ_WALK_POST | IOQ_WALK_XDEV};
        struct ioq_walk *walk = open_walk((const char *[]){"tree", NULL}, &options);
        size_t visits = 0;
        for (const struct ioq_walk_ent *ent; ioq_walk_next(walk, &ent) > 0;) {
            CHECK(!strstr(ent->path, "inside"));
            visits += strcmp(ent->path, "tree/empty") == 0;
            CHECK(ent->error == 0 || ent->type != DT_DIR);
        }
        ioq_walk_close(walk);
        CHECK_EQ(visits, 2);
        CHECK_EQ(lstat("tree/empty", &stat), 0);
        CHECK_EQ(stat.st_atime, OLD);
    }
}

// Whether anything can be mounted here.
static bool mounts;

static void other_file_systems_are_not_read(void) {
    CHECK_EQ(fchdir(root_fd), 0);
    int status = in_child(walk_around_a_mount);
    mounts = status == 0;
    CHECK(mounts || (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED));
}

int main(void) {
    need_address_space(256 << 20); // as much is read ahead as the options allow
    need_fds(512);
    root_fd = temp_dir(root);
    make_tree();
    CHECK_EQ(fchdir(root_fd), 0);
    RUN(same_as_plain);
    RUN(sorted);
    RUN(several_roots);
    RUN(left_out);
    RUN(other_file_systems_are_not_read);
    RUN(circles);
    RUN(event_loop);
    RUN(closed_early);
    RUN(arguments);
    RUN(as_nobody);
    CHECK_EQ(fchdir(root_fd), 0);
    CHECK_EQ(chmod("denied/locked", 0755), 0);
    CHECK_EQ(chmod("denied/unsearchable", 0755), 0);
    remove_temp_dir(root, root_fd);
    if (!mounts) {
        skip("nothing can be mounted here");
    }
    return 0;
}
