// Thousands of requests of every kind, many in flight at once: each comes back exactly once, as it was submitted, with
// the right result, in whatever order; and what is popped stays as it is until it is freed.

#include "test.h"

#include <ioq/dir.h>
#include <ioq/stat.h>

enum { DIRS = 24, FILES = 100, HELD = 64, OPEN = 60 };

struct request {
    enum ioq_op op;
    enum { UNUSED, SUBMITTED, POPPED, FREED } state;
    int result; // expected
    ino_t ino;
    int fd;
    struct bfs_dir *dir;
    char path[32];
    struct bfs_stat buf;
};

struct run {
    struct ioq *ioq;
    uint64_t seed;
    struct request *requests;
    size_t total, used, submitted, popped;
    // Open directories that no request is about, to be closed by one, and how many may join them.
    struct bfs_dir *open[OPEN];
    size_t nopen, opening;
    // Popped entries.
    struct ioq_ent *held[HELD];
    size_t nheld;
};

static char root[PATH_MAX];
static int root_fd;
static ino_t file_inos[FILES];

static size_t pick(struct run *run, size_t limit) {
    return random_below(&run->seed, limit);
}

static void submit_stat(struct run *run, struct request *req) {
    size_t i = pick(run, FILES + FILES / 4);
    req->result = i < FILES ? 0 : -ENOENT;
    req->ino = i < FILES ? file_inos[i] : 0;
    snprintf(req->path, sizeof(req->path), "file-%zu", i);
    CHECK_EQ(ioq_stat(run->ioq, root_fd, req->path, BFS_STAT_NOFOLLOW, &req->buf, req), 0);
}

static void submit_close(struct run *run, struct request *req) {
    req->fd = pick(run, 5) ? fcntl(root_fd, F_DUPFD_CLOEXEC, 0) : -1;
    req->result = req->fd >= 0 ? 0 : -EBADF;
    CHECK_EQ(ioq_close(run->ioq, req->fd, req), 0);
}

static void submit_opendir(struct run *run, struct request *req) {
    size_t i = pick(run, DIRS + DIRS / 4);
    req->result = i < DIRS ? 0 : -ENOENT;
    snprintf(req->path, sizeof(req->path), "dir-%zu", i);
    req->dir = bfs_allocdir();
    CHECK(req->dir);
    ++run->opening;
    CHECK_EQ(ioq_opendir(run->ioq, req->dir, root_fd, req->path, 0, req), 0);
}

static void submit_closedir(struct run *run, struct request *req) {
    size_t i = pick(run, run->nopen);
    req->dir = run->open[i];
    run->open[i] = run->open[--run->nopen];
    req->fd = bfs_dirfd(req->dir);
    req->result = 0;
    CHECK_EQ(ioq_closedir(run->ioq, req->dir, req), 0);
}

static void submit_one(struct run *run) {
    struct request *req = &run->requests[run->used++];
    CHECK_EQ(req->state, UNUSED);
    req->state = SUBMITTED;
    req->op = (enum ioq_op)pick(run, 5);
    if (req->op == IOQ_CLOSEDIR && run->nopen == 0) {
        req->op = IOQ_NOP;
    } else if (req->op == IOQ_OPENDIR && run->nopen + run->opening == OPEN) {
        req->op = IOQ_STAT;
    }
    switch (req->op) {
    case IOQ_NOP:
        CHECK_EQ(ioq_nop(run->ioq, pick(run, 2) ? IOQ_NOP_LIGHT : IOQ_NOP_HEAVY, req), 0);
        break;
    case IOQ_CLOSE:
        submit_close(run, req);
        break;
    case IOQ_OPENDIR:
        submit_opendir(run, req);
        break;
    case IOQ_CLOSEDIR:
        submit_closedir(run, req);
        break;
    case IOQ_STAT:
        submit_stat(run, req);
        break;
    default:
        CHECK(!"picked");
    }
    ++run->submitted;
}

static void check_entry(const struct request *req, const struct ioq_ent *ent) {
    CHECK_EQ(ent->op, req->op);
    CHECK_EQ(ent->result, req->result);
    switch (ent->op) {
    case IOQ_NOP:
        break;
    case IOQ_CLOSE:
        CHECK_EQ(ent->close.fd, req->fd);
        break;
    case IOQ_OPENDIR:
        CHECK(ent->opendir.dir == req->dir && ent->opendir.path == req->path);
        break;
    case IOQ_CLOSEDIR:
        CHECK(ent->closedir.dir == req->dir);
        break;
    case IOQ_STAT:
        CHECK(ent->stat.buf == &req->buf && ent->stat.path == req->path);
        CHECK(ent->result != 0 || req->buf.ino == req->ino);
        break;
    default:
        CHECK(!"submitted");
    }
}

