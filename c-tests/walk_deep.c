// Walks through trees far deeper than any path may be long, and wider than memory may hold, with few descriptors.
//
// IOQ_WALK_LEVELS and IOQ_WALK_WIDTH in the environment are for larger ones than these.

#include "test.h"

#include <ioq/walk.h>

static char root[PATH_MAX];
static int root_fd;
static size_t levels, width;

static size_t from_environment(const char *name, size_t otherwise) {
    const char *value = getenv(name);
    return value ? strtoul(value, NULL, 10) : otherwise;
}

static struct ioq_walk *open_walk(const char *path, const struct ioq_walk_options *options) {
    const char *roots[] = {path, NULL};
    struct ioq_walk *walk = ioq_walk_open(roots, options);
    if (!walk && backend_is("uring") && ring_errno() != 0) {
        skip("IOQ_BACKEND=uring, and no io_uring to be had here");
    }
    CHECK(walk);
    return walk;
}

// On each level the next one, "d", and two directories with a file beside it, before and after that in any order.
static void make_deep(void) {
    CHECK_EQ(mkdirat(root_fd, "deep", 0755), 0);
    int fd = openat(root_fd, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < levels; ++i) {
        CHECK_EQ(mkdirat(fd, "a", 0755), 0);
        make_file(fd, "a/file", 0);
        CHECK_EQ(mkdirat(fd, "d", 0755), 0);
        CHECK_EQ(mkdirat(fd, "z", 0755), 0);
        int below = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(below >= 0);
        CHECK_EQ(close(fd), 0);
        fd = below;
    }
    CHECK_EQ(close(fd), 0);
}

// The walk has no more than so many descriptors open for directories.
static size_t directories_open(void) {
    DIR *dir = opendir("/proc/self/fd");
    CHECK(dir);
    size_t count = 0;
    for (struct dirent *de; (de = readdir(dir));) {
        struct stat sb;
        count += de->d_name[0] != '.' && fstatat(dirfd(dir), de->d_name, &sb, 0) == 0 && S_ISDIR(sb.st_mode);
    }
    closedir(dir);
    return count - 1; // the one that lists them may be one of another file system, and a directory it is
}

static void deep_with(struct ioq_walk_options options) {
    options.size = sizeof(options);
    options.flags |= IOQ_WALK_PRE | IOQ_WALK_POST;
    size_t before = directories_open(), most = 0;
    struct ioq_walk *walk = open_walk("deep", &options);
    const struct ioq_walk_ent *ent;
    size_t first = 0, last = 0, files = 0, deepest = 0;
    while (ioq_walk_next(walk, &ent) > 0) {
        CHECK_EQ(ent->error, 0);
        CHECK_EQ(ent->depth == 0, ent->dirfd == AT_FDCWD);
        CHECK(ent->depth == 0 || ent->dirfd >= 0);
        if (ent->type == DT_REG) {
            CHECK_EQ(strcmp(ent->path + ent->path_len - 7, "/a/file"), 0);
            CHECK_EQ(ent->path_len, strlen("deep/a/file") + 2 * (ent->depth - 2));
            ++files;
            continue;
        }
        *(ent->post ? &last : &first) += 1;
        deepest = ent->depth > deepest ? ent->depth : deepest;
        if (ent->post && ent->depth % 500 == 1) {
            size_t now = directories_open() - before;
            most = now > most ? now : most;
        }
    }
    ioq_walk_close(walk);
    CHECK_EQ(deepest, levels);
    CHECK_EQ(files, levels);
    CHECK_EQ(first, 3 * levels + 1);
    CHECK_EQ(last, first);
    CHECK(options.max_fds == 0 || most <= options.max_fds);
}

static void deep(void) {
    deep_with((struct ioq_walk_options){.max_fds = 4});
    deep_with((struct ioq_walk_options){.max_fds = 64, .flags = IOQ_WALK_STAT});
    deep_with((struct ioq_walk_options){.flags = IOQ_WALK_SORT, .max_fds = 5});
    deep_with((struct ioq_walk_options){.max_memory = 1});
    deep_with((struct ioq_walk_options){.nthreads = 1});
}

