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

enum { LOAD_MOST = 4096, LOAD_OPEN = 40 };

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
    // How many a ring could begin, as they have a path; and how many were no-ops, which any thread does.
    size_t named, nops;
};

struct load_request {
    enum ioq_op op;
    enum { UNUSED, SUBMITTED, POPPED } state;
    const struct ioq_ent *handle;
    bool cancelled;
    int result; // expected
    char *path;
    unsigned int flags;
    int fd;
    struct bfs_dir *dir;
    struct bfs_stat expected, buf;
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

static char load_root[PATH_MAX];
static int load_fd;

// What stats and opendirs are about. Some of it is not there, some no directory, and some a link to nowhere.
static const char *const load_paths[] = {
    ".", "dir", "dir/file", "dir/link", "dir/dangling", "dir/loop", "dir/file/x", "none", "none/x", "..", "dir/to-dir",
};

static inline void load_make_files(void) {
    load_fd = temp_dir(load_root);
    CHECK_EQ(mkdirat(load_fd, "dir", 0755), 0);
    make_file(load_fd, "dir/file", 3);
    CHECK_EQ(symlinkat("file", load_fd, "dir/link"), 0);
    CHECK_EQ(symlinkat("nowhere", load_fd, "dir/dangling"), 0);
    CHECK_EQ(symlinkat("loop", load_fd, "dir/loop"), 0);
    CHECK_EQ(symlinkat(".", load_fd, "dir/to-dir"), 0);
}

static inline void load_remove_files(void) {
    remove_temp_dir(load_root, load_fd);
}

static inline size_t load_pick(struct load_run *run, size_t limit) {
    return random_below(&run->random, limit);
}

static inline void load_submit_stat(struct load_run *run, struct load_request *req) {
    static const unsigned int flags[] = {BFS_STAT_FOLLOW, BFS_STAT_NOFOLLOW, BFS_STAT_TRYFOLLOW, BFS_STAT_NOSYNC};
    req->flags = flags[load_pick(run, COUNT(flags))];
    int fd = load_fd;
    if (load_pick(run, 16) > 0) {
        req->path = strdup(load_paths[load_pick(run, COUNT(load_paths))]);
        CHECK(req->path);
        ++run->named;
    }
    req->result = bfs_stat(fd, req->path, req->flags, &req->expected) == 0 ? 0 : -errno;
    CHECK_EQ(ioq_stat(run->ioq, fd, req->path, req->flags, &req->buf, req), 0);
}

static inline void load_submit_opendir(struct load_run *run, struct load_request *req) {
    req->dir = bfs_allocdir();
    req->path = strdup(load_paths[load_pick(run, COUNT(load_paths))]);
    CHECK(req->dir && req->path);
    req->result = bfs_opendir(req->dir, load_fd, req->path, 0) == 0 ? bfs_closedir(req->dir) : -errno;
    ++run->opening;
    ++run->named;
    CHECK_EQ(ioq_opendir(run->ioq, req->dir, load_fd, req->path, 0, req), 0);
}

static inline void load_submit(struct load_run *run) {
    struct load_request *req = &run->requests[run->used++];
    req->op = (enum ioq_op)load_pick(run, 5);
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
    default:
        CHECK(!"one of the five");
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
        CHECK(!kernel_uses(req->path));
        memset(req->path, '/', strlen(req->path));
        free(req->path);
        req->path = NULL;
    }
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
    int result = ent->result;
    ioq_free(run->ioq, ent);
    load_release(req);

    if (!load_is_cancelled(run, req, result)) {
        CHECK_EQ(result, req->result);
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
