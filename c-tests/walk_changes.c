// Random trees that change at random while they are walked, against what must and what may be seen.
//
// Between two entries, directories are renamed, moved, moved out of the tree, and replaced by links to what is outside; files
// and directories come and go. Whatever happens:
//
// - nothing outside is ever returned;
// - each directory that is returned is returned twice, and all in it in between;
// - if that is without an error, each name that was there all the time was returned, once;
// - an error has only a directory that was touched, or if descriptors were scarce, one below such a one.
//
// IOQ_WALK_SEEDS in the environment is how many trees there are.

#include "test.h"

#include <ioq/walk.h>

enum { DIRS = 40, FILES = 6, NAME = 24 };

// A directory that is there all the time, wherever.
struct place {
    char name[NAME];
    int fd;
    ino_t ino;
    size_t parent; // where it was made
    int in; // the directory where it is
    size_t files; // that are there all the time
    bool touched; // renamed, moved or replaced
};

// A directory that the walk is in.
struct visit {
    struct visit *above;
    struct place *place; // NULL for one that comes and goes
    bool files[FILES];
    bool dirs[DIRS];
};

static char root[PATH_MAX];
static int root_fd, outside_fd;
static struct place places[DIRS];
static uint64_t state;
static size_t changes;

static size_t pick(size_t limit) {
    return random_below(&state, limit);
}

