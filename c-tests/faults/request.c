// Requests, and the tree that they are about.

#include "request.h"
#include <linux/openat2.h>
#include <sys/xattr.h>

// What directories hold, with names so long that it takes several reads to list them.
enum { ENTRIES = 40, LISTED = 20, PADDING = 240, LAST = TREE_DIRS - 1 };

// How many kinds of changes there are.
enum { CHANGES = 15 };

static char root[PATH_MAX];
static int root_fd;
static ino_t file_ino, link_ino;
// What comes of asking for the attribute "user.x" of "file": not every file system has any.
static int attribute_result;
static const char attribute[] = "value";

// Linux's, which not every <stdio.h> has.
enum { NO_REPLACE = 1 };

void make_tree(void) {
    struct stat sb;
    root_fd = temp_dir(root);
    make_file(root_fd, "file", 3);
    CHECK_EQ(fstatat(root_fd, "file", &sb, 0), 0);
    file_ino = sb.st_ino;
    int fd = openat(root_fd, "file", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    fsetxattr(fd, "user.x", attribute, strlen(attribute), 0);
    ssize_t len = fgetxattr(fd, "user.x", NULL, 0);
    attribute_result = len < 0 ? -errno : (int)len;
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(symlinkat("nowhere", root_fd, "link"), 0);
    CHECK_EQ(fstatat(root_fd, "link", &sb, AT_SYMLINK_NOFOLLOW), 0);
    link_ino = sb.st_ino;
    for (size_t i = 0; i < TREE_DIRS; ++i) {
        char name[NAME_MAX + 16];
        snprintf(name, sizeof(name), "dir-%zu", i);
        CHECK_EQ(mkdirat(root_fd, name, 0755), 0);
        for (size_t j = 0; j < tree_names(i); ++j) {
            snprintf(name, sizeof(name), "dir-%zu/%zu-%0*d", i, j, PADDING, 0);
            make_file(root_fd, name, 0);
        }
    }
}

const char *tree_path(void) {
    return root;
}

size_t tree_names(size_t dir) {
    return dir < LAST ? ENTRIES : LISTED;
}

void remove_tree(void) {
    remove_temp_dir(root, root_fd);
}

// Moves a descriptor to a number that none ever had. So whatever the log says about that number is about this one, even if
// a ring closes it, which the log does not see, and others take numbers that became free.
static int make_unique(int fd) {
    static int next = 500;
    CHECK(fd >= 0);
    int unique = fcntl(fd, F_DUPFD_CLOEXEC, next);
    CHECK_EQ(unique, next++);
    CHECK_EQ(close(fd), 0);
    return unique;
}

static int new_fd(const char *name) {
    return make_unique(openat(root_fd, name, O_RDONLY | O_CLOEXEC));
}

// NULL if there is no memory.
static struct bfs_dir *new_dir(void) {
    unsigned long before = injected_here();
    errno = 0;
    struct bfs_dir *dir = bfs_allocdir();
    if (dir) {
        // It is the program's now, and released by free().
        CHECK(ledger_remove((uintptr_t)dir));
    } else {
        CHECK_EQ(errno, ENOMEM);
        CHECK(injected_here() > before);
    }
    return dir;
}

void drop_dir(struct bfs_dir *dir) {
    int fd = bfs_dirfd(dir);
    size_t mark = log_end();
    errno = 0;
    int ret = bfs_closedir(dir);
    int error = first_injected(CLOSING, (uintptr_t)fd, mark);
    CHECK_EQ(ret, error ? -1 : 0);
    CHECK_EQ(errno, error);
    free(dir);
}

static bool exists(const char *name) {
    return faccessat(root_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void remove_file(const char *name) {
    if (*name && unlinkat(root_fd, name, 0) != 0 && errno != ENOENT) {
        CHECK_EQ(errno, EISDIR);
        CHECK_EQ(unlinkat(root_fd, name, AT_REMOVEDIR), 0);
    }
}

// Lets go of what the caller of a request keeps.
static void drop_request(struct request *req) {
    if (*req->other) {
        remove_file(req->name);
        remove_file(req->other);
    }
    if (req->fd >= 0) {
        CHECK_EQ(close(req->fd), 0);
    }
    free(req->dir);
    req->fd = -1;
    req->dir = NULL;
}

static bool accepted(struct request *req, int ret, unsigned long injected) {
    if (ret == 0) {
        req->state = SUBMITTED;
        return true;
    }
    CHECK_EQ(ret, -1);
    CHECK_EQ(errno, ENOMEM);
    CHECK(injected_here() > injected);
    drop_request(req);
    return false;
}

static void start(struct request *req, enum ioq_op op, const char *name) {
    req->op = op;
    req->state = UNUSED;
    req->result = name && strcmp(name, "missing") == 0 ? -ENOENT : 0;
    req->fd = -1;
    req->dir = NULL;
    req->cancelled = false;
    req->calls = 0;
    snprintf(req->name, sizeof(req->name), "%s", name ? name : "");
    *req->other = '\0';
    req->path = name ? req->name : NULL;
    req->mark = log_end();
}

static bool ask(struct ioq *ioq, struct request *req, unsigned flags) {
    unsigned long injected = injected_here();
    int dfd = req->path ? root_fd : req->fd;
    return accepted(req, ioq_stat(ioq, dfd, req->path, flags, &req->buf, req), injected);
}

bool submit_stat(struct ioq *ioq, struct request *req, size_t i) {
    start(req, IOQ_STAT, i % 2 ? "link" : "file");
    req->ino = i % 2 ? link_ino : file_ino;
    return ask(ioq, req, BFS_STAT_NOFOLLOW);
}

static bool submit_opendir(struct ioq *ioq, struct request *req, const char *name) {
    start(req, IOQ_OPENDIR, name);
    req->dir = new_dir();
    if (!req->dir) {
        return false;
    }
    if (!name) {
        req->fd = new_fd("dir-0");
    }
    unsigned long injected = injected_here();
    int dfd = name ? root_fd : req->fd;
    return accepted(req, ioq_opendir(ioq, req->dir, dfd, req->path, 0, req), injected);
}

bool submit_closedir(struct ioq *ioq, struct request *req, struct bfs_dir *dir) {
    start(req, IOQ_CLOSEDIR, NULL);
    req->fd = make_unique(bfs_unwrapdir(dir));
    CHECK_EQ(bfs_opendir(dir, req->fd, NULL, 0), 0);
    req->dir = dir;
    unsigned long injected = injected_here();
    if (ioq_closedir(ioq, dir, req) == 0) {
        req->state = SUBMITTED;
        return true;
    }
    CHECK_EQ(errno, ENOMEM);
    CHECK(injected_here() > injected);
    // bfs does the same.
    drop_dir(dir);
    return false;
}

static bool submit_close(struct ioq *ioq, struct request *req) {
    start(req, IOQ_CLOSE, NULL);
    req->fd = new_fd("file");
    unsigned long injected = injected_here();
    return accepted(req, ioq_close(ioq, req->fd, req), injected);
}

static bool submit_nop(struct ioq *ioq, struct request *req, enum ioq_nop_type type) {
    start(req, IOQ_NOP, NULL);
    unsigned long injected = injected_here();
    return accepted(req, ioq_nop(ioq, type, req), injected);
}

static int call(void *arg) {
    struct request *req = arg;
    ++req->calls;
    return req->result;
}

static bool submit_call(struct ioq *ioq, struct request *req, int result) {
    start(req, IOQ_CALL, NULL);
    req->result = result;
    unsigned long injected = injected_here();
    return accepted(req, ioq_call(ioq, call, req, req), injected);
}

static bool submit_statx(struct ioq *ioq, struct request *req, const char *name) {
    start(req, IOQ_STATX, name);
    req->ino = link_ino;
    unsigned long injected = injected_here();
    int ret = ioq_statx(ioq, root_fd, req->path, AT_SYMLINK_NOFOLLOW, STATX_INO, &req->sx, req);
    return accepted(req, ret, injected);
}

static bool submit_list(struct ioq *ioq, struct request *req, const char *name, unsigned flags) {
    start(req, IOQ_LIST, name);
    unsigned long injected = injected_here();
    return accepted(req, ioq_list(ioq, root_fd, req->path, flags, STATX_INO, &req->list, req), injected);
}

static bool submit_openat(struct ioq *ioq, struct request *req, struct statx *sx) {
    static const struct open_how how = {.flags = O_RDONLY | O_CLOEXEC};
    start(req, IOQ_OPENAT, "file");
    req->ino = file_ino;
    unsigned long injected = injected_here();
    return accepted(req, ioq_openat(ioq, root_fd, req->path, &how, STATX_INO, sx, req), injected);
}

bool submit_own(struct ioq *ioq, struct request *req, size_t i) {
    switch (i % 8) {
    case 0:
        return submit_list(ioq, req, "dir-2", IOQ_LIST_STAT | IOQ_LIST_SORT_NAME);
    case 1:
        return submit_statx(ioq, req, "link");
    case 2:
        return submit_call(ioq, req, (int)i - 3);
    case 3:
        return submit_list(ioq, req, "dir-2", IOQ_LIST_FD);
    case 4:
        return submit_statx(ioq, req, "missing");
    case 5:
        return submit_openat(ioq, req, &req->sx);
    case 6:
        return submit_openat(ioq, req, NULL);
    default:
        return submit_list(ioq, req, "missing", IOQ_LIST_STAT);
    }
}

// What is asked about a file by its name, and may be repeated.

static bool submit_readlink(struct ioq *ioq, struct request *req) {
    start(req, IOQ_READLINK, "link");
    req->result = (int)strlen("nowhere");
    unsigned long injected = injected_here();
    return accepted(req, ioq_readlink(ioq, root_fd, req->path, req->value, sizeof(req->value), req), injected);
}

static bool submit_getxattr(struct ioq *ioq, struct request *req) {
    start(req, IOQ_GETXATTR, "file");
    req->result = attribute_result;
    unsigned long injected = injected_here();
    int ret = ioq_getxattr(ioq, root_fd, req->path, "user.x", req->value, sizeof(req->value), 0, req);
    return accepted(req, ret, injected);
}

static bool submit_access(struct ioq *ioq, struct request *req, const char *name, int flags) {
    start(req, IOQ_ACCESS, name);
    unsigned long injected = injected_here();
    return accepted(req, ioq_access(ioq, root_fd, req->path, R_OK, flags, req), injected);
}

// Changes: each has two names of its own, and a file by the first unless it is to make one there.

static const struct timespec times[] = {{1, 2}, {3, 4}};

static int change(struct ioq *ioq, struct request *req) {
    switch (req->op) {
    case IOQ_UNLINK:
        return ioq_unlink(ioq, root_fd, req->path, req->flags, req);
    case IOQ_RENAME:
        return ioq_rename(ioq, root_fd, req->path, root_fd, req->other, (unsigned)req->flags, req);
    case IOQ_MKDIR:
        return ioq_mkdir(ioq, root_fd, req->path, 0755, req);
    case IOQ_LINK:
        return ioq_link(ioq, root_fd, req->path, root_fd, req->other, req->flags, req);
    case IOQ_SYMLINK:
        return ioq_symlink(ioq, "nowhere", root_fd, req->path, req);
    case IOQ_CHMOD:
        return ioq_chmod(ioq, root_fd, req->path, 0640, req->flags, req);
    case IOQ_CHOWN:
        return ioq_chown(ioq, root_fd, req->path, geteuid() == 0 ? 1 : geteuid(), (gid_t)-1, req->flags, req);
    default:
        return ioq_utimens(ioq, root_fd, req->path, times, req->flags, req);
    }
}

static bool submit_changing(struct ioq *ioq, struct request *req, enum ioq_op op, int flags) {
    static unsigned number;
    char name[16];
    snprintf(name, sizeof(name), "change-%u", ++number);
    start(req, op, name);
    snprintf(req->other, sizeof(req->other), "other-%u", number);
    req->flags = flags;
    if (op == IOQ_UNLINK && flags & AT_REMOVEDIR) {
        CHECK_EQ(mkdirat(root_fd, name, 0700), 0);
    } else if (op != IOQ_MKDIR && op != IOQ_SYMLINK) {
        make_file(root_fd, name, 0);
    }
    unsigned long injected = injected_here();
    return accepted(req, change(ioq, req), injected);
}

// Whether a change was made. It must not be half made.
static bool is_changed(const struct request *req) {
    bool first = exists(req->name), second = exists(req->other);
    struct stat sb = {0};
    CHECK_EQ(fstatat(root_fd, req->name, &sb, AT_SYMLINK_NOFOLLOW), first ? 0 : -1);
    CHECK(!second || req->op == IOQ_RENAME || req->op == IOQ_LINK);
    switch (req->op) {
    case IOQ_UNLINK:
        return !first;
    case IOQ_RENAME:
        CHECK(first != second);
        return second;
    case IOQ_MKDIR:
        CHECK(!first || S_ISDIR(sb.st_mode));
        return first;
    case IOQ_LINK:
        CHECK(first && sb.st_nlink == (second ? 2 : 1));
        return second;
    case IOQ_SYMLINK:
        CHECK(!first || S_ISLNK(sb.st_mode));
        return first;
    case IOQ_CHMOD:
        return (sb.st_mode & 0777) == 0640;
    case IOQ_CHOWN:
        return geteuid() == 0 ? sb.st_uid == 1 : sb.st_uid == geteuid();
    default:
        CHECK_EQ(sb.st_mtim.tv_sec == times[1].tv_sec, sb.st_atim.tv_sec == times[0].tv_sec);
        return sb.st_mtim.tv_sec == times[1].tv_sec;
    }
}

bool submit_change(struct ioq *ioq, struct request *req, size_t i) {
    switch (i % CHANGES) {
    case 0:
        return submit_changing(ioq, req, IOQ_UNLINK, 0);
    case 1:
        return submit_readlink(ioq, req);
    case 2:
        return submit_changing(ioq, req, IOQ_RENAME, 0);
    case 3:
        return submit_changing(ioq, req, IOQ_CHMOD, 0);
    case 4:
        return submit_getxattr(ioq, req);
    case 5:
        return submit_changing(ioq, req, IOQ_MKDIR, 0);
    case 6:
        return submit_access(ioq, req, "missing", 0);
    case 7:
        return submit_changing(ioq, req, IOQ_LINK, 0);
    case 8:
        return submit_changing(ioq, req, IOQ_CHOWN, 0);
    case 9:
        return submit_changing(ioq, req, IOQ_SYMLINK, 0);
    case 10:
        return submit_access(ioq, req, "file", AT_EACCESS);
    case 11:
        return submit_changing(ioq, req, IOQ_RENAME, NO_REPLACE);
    case 12:
        return submit_changing(ioq, req, IOQ_UTIMENS, 0);
    case 13:
        return submit_changing(ioq, req, IOQ_UNLINK, AT_REMOVEDIR);
    default:
        return submit_changing(ioq, req, IOQ_CHMOD, AT_SYMLINK_NOFOLLOW);
    }
}

bool submit_any(struct ioq *ioq, struct request *req, size_t i) {
    switch (i % 10) {
    case 0:
        return submit_opendir(ioq, req, "dir-1");
    case 1:
        return submit_close(ioq, req);
    case 2:
        start(req, IOQ_STAT, "link");
        req->ino = link_ino;
        return ask(ioq, req, BFS_STAT_TRYFOLLOW);
    case 3:
        return submit_opendir(ioq, req, NULL);
    case 4:
        start(req, IOQ_STAT, "link");
        req->result = -ENOENT;
        return ask(ioq, req, BFS_STAT_FOLLOW);
    case 5:
        return submit_nop(ioq, req, IOQ_NOP_HEAVY);
    case 6:
        return submit_opendir(ioq, req, "missing");
    case 7:
        start(req, IOQ_STAT, NULL);
        req->fd = new_fd("file");
        req->ino = file_ino;
        return ask(ioq, req, BFS_STAT_FOLLOW);
    case 8:
        return submit_nop(ioq, req, IOQ_NOP_LIGHT);
    default:
        return submit_stat(ioq, req, i / 10);
    }
}

// The result that a request must have, seeing what was injected into the calls for it.
static int expected(const struct request *req) {
    int injected = 0;
    switch (req->op) {
    case IOQ_CLOSE:
    case IOQ_CLOSEDIR:
        // Never tried again. Others may have closed a descriptor of that number since.
        injected = first_injected(CLOSING, (uintptr_t)req->fd, req->mark);
        break;
    case IOQ_OPENDIR:
    case IOQ_LIST:
    case IOQ_OPENAT:
        injected = req->path ? last_injected(OPENING, (uintptr_t)req->path, req->mark) : 0;
        break;
    case IOQ_STAT:
    case IOQ_STATX:
    case IOQ_READLINK:
    case IOQ_GETXATTR:
    case IOQ_ACCESS:
    case IOQ_CHMOD:
    case IOQ_CHOWN:
    case IOQ_UTIMENS:
        injected = last_injected(ASKING, req->path ? (uintptr_t)req->path : (uintptr_t)req->fd, req->mark);
        break;
    case IOQ_UNLINK:
    case IOQ_RENAME:
    case IOQ_MKDIR:
    case IOQ_LINK:
    case IOQ_SYMLINK:
        injected = last_injected(CHANGING, (uintptr_t)req->path, req->mark);
        break;
    case IOQ_NOP:
    case IOQ_CALL:
        break;
    }
    return injected ? -injected : req->result;
}

// An open directory lists what is in it, once. If that fails then for a fault, and it can be tried again.
static void check_listing(struct bfs_dir *dir, size_t mark) {
    uintptr_t fd = (uintptr_t)bfs_dirfd(dir);
    bool seen[ENTRIES] = {false};
    size_t entries = 0;
    for (int failures = 0; failures < 2 * TRANSIENT;) {
        struct bfs_dirent de;
        errno = 0;
        int ret = bfs_readdir(dir, &de);
        if (ret < 0) {
            CHECK_EQ(ret, -1);
            CHECK(errno != 0 && errno != EINTR);
            CHECK_EQ(errno, last_injected(READING, fd, mark));
            ++failures;
        } else if (ret == 0) {
            CHECK_EQ(entries, ENTRIES);
            return;
        } else {
            size_t i = strtoul(de.name, NULL, 10);
            CHECK(i < ENTRIES && !seen[i]);
            seen[i] = true;
            ++entries;
        }
    }
}

// A list is complete, but for the reads and the stats that failed, each of which says so.
static void check_list(const struct request *req) {
    const struct ioq_list *list = req->list;
    // One that was removed ends there, and that is no error.
    CHECK(list->count == LISTED || was_injected(READING, list->error ? list->error : ENOENT, req->mark));
    for (size_t i = 0; i < list->count; ++i) {
        const struct ioq_list_ent *ent = &list->ents[i];
        CHECK(strlen(ent->name) > PADDING);
        CHECK(!ent->stat || ent->stat->stx_ino == ent->ino);
        CHECK(ent->error == 0 || ent->error == last_injected(ASKING, (uintptr_t)ent->name, req->mark));
    }
}

// Whether a request failed for a call that is not about its path: to read a directory, to have memory for a list, or to open
// or ask about what was opened; or because the system has no statx(), or refuses it, and nothing else may serve.
static bool is_other_fault(const struct request *req, int error) {
    bool refused = (error == ENOSYS || error == EPERM) && refuses_statx();
    switch (req->op) {
    case IOQ_LIST:
        return error > 0 && (was_injected(READING, error, req->mark) || (error == ENOMEM && lacks_memory()));
    case IOQ_OPENAT:
        return error > 0 && was_injected(ASKING, error, req->mark);
    case IOQ_GETXATTR:
        return error > 0 && (was_injected(ASKING, error, req->mark) || was_injected(OPENING, error, req->mark));
    case IOQ_STATX:
        return refused;
    default:
        return false;
    }
}

// Whether it is made once, so that an interruption is its result.
static bool is_made_once(const struct request *req) {
    return req->op == IOQ_CLOSE || req->op == IOQ_CLOSEDIR || (req->op >= IOQ_UNLINK && req->op <= IOQ_SYMLINK);
}

// Whether a result says that a request was cancelled, which in that case is true.
static bool is_cancelled(const struct request *req, int result, bool queue_cancelled) {
    if (req->op == IOQ_CLOSE || req->op == IOQ_CLOSEDIR) {
        return false;
    }
    return (result == -ECANCELED && req->cancelled) || (result == -EINTR && (req->cancelled || queue_cancelled));
}

// What succeeded was done, and what failed was not. What was interrupted while it ran may have been done all the same.
static void check_change(const struct request *req, int result) {
    bool done = is_changed(req);
    CHECK(result == -EINTR && req->cancelled ? true : done == (result == 0));
}

struct bfs_dir *check_response(struct request *req, const struct ioq_ent *ent, bool queue_cancelled) {
    CHECK(ent->ptr == req);
    CHECK_EQ(ent->op, req->op);
    CHECK_EQ(req->state, SUBMITTED);
    req->state = POPPED;

    if (!is_cancelled(req, ent->result, queue_cancelled)) {
        if (!is_other_fault(req, -ent->result)) {
            // What opened a file returns its descriptor.
            CHECK_EQ(req->op == IOQ_OPENAT && ent->result > 0 ? 0 : ent->result, expected(req));
        }
        // Otherwise an interrupted call is repeated.
        CHECK(ent->result != -EINTR || is_made_once(req));
    }

    // To close twice is to close somebody else's.
    CHECK(req->op == IOQ_STAT || req->fd < 0 || calls_about(CLOSING, (uintptr_t)req->fd, req->mark) <= 1);

    struct bfs_dir *opened = NULL;
    switch (req->op) {
    case IOQ_NOP:
        break;
    case IOQ_CLOSE:
        CHECK_EQ(ent->close.fd, req->fd);
        req->fd = -1;
        break;
    case IOQ_OPENDIR:
        CHECK(ent->opendir.dir == req->dir && ent->opendir.path == req->path);
        if (ent->result == 0) {
            opened = req->dir;
            check_listing(opened, req->mark);
            req->dir = NULL;
            req->fd = -1;
        }
        break;
    case IOQ_CLOSEDIR:
        CHECK(ent->closedir.dir == req->dir);
        CHECK_ERRNO(bfs_dirfd(req->dir), EBADF);
        req->fd = -1;
        break;
    case IOQ_STAT:
        CHECK(ent->stat.path == req->path && ent->stat.buf == &req->buf);
        CHECK(ent->result != 0 || req->buf.ino == req->ino);
        break;
    case IOQ_STATX:
        CHECK(ent->statx.path == req->path && ent->statx.buf == &req->sx);
        CHECK(ent->result != 0 || req->sx.stx_ino == req->ino);
        break;
    case IOQ_OPENAT:
        CHECK(ent->openat.path == req->path);
        if (ent->result >= 0) {
            struct stat sb;
            CHECK_EQ(fstat(ent->result, &sb), 0);
            CHECK_EQ(sb.st_ino, req->ino);
            CHECK(!ent->openat.buf || req->sx.stx_ino == req->ino);
            CHECK_EQ(close(ent->result), 0);
        }
        break;
    case IOQ_CALL:
        CHECK_EQ(req->calls, ent->result == req->result);
        break;
    case IOQ_LIST:
        CHECK(ent->list.path == req->path && ent->list.list == &req->list);
        CHECK((ent->result == 0) == (req->list != NULL));
        if (req->list) {
            check_list(req);
            CHECK_EQ(req->list->fd >= 0, (ent->list.flags & IOQ_LIST_FD) != 0);
            if (req->list->fd >= 0) {
                CHECK_EQ(close(req->list->fd), 0);
            }
            ioq_list_free(req->list);
        }
        break;
    case IOQ_READLINK:
        CHECK(ent->readlink.path == req->path && ent->readlink.buf == req->value);
        CHECK(ent->result < 0 || memcmp(req->value, "nowhere", (size_t)ent->result) == 0);
        break;
    case IOQ_GETXATTR:
        CHECK(ent->getxattr.path == req->path && ent->getxattr.value == req->value);
        CHECK(ent->result < 0 || memcmp(req->value, attribute, (size_t)ent->result) == 0);
        break;
    case IOQ_ACCESS:
        CHECK(ent->access.path == req->path);
        break;
    case IOQ_UNLINK:
    case IOQ_RENAME:
    case IOQ_MKDIR:
    case IOQ_LINK:
    case IOQ_SYMLINK:
    case IOQ_CHMOD:
    case IOQ_CHOWN:
    case IOQ_UTIMENS:
        check_change(req, ent->result);
        break;
    }
    drop_request(req);
    return opened;
}

void abandon_request(struct request *req) {
    // A directory that was opened is closed, and the descriptor with it. If it never was, that is still open.
    bool is_open = req->op == IOQ_OPENDIR && req->fd >= 0 && fcntl(req->fd, F_GETFD) >= 0;
    if (req->op != IOQ_STAT && !is_open) {
        req->fd = -1;
    }
    drop_request(req);
}
