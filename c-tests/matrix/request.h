// Requests: a random one, what must come of it, and whether that came of it.

#ifndef MATRIX_REQUEST_H
#define MATRIX_REQUEST_H

#include "change.h"
#include "condition.h"
#include "model.h"

#include <linux/openat2.h>
#include <poll.h>
#include <stdatomic.h>

enum {
    // What is to be closed has a number from FIRST_FD on, which nobody else is given, until it is known to be closed. Other
    // descriptors of this program's have numbers from OTHER_FD on. NO_FD is no descriptor's.
    NO_FD = 299,
    FIRST_FD = 300,
    MAX_CLOSING = 100,
    OTHER_FD = 400,
    MAX_DIRS_OPEN = 60,
    // How many operations there are.
    OPS = IOQ_UTIMENS + 1,
};

struct request {
    enum ioq_op op;
    enum { UNUSED, SUBMITTED, POPPED, FREED } state;
    // What it must come to, unless it is cancelled.
    int result;
    unsigned int flags;
    enum ioq_nop_type nop;
    struct target *target;
    char *path;
    // The descriptor of a close; what a directory takes over; else NO_FD. It may be anything, or nothing.
    int fd;
    // What is asked of access.
    int mode;
    // The other end of the pipe that is closed, or -1.
    int watch;
    // The other close of the same descriptor.
    struct request *twin;
    bool wants_twin;
    struct bfs_dir *dir;
    // Why the directory cannot be read, although it was opened.
    int read_error;
    struct bfs_stat buf;
    // What else is filled in, or NULL, of `size` bytes: a struct statx, what a link contains, or an attribute.
    unsigned char *memory;
    size_t size;
    struct ioq_list *list;
    // How to open a file, and which it is.
    struct open_how how;
    dev_t dev;
    ino_t ino;
    // How often its function was called.
    atomic_int calls;
    struct change change;
    // Its entry, before it is popped.
    const struct ioq_ent *handle;
    bool cancelled;
    // The response, and its bytes when it was popped.
    struct ioq_ent *ent;
    unsigned char copy[sizeof(struct ioq_ent)];
    int came_to;
};

// A directory that was opened, and what closing it comes to.
struct open_dir {
    struct bfs_dir *dir;
    int result;
};

// What requests have in common.
struct world {
    struct random random;
    struct model *model;
    // How often to choose each operation.
    size_t weights[OPS];
    // Where files are changed, and whether that may be interrupted.
    const struct places *places;
    bool interrupts;
    // Open directories that no request is about, and how many there are in all, with those that requests may be opening.
    struct open_dir open[MAX_DIRS_OPEN];
    size_t nopen, ndirs;
    // Which descriptors wait to be closed.
    bool closing[MAX_CLOSING];
};

static void *filled(void *memory, size_t size) {
    return memset(memory, 0xA5, size);
}

static bool is_filled(const struct bfs_stat *buf) {
    struct bfs_stat untouched;
    return memcmp(buf, filled(&untouched, sizeof(untouched)), sizeof(*buf)) == 0;
}

static bool is_quiet(const struct request *req) {
    bool quiet = (req->op != IOQ_STAT || is_filled(&req->buf)) && !req->list;
    if (req->memory && req->size > 0) {
        // Each byte is as the one before it.
        quiet = quiet && req->memory[0] == 0xA5 && memcmp(req->memory, req->memory + 1, req->size - 1) == 0;
    }
    return quiet;
}

static void give_memory(struct request *req, size_t size) {
    CHECK(req->memory = malloc(size + 1));
    req->size = size;
    filled(req->memory, size);
}

static bool is_change(enum ioq_op op) {
    return op >= IOQ_UNLINK;
}

// Whether the response may be a descriptor.
static bool opens(enum ioq_op op) {
    return op == IOQ_OPENDIR || op == IOQ_LIST || op == IOQ_OPENAT;
}

static bool is_open(int fd) {
    return fcntl(fd, F_GETFD) >= 0;
}

// Moves a descriptor out of the way of those that may be given to others.
static int moved(int fd) {
    CHECK(fd >= 0);
    int number = fcntl(fd, F_DUPFD_CLOEXEC, OTHER_FD);
    CHECK(number >= OTHER_FD);
    CHECK_EQ(close(fd), 0);
    return number;
}

