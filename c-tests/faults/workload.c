// The workloads: from create to destroy, with what a careful program does when the library says no.

#include "request.h"
#include "workload.h"
#include <poll.h>

enum { MAX = 640 };

static struct {
    const struct use *use;
    struct ioq *ioq;
    struct request requests[MAX];
    size_t used, in_flight;
    // Open directories, to be closed through the queue.
    struct bfs_dir *open[MAX];
    size_t nopen;
    bool cancelled;
    // The descriptor that tells when a response is ready, or -1; and whether some requests are cancelled.
    int fd;
    bool cancels;
    // How the requests of all queues were run.
    struct ioq_counts counts;
} run;

typedef bool submit_fn(struct ioq *ioq, struct request *req, size_t i);

static struct ioq *new_queue(const struct use *use) {
    if (use->flags == 0 && use->inflight == 0) {
        return ioq_create(use->depth, use->threads);
    }
    struct ioq_options options = {
        .size = sizeof(options),
        .depth = use->depth,
        .nthreads = use->threads,
        .flags = use->flags,
        .inflight = use->inflight,
    };
    return ioq_create_with(&options);
}

// Creates the queue. If there is none then for the fault, which it names.
static bool begin(const struct use *use) {
    unsigned long before = injected_here();
    errno = 0;
    run.use = use;
    run.ioq = new_queue(use);
    run.cancelled = run.cancels = false;
    run.fd = -1;
    if (run.ioq) {
        CHECK_EQ(ioq_capacity(run.ioq), use->depth);
        return true;
    }
    if (injected_here() == before && backend_is("uring") && ring_errno() != 0) {
        skip("IOQ_BACKEND=uring, and no io_uring to be had here");
    }
    CHECK(injected_here() > before);
    CHECK_EQ(errno, injected_reason());
    return false;
}

// Destroys the queue, with whatever is in it.
static void end(void) {
    struct ioq_counts counts;
    ioq_count(run.ioq, &counts);
    run.counts.ring += counts.ring;
    run.counts.worker += counts.worker;
    run.counts.caller += counts.caller;
    ioq_destroy(run.ioq);

    for (size_t i = 0; i < run.used; ++i) {
        if (run.requests[i].state == SUBMITTED) {
            abandon_request(&run.requests[i]);
        }
    }
    while (run.nopen > 0) {
        drop_dir(run.open[--run.nopen]);
    }
    run.used = run.in_flight = 0;
}

static struct request *new_request(void) {
    CHECK(run.used < MAX);
    return &run.requests[run.used++];
}

static void submit(submit_fn *function, size_t i) {
    struct request *req = new_request();
    if (function(run.ioq, req, i)) {
        ++run.in_flight;
        if (run.cancels && i % 7 == 3) {
            req->cancelled = true;
            ioq_cancel_one(run.ioq, ioq_last(run.ioq));
        }
    }
}

static bool pop(bool block) {
    errno = EXFULL;
    struct ioq_ent *ent = ioq_pop(run.ioq, block);
    CHECK_EQ(errno, EXFULL);
    if (!ent) {
        return false;
    }
    struct request *req = ent->ptr;
    CHECK(req >= run.requests && req < run.requests + run.used);
    struct bfs_dir *dir = check_response(req, ent, run.cancelled);
    if (dir) {
        run.open[run.nopen++] = dir;
    }
    --run.in_flight;
    ioq_free(run.ioq, ent);
    return true;
}

static bool has_worker(void) {
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks);
    bool found = false;
    for (struct dirent *de; (de = readdir(tasks));) {
        char path[NAME_MAX + 32], name[32] = "";
        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", de->d_name);
        FILE *file = fopen(path, "r");
        if (file) {
            found |= fgets(name, sizeof(name), file) && strcmp(name, "ioq-0\n") == 0;
            fclose(file);
        }
    }
    closedir(tasks);
    return found;
}

bool is_deserted(void) {
    const struct fault *fault = injected();
    return fault->mode == ON && (fault->kind == MEMORY || fault->kind == THREAD) && !has_worker();
}

// Pops until so many are left in flight.
static void pop_down_to(size_t left) {
    while (run.in_flight > left) {
        if (!pop(run.use->block)) {
            CHECK(!run.use->block);
            if (is_deserted()) {
                CHECK(pop(true));
            } else if (run.fd >= 0) {
                CHECK_EQ(poll(&(struct pollfd){.fd = run.fd, .events = POLLIN}, 1, -1), 1);
            } else {
                sched_yield();
            }
        }
    }
}

