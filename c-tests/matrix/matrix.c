// matrix CONDITION THREADS DEPTH SEED...: random lives of queues, each checked step by step against plain system calls.
//
// A life is one queue of the given depth, with the given number of threads, on a random tree. Its other options, what is
// asked of it and in which order are chosen by the seed. Whatever the condition, the answers must be those of the model (model.h), each
// exactly once, and the capacity that of the arithmetic in ioq.h. Every life runs in a process of its own, half of
// them as a user whom permissions bind, and must leave no descriptor and no thread behind.
//
// CONDITION is one of those in condition.h. tests/matrix.rs goes through all of them, and seeds.txt has the seeds that
// failed once.

#include "condition.h"
#include "life.h"

#include <sys/prctl.h>
#include <sys/resource.h>

static const char *condition;
static struct setting setting;
// The tree is one for several seeds in a row: to make it takes longer than a life on it.
enum { LIVES_ON_A_TREE = 8 };
static uint64_t seed, tree_seed;
static struct tree tree;
static struct places places;

// Weights of which some are 0, some large, and the first is not 0.
static void choose_weights(struct random *random, size_t *weights, size_t count) {
    static const size_t choices[] = {0, 1, 1, 2, 5};
    for (size_t i = 0; i < count; ++i) {
        weights[i] = choices[below(random, COUNT(choices))];
    }
    weights[0] += weights[0] == 0;
}

// Where the program chooses the backend, the environment does not matter, sense or nonsense.
static struct ioq *create_queue(void) {
    static const char *const names[] = {"", "auto", "uring", "sync", "nonsense"};
    size_t name = setting.by_environment ? setting.backend : seed % COUNT(names);
    CHECK_EQ(setenv("IOQ_BACKEND", names[name], 1), 0);
    if (setting.by_environment && setting.inflight == 0 && !setting.caller_runs && !setting.no_descriptors) {
        return create(setting.depth, setting.threads);
    }
    struct ioq_options options = {
        .size = sizeof(options),
        .depth = setting.depth,
        .nthreads = setting.threads,
        .backend = setting.by_environment ? IOQ_BACKEND_DEFAULT : setting.backend,
        .flags = (setting.caller_runs ? IOQ_CALLER_RUNS : 0) | (setting.no_descriptors ? IOQ_NO_DESCRIPTORS : 0),
        .inflight = setting.inflight,
    };
    struct ioq *ioq = ioq_create_with(&options);
    if (!ioq && setting.backend == IOQ_BACKEND_URING && ring_errno() != 0) {
        skip("IOQ_BACKEND_URING, and no io_uring to be had here");
    }
    CHECK(ioq);
    return ioq;
}

static void choose_setting(void) {
    static const size_t bounds[] = {0, 1, 2, 64};
    struct random random = random_stream(seed, 5);
    setting.inflight = bounds[below(&random, COUNT(bounds))];
    setting.caller_runs = one_in(&random, 4);
    setting.no_descriptors = one_in(&random, 4);
    setting.by_environment = one_in(&random, 2);
}

static struct life make_life(struct world *world) {
    struct random random = random_stream(seed, 3);
    struct life life = {.ioq = create_queue(), .setting = &setting, .world = world, .fd = -1};
    size_t depth = setting.depth;
    choose_weights(&random, world->weights, COUNT(world->weights));
    choose_weights(&random, life.weights, ACTIONS);
    bool full = one_in(&random, 8);
    life.burst = full ? depth : skewed(&random, depth < 100 ? 100 : depth);
    life.total = full ? depth + depth / 2 + 2 : 2 + between(&random, 1, between(&random, 1, 1000));
    life.keep = one_in(&random, 3) ? below(&random, depth / 2 + 1) : 0;
    life.key = one_in(&random, 4) ? 0 : random.state;
    CHECK(life.requests = calloc(life.total, sizeof(*life.requests)));
    CHECK(life.held = calloc(life.total, sizeof(struct request *)));
    life.random = random;
    life.settling = condition_settle(life.ioq, &setting);
    CHECK_EQ(ioq_capacity(life.ioq), depth);
    life.last = ioq_last(life.ioq);
    return life;
}

// Who ran what, as far as that is certain.
static void check_outcome(const struct life *life) {
    const struct outcome *outcome = &life->outcome;
    const struct ioq_counts *counts = &outcome->counts;
    if (setting.threads == 0) {
        CHECK_EQ(counts->ring + counts->worker, 0);
    }
    if (outcome->complete) {
        // The thread of the ring answers the no-ops that it comes to.
        CHECK(counts->ring <= outcome->for_ring + outcome->nops + life->settling);
    }
}