static struct target *some_target(struct world *world) {
    return &world->model->targets[below(&world->random, world->model->ntargets)];
}

static void copy_path(struct request *req) {
    if (req->target->path) {
        CHECK(req->path = strdup(req->target->path));
    }
}

static void choose_stat(struct world *world, struct request *req) {
    req->target = some_target(world);
    copy_path(req);
    req->flags = (unsigned int)below(&world->random, STAT_FLAGS);
    req->result = -answer(world->model, req->target, req->flags)->error;
}

// Whether to follow a link, as the bits of `flags` that a stat has say.
static int at_flags_of(const struct request *req) {
    return AT_NO_AUTOMOUNT | (req->flags & BFS_STAT_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0)
        | (req->flags & BFS_STAT_NOSYNC ? AT_STATX_DONT_SYNC : 0);
}

// Where the answer is dropped, nothing is asked for: so the scripted kernel knows that any memory will do for it.
static unsigned int mask_of(const struct request *req) {
    return req->memory ? (unsigned int)bfs_statx_mask() : 0;
}

static void choose_statx(struct world *world, struct request *req) {
    choose_stat(world, req);
    req->flags &= ~(unsigned int)BFS_STAT_TRYFOLLOW;
    req->result = -answer(world->model, req->target, req->flags)->error;
    if (!one_in(&world->random, 8)) {
        give_memory(req, sizeof(struct statx));
    }
}

static void choose_named_target(struct world *world, struct request *req) {
    do {
        req->target = some_target(world);
    } while (!req->target->path);
    copy_path(req);
}

static void choose_list(struct world *world, struct request *req) {
    static const unsigned int flags[] = {0, IOQ_LIST_STAT, IOQ_LIST_SORT_NAME, IOQ_LIST_STAT | IOQ_LIST_SORT_NAME};
    choose_named_target(world, req);
    req->flags = flags[below(&world->random, COUNT(flags))] | (one_in(&world->random, 4) ? IOQ_LIST_FD : 0);
    req->result = -list(req->target)->error;
    ++world->ndirs;
}

// Opens nothing for good that could be waited for, and no terminal.
static void choose_openat(struct world *world, struct request *req) {
    static const int flags[] = {O_RDONLY, O_RDONLY | O_DIRECTORY, O_RDONLY | O_NOFOLLOW, O_PATH, O_PATH | O_NOFOLLOW};
    choose_named_target(world, req);
    int chosen = flags[below(&world->random, COUNT(flags))];
    chosen |= chosen & O_PATH ? O_CLOEXEC : O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    req->how = (struct open_how){.flags = (unsigned int)chosen};
    int fd = (int)syscall(SYS_openat2, req->target->dfd, req->path, &req->how, sizeof(req->how));
    req->result = fd < 0 ? -errno : 0;
    if (fd >= 0) {
        struct stat sb;
        CHECK_EQ(fstat(fd, &sb), 0);
        CHECK_EQ(close(fd), 0);
        req->dev = sb.st_dev;
        req->ino = sb.st_ino;
    }
    if (one_in(&world->random, 2)) {
        give_memory(req, sizeof(struct statx));
    }
    ++world->ndirs;
}

static void choose_readlink(struct world *world, struct request *req) {
    static const size_t sizes[] = {0, 1, 6, PATH_MAX, PATH_MAX};
    char target[PATH_MAX];
    choose_named_target(world, req);
    give_memory(req, sizes[below(&world->random, COUNT(sizes))]);
    ssize_t len = readlinkat(req->target->dfd, req->path, target, req->size);
    req->result = len < 0 ? -errno : (int)len;
}

static void choose_getxattr(struct world *world, struct request *req) {
    static const size_t sizes[] = {0, 1, sizeof(VALUE) - 1, 100};
    choose_named_target(world, req);
    req->flags = one_in(&world->random, 2) ? AT_SYMLINK_NOFOLLOW : 0;
    give_memory(req, sizes[below(&world->random, COUNT(sizes))]);
    req->result = req->target->attribute[req->flags != 0];
    if (req->size > 0 && req->result > (int)req->size) {
        req->result = -ERANGE;
    }
}