static void make_place(size_t i) {
    struct place *place = &places[i];
    *place = (struct place){.parent = i == 0 ? 0 : pick(3) ? pick(i) : i - 1, .files = pick(FILES)};
    place->in = i == 0 ? root_fd : places[place->parent].fd;
    snprintf(place->name, sizeof(place->name), i == 0 ? "tree" : "d%zu", i);
    CHECK_EQ(mkdirat(place->in, place->name, 0755), 0);
    place->fd = openat(place->in, place->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(place->fd >= 0);
    struct stat sb;
    CHECK_EQ(fstat(place->fd, &sb), 0);
    place->ino = sb.st_ino;
    for (size_t file = 0; file < place->files; ++file) {
        char name[NAME];
        snprintf(name, sizeof(name), "s%zu", file);
        make_file(place->fd, name, 0);
    }
}

// Moves a directory, if that is possible.
static bool move(struct place *place, int to) {
    char name[NAME];
    snprintf(name, sizeof(name), "m%zu", ++changes);
    // Not into itself.
    if (renameat(place->in, place->name, to, name) != 0) {
        CHECK_EQ(errno, EINVAL);
        return false;
    }
    place->touched = true;
    place->in = to;
    memcpy(place->name, name, sizeof(name));
    return true;
}

static void change(void) {
    struct place *place = &places[1 + pick(DIRS - 1)];
    struct place old = *place;
    char name[NAME];
    snprintf(name, sizeof(name), "v%zu", ++changes);
    switch (pick(7)) {
    case 0:
        move(place, place->in);
        break;
    case 1:
        move(place, places[pick(DIRS)].fd);
        break;
    case 2:
        move(place, outside_fd);
        break;
    case 3:
        if (move(place, outside_fd)) {
            char target[PATH_MAX + 32];
            snprintf(target, sizeof(target), "%s/outside/forbidden", root);
            CHECK_EQ(symlinkat(target, old.in, old.name), 0);
        }
        break;
    case 4:
        make_file(place->fd, name, 0);
        break;
    case 5:
        CHECK_EQ(mkdirat(place->fd, name, 0755), 0);
        break;
    default:
        for (size_t i = changes > 8 ? changes - 8 : 0; i < changes; ++i) {
            snprintf(name, sizeof(name), "v%zu", i);
            if (unlinkat(place->fd, name, 0) != 0) {
                unlinkat(place->fd, name, AT_REMOVEDIR);
            }
        }
    }
}

static struct place *find(ino_t ino) {
    for (size_t i = 0; i < DIRS; ++i) {
        if (places[i].ino == ino) {
            return &places[i];
        }
    }
    return NULL;
}

static bool is_below_touched(const struct visit *visit) {
    while (visit && !(visit->place && visit->place->touched)) {
        visit = visit->above;
    }
    return visit;
}

static void check_first(const struct ioq_walk_ent *ent, struct visit *above) {
    CHECK(!strstr(ent->path, "forbidden"));
    size_t number = strtoul(ent->name + 1, NULL, 10);
    if (above && above->place && ent->name[0] == 's') {
        CHECK(ent->type == DT_REG && number < above->place->files && !above->files[number]);
        above->files[number] = true;
    } else if (above && ent->name[0] == 'd') {
        CHECK(ent->type == DT_DIR || ent->type == DT_LNK);
        if (ent->type == DT_DIR && above->place && !places[number].touched) {
            CHECK(!above->dirs[number]);
            above->dirs[number] = true;
        }
    }
    if (ent->data) {
        struct visit *visit = calloc(1, sizeof(*visit));
        CHECK(visit);
        visit->above = above;
        visit->place = find(ent->ino);
        *ent->data = visit;
    }
}

static void check_last(const struct ioq_walk_ent *ent, bool scarce) {
    struct visit *visit = *ent->data;
    CHECK(visit);
    struct place *place = visit->place;
    if (ent->error) {
        CHECK(ent->error == ENOENT || ent->error == ENOTDIR || ent->error == ELOOP);
        // Those that come and go may be gone.
        CHECK(!place || place->touched || (scarce && is_below_touched(visit)));
    } else if (place) {
        for (size_t i = 0; i < place->files; ++i) {
            CHECK(visit->files[i]);
        }
        for (size_t i = 1; i < DIRS; ++i) {
            CHECK(&places[places[i].parent] != place || places[i].touched || visit->dirs[i]);
        }
    }
    free(visit);
}

static void walk_changing_tree(uint64_t seed) {
    state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    changes = 0;
    CHECK_EQ(mkdirat(root_fd, "outside", 0755), 0);
    outside_fd = openat(root_fd, "outside", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK_EQ(mkdirat(outside_fd, "forbidden", 0755), 0);
    make_file(outside_fd, "forbidden/forbidden", 0);
    for (size_t i = 0; i < DIRS; ++i) {
        make_place(i);
    }

    const char *roots[] = {"tree", NULL};
    bool scarce = pick(3) == 0;
    struct ioq_walk_options options = {.size = sizeof(options), .nthreads = 1 + pick(4), .max_fds = scarce ? 4 + pick(4) : 0,
        .flags = IOQ_WALK_PRE | IOQ_WALK_POST | (pick(2) ? IOQ_WALK_STAT : 0) | (pick(4) ? 0 : IOQ_WALK_SORT)};
    struct ioq_walk *walk = ioq_walk_open(roots, &options);
    if (!walk && backend_is("uring") && ring_errno() != 0) {
        skip("IOQ_BACKEND=uring, and no io_uring to be had here");
    }
    CHECK(walk);
    size_t often = 1 + pick(8), first = 0, last = 0;
    const struct ioq_walk_ent *ent;
    int ret;
    while ((ret = ioq_walk_next(walk, &ent)) > 0) {
        struct visit *above = ent->parent_data ? *ent->parent_data : NULL;
        if (ent->post) {
            check_last(ent, scarce);
            ++last;
        } else if (!ent->error) {
            check_first(ent, above);
            first += ent->type == DT_DIR;
        } else {
            // A stat may come too late, and is then all that is returned.
            CHECK_EQ(ent->error, ENOENT);
            if (above && ent->name[0] == 'd') {
                CHECK(places[strtoul(ent->name + 1, NULL, 10)].touched);
            }
        }
        if (pick(often) == 0 && changes < 300) {
            change();
        }
    }
    CHECK_EQ(ret, 0);
    CHECK_EQ(first, last);
    ioq_walk_close(walk);

    for (size_t i = 0; i < DIRS; ++i) {
        CHECK_EQ(close(places[i].fd), 0);
    }
    CHECK_EQ(close(outside_fd), 0);
    static const char *const all[] = {"tree", "outside"};
    for (size_t i = 0; i < COUNT(all); ++i) {
        char path[PATH_MAX + 16];
        snprintf(path, sizeof(path), "%s/%s", root, all[i]);
        CHECK_EQ(nftw(path, test_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
    }
}

static void changing_trees(void) {
    const char *seeds = getenv("IOQ_WALK_SEEDS");
    size_t count = seeds ? strtoul(seeds, NULL, 10) : rounds(100);
    for (uint64_t seed = 1; seed <= count; ++seed) {
        static char part[64];
        snprintf(part, sizeof(part), "changing_trees, seed %llu", (unsigned long long)seed);
        test_part = part;
        watchdog();
        walk_changing_tree(seed);
    }
}

int main(void) {
    need_address_space(256 << 20); // as much is read ahead as the options allow
    need_fds(512);
    root_fd = temp_dir(root);
    CHECK_EQ(fchdir(root_fd), 0);
    RUN(changing_trees);
    remove_temp_dir(root, root_fd);
    return 0;
}
