// A load for a queue on the scripted kernel: requests of every kind, in bursts, each of which must come back exactly once
// with the result that a plain system call gives, whatever the script.
//
// What a response no longer needs is destroyed at once: the kernel must be done with it.

#ifndef LOAD_H
#define LOAD_H

#include "../test.h"
#include "kernel.h"

#include <ioq/dir.h>
#include <ioq/stat.h>
#include <linux/openat2.h>

enum { LOAD_MOST = 4096, LOAD_OPEN = 40, LOAD_WIDE = 70 };

enum load_end {
    DRAINED,   // until each request was popped
    CANCELLED, // the same, but cancelled after half of the requests
    DESTROYED, // destroyed after half of them, with some in flight
};

struct load {
    size_t depth, threads, total;
    size_t inflight; // 0 for the default
    bool block;      // pop by waiting, or by polling
    bool caller_runs;
    bool cancels; // some requests, one by one
    enum load_end end;
    uint64_t seed;
};

// How the requests of a load ran.
struct load_outcome {
    struct ioq_counts counts;
    // How many submissions a ring could be given, as there is something to look up; and how many requests were no-ops,
    // which any thread does.
    size_t named, nops;
};

struct load_request {
    enum ioq_op op;
    enum { UNUSED, SUBMITTED, POPPED } state;
    const struct ioq_ent *handle;
    bool cancelled;
    int result; // expected
    char *path, *newpath;
    bool is_first; // what there is by a path before it is changed
    unsigned int flags;
    int fd;
    struct bfs_dir *dir;
    struct bfs_stat expected, buf;
    ino_t ino; // expected
    struct statx sx;
    struct open_how how;
    struct ioq_list *list;
    size_t count; // expected in it
};

struct load_run {
    const struct load *load;
    struct ioq *ioq;
    uint64_t random;
    size_t used, popped, named, nops;
    bool cancelled;
    struct bfs_dir *open[LOAD_OPEN];
    size_t nopen, opening;
    struct load_request requests[LOAD_MOST];
};

// The operations that it is made of. Those that only workers do are like closes.
static const enum ioq_op load_ops[] = {
    IOQ_NOP, IOQ_CLOSE, IOQ_OPENDIR, IOQ_CLOSEDIR, IOQ_STAT, IOQ_STATX, IOQ_OPENAT, IOQ_LIST,
    IOQ_UNLINK, IOQ_RENAME, IOQ_MKDIR, IOQ_LINK, IOQ_SYMLINK,
};

static char load_root[PATH_MAX];
static int load_fd;

// What most requests are about. Some of it is not there, some no directory, and some a link to nowhere.
static const char *const load_paths[] = {
    ".", "dir", "dir/file", "dir/link", "dir/dangling", "dir/loop", "dir/file/x", "none", "none/x", "..", "dir/to-dir",
};

// What is listed. Nobody else may add to it meanwhile.
static const char *const load_lists[] = {".", "dir", "dir/to-dir", "dir/file", "none", "wide"};

static inline void load_make_files(void) {
    load_fd = temp_dir(load_root);
    CHECK_EQ(mkdirat(load_fd, "dir", 0755), 0);
    make_file(load_fd, "dir/file", 3);
    CHECK_EQ(symlinkat("file", load_fd, "dir/link"), 0);
    CHECK_EQ(symlinkat("nowhere", load_fd, "dir/dangling"), 0);
    CHECK_EQ(symlinkat("loop", load_fd, "dir/loop"), 0);
    CHECK_EQ(symlinkat(".", load_fd, "dir/to-dir"), 0);
    CHECK_EQ(mkdirat(load_fd, "changes", 0755), 0);
    CHECK_EQ(mkdirat(load_fd, "wide", 0755), 0);
    for (int i = 0; i < LOAD_WIDE; ++i) {
        char name[32];
        snprintf(name, sizeof(name), "wide/%d", i);
        CHECK_EQ(symlinkat("nowhere", load_fd, name), 0);
    }
}

static inline void load_remove_files(void) {
    remove_temp_dir(load_root, load_fd);
}

static inline size_t load_pick(struct load_run *run, size_t limit) {
    return random_below(&run->random, limit);
}

