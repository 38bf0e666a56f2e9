// soak [SECONDS [SEED]]: a mixed load for as long as that, 60 s by default.
//
// Each thread has a queue of its own: the first one with eight workers, the others with up to four and without any, and
// with options as chance decides. It submits requests, cancels some, takes what comes, and checks every response against its
// request. Now and then some requests hang, one less than there are workers at most, and all others have to come back
// before they are let go. Some times a second it cancels its queue, with work in flight, or destroys it so, or both, and
// creates another. About every second all of them pause, and then
//
// - every request that was accepted has come back, or its queue was destroyed, and the entries were counted as run;
// - there are as many descriptors and threads as without any queue, whenever there is none;
// - the memory in use does not grow: the second half of the time needs no more than the first, but for what heaps waste.
//
// The first line has the seed; the last line sums up what was done.

#include "hang.h"

#include <inttypes.h>
#include <ioq/dir.h>
#include <ioq/stat.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum {
    USERS = 8,
    DEPTH = 512,
    FILES = 64,
    HANGS = 3,
    SLACK = 4096, // KiB
};

struct totals {
    uint64_t accepted, returned, destroyed, hung, cancelled, queues, ran[3];
};

// A request and what belongs to it. Free ones are in a stack.
struct request {
    struct bfs_stat buf;
    struct bfs_dir *dir;
    char path[32];
    int expected;
    bool cancelled;
    // Whether it hangs, and then how it is let go.
    bool hangs;
    struct hang hang;
};

struct user {
    pthread_t thread;
    size_t nthreads;
    bool block;
    uint64_t state;
    struct ioq *ioq;
    bool caller_runs;
    // What the queue's responses can be awaited by, or -1.
    int fd;
    bool cancelled;
    // What this queue accepted and gave back.
    uint64_t accepted, returned;
    struct request requests[DEPTH];
    struct request *unused[DEPTH];
    size_t nunused;
    // Directories that were opened and are still to be closed.
    struct bfs_dir *open[DEPTH];
    size_t nopen;
    struct request *hanging[HANGS];
    size_t nhanging;
    int listener;
    struct totals totals;
};

static struct user users[USERS];
static char root[PATH_MAX];
static int root_fd;
static bool has_rings;
static atomic_bool over;
static pthread_barrier_t pause_begins, pause_ends;
static atomic_uint pauses;

static size_t pick(struct user *user, size_t limit) {
    return random_below(&user->state, limit);
}

static struct ioq *create_with_options(struct user *user) {
    struct ioq_options options = {
        .size = sizeof(options),
        .depth = DEPTH,
        .nthreads = user->nthreads,
        .backend = pick(user, 4),
        .flags = pick(user, 4), // IOQ_CALLER_RUNS, IOQ_NO_DESCRIPTORS, both or none
        .inflight = pick(user, 3) * pick(user, 300),
        .name = pick(user, 2) ? "soak" : NULL,
    };
    if (options.backend == IOQ_BACKEND_URING && !has_rings) {
        options.backend = IOQ_BACKEND_AUTO;
    }
    user->caller_runs = options.flags & IOQ_CALLER_RUNS;
    struct ioq *ioq = ioq_create_with(&options);
    CHECK(ioq);
    return ioq;
}

static void start_queue(struct user *user) {
    user->caller_runs = false;
    user->ioq = pick(user, 2) ? create(DEPTH, user->nthreads) : create_with_options(user);
    user->fd = -1;
    if (user->nthreads > 0 && pick(user, 4) == 0) {
        user->fd = ioq_fd(user->ioq);
        CHECK(user->fd >= 0);
    }
    user->cancelled = false;
    user->accepted = user->returned = 0;
    user->nunused = 0;
    for (size_t i = 0; i < DEPTH; ++i) {
        user->unused[user->nunused++] = &user->requests[i];
    }
    ++user->totals.queues;
}

static int submit_stat(struct user *user, struct request *req) {
    size_t i = pick(user, FILES + FILES / 4);
    req->expected = i < FILES ? 0 : -ENOENT;
    snprintf(req->path, sizeof(req->path), "file-%zu", i);
    return ioq_stat(user->ioq, root_fd, req->path, BFS_STAT_NOFOLLOW, &req->buf, req);
}