// The system has fewer descriptors than the walk was told.
static void few_descriptors(void) {
    struct rlimit limit;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    // One for the count, and some for the queue on old kernels.
    limit.rlim_cur = open_fds() + 10;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    deep_with((struct ioq_walk_options){.max_fds = 1000});
}

static void with_few_descriptors(void) {
    CHECK_EQ(in_child(few_descriptors), 0);
}

// Removes everything by the descriptors that come with the entries.
static void removed(void) {
    struct ioq_walk_options options = {.size = sizeof(options), .flags = IOQ_WALK_POST, .max_fds = 8};
    struct ioq_walk *walk = open_walk("deep", &options);
    const struct ioq_walk_ent *ent;
    while (ioq_walk_next(walk, &ent) > 0) {
        CHECK_EQ(ent->error, 0);
        CHECK_EQ(unlinkat(ent->dirfd, ent->name, ent->type == DT_DIR ? AT_REMOVEDIR : 0), 0);
    }
    ioq_walk_close(walk);
    CHECK_ERRNO(faccessat(root_fd, "deep", F_OK, 0), ENOENT);
}

static void make_wide(void) {
    CHECK_EQ(mkdirat(root_fd, "wide", 0755), 0);
    int fd = openat(root_fd, "wide", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < width; ++i) {
        char name[64];
        snprintf(name, sizeof(name), "a name that is not the shortest %zu", i);
        if (i % 3 == 0) {
            CHECK_EQ(mkdirat(fd, name, 0755), 0);
        } else if (i % 3 == 1) {
            CHECK_EQ(symlinkat("x", fd, name), 0);
        } else {
            make_file(fd, name, 0);
        }
    }
    CHECK_EQ(close(fd), 0);
}

static void wide_with(struct ioq_walk_options options) {
    options.size = sizeof(options);
    options.mask = STATX_BASIC_STATS;
    struct ioq_walk *walk = open_walk("wide", &options);
    bool *seen = calloc(width, sizeof(*seen));
    CHECK(seen);
    const struct ioq_walk_ent *ent;
    size_t count = 0;
    while (ioq_walk_next(walk, &ent) > 0) {
        CHECK_EQ(ent->error, 0);
        if (ent->depth == 1) {
            size_t number = strtoul(ent->name + strlen("a name that is not the shortest "), NULL, 10);
            CHECK(number < width && !seen[number]);
            CHECK_EQ(ent->type, number % 3 == 0 ? DT_DIR : number % 3 == 1 ? DT_LNK : DT_REG);
            seen[number] = true;
            ++count;
        }
    }
    CHECK_EQ(count, width);
    free(seen);
    ioq_walk_close(walk);
}

static void wide(void) {
    wide_with((struct ioq_walk_options){.flags = IOQ_WALK_STAT, .max_fds = 4});
    wide_with((struct ioq_walk_options){.flags = IOQ_WALK_STAT | IOQ_WALK_POST, .max_memory = 1 << 20});
    wide_with((struct ioq_walk_options){.flags = IOQ_WALK_SORT});
    wide_with((struct ioq_walk_options){.flags = IOQ_WALK_FOLLOW, .max_memory = 1});
}

int main(void) {
    need_address_space(256 << 20); // as much is read ahead as the options allow
    need_fds(512);
    levels = from_environment("IOQ_WALK_LEVELS", is_slow() ? 100 : 600);
    width = from_environment("IOQ_WALK_WIDTH", is_slow() ? 1500 : 6000);
    root_fd = temp_dir(root);
    CHECK_EQ(fchdir(root_fd), 0);
    make_deep();
    make_wide();
    RUN(deep);
    RUN(with_few_descriptors);
    RUN(removed);
    RUN(wide);
    CHECK_EQ(fchdir(root_fd), 0);
    remove_temp_dir(root, root_fd);
    return 0;
}
