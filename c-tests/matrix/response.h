// Responses: whether a request came back as it was submitted, with what the model says and the effect that it must have.

#ifndef MATRIX_RESPONSE_H
#define MATRIX_RESPONSE_H

#include "request.h"

// Everything in an entry but the result is as it was submitted.
static void check_entry(const struct world *world, const struct request *req, const struct ioq_ent *ent) {
    const void *memory = req->memory;
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
    case IOQ_CALL:
        CHECK(ent->call.fn == called && ent->call.arg == req);
        break;
    case IOQ_STATX:
        CHECK(ent->statx.path == req->path && ent->statx.buf == memory && ent->statx.mask == mask_of(req));
        CHECK(ent->statx.dfd == dfd_of(req) && ent->statx.flags == at_flags_of(req));
        break;
    case IOQ_LIST:
        CHECK(ent->list.path == req->path && ent->list.list == &req->list && ent->list.mask == STATX_INO);
        CHECK(ent->list.dfd == dfd_of(req) && ent->list.flags == req->flags);
        break;
    case IOQ_OPENAT:
        CHECK(ent->openat.path == req->path && ent->openat.how == &req->how && ent->openat.buf == memory);
        CHECK(ent->openat.dfd == dfd_of(req) && ent->openat.mask == STATX_INO);
        break;
    case IOQ_READLINK:
        CHECK(ent->readlink.path == req->path && ent->readlink.buf == memory);
        CHECK(ent->readlink.size == req->size && ent->readlink.dfd == dfd_of(req));
        break;
    case IOQ_GETXATTR:
        CHECK(ent->getxattr.path == req->path && ent->getxattr.value == memory && ent->getxattr.size == req->size);
        CHECK(ent->getxattr.dfd == dfd_of(req) && ent->getxattr.flags == (int)req->flags);
        break;
    case IOQ_ACCESS:
        CHECK(ent->access.path == req->path && ent->access.dfd == dfd_of(req));
        CHECK(ent->access.mode == req->mode && ent->access.flags == (int)req->flags);
        break;
    case IOQ_UNLINK:
    case IOQ_RENAME:
    case IOQ_MKDIR:
    case IOQ_LINK:
    case IOQ_SYMLINK:
    case IOQ_CHMOD:
    case IOQ_CHOWN:
    case IOQ_UTIMENS:
        check_change_entry(&req->change, change_dfd(world->places, &req->change, BY_QUEUE), ent);
        break;
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

static void finish_statx(struct world *world, struct request *req, int result) {
    if (req->memory && result == 0) {
        struct statx sx;
        memcpy(&sx, req->memory, sizeof(sx));
        struct bfs_stat have = model_stat(&sx);
        check_stat(world->model, req->target, &have, &answer(world->model, req->target, req->flags)->stat);
        filled(req->memory, req->size);
    }
}

static void finish_list(struct world *world, struct request *req, int result) {
    --world->ndirs;
    CHECK_EQ(req->list != NULL, result == 0);
    if (!req->list) {
        return;
    }
    const struct ioq_list *have = req->list;
    const struct listing *want = list(req->target);
    CHECK_EQ(have->error, 0);
    CHECK(have->count == want->count || req->target->shared);
    for (size_t i = 0; i < have->count; ++i) {
        const struct ioq_list_ent *ent = &have->ents[i];
        if (req->flags & IOQ_LIST_SORT_NAME) {
            CHECK(i == 0 || strcmp(have->ents[i - 1].name, ent->name) < 0);
        } else if (!req->target->shared) {
            CHECK_EQ(strcmp(ent->name, want->entries[i].name), 0);
            CHECK_EQ(model_type(ent->type), want->entries[i].type);
        }
        CHECK(req->flags & IOQ_LIST_STAT ? !ent->stat == (ent->error != 0) : !ent->stat && ent->error == 0);
        CHECK(!ent->stat || req->target->shared || ent->stat->stx_ino == ent->ino);
    }
    CHECK_EQ(have->fd >= 0, (req->flags & IOQ_LIST_FD) != 0);
    CHECK(have->fd < 0 || (fcntl(have->fd, F_GETFD) == FD_CLOEXEC && close(have->fd) == 0));
    ioq_list_free(req->list);
    req->list = NULL;
}

// A descriptor that comes back is given to the program.
static void finish_openat(struct world *world, struct request *req, int result) {
    --world->ndirs;
    if (result < 0) {
        return;
    }
    struct stat sb;
    CHECK_EQ(fstat(result, &sb), 0);
    CHECK(sb.st_dev == req->dev && sb.st_ino == req->ino);
    CHECK_EQ(fcntl(result, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(close(result), 0);
    if (req->memory) {
        struct statx sx;
        memcpy(&sx, req->memory, sizeof(sx));
        CHECK_EQ(sx.stx_ino, req->ino);
    }
}

// What was read is as much as the result says, and the rest of the buffer is as it was.
static void finish_reading(struct request *req, int result) {
    unsigned char want[PATH_MAX];
    filled(want, sizeof(want));
    if (req->op == IOQ_READLINK && result >= 0) {
        CHECK_EQ(readlinkat(req->target->dfd, req->path, (char *)want, req->size), result);
    } else if (req->size > 0 && result > 0) {
        memcpy(want, VALUE, (size_t)result);
    }
    CHECK_EQ(memcmp(req->memory, want, req->size), 0);
    filled(req->memory, req->size);
}

static enum made made(int result, bool ran) {
    return ran ? MADE : result == -EINTR ? PERHAPS_MADE : NOT_MADE;
}

// Whether a request came back without having run, which it may in a queue that was `cancelled` or if it was itself; or a
// change that was interrupted.
static bool has_run(const struct world *world, const struct request *req, int result, bool cancelled) {
    if (req->op == IOQ_CLOSE || req->op == IOQ_CLOSEDIR) {
        return true;
    }
    bool interrupted = cancelled || (is_change(req->op) && (req->cancelled || world->interrupts));
    bool never_ran = (result == -EINTR && interrupted) || (result == -ECANCELED && req->cancelled);
    return !never_ran;
}

// Checks a response that was just popped. The path may go now.
static void finish(struct world *world, struct request *req, struct ioq_ent *ent, bool cancelled) {
    req->state = POPPED;
    req->ent = ent;
    req->came_to = ent->result;
    memcpy(req->copy, ent, sizeof(*ent));
    check_entry(world, req, ent);
    bool ran = has_run(world, req, ent->result, cancelled);
    if (ran && req->op != IOQ_CLOSE) {
        CHECK_EQ(req->op == IOQ_OPENAT && ent->result > 0 ? 0 : ent->result, req->result);
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
    case IOQ_CALL:
        CHECK_EQ(req->calls, ran);
        break;
    case IOQ_STATX:
        finish_statx(world, req, ent->result);
        break;
    case IOQ_LIST:
        finish_list(world, req, ent->result);
        break;
    case IOQ_OPENAT:
        finish_openat(world, req, ent->result);
        break;
    case IOQ_READLINK:
    case IOQ_GETXATTR:
        finish_reading(req, ent->result);
        break;
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
        finish_change(world->places, &req->change, made(ent->result, ran));
        break;
    }
    if (req->memory) {
        filled(req->memory, req->size);
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
    case IOQ_LIST:
    case IOQ_OPENAT:
        --world->ndirs;
        break;
    case IOQ_CALL:
        CHECK(req->calls <= 1);
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
        finish_change(world->places, &req->change, PERHAPS_MADE);
        break;
    }
    if (req->memory) {
        filled(req->memory, req->size);
    }
    req->list = NULL;
    free(req->path);
    req->state = FREED;
}

// Checks that a response is as it was when it was popped, and that nobody wrote into its buffer since.
static void check_held(const struct request *req) {
    CHECK_EQ(memcmp(req->ent, req->copy, sizeof(req->copy)), 0);
    CHECK(is_quiet(req));
}

#endif // MATRIX_RESPONSE_H