static int submit_opendir(struct user *user, struct request *req) {
    req->dir = bfs_allocdir();
    CHECK(req->dir);
    req->expected = pick(user, 8) ? 0 : -ENOTDIR;
    strcpy(req->path, req->expected ? "file-0" : ".");
    return ioq_opendir(user->ioq, req->dir, root_fd, req->path, 0, req);
}

static int submit_close(struct user *user, struct request *req) {
    int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
    CHECK(fd >= 0);
    req->expected = 0;
    return ioq_close(user->ioq, fd, req);
}

static int submit_closedir(struct user *user, struct request *req) {
    req->dir = user->open[--user->nopen];
    req->expected = 0;
    return ioq_closedir(user->ioq, req->dir, req);
}

static int submit_any(struct user *user, struct request *req) {
    req->dir = NULL;
    req->cancelled = req->hangs = false;
    size_t kind = pick(user, 16);
    if (user->nopen > 0 && kind < 4) {
        return submit_closedir(user, req);
    } else if (kind < 6) {
        return submit_opendir(user, req);
    } else if (kind < 8) {
        return submit_close(user, req);
    } else if (kind < 10) {
        req->expected = 0;
        return ioq_nop(user->ioq, kind == 8 ? IOQ_NOP_LIGHT : IOQ_NOP_HEAVY, req);
    }
    return submit_stat(user, req);
}

static void submit_some(struct user *user, size_t count) {
    for (; count > 0 && ioq_capacity(user->ioq) > 0; --count) {
        struct request *req = user->unused[--user->nunused];
        CHECK_EQ(submit_any(user, req), 0);
        ++user->accepted;
        if (pick(user, 16) == 0) {
            ioq_submit(user->ioq);
        }
        if (pick(user, 64) == 0) {
            req->cancelled = true;
            ioq_cancel_one(user->ioq, ioq_last(user->ioq));
        }
    }
}

// So few that a worker is left for all others.
static void submit_hanging(struct user *user) {
    size_t most = user->nthreads - 1 < HANGS ? user->nthreads - 1 : HANGS;
    for (size_t count = 1 + pick(user, most); count > 0 && ioq_capacity(user->ioq) > 0; --count) {
        struct request *req = user->unused[--user->nunused];
        *req = (struct request){.hangs = true, .hang = hang_new(user->listener)};
        CHECK_EQ(ioq_close(user->ioq, req->hang.fd, req), 0);
        user->hanging[user->nhanging++] = req;
        ++user->accepted;
        ++user->totals.hung;
    }
    ioq_submit(user->ioq);
}

static void let_go(struct user *user) {
    while (user->nhanging > 0) {
        struct request *req = user->hanging[--user->nhanging];
        hang_let_go(&req->hang);
        req->hangs = false;
    }
}

static void receive(struct user *user, struct ioq_ent *ent) {
    struct request *req = ent->ptr;
    CHECK(!req->hangs);
    bool survives = ent->op == IOQ_CLOSE || ent->op == IOQ_CLOSEDIR;
    bool interrupted = (user->cancelled || req->cancelled) && ent->result == -EINTR;
    if (survives || !(interrupted || (req->cancelled && ent->result == -ECANCELED))) {
        test_part = survives ? "a close" : ent->op == IOQ_OPENDIR ? "an opendir" : ent->op == IOQ_STAT ? "a stat" : "a no-op";
        CHECK_EQ(ent->result, req->expected);
    }
    if (ent->op == IOQ_OPENDIR && ent->result == 0) {
        user->open[user->nopen++] = req->dir;
    } else {
        free(req->dir);
    }
    ioq_free(user->ioq, ent);
    user->unused[user->nunused++] = req;
    ++user->returned;
}

// Requests on their way that may come back now.
static bool has_others(const struct user *user) {
    return user->accepted - user->returned > user->nhanging;
}