static inline void load_choose_path(struct load_run *run, struct load_request *req, const char *const paths[], size_t count) {
    req->path = strdup(paths[load_pick(run, count)]);
    CHECK(req->path);
    ++run->named;
}

static inline void load_submit_stat(struct load_run *run, struct load_request *req) {
    static const unsigned int flags[] = {BFS_STAT_FOLLOW, BFS_STAT_NOFOLLOW, BFS_STAT_TRYFOLLOW, BFS_STAT_NOSYNC};
    req->flags = flags[load_pick(run, COUNT(flags))];
    int fd = load_fd;
    if (load_pick(run, 16) > 0) {
        load_choose_path(run, req, load_paths, COUNT(load_paths));
    }
    req->result = bfs_stat(fd, req->path, req->flags, &req->expected) == 0 ? 0 : -errno;
    CHECK_EQ(ioq_stat(run->ioq, fd, req->path, req->flags, &req->buf, req), 0);
}

static inline void load_submit_opendir(struct load_run *run, struct load_request *req) {
    req->dir = bfs_allocdir();
    CHECK(req->dir);
    load_choose_path(run, req, load_paths, COUNT(load_paths));
    req->result = bfs_opendir(req->dir, load_fd, req->path, 0) == 0 ? bfs_closedir(req->dir) : -errno;
    ++run->opening;
    CHECK_EQ(ioq_opendir(run->ioq, req->dir, load_fd, req->path, 0, req), 0);
}

static inline void load_submit_statx(struct load_run *run, struct load_request *req) {
    int flags = load_pick(run, 2) ? AT_SYMLINK_NOFOLLOW : 0;
    load_choose_path(run, req, load_paths, COUNT(load_paths));
    req->result = statx(load_fd, req->path, flags, STATX_BASIC_STATS, &req->sx) == 0 ? 0 : -errno;
    req->ino = req->sx.stx_ino;
    CHECK_EQ(ioq_statx(run->ioq, load_fd, req->path, flags, STATX_BASIC_STATS, &req->sx, req), 0);
}

// Opens, and perhaps stats what was opened. What is there already is "created", too.
static inline void load_submit_openat(struct load_run *run, struct load_request *req) {
    static const int flags[] = {O_RDONLY, O_RDONLY | O_DIRECTORY, O_PATH, O_PATH | O_NOFOLLOW};
    load_choose_path(run, req, load_paths, COUNT(load_paths));
    bool creates = strcmp(req->path, "dir/file") == 0 && load_pick(run, 2);
    int chosen = creates ? O_RDWR | O_CREAT : flags[load_pick(run, COUNT(flags))];
    req->how = (struct open_how){.flags = (uint64_t)(unsigned int)(chosen | O_CLOEXEC), .mode = creates ? 0644 : 0};
    long fd = syscall(SYS_openat2, load_fd, req->path, &req->how, sizeof(req->how));
    req->result = fd < 0 ? -errno : 0;
    if (fd >= 0) {
        struct stat sb;
        CHECK_EQ(fstat((int)fd, &sb), 0);
        CHECK_EQ(close((int)fd), 0);
        req->ino = sb.st_ino;
    }
    struct statx *sx = load_pick(run, 2) ? &req->sx : NULL;
    run->named += sx != NULL;
    CHECK_EQ(ioq_openat(run->ioq, load_fd, req->path, &req->how, STATX_INO, sx, req), 0);
}