static void pop_all(void) {
    pop_down_to(0);
    CHECK(!ioq_pop(run.ioq, true));
    CHECK_EQ(ioq_capacity(run.ioq), run.use->depth);
}

// Requests in bursts, and whatever directories were opened closed through the queue as well.
static void flow(submit_fn *function, size_t total) {
    for (size_t made = 0; made < total || run.nopen > 0;) {
        for (size_t burst = 1 + made % 24; burst > 0 && ioq_capacity(run.ioq) > 0; --burst) {
            if (run.nopen > 0) {
                run.in_flight += submit_closedir(run.ioq, new_request(), run.open[--run.nopen]);
            } else if (made < total) {
                submit(function, made++);
            }
        }
        if (made % 2 == 0) {
            ioq_submit(run.ioq);
        }
        pop_down_to(made < total ? run.in_flight / 2 : 0);
    }
    pop_all();
}

static void mixture(const struct use *use) {
    if (begin(use)) {
        flow(submit_any, 40);
        end();
    }
}

// As an event loop waits, looks after its queue, and loses interest in some requests.
static void events(const struct use *use) {
    if (begin(use)) {
        unsigned long before = injected_here();
        run.fd = ioq_fd(run.ioq);
        if (run.fd < 0) {
            CHECK(injected_here() > before);
            CHECK_EQ(errno, injected_reason());
        }
        struct ioq_info info = {.size = sizeof(info)};
        CHECK_EQ(ioq_info(run.ioq, &info), 0);
        run.cancels = true;
        flow(submit_any, 40);
        CHECK_EQ(ioq_info(run.ioq, &info), 0);
        CHECK_EQ(info.pending + info.running + info.ready + info.held, 0);
        end();
    }
}

// What bfs does not ask for. The last of it is left in the queue.
static void own(const struct use *use) {
    if (begin(use)) {
        run.cancels = true;
        flow(submit_own, 16);
        for (size_t i = 0; i < 8 && i < use->depth; ++i) {
            submit(submit_own, i);
        }
        pop_down_to(run.in_flight / 2);
        end();
    }
}

// What changes names and files. The last of it is left in the queue.
static void changes(const struct use *use) {
    if (begin(use)) {
        run.cancels = true;
        flow(submit_change, 30);
        for (size_t i = 0; i < 15 && i < use->depth; ++i) {
            submit(submit_change, i);
        }
        pop_down_to(run.in_flight / 2);
        end();
    }
}

// So many that the ring is used to the full.
static void flood(const struct use *use) {
    if (begin(use)) {
        flow(submit_stat, 300);
        end();
    }
}

// Such that they go through the ring where nobody has chosen.
static void slow(const struct use *use) {
    if (begin(use)) {
        flow(submit_stat, 100);
        end();
    }
}

static void submit_some(void) {
    for (size_t i = 0; i < 30 && i < run.use->depth; ++i) {
        submit(submit_any, i);
        if (i % 8 == 3) {
            ioq_submit(run.ioq);
        }
    }
}

static void cancel(const struct use *use) {
    if (begin(use)) {
        submit_some();
        pop_down_to(run.in_flight / 2);
        ioq_cancel(run.ioq);
        run.cancelled = true;
        CHECK_ERRNO(ioq_nop(run.ioq, IOQ_NOP_LIGHT, NULL), EINTR);
        pop_all();
        end();
    }
}

static void destroy(const struct use *use) {
    if (begin(use)) {
        submit_some();
        pop_down_to(run.in_flight - run.in_flight / 4);
        end();
    }
}

// Queues that hardly live.
static void cycles(const struct use *use) {
    // Kinds of requests: none, one that nobody waits for, two that somebody does.
    static const size_t kinds[] = {0, 9, 2, 0};
    for (size_t i = 0; i < COUNT(kinds); ++i) {
        if (!begin(use)) {
            continue;
        }
        if (i > 0) {
            submit(submit_any, kinds[i]);
            ioq_submit(run.ioq);
        }
        if (i > 1) {
            pop_all();
        }
        end();
    }
}

const struct workload workloads[] = {
    {.name = "mixture", .run = mixture},
    {.name = "cancel", .run = cancel},
    {.name = "destroy", .run = destroy},
    {.name = "cycles", .run = cycles},
    {.name = "events", .run = events},
    {.name = "own", .run = own},
    {.name = "changes", .run = changes},
    {.name = "walk", .run = walk_tree},
    {.name = "flood", .run = flood, .flags = IOQ_NO_DESCRIPTORS, .inflight = 6},
    {.name = "slow", .run = slow, .delay = 100},
    {.name = NULL},
};

void check_rings_used(void) {
    CHECK(run.counts.ring > 0);
}