static void choose_access(struct world *world, struct request *req) {
    static const int flags[] = {0, AT_EACCESS, AT_SYMLINK_NOFOLLOW, AT_EACCESS | AT_SYMLINK_NOFOLLOW};
    choose_named_target(world, req);
    req->flags = (unsigned int)flags[below(&world->random, COUNT(flags))];
    req->mode = (int)below(&world->random, 9);
    int ret = faccessat(req->target->dfd, req->path, req->mode, (int)req->flags);
    req->result = ret == 0 ? 0 : -errno;
}

// A function of the program's. What it returns is the result, whatever that looks like.
static int called(void *argument) {
    struct request *req = argument;
    ++req->calls;
    return req->result;
}

static void choose_call(struct world *world, struct request *req) {
    static const int results[] = {0, 1, INT_MAX, INT_MIN, -EPERM, -EAGAIN};
    req->result = results[below(&world->random, COUNT(results))];
}

// A second close of what `req` closes.
static void make_twin(struct request *twin, struct request *req) {
    *twin = (struct request){.op = IOQ_CLOSE, .fd = req->fd, .watch = -1, .twin = req};
    req->twin = twin;
}

static void choose_close(struct world *world, struct request *req) {
    static const int wrong[] = {-1, INT_MIN, INT_MAX, AT_FDCWD, NO_FD};
    size_t i = below(&world->random, MAX_CLOSING);
    if (one_in(&world->random, 5) || world->closing[i]) {
        req->fd = wrong[below(&world->random, COUNT(wrong))];
        req->result = -EBADF;
        return;
    }
    world->closing[i] = true;
    req->fd = FIRST_FD + (int)i;
    size_t kind = below(&world->random, 6);
    int fds[2] = {-1, -1};
    if (kind <= 2) {
        CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
        req->watch = moved(fds[0]);
    }
    CHECK_EQ(dup3(fds[1] >= 0 ? fds[1] : world->model->tree->fd, req->fd, O_CLOEXEC), req->fd);
    CHECK(fds[1] < 0 || close(fds[1]) == 0);
    req->wants_twin = kind > 3;
}