static void receive_some(struct user *user, size_t count) {
    struct ioq_ent *ents[16];
    while (count > 0 && has_others(user)) {
        size_t popped = ioq_pop_many(user->ioq, ents, count < COUNT(ents) ? count : COUNT(ents), user->block);
        for (size_t i = 0; i < popped; ++i) {
            receive(user, ents[i]);
        }
        if (popped == 0) {
            CHECK(!user->block);
            break;
        }
        count -= popped;
    }
}

// Whatever hangs, all others come back.
static void receive_others(struct user *user) {
    while (has_others(user)) {
        struct ioq_ent *ent = ioq_pop(user->ioq, user->block);
        if (ent) {
            receive(user, ent);
            continue;
        }
        CHECK(!user->block);
        if (user->fd >= 0) {
            CHECK_EQ(poll(&(struct pollfd){.fd = user->fd, .events = POLLIN}, 1, -1), 1);
        } else {
            sched_yield();
        }
    }
}

static void take_stock(struct user *user) {
    struct ioq_counts counts;
    ioq_count(user->ioq, &counts);
    user->totals.ran[0] += counts.ring;
    user->totals.ran[1] += counts.worker;
    user->totals.ran[2] += counts.caller;
    user->totals.accepted += user->accepted;
    user->totals.returned += user->returned;
}

// Ends the queue when everything has come back.
static void drain_queue(struct user *user) {
    receive_others(user);
    let_go(user);
    receive_others(user);
    CHECK(!ioq_pop(user->ioq, true));
    CHECK_EQ(ioq_capacity(user->ioq), DEPTH);
    struct ioq_counts counts;
    do { // a moment later, perhaps
        ioq_count(user->ioq, &counts);
    } while (counts.ring + counts.worker + counts.caller < user->accepted && sched_yield() == 0);
    CHECK_EQ(counts.ring + counts.worker + counts.caller, user->accepted);
    take_stock(user);
    ioq_destroy(user->ioq);
}

// Ends the queue with whatever is in it.
static void drop_queue(struct user *user) {
    take_stock(user);
    user->totals.destroyed += user->accepted - user->returned;
    let_go(user);
    ioq_destroy(user->ioq);
    bool unused[DEPTH] = {false};
    for (size_t i = 0; i < user->nunused; ++i) {
        unused[user->unused[i] - user->requests] = true;
    }
    for (size_t i = 0; i < DEPTH; ++i) {
        if (!unused[i]) {
            free(user->requests[i].dir);
        }
    }
}

static void end_queue(struct user *user) {
    size_t way = pick(user, 4);
    if (way % 2) {
        ioq_cancel(user->ioq);
        user->cancelled = true;
        ++user->totals.cancelled;
    }
    if (way < 2) {
        drain_queue(user);
    } else {
        drop_queue(user);
    }
}

static void close_open(struct user *user) {
    while (user->nopen > 0) {
        struct bfs_dir *dir = user->open[--user->nopen];
        CHECK_EQ(bfs_closedir(dir), 0);
        free(dir);
    }
}

static void look_after(struct user *user) {
    struct ioq_info info = {.size = sizeof(info)};
    CHECK_EQ(ioq_info(user->ioq, &info), 0);
    CHECK_EQ(info.held, 0);
    CHECK(info.workers <= user->nthreads);
}

static void *use(void *arg) {
    struct user *user = arg;
    unsigned int paused = 0;
    start_queue(user);
    while (!over) {
        submit_some(user, 1 + pick(user, 200));
        if (user->nthreads > 1 && !user->caller_runs && user->nhanging == 0 && pick(user, 20) == 0) {
            submit_hanging(user);
        }
        receive_some(user, pick(user, 200));
        if (user->nhanging > 0 && pick(user, 10) == 0) {
            receive_others(user);
            let_go(user);
        }
        if (pick(user, 1000) == 0) {
            look_after(user);
        }
        if (user->nopen > DEPTH / 4) {
            close_open(user);
        }
        bool pausing = pauses != paused;
        if (pausing || pick(user, 2000) == 0) {
            end_queue(user);
            if (pausing) {
                ++paused;
                close_open(user);
                pthread_barrier_wait(&pause_begins);
                pthread_barrier_wait(&pause_ends);
            }
            start_queue(user);
        }
    }
    drain_queue(user);
    close_open(user);
    return NULL;
}