static void end_life(struct life *life) {
    size_t end = below(&life->random, 4);
    if (end == 0) {
        cancel(life);
    } else if (end == 3) {
        // Some requests may be done before the queue goes, and some not.
        submit_some(life);
        ioq_submit(life->ioq);
        usleep((useconds_t)below(&life->random, 1000));
    }
    if (end < 3) {
        drain(life);
    }
    life->outcome.complete = end < 3 && life->cancelled == NOT && !life->cancelled_some;
    life->outcome.counts = counts(life);
    check_outcome(life);
    life->nkept = 0;
    for (size_t n = below(&life->random, life->nheld + 1); n > 0; --n) {
        free_one(life);
    }
    join_canceller(life);
    ioq_destroy(life->ioq);
    condition_end(&setting, &life->outcome);

    struct world *world = life->world;
    for (size_t i = 0; i < life->used; ++i) {
        struct request *req = &life->requests[i];
        if (req->state == SUBMITTED) {
            bury(world, req);
        }
        CHECK(is_quiet(req));
        free(req->memory);
    }
    while (world->nopen > 0) {
        struct open_dir *open = &world->open[--world->nopen];
        CHECK_EQ(bfs_closedir(open->dir), open->result == 0 ? 0 : -1);
        free(open->dir);
        --world->ndirs;
    }
    CHECK_EQ(world->ndirs, 0);
    for (size_t i = 0; i < MAX_CLOSING; ++i) {
        CHECK(!world->closing[i]);
    }
    free(life->requests);
    free(life->held);
}

static void live(void) {
    static struct model model;
    make_model(&model, &tree, seed);
    struct world world = {.random = random_stream(seed, 2), .model = &model, .places = &places,
        .interrupts = setting.interrupts};
    struct life life = make_life(&world);
    size_t steps = 20 + below(&life.random, life.total), end = one_in(&life.random, 2) ? below(&life.random, steps) : steps;
    for (size_t step = 0; step < steps && life.used + 2 <= life.total; ++step) {
        static char part[64];
        snprintf(part, sizeof(part), "seed %llu, step %zu", (unsigned long long)seed, step);
        test_part = part;
        open_descriptor(&life);
        if (step >= end && one_in(&life.random, 4)) {
            cancel(&life);
        }
        act(&life);
        if (one_in(&life.random, 4)) {
            join_canceller(&life);
        }
    }
    end_life(&life);
    free_model(&model);
}

static void child(void) {
    CHECK_EQ(fchdir(tree.fd), 0);
    if (seed % 2) {
        become_nobody();
        CHECK_EQ(prctl(PR_SET_DUMPABLE, 1), 0); // /proc/self/fd is ours again
    }
    choose_setting();
    CHECK(condition_start(condition, &setting, seed));
    test_run("life", live);
}

static uint64_t number(const char *text) {
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 0);
    CHECK(errno == 0 && end != text && *end == '\0');
    return number;
}

static void set_up(void) {
    struct rlimit limit;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void replace_tree(void) {
    if (tree.nfiles > 0) {
        remove_tree(&tree);
    }
    tree_seed = seed / LIVES_ON_A_TREE;
    make_tree(&tree, tree_seed);
}

int main(int argc, char *argv[]) {
    if (argc < 5) {
        fprintf(stderr, "usage: %s CONDITION THREADS DEPTH SEED...\n", argv[0]);
        return 1;
    }
    condition = argv[1];
    setting.threads = number(argv[2]);
    setting.depth = number(argv[3]);
    set_up();
    make_places(&places);
    for (int i = 4; i < argc; ++i) {
        seed = number(argv[i]);
        test_part = argv[i];
        if (i == 4 || tree_seed != seed / LIVES_ON_A_TREE) {
            replace_tree();
        }
        int status = in_child(child);
        if (status != 0) {
            remove_tree(&tree);
            remove_places(&places);
            if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
                return 77;
            }
            fprintf(stderr, "status %#x; again: matrix %s %s %s %s\n", (unsigned int)status, argv[1], argv[2], argv[3], argv[i]);
            return 1;
        }
    }
    remove_tree(&tree);
    remove_places(&places);
    return 0;
}
