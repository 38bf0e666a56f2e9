// Relative paths, and what they are relative to: the directory and root of the process, whichever thread runs a request,
// and whenever the program changed them.

#include "test.h"

#include <ioq/dir.h>
#include <ioq/stat.h>

enum { DEPTH = 32 };

static char root[PATH_MAX];
static int root_fd;
static ino_t inos[2];
static int dfds[2];

// Has every worker look for a file, and opens a directory that has it.
static void expect(struct ioq *ioq, const char *directory, const char *path, ino_t ino) {
    static struct bfs_stat bufs[DEPTH];
    for (size_t i = 0; i < DEPTH; ++i) {
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, path, 0, &bufs[i], NULL), 0);
        ioq_submit(ioq);
    }
    for (size_t i = 0; i < DEPTH; ++i) {
        struct ioq_ent *ent = next(ioq);
        CHECK_EQ(ent->result, 0);
        CHECK_EQ(ent->stat.buf->ino, ino);
        ioq_free(ioq, ent);
    }

    struct bfs_dir *dir = bfs_allocdir();
    struct stat sb;
    CHECK(dir);
    CHECK_EQ(ioq_opendir(ioq, dir, AT_FDCWD, directory, 0, dir), 0);
    CHECK_EQ(take(ioq, IOQ_OPENDIR, dir), 0);
    CHECK_EQ(fstatat(bfs_dirfd(dir), "file", &sb, 0), 0);
    CHECK_EQ(sb.st_ino, ino);
    CHECK_EQ(bfs_closedir(dir), 0);
    free(dir);
}

static void moved(void) {
    struct ioq *ioq = create(DEPTH, test_way->threads);
    for (size_t i = 0; i < rounds(20); ++i) {
        CHECK_EQ(chdir(root), 0);
        CHECK_EQ(chdir(i % 2 ? "b" : "a"), 0);
        expect(ioq, ".", "file", inos[i % 2]);
        CHECK_EQ(fchdir(dfds[1 - i % 2]), 0);
        expect(ioq, ".", "file", inos[1 - i % 2]);
    }
    ioq_destroy(ioq);
}

// The old directory may be gone.
static void removed(void) {
    struct ioq *ioq = create(DEPTH, test_way->threads);
    CHECK_EQ(fchdir(dfds[0]), 0);
    expect(ioq, ".", "file", inos[0]);
    CHECK_EQ(mkdirat(root_fd, "gone", 0755), 0);
    CHECK_EQ(fchdir(root_fd), 0);
    CHECK_EQ(chdir("gone"), 0);
    CHECK_EQ(unlinkat(root_fd, "gone", AT_REMOVEDIR), 0);
    struct bfs_stat buf;
    CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "file", 0, &buf, &buf), 0);
    CHECK_EQ(take(ioq, IOQ_STAT, &buf), -ENOENT);
    CHECK_EQ(fchdir(dfds[0]), 0);
    expect(ioq, ".", "file", inos[0]);
    ioq_destroy(ioq);
}

static void in_another_root(void) {
    struct ioq *ioq = create(DEPTH, test_way->threads);
    CHECK_EQ(fchdir(dfds[0]), 0);
    expect(ioq, ".", "file", inos[0]);
    if (chroot(".") != 0) {
        CHECK_EQ(errno, EPERM);
    } else {
        CHECK_EQ(fchdir(dfds[1]), 0);
        expect(ioq, "/", "/file", inos[0]);
        expect(ioq, ".", "file", inos[1]);
    }
    ioq_destroy(ioq);
}

int main(void) {
    root_fd = temp_dir(root);
    for (int i = 0; i < 2; ++i) {
        const char *name = i ? "b" : "a";
        struct stat sb;
        CHECK_EQ(mkdirat(root_fd, name, 0755), 0);
        dfds[i] = openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(dfds[i] >= 0);
        make_file(dfds[i], "file", 0);
        CHECK_EQ(fstatat(dfds[i], "file", &sb, 0), 0);
        inos[i] = sb.st_ino;
    }
    for (test_way = test_ways; test_way != test_ways + COUNT(test_ways); ++test_way) {
        RUN(moved);
        RUN(removed);
        CHECK_EQ(in_child(in_another_root), 0);
    }
    CHECK_EQ(close(dfds[0]), 0);
    CHECK_EQ(close(dfds[1]), 0);
    remove_temp_dir(root, root_fd);
    return 0;
}
