// A walk: what was there comes back once, or an error says why it does not.

#include "request.h"
#include "workload.h"
#include <ioq/walk.h>
#include <poll.h>

// How often there may be no memory in a row. A walk that goes on after that would need it for ever.
enum { PATIENCE = 100 };

struct directory {
    size_t seen;
    bool entered, left, incomplete;
};

static struct directory top, dirs[TREE_DIRS];

// Whether what fails in this run can lead to this error.
static bool is_injectable(int error) {
    const struct fault *fault = injected();
    for (size_t kind = 0; kind < KINDS; ++kind) {
        if (fault->mode != RANDOM && kind != fault->kind) {
            continue;
        }
        for (const int *possible = kinds[kind].errors; *possible; ++possible) {
            if (*possible == error) {
                return true;
            }
        }
    }
    return false;
}

static void check_entry(const struct ioq_walk_ent *ent) {
    CHECK(ent->error == 0 || is_injectable(ent->error));
    bool is_dir = ent->type == DT_DIR;
    struct directory *dir = ent->depth == 0 ? &top : NULL;
    size_t number = strtoul(ent->name + 4, NULL, 10);
    if (ent->depth == 1 && strncmp(ent->name, "dir-", 4) == 0) {
        CHECK(number < TREE_DIRS);
        CHECK(ent->error || is_dir);
        dir = &dirs[number];
    }
    if (ent->post) {
        CHECK(is_dir && dir && dir->entered && !dir->left);
        dir->left = true;
        dir->incomplete = ent->error != 0;
        return;
    }
    CHECK(ent->error || ent->stat);
    if (dir) {
        CHECK(!dir->entered);
        dir->entered = true;
        // One of which nothing is known is not walked.
        dir->left = dir->incomplete = ent->error != 0;
    }
    if (ent->depth > 0) {
        struct directory *parent = ent->depth == 1 ? &top : &dirs[strtoul(ent->name - 2, NULL, 10)];
        CHECK(parent->entered && !parent->left);
        ++parent->seen;
    }
}

static void check_directory(const struct directory *dir, size_t names) {
    CHECK(dir->entered == dir->left);
    // A directory that is gone when it is read is at its end.
    bool may_lack = !dir->entered || dir->incomplete || was_injected(READING, ENOENT, 0);
    CHECK(may_lack ? dir->seen <= names : dir->seen == names);
}

static void check_all(void) {
    CHECK(top.entered);
    check_directory(&top, TREE_NAMES);
    for (size_t i = 0; i < TREE_DIRS; ++i) {
        check_directory(&dirs[i], tree_names(i));
    }
}

void walk_tree(const struct use *use) {
    memset(&top, 0, sizeof(top));
    memset(dirs, 0, sizeof(dirs));
    const char *roots[] = {tree_path(), NULL};
    struct ioq_walk_options options = {
        .size = sizeof(options),
        .flags = IOQ_WALK_STAT | IOQ_WALK_PRE | IOQ_WALK_POST | (use->flags & IOQ_CALLER_RUNS ? IOQ_WALK_CALLER_RUNS : 0),
        .mask = STATX_BASIC_STATS,
        .nthreads = use->threads,
        // So few that they are taken from each other, or the default.
        .max_fds = use->depth < 64 ? use->depth : 0,
    };
    unsigned long before = injected_here();
    struct ioq_walk *walk = ioq_walk_open(roots, &options);
    if (!walk) {
        if (injected_here() == before && backend_is("uring") && ring_errno() != 0) {
            skip("IOQ_BACKEND=uring, and no io_uring to be had here");
        }
        CHECK(injected_here() > before);
        CHECK_EQ(errno, injected_reason());
        return;
    }
    int fd = use->block ? -1 : ioq_walk_fd(walk);
    const struct ioq_walk_ent *ent;
    bool complete = true;
    for (int ret, failures = 0; failures < PATIENCE;) {
        before = injected_here();
        bool block = use->block || is_deserted();
        ret = block ? ioq_walk_next(walk, &ent) : ioq_walk_try_next(walk, &ent);
        if (ret > 0) {
            check_entry(ent);
            failures = 0;
        } else if (ret == 0) {
            if (complete) {
                check_all();
            }
            break;
        } else if (errno == EAGAIN && !block) {
            if (fd >= 0) {
                CHECK_EQ(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1), 1);
            } else {
                sched_yield();
            }
        } else {
            CHECK_EQ(errno, ENOMEM);
            CHECK(injected_here() > before);
            complete = false;
            ++failures;
        }
    }
    CHECK_EQ(ioq_walk_close(walk), 0);
}