static size_t resident_kib(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    size_t total, resident;
    CHECK(file);
    CHECK_EQ(fscanf(file, "%zu %zu", &total, &resident), 2);
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

static struct totals sum(void) {
    struct totals sum = {.accepted = 0};
    for (size_t i = 0; i < USERS; ++i) {
        const struct totals *totals = &users[i].totals;
        sum.accepted += totals->accepted;
        sum.returned += totals->returned;
        sum.destroyed += totals->destroyed;
        sum.hung += totals->hung;
        sum.cancelled += totals->cancelled;
        sum.queues += totals->queues;
        for (size_t j = 0; j < COUNT(sum.ran); ++j) {
            sum.ran[j] += totals->ran[j];
        }
    }
    return sum;
}

int main(int argc, char *argv[]) {
    time_t seconds = argc > 1 ? atol(argv[1]) : 60;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL);
    printf("seed %" PRIu64 "\n", seed);
    fflush(stdout);
    ioq_destroy(create(1, 1)); // skips where there are no rings but have to be
    has_rings = ring_errno() == 0;
    need_fds(USERS * DEPTH * 2);
    root_fd = temp_dir(root);
    for (size_t i = 0; i < FILES; ++i) {
        char name[32];
        snprintf(name, sizeof(name), "file-%zu", i);
        make_file(root_fd, name, 0);
    }
    CHECK_EQ(pthread_barrier_init(&pause_begins, NULL, USERS + 1), 0);
    CHECK_EQ(pthread_barrier_init(&pause_ends, NULL, USERS + 1), 0);
    for (size_t i = 0; i < USERS; ++i) {
        users[i].listener = hang_listener();
    }
    size_t fds = open_fds();
    for (size_t i = 0; i < USERS; ++i) {
        users[i].nthreads = i == 0 ? 8 : i % 5;
        users[i].block = i % 2 || users[i].nthreads == 0;
        users[i].state = seed * 0x9E3779B97F4A7C15 + i + 1;
        CHECK_EQ(pthread_create(&users[i].thread, NULL, use, &users[i]), 0);
    }

    CHECK(signal(SIGALRM, test_hung) != SIG_ERR);
    size_t samples = 0, most[2] = {0};
    time_t start = time(NULL), passed;
    for (; (passed = time(NULL) - start) < seconds; ++samples) {
        test_part = "load";
        alarm(300);
        sleep(1);
        test_part = "pause";
        ++pauses;
        pthread_barrier_wait(&pause_begins);
        struct totals totals = sum();
        CHECK_EQ(totals.accepted, totals.returned + totals.destroyed);
        CHECK_EQ(open_fds(), fds);
        await_threads(1 + USERS);
        size_t resident = resident_kib(), *half = &most[passed >= seconds / 2];
        *half = resident > *half ? resident : *half;
        pthread_barrier_wait(&pause_ends);
    }
    over = true;
    for (size_t i = 0; i < USERS; ++i) {
        CHECK_EQ(pthread_join(users[i].thread, NULL), 0);
    }
    struct totals totals = sum();
    CHECK_EQ(totals.accepted, totals.returned + totals.destroyed);
    CHECK_EQ(open_fds(), fds);
    await_threads(1);
    CHECK(wrapped() || seconds < 60 || most[1] <= most[0] + SLACK); // heaps take a while to get as large as they need
    for (size_t i = 0; i < USERS; ++i) {
        CHECK_EQ(close(users[i].listener), 0);
    }
    remove_temp_dir(root, root_fd);
    printf("%" PRIu64 " requests (%" PRIu64 " by rings, %" PRIu64 " by workers, %" PRIu64
           " by callers), %" PRIu64 " popped, %" PRIu64 " destroyed unpopped, %" PRIu64
           " that hung; %" PRIu64 " queues, %" PRIu64
           " cancelled; %zu samples, at most %zu KiB in the first half, %zu in the second\n",
           totals.accepted, totals.ran[0], totals.ran[1], totals.ran[2], totals.returned, totals.destroyed, totals.hung,
           totals.queues, totals.cancelled, samples, most[0], most[1]);
    return 0;
}