static inline void load_submit_list(struct load_run *run, struct load_request *req) {
    load_choose_path(run, req, load_lists, COUNT(load_lists));
    req->flags = (load_pick(run, 4) ? IOQ_LIST_STAT : 0) | (load_pick(run, 4) ? 0 : IOQ_LIST_FD);
    int fd = openat(load_fd, req->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    req->result = fd < 0 ? -errno : 0;
    if (fd >= 0) {
        char path[64];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        req->count = count_entries(path);
        CHECK_EQ(close(fd), 0);
    }
    run->named += req->count;
    CHECK_EQ(ioq_list(run->ioq, load_fd, req->path, req->flags, STATX_INO, &req->list, req), 0);
}

static inline bool load_exists(const char *path) {
    return faccessat(load_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline bool load_changes(const struct load_request *req) {
    return req->op >= IOQ_UNLINK && req->op <= IOQ_SYMLINK;
}

// Each has two paths of its own. By the first there is a file or not, by the second nothing.
static inline void load_submit_change(struct load_run *run, struct load_request *req) {
    char path[32];
    snprintf(path, sizeof(path), "changes/%zu", run->used);
    CHECK(req->path = strdup(path));
    snprintf(path, sizeof(path), "changes/%zu-new", run->used);
    CHECK(req->newpath = strdup(path));
    ++run->named;
    bool creates = req->op == IOQ_MKDIR || req->op == IOQ_SYMLINK;
    req->is_first = load_pick(run, 4) ? !creates : creates;
    if (req->is_first) {
        make_file(load_fd, req->path, 0);
    }
    req->result = creates == req->is_first ? creates ? -EEXIST : -ENOENT : 0;
    int ret = -1;
    switch (req->op) {
    case IOQ_UNLINK:
        ret = ioq_unlink(run->ioq, load_fd, req->path, 0, req);
        break;
    case IOQ_RENAME:
        ret = ioq_rename(run->ioq, load_fd, req->path, load_fd, req->newpath, 0, req);
        break;
    case IOQ_MKDIR:
        ret = ioq_mkdir(run->ioq, load_fd, req->path, 0755, req);
        break;
    case IOQ_LINK:
        ret = ioq_link(run->ioq, load_fd, req->path, load_fd, req->newpath, 0, req);
        break;
    case IOQ_SYMLINK:
        ret = ioq_symlink(run->ioq, req->newpath, load_fd, req->path, req);
        break;
    default:
        CHECK(!"one of these");
    }
    CHECK_EQ(ret, 0);
}

// What succeeded was done, and what did not was not, if this kernel was only interrupted before.
static inline void load_check_change(const struct load_request *req, int result) {
    bool first = req->is_first, second = false;
    if (result == 0) {
        first = req->op != IOQ_UNLINK && req->op != IOQ_RENAME;
        second = req->op == IOQ_RENAME || req->op == IOQ_LINK;
    }
    CHECK_EQ(load_exists(req->path), first);
    CHECK_EQ(load_exists(req->newpath), second);
}

static inline void load_submit(struct load_run *run) {
    struct load_request *req = &run->requests[run->used++];
    req->op = load_ops[load_pick(run, COUNT(load_ops))];
    if (req->op == IOQ_CLOSEDIR && run->nopen == 0) {
        req->op = IOQ_STAT;
    } else if (req->op == IOQ_OPENDIR && run->nopen + run->opening == LOAD_OPEN) {
        req->op = IOQ_NOP;
    }
    req->state = SUBMITTED;
    switch (req->op) {
    case IOQ_NOP:
        ++run->nops;
        CHECK_EQ(ioq_nop(run->ioq, load_pick(run, 4) ? IOQ_NOP_HEAVY : IOQ_NOP_LIGHT, req), 0);
        break;
    case IOQ_CLOSE:
        req->fd = load_pick(run, 8) ? fcntl(load_fd, F_DUPFD_CLOEXEC, 0) : -1;
        req->result = req->fd < 0 ? -EBADF : 0;
        CHECK_EQ(ioq_close(run->ioq, req->fd, req), 0);
        break;
    case IOQ_OPENDIR:
        load_submit_opendir(run, req);
        break;
    case IOQ_CLOSEDIR:
        req->dir = run->open[--run->nopen];
        CHECK_EQ(ioq_closedir(run->ioq, req->dir, req), 0);
        break;
    case IOQ_STAT:
        load_submit_stat(run, req);
        break;
    case IOQ_STATX:
        load_submit_statx(run, req);
        break;
    case IOQ_OPENAT:
        load_submit_openat(run, req);
        break;
    case IOQ_LIST:
        load_submit_list(run, req);
        break;
    case IOQ_UNLINK:
    case IOQ_RENAME:
    case IOQ_MKDIR:
    case IOQ_LINK:
    case IOQ_SYMLINK:
        load_submit_change(run, req);
        break;
    default:
        CHECK(!"one of these");
    }
    req->handle = ioq_last(run->ioq);
}

// Cancels one of the requests that were submitted last, if it is still on its way.
static inline void load_cancel_one(struct load_run *run) {
    struct load_request *req = &run->requests[run->used - 1 - load_pick(run, run->used < 100 ? run->used : 100)];
    if (req->state == SUBMITTED) {
        ioq_cancel_one(run->ioq, req->handle);
        req->cancelled = true;
    }
}

// The library says how many may be in flight at this time; no more than the program allows.
static inline void load_check_limit(const struct load_run *run) {
    struct ioq_info info = {.size = sizeof(info)};
    CHECK_EQ(ioq_info(run->ioq, &info), 0);
    CHECK(info.ring_limit <= (run->load->inflight ? run->load->inflight : 256));
}

// Whether a result is that of a request which did not run.
static inline bool load_is_cancelled(const struct load_run *run, const struct load_request *req, int result) {
    if (req->op == IOQ_CLOSE || req->op == IOQ_CLOSEDIR) {
        return false;
    }
    return req->cancelled ? result == -ECANCELED : run->cancelled && result == -EINTR;
}

static inline void load_check_listing(struct bfs_dir *dir) {
    struct bfs_dirent de;
    int result;
    while ((result = bfs_readdir(dir, &de)) == 1) {
        CHECK(de.name[0] != '\0');
    }
    CHECK_EQ(result, 0);
}

// What the request needed is not the kernel's any more.
static inline void load_release(struct load_request *req) {
    if (req->path) {
        CHECK(!kernel_uses(req->path) && !kernel_uses(&req->how) && !kernel_uses(&req->sx));
        memset(req->path, '/', strlen(req->path));
        free(req->path);
        req->path = NULL;
    }
    if (req->newpath) {
        CHECK(!kernel_uses(req->newpath));
        memset(req->newpath, '/', strlen(req->newpath));
        free(req->newpath);
        req->newpath = NULL;
    }
}

// A change is not made again by who was interrupted, and a file that may be new not opened again.
static inline bool load_is_interrupted(const struct load_request *req, int result) {
    return (load_changes(req) || (req->op == IOQ_OPENAT && req->how.flags & O_CREAT)) && result == -EINTR;
}

static inline void load_check_openat(const struct load_request *req, const struct ioq_ent *ent, int fd) {
    struct stat sb;
    CHECK_EQ(fstat(fd, &sb), 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(sb.st_ino, req->ino);
    CHECK(!ent->openat.buf || req->sx.stx_ino == req->ino);
    CHECK_EQ(close(fd), 0);
}

static inline void load_check_list(const struct load_request *req) {
    const struct ioq_list *list = req->list;
    CHECK_EQ(list->error, 0);
    CHECK_EQ(list->count, req->count);
    for (size_t i = 0; i < list->count; ++i) {
        CHECK_EQ(list->ents[i].error, 0);
        CHECK(!(req->flags & IOQ_LIST_STAT) || list->ents[i].stat->stx_ino == list->ents[i].ino);
    }
    CHECK_EQ(list->fd >= 0, (req->flags & IOQ_LIST_FD) != 0);
    CHECK(list->fd < 0 || close(list->fd) == 0);
}

static inline bool load_pop(struct load_run *run, bool block) {
    struct ioq_ent *ent = ioq_pop(run->ioq, block);
    if (!ent) {
        return false;
    }
    struct load_request *req = ent->ptr;
    CHECK(req >= run->requests && req < run->requests + run->used);
    CHECK_EQ(req->state, SUBMITTED);
    CHECK_EQ(ent->op, req->op);
    req->state = POPPED;
    ++run->popped;
    struct ioq_ent popped = *ent;
    int result = ent->result;
    ioq_free(run->ioq, ent);
    if (load_changes(req)) {
        load_check_change(req, result);
    }
    load_release(req);

    if (req->op == IOQ_OPENAT && result >= 0) {
        load_check_openat(req, &popped, result);
        result = 0;
    }
    if (!load_is_cancelled(run, req, result) && !load_is_interrupted(req, result)) {
        CHECK_EQ(result, req->result);
    }
    CHECK(req->op != IOQ_STATX || result != 0 || req->sx.stx_ino == req->ino);
    CHECK_EQ(req->list != NULL, req->op == IOQ_LIST && result == 0);
    if (req->list) {
        load_check_list(req);
        ioq_list_free(req->list);
        req->list = NULL;
    }
    if (req->op == IOQ_STAT && result == 0) {
        CHECK_EQ(req->buf.ino, req->expected.ino);
        CHECK_EQ(req->buf.mask, req->expected.mask);
        CHECK_EQ(req->buf.mode, req->expected.mode);
        CHECK_EQ(req->buf.size, req->expected.size);
        CHECK_EQ(req->buf.mnt_id, req->expected.mnt_id);
    }
    run->opening -= req->op == IOQ_OPENDIR;
    if (req->op == IOQ_OPENDIR && result == 0) {
        load_check_listing(req->dir);
        run->open[run->nopen++] = req->dir;
    } else if (req->op == IOQ_OPENDIR || req->op == IOQ_CLOSEDIR) {
        free(req->dir);
    }
    return true;
}

static inline void load_flow(struct load_run *run, size_t total) {
    while (run->used < total) {
        size_t burst = load_pick(run, run->load->depth) + 1;
        for (; burst > 0 && run->used < total && ioq_capacity(run->ioq) > 0; --burst) {
            load_submit(run);
            if (run->load->cancels && load_pick(run, 8) == 0) {
                load_cancel_one(run);
            }
        }
        load_check_limit(run);
        if (load_pick(run, 4) == 0) {
            ioq_submit(run->ioq);
        }
        for (size_t pops = load_pick(run, run->load->depth) + 1; pops > 0 && run->popped < run->used; --pops) {
            if (!load_pop(run, run->load->block)) {
                CHECK(!run->load->block);
                sched_yield();
            }
        }
    }
}

static inline void load_drain(struct load_run *run) {
    while (run->popped < run->used) {
        if (!load_pop(run, run->load->block)) {
            CHECK(!run->load->block);
            sched_yield();
        }
    }
    CHECK(!ioq_pop(run->ioq, true));
    CHECK_EQ(ioq_capacity(run->ioq), run->load->depth);
}

static inline struct ioq *load_create(const struct load *load) {
    struct ioq_options options = {
        .size = sizeof(options),
        .depth = load->depth,
        .nthreads = load->threads,
        .flags = load->caller_runs ? IOQ_CALLER_RUNS : 0,
        .inflight = load->inflight,
    };
    struct ioq *ioq = ioq_create_with(&options);
    CHECK(ioq);
    return ioq;
}

// Runs the load, and returns how the queue ran the requests.
static inline struct load_outcome load_run(const struct load *load) {
    static struct load_run run;
    run = (struct load_run){.load = load, .ioq = load_create(load), .random = load->seed * 0x9E3779B97F4A7C15 + 1};
    CHECK(load->total <= LOAD_MOST);
    load_flow(&run, load->end == DRAINED ? load->total : load->total / 2);
    if (load->end == CANCELLED) {
        ioq_cancel(run.ioq);
        run.cancelled = true;
        CHECK_ERRNO(ioq_nop(run.ioq, IOQ_NOP_HEAVY, NULL), ioq_capacity(run.ioq) ? EINTR : errno);
    }
    if (load->end != DESTROYED) {
        load_drain(&run);
    }
    struct load_outcome outcome = {.named = run.named, .nops = run.nops};
    ioq_count(run.ioq, &outcome.counts);
    ioq_destroy(run.ioq);

    // What was destroyed unpopped is not open, and nobody uses it any more.
    for (size_t i = 0; i < run.used; ++i) {
        struct load_request *req = &run.requests[i];
        if (req->state == SUBMITTED) {
            CHECK_EQ(load->end, DESTROYED);
            load_release(req);
            free(req->dir);
        }
    }
    while (run.nopen > 0) {
        CHECK_EQ(bfs_closedir(run.open[--run.nopen]), 0);
        free(run.open[run.nopen]);
    }
    return outcome;
}

#endif // LOAD_H
