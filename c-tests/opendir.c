// ioq_opendir(): the directory is open and lists its entries, or is not open and the result says why.

#include "test.h"

#include <ioq/dir.h>

static char root[PATH_MAX];
static int root_fd;
static struct bfs_dir *dir;

static int open_by(struct ioq *ioq, int dfd, const char *path) {
    CHECK_EQ(ioq_opendir(ioq, dir, dfd, path, 0, root), 0);
    struct ioq_ent *ent = next(ioq);
    CHECK_EQ(ent->op, IOQ_OPENDIR);
    CHECK(ent->opendir.dir == dir);
    CHECK(ent->opendir.path == path);
    CHECK_EQ(ent->opendir.dfd, dfd);
    CHECK_EQ(ent->opendir.flags, 0);
    CHECK(ent->ptr == root);
    int result = ent->result;
    ioq_free(ioq, ent);
    return result;
}

// Checks that `dir` lists the root of the test's tree, and closes it.
static void check_listing(void) {
    size_t directories = 0, files = 0, links = 0;
    struct bfs_dirent de;
    int ret;
    while ((ret = bfs_readdir(dir, &de)) > 0) {
        struct stat sb;
        CHECK(strcmp(de.name, ".") != 0 && strcmp(de.name, "..") != 0);
        CHECK_EQ(fstatat(root_fd, de.name, &sb, AT_SYMLINK_NOFOLLOW), 0);
        CHECK(de.type == BFS_UNKNOWN || (de.type == BFS_DIR) == S_ISDIR(sb.st_mode));
        CHECK(de.type == BFS_UNKNOWN || (de.type == BFS_REG) == S_ISREG(sb.st_mode));
        CHECK(de.type == BFS_UNKNOWN || (de.type == BFS_LNK) == S_ISLNK(sb.st_mode));
        directories += S_ISDIR(sb.st_mode);
        files += S_ISREG(sb.st_mode);
        links += S_ISLNK(sb.st_mode);
    }
    CHECK_EQ(ret, 0);
    CHECK_EQ(directories, 3);
    CHECK_EQ(files, 1);
    CHECK_EQ(links, 3);
    CHECK_EQ(bfs_closedir(dir), 0);
}

static void by_path(struct ioq *ioq) {
    CHECK_EQ(open_by(ioq, AT_FDCWD, root), 0);
    CHECK_EQ(fcntl(bfs_dirfd(dir), F_GETFD), FD_CLOEXEC);
    check_listing();

    // An absolute path needs no dfd.
    CHECK_EQ(open_by(ioq, -1, root), 0);
    check_listing();
}

static void relative(struct ioq *ioq) {
    CHECK_EQ(open_by(ioq, root_fd, "."), 0);
    check_listing();
    CHECK_EQ(open_by(ioq, root_fd, "sub/.."), 0);
    check_listing();

    int sub = openat(root_fd, "sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK_EQ(open_by(ioq, sub, ".."), 0);
    check_listing();
    CHECK_EQ(close(sub), 0);
}

static void through_link(struct ioq *ioq) {
    CHECK_EQ(open_by(ioq, root_fd, "link"), 0);
    struct bfs_dirent de;
    CHECK_EQ(bfs_readdir(dir, &de), 0);
    CHECK_EQ(bfs_closedir(dir), 0);
}

// The directory takes the descriptor over.
static void null_path(struct ioq *ioq) {
    int fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(open_by(ioq, fd, NULL), 0);
    CHECK_EQ(bfs_dirfd(dir), fd);
    check_listing();
    CHECK(!fd_open(fd));
}

static void many_entries(struct ioq *ioq) {
    size_t count = 0;
    CHECK_EQ(open_by(ioq, root_fd, "many"), 0);
    static bool seen[3000];
    memset(seen, 0, sizeof(seen));
    struct bfs_dirent de;
    int ret;
    while ((ret = bfs_readdir(dir, &de)) > 0) {
        size_t i = strtoul(de.name + strlen("a-rather-long-name-"), NULL, 10);
        CHECK(i < COUNT(seen) && !seen[i]);
        seen[i] = true;
        ++count;
    }
    CHECK_EQ(ret, 0);
    CHECK_EQ(count, COUNT(seen));
    CHECK_EQ(bfs_closedir(dir), 0);
}

static void errors(struct ioq *ioq) {
    CHECK_EQ(open_by(ioq, root_fd, "missing"), -ENOENT);
    CHECK_EQ(open_by(ioq, root_fd, ""), -ENOENT);
    CHECK_EQ(open_by(ioq, root_fd, "missing/sub"), -ENOENT);
    CHECK_EQ(open_by(ioq, root_fd, "broken"), -ENOENT);
    CHECK_EQ(open_by(ioq, root_fd, "file"), -ENOTDIR);
    CHECK_EQ(open_by(ioq, root_fd, "file/sub"), -ENOTDIR);
    CHECK_EQ(open_by(ioq, root_fd, "loop"), -ELOOP);
    CHECK_EQ(open_by(ioq, -1, "sub"), -EBADF);
    CHECK_EQ(open_by(ioq, -1, NULL), -EBADF);

    int file = openat(root_fd, "file", O_RDONLY | O_CLOEXEC);
    CHECK_EQ(open_by(ioq, file, "sub"), -ENOTDIR);
    CHECK_EQ(close(file), 0);

    char name[NAME_MAX + 2], path[PATH_MAX + 2];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    CHECK_EQ(open_by(ioq, root_fd, name), -ENAMETOOLONG);
    for (size_t i = 0; i < sizeof(path) - 1; ++i) {
        path[i] = i % 2 ? '/' : '.';
    }
    path[sizeof(path) - 1] = '\0';
    CHECK_EQ(open_by(ioq, root_fd, path), -ENAMETOOLONG);

    // A directory that failed to open is as good as a new one.
    CHECK_EQ(open_by(ioq, root_fd, "."), 0);
    check_listing();
}

static void denied(struct ioq *ioq) {
    CHECK_EQ(open_by(ioq, root_fd, "locked"), -EACCES);
    CHECK_EQ(open_by(ioq, root_fd, "locked/sub"), -EACCES);
}

static void as_nobody(void) {
    become_nobody();
    RUN_EACH_WAY(denied);
}

int main(void) {
    root_fd = temp_dir(root);
    make_file(root_fd, "file", 1);
    CHECK_EQ(mkdirat(root_fd, "sub", 0755), 0);
    CHECK_EQ(mkdirat(root_fd, "locked", 0), 0);
    CHECK_EQ(symlinkat("sub", root_fd, "link"), 0);
    CHECK_EQ(symlinkat("missing", root_fd, "broken"), 0);
    CHECK_EQ(symlinkat("loop", root_fd, "loop"), 0);
    CHECK_EQ(mkdirat(root_fd, "many", 0755), 0);
    for (int i = 0; i < 3000; ++i) {
        char name[PATH_MAX];
        snprintf(name, sizeof(name), "many/a-rather-long-name-%d-that-fills-the-buffer", i);
        make_file(root_fd, name, 0);
    }
    dir = bfs_allocdir();
    CHECK(dir);

    RUN_EACH_WAY(by_path);
    RUN_EACH_WAY(relative);
    RUN_EACH_WAY(through_link);
    RUN_EACH_WAY(null_path);
    RUN_EACH_WAY(many_entries);
    RUN_EACH_WAY(errors);
    CHECK_EQ(in_child(as_nobody), 0);

    free(dir);
    CHECK_EQ(fchmodat(root_fd, "locked", 0755, 0), 0);
    remove_temp_dir(root, root_fd);
    return 0;
}