// A directory that is to take a descriptor over, which may be none of a directory.
static void choose_takeover(struct world *world, struct request *req) {
    size_t kind = below(&world->random, 6);
    bool is_dir = req->result == 0;
    req->result = 0;
    if (kind == 0) {
        req->fd = -1;
        req->result = -EBADF;
    } else if (kind == 1) {
        req->fd = NO_FD;
        req->read_error = EBADF;
    } else if (kind == 2) {
        req->fd = moved(open("/dev/null", O_RDONLY | O_CLOEXEC));
        req->read_error = ENOTDIR;
    } else if (kind == 3 || !is_dir) {
        req->fd = moved(openat(world->model->tree->fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
        req->read_error = EBADF;
    } else {
        req->fd = moved(openat(req->target->dfd, req->target->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
}

static void choose_opendir(struct world *world, struct request *req) {
    do {
        req->target = some_target(world);
    } while (!req->target->path);
    req->flags = (unsigned int)below(&world->random, 2); // BFS_DIR_WHITEOUTS
    req->result = -list(req->target)->error;
    if (one_in(&world->random, 6)) {
        choose_takeover(world, req);
    } else {
        copy_path(req);
    }
    CHECK(req->dir = bfs_allocdir());
    ++world->ndirs;
}

// A directory that a request opened, or one that was opened for this.
static void choose_closedir(struct world *world, struct request *req) {
    if (world->ndirs < MAX_DIRS_OPEN && (world->nopen == 0 || one_in(&world->random, 3))) {
        CHECK(req->dir = bfs_allocdir());
        CHECK_EQ(bfs_opendir(req->dir, world->model->tree->fd, ".", 0), 0);
        ++world->ndirs;
        return;
    }
    struct open_dir *open = &world->open[below(&world->random, world->nopen)];
    req->dir = open->dir;
    req->result = open->result;
    *open = world->open[--world->nopen];
}

static enum ioq_op choose_op(struct world *world) {
    size_t sum = 0;
    for (size_t i = 0; i < OPS; ++i) {
        sum += world->weights[i];
    }
    size_t pick = below(&world->random, sum);
    enum ioq_op op = IOQ_NOP;
    while (pick >= world->weights[op]) {
        pick -= world->weights[op];
        op = (enum ioq_op)(op + 1);
    }
    bool full = world->ndirs == MAX_DIRS_OPEN;
    return full && (opens(op) || (op == IOQ_CLOSEDIR && world->nopen == 0)) ? IOQ_NOP : op;
}

static void choose(struct world *world, struct request *req) {
    *req = (struct request){.op = choose_op(world), .fd = NO_FD, .watch = -1};
    switch (req->op) {
    case IOQ_NOP:
        req->nop = one_in(&world->random, 2) ? IOQ_NOP_LIGHT : IOQ_NOP_HEAVY;
        break;
    case IOQ_CLOSE:
        choose_close(world, req);
        break;
    case IOQ_OPENDIR:
        choose_opendir(world, req);
        break;
    case IOQ_CLOSEDIR:
        choose_closedir(world, req);
        break;
    case IOQ_STAT:
        choose_stat(world, req);
        break;
    case IOQ_CALL:
        choose_call(world, req);
        break;
    case IOQ_STATX:
        choose_statx(world, req);
        break;
    case IOQ_LIST:
        choose_list(world, req);
        break;
    case IOQ_OPENAT:
        choose_openat(world, req);
        break;
    case IOQ_READLINK:
        choose_readlink(world, req);
        break;
    case IOQ_GETXATTR:
        choose_getxattr(world, req);
        break;
    case IOQ_ACCESS:
        choose_access(world, req);
        break;
    case IOQ_UNLINK:
    case IOQ_RENAME:
    case IOQ_MKDIR:
    case IOQ_LINK:
    case IOQ_SYMLINK:
    case IOQ_CHMOD:
    case IOQ_CHOWN:
    case IOQ_UTIMENS:
        req->result = choose_change(&world->random, world->places, req->op, &req->change);
        break;
    }
}

static int dfd_of(const struct request *req) {
    return req->op == IOQ_OPENDIR && !req->path ? req->fd : req->target->dfd;
}

static int issue(struct ioq *ioq, const struct world *world, struct request *req, void *ptr) {
    struct statx *sx = (struct statx *)(void *)req->memory;
    switch (req->op) {
    case IOQ_NOP:
        return ioq_nop(ioq, req->nop, ptr);
    case IOQ_CLOSE:
        return ioq_close(ioq, req->fd, ptr);
    case IOQ_OPENDIR:
        return ioq_opendir(ioq, req->dir, dfd_of(req), req->path, req->flags, ptr);
    case IOQ_CLOSEDIR:
        return ioq_closedir(ioq, req->dir, ptr);
    case IOQ_STAT:
        filled(&req->buf, sizeof(req->buf));
        return ioq_stat(ioq, dfd_of(req), req->path, req->flags, &req->buf, ptr);
    case IOQ_CALL:
        return ioq_call(ioq, called, req, ptr);
    case IOQ_STATX:
        return ioq_statx(ioq, dfd_of(req), req->path, at_flags_of(req), mask_of(req), sx, ptr);
    case IOQ_LIST:
        return ioq_list(ioq, dfd_of(req), req->path, req->flags, STATX_INO, &req->list, ptr);
    case IOQ_OPENAT:
        return ioq_openat(ioq, dfd_of(req), req->path, &req->how, STATX_INO, sx, ptr);
    case IOQ_READLINK:
        return ioq_readlink(ioq, dfd_of(req), req->path, (char *)req->memory, req->size, ptr);
    case IOQ_GETXATTR:
        return ioq_getxattr(ioq, dfd_of(req), req->path, ATTRIBUTE, req->memory, req->size, (int)req->flags, ptr);
    case IOQ_ACCESS:
        return ioq_access(ioq, dfd_of(req), req->path, req->mode, (int)req->flags, ptr);
    case IOQ_UNLINK:
    case IOQ_RENAME:
    case IOQ_MKDIR:
    case IOQ_LINK:
    case IOQ_SYMLINK:
    case IOQ_CHMOD:
    case IOQ_CHOWN:
    case IOQ_UTIMENS:
        return issue_change(ioq, change_dfd(world->places, &req->change, BY_QUEUE), &req->change, ptr);
    }
    abort();
}

static bool has_ring_form(const struct request *req) {
    switch (req->op) {
    case IOQ_OPENDIR:
    case IOQ_STAT:
        return req->path;
    case IOQ_STATX:
    case IOQ_LIST:
    case IOQ_OPENAT:
    case IOQ_UNLINK:
    case IOQ_RENAME:
    case IOQ_MKDIR:
    case IOQ_LINK:
    case IOQ_SYMLINK:
        return true;
    case IOQ_NOP:
    case IOQ_CLOSE:
    case IOQ_CLOSEDIR:
    case IOQ_CALL:
    case IOQ_READLINK:
    case IOQ_GETXATTR:
    case IOQ_ACCESS:
    case IOQ_CHMOD:
    case IOQ_CHOWN:
    case IOQ_UTIMENS:
        return false;
    }
    abort();
}

// Whether a ring can do it from beginning to end: there is a path to look up, and no worker has to read the directory, to
// try the link itself, or to find out what the answer means. That a change was interrupted is an answer.
static bool is_for_ring(const struct world *world, const struct request *req) {
    if (!has_ring_form(req) || (is_change(req->op) && world->interrupts)) {
        return has_ring_form(req);
    }
    switch (-req->result) {
    case 0:
        return req->op != IOQ_OPENDIR;
    case ENOENT:
    case ENOTDIR:
        return req->op != IOQ_STAT || req->flags == 0;
    case EACCES:
    case EPERM:
    case EINVAL:
    case ENOSYS:
    case EOPNOTSUPP:
        return false;
    default:
        return true;
    }
}

// The queue is done with the descriptor of a close.
static void release_close(struct world *world, struct request *req, bool closed) {
    if (req->result == -EBADF) {
        return;
    }
    CHECK_EQ(is_open(req->fd), !closed);
    if (req->watch >= 0) {
        struct pollfd poll_fd = {.fd = req->watch};
        CHECK_EQ(poll(&poll_fd, 1, 0), closed);
        CHECK_EQ(close(req->watch), 0);
    }
    if (!closed) {
        CHECK_EQ(close(req->fd), 0);
    }
    world->closing[req->fd - FIRST_FD] = false;
}

static void release_dir(struct world *world, struct request *req) {
    CHECK_ERRNO(bfs_dirfd(req->dir), EBADF);
    free(req->dir);
    --world->ndirs;
}

// The descriptor that a directory did not take over is still the caller's.
static void release_takeover(const struct request *req) {
    if (req->fd >= 0 && req->fd != NO_FD) {
        CHECK_EQ(close(req->fd), 0);
    }
}

// Nothing came of it: it was not accepted.
static void withdraw(struct world *world, struct request *req) {
    switch (req->op) {
    case IOQ_NOP:
        break;
    case IOQ_CLOSE:
        if (req->twin) { // whose other close was
            req->twin->twin = NULL;
        } else {
            release_close(world, req, false);
        }
        break;
    case IOQ_OPENDIR:
        release_takeover(req);
        release_dir(world, req);
        break;
    case IOQ_CLOSEDIR:
        world->open[world->nopen++] = (struct open_dir){req->dir, req->result};
        break;
    case IOQ_STAT:
        break;
    case IOQ_LIST:
    case IOQ_OPENAT:
        --world->ndirs;
        break;
    case IOQ_CALL:
        CHECK_EQ(req->calls, 0);
        break;
    case IOQ_STATX:
    case IOQ_READLINK:
    case IOQ_GETXATTR:
    case IOQ_ACCESS:
        break;
    case IOQ_UNLINK:
    case IOQ_RENAME:
    case IOQ_MKDIR:
    case IOQ_LINK:
    case IOQ_SYMLINK:
    case IOQ_CHMOD:
    case IOQ_CHOWN:
    case IOQ_UTIMENS:
        finish_change(world->places, &req->change, NOT_MADE);
        break;
    }
    CHECK(is_quiet(req));
    free(req->memory);
    free(req->path);
    *req = (struct request){.op = IOQ_NOP};
}

#endif // MATRIX_REQUEST_H
