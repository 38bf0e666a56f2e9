// Responses: whether a request came back as it was submitted, with what the model says and the effect that it must have.

#ifndef MATRIX_RESPONSE_H
#define MATRIX_RESPONSE_H

#include "request.h"

// Everything in an entry but the result is as it was submitted.
static void check_entry(const struct request *req, const struct ioq_ent *ent) {
    CHECK_EQ(ent->op, req->op);
    switch (ent->op) {
    case IOQ_NOP:
        CHECK_EQ(ent->nop.type, req->nop);
        break;
    case IOQ_CLOSE:
        CHECK_EQ(ent->close.fd, req->fd);
        break;
    case IOQ_OPENDIR:
        CHECK(ent->opendir.dir == req->dir && ent->opendir.path == req->path);
        CHECK_EQ(ent->opendir.dfd, dfd_of(req));
        CHECK_EQ(ent->opendir.flags, req->flags);
        break;
    case IOQ_CLOSEDIR:
        CHECK(ent->closedir.dir == req->dir);
        break;
    case IOQ_STAT:
        CHECK(ent->stat.buf == &req->buf && ent->stat.path == req->path && !ent->stat.xbuf);
        CHECK_EQ(ent->stat.dfd, dfd_of(req));
        CHECK_EQ(ent->stat.flags, req->flags);
        break;
    default:
        abort();
    }
}

// One of two closes of the same descriptor succeeds.
static void finish_close(struct world *world, struct request *req, int result) {
    struct request *twin = req->twin;
    if (!twin) {
        CHECK_EQ(result, req->result);
        release_close(world, req, true);
    } else if (twin->state != POPPED && twin->state != FREED) {
        CHECK(result == 0 || result == -EBADF);
    } else {
        CHECK_EQ(result, twin->came_to == 0 ? -EBADF : 0);
        release_close(world, req, true);
    }
}

static void finish_opendir(struct world *world, struct request *req, int result) {
    if (result != 0) {
        release_takeover(req);
        release_dir(world, req);
        return;
    }
    int fd = bfs_dirfd(req->dir);
    if (req->path) {
        CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    } else {
        CHECK_EQ(fd, req->fd);
    }
    struct bfs_dirent de;
    if (req->read_error) {
        CHECK_ERRNO(bfs_readdir(req->dir, &de), req->read_error);
    } else {
        check_listing(req->dir, req->target);
    }
    world->open[world->nopen++] = (struct open_dir){req->dir, req->fd == NO_FD && !req->path ? -EBADF : 0};
}

static void finish_stat(struct world *world, struct request *req, int result) {
    if (result == 0) {
        check_stat(world->model, req->target, &req->buf, &answer(world->model, req->target, req->flags)->stat);
    } else {
        CHECK(is_filled(&req->buf));
    }
    filled(&req->buf, sizeof(req->buf));
}

// Whether a request came back without having run, which it may in a queue that was `cancelled` or if it was itself.
static bool has_run(const struct request *req, int result, bool cancelled) {
    if (req->op == IOQ_CLOSE || req->op == IOQ_CLOSEDIR) {
        return true;
    }
    bool never_ran = (result == -EINTR && cancelled) || (result == -ECANCELED && req->cancelled);
    return !never_ran;
}

// Checks a response that was just popped. The path may go now.
static void finish(struct world *world, struct request *req, struct ioq_ent *ent, bool cancelled) {
    req->state = POPPED;
    req->ent = ent;
    req->came_to = ent->result;
    memcpy(req->copy, ent, sizeof(*ent));
    check_entry(req, ent);
    if (has_run(req, ent->result, cancelled) && req->op != IOQ_CLOSE) {
        CHECK_EQ(ent->result, req->result);
    }
    switch (req->op) {
    case IOQ_NOP:
        break;
    case IOQ_CLOSE:
        finish_close(world, req, ent->result);
        break;
    case IOQ_OPENDIR:
        finish_opendir(world, req, ent->result);
        break;
    case IOQ_CLOSEDIR:
        release_dir(world, req);
        break;
    case IOQ_STAT:
        finish_stat(world, req, ent->result);
        break;
    default:
        abort();
    }
    free(req->path);
}

// Checks the effect of a request that was still in the queue when that was destroyed: closes ran, and no directory is
// open. Whether a stat ran, nobody knows.
static void bury(struct world *world, struct request *req) {
    switch (req->op) {
    case IOQ_NOP:
        break;
    case IOQ_CLOSE:
        if (!req->twin || req->twin->state != SUBMITTED) {
            release_close(world, req, true);
        }
        break;
    case IOQ_OPENDIR:
        if (!req->path && req->result == 0 && req->fd != NO_FD && is_open(req->fd)) {
            release_takeover(req); // it was cancelled
        }
        release_dir(world, req);
        break;
    case IOQ_CLOSEDIR:
        release_dir(world, req);
        break;
    case IOQ_STAT:
        if (!is_filled(&req->buf)) {
            CHECK_EQ(req->result, 0);
            finish_stat(world, req, 0);
        }
        break;
    default:
        abort();
    }
    free(req->path);
    req->state = FREED;
}

// Checks that a response is as it was when it was popped, and that nobody wrote into its buffer since.
static void check_held(const struct request *req) {
    CHECK_EQ(memcmp(req->ent, req->copy, sizeof(req->copy)), 0);
    CHECK(req->op != IOQ_STAT || is_filled(&req->buf));
}

#endif // MATRIX_RESPONSE_H