// Each directory holds one file, which has its name.
static void check_listing(struct request *req) {
    struct bfs_dirent de;
    CHECK_EQ(bfs_readdir(req->dir, &de), 1);
    CHECK_EQ(strcmp(de.name, req->path), 0);
    CHECK_EQ(bfs_readdir(req->dir, &de), 0);
}

static void free_held(struct run *run, size_t i) {
    struct ioq_ent *ent = run->held[i];
    struct request *req = ent->ptr;
    CHECK_EQ(req->state, POPPED);
    check_entry(req, ent);
    req->state = FREED;
    ioq_free(run->ioq, ent);
    run->held[i] = run->held[--run->nheld];
}

static bool pop_one(struct run *run, bool block) {
    struct ioq_ent *ent = ioq_pop(run->ioq, block);
    if (!ent) {
        return false;
    }

    struct request *req = ent->ptr;
    CHECK(req >= run->requests && req < run->requests + run->used);
    CHECK_EQ(req->state, SUBMITTED);
    req->state = POPPED;
    ++run->popped;
    check_entry(req, ent);

    run->opening -= req->op == IOQ_OPENDIR;
    if (req->op == IOQ_OPENDIR && req->result == 0) {
        check_listing(req);
        run->open[run->nopen++] = req->dir;
    } else if (req->op == IOQ_OPENDIR || req->op == IOQ_CLOSEDIR) {
        free(req->dir);
    }

    run->held[run->nheld++] = ent;
    if (run->nheld == HELD) {
        for (size_t left = HELD / 2; left > 0; --left) {
            free_held(run, pick(run, run->nheld));
        }
    }
    return true;
}

static void flow(size_t depth, size_t nthreads, bool block) {
    struct run run = {.ioq = create(depth, nthreads), .seed = depth * 31 + nthreads, .total = rounds(6000)};
    run.requests = calloc(run.total, sizeof(*run.requests));
    CHECK(run.requests);

    while (run.popped < run.total) {
        size_t burst = pick(&run, 100);
        while (burst-- > 0 && run.used < run.total && ioq_capacity(run.ioq) > 0) {
            submit_one(&run);
        }
        if (pick(&run, 4) == 0) {
            ioq_submit(run.ioq);
        }
        for (size_t pops = pick(&run, 100) + 1; pops > 0 && run.popped < run.submitted; --pops) {
            if (!pop_one(&run, block)) {
                CHECK(!block);
                sched_yield();
            }
        }
    }

    CHECK(!ioq_pop(run.ioq, true));
    CHECK_EQ(ioq_capacity(run.ioq), depth - run.nheld);
    while (run.nheld > 0) {
        free_held(&run, pick(&run, run.nheld));
    }
    CHECK_EQ(ioq_capacity(run.ioq), depth);
    ioq_destroy(run.ioq);

    for (size_t i = 0; i < run.total; ++i) {
        CHECK_EQ(run.requests[i].state, FREED);
    }
    while (run.nopen > 0) {
        CHECK_EQ(bfs_closedir(run.open[--run.nopen]), 0);
        free(run.open[run.nopen]);
    }
    free(run.requests);
}

static void blocking(void) {
    flow(128, 0, true);
    flow(128, 1, true);
    flow(1024, 2, true);
    flow(4096, 8, true);
    flow(99, 3, true);
}

static void polling(void) {
    flow(128, 1, false);
    flow(1024, 2, false);
    flow(4096, 8, false);
    flow(99, 3, false);
}

int main(void) {
    need_fds(256);
    root_fd = temp_dir(root);
    for (size_t i = 0; i < FILES; ++i) {
        char name[32];
        struct stat sb;
        snprintf(name, sizeof(name), "file-%zu", i);
        make_file(root_fd, name, 0);
        CHECK_EQ(fstatat(root_fd, name, &sb, 0), 0);
        file_inos[i] = sb.st_ino;
    }
    for (size_t i = 0; i < DIRS; ++i) {
        char name[64];
        snprintf(name, sizeof(name), "dir-%zu", i);
        CHECK_EQ(mkdirat(root_fd, name, 0755), 0);
        snprintf(name, sizeof(name), "dir-%zu/dir-%zu", i, i);
        make_file(root_fd, name, 0);
    }

    RUN(blocking);
    RUN(polling);

    remove_temp_dir(root, root_fd);
    return 0;
}
