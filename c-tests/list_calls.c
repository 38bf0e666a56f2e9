// ioq_list(), and walks, where the system calls that they make are slow, hang, fail, or tell little. This program has a
// syscall() of its own, which the library calls. What goes through a ring does not come by here.

#include "test.h"

#include <dlfcn.h>
#include <ioq/walk.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <time.h>

enum { SLOW = 12, MASK = STATX_BASIC_STATS };

static char root[PATH_MAX];
static int root_fd;

// While the gate is shut, stats of names that begin with "slow-" stand before it. It opens by itself for so many at once.
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool shut;
static size_t waiting, opens_for;

static void set_gate(bool is_shut, size_t count) {
    CHECK_EQ(pthread_mutex_lock(&mutex), 0);
    shut = is_shut;
    opens_for = count;
    CHECK_EQ(pthread_cond_broadcast(&changed), 0);
    CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
}

static void await_gate(size_t count) {
    CHECK_EQ(pthread_mutex_lock(&mutex), 0);
    while (waiting < count) {
        CHECK_EQ(pthread_cond_wait(&changed, &mutex), 0);
    }
    CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
}

static void pass_gate(void) {
    CHECK_EQ(pthread_mutex_lock(&mutex), 0);
    if (++waiting == opens_for) {
        shut = false;
    }
    CHECK_EQ(pthread_cond_broadcast(&changed), 0);
    while (shut) {
        CHECK_EQ(pthread_cond_wait(&changed, &mutex), 0);
    }
    --waiting;
    CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
}

// How getdents64() is to behave: the types that it tells, the errors of its calls from the first on, 0 for none, and a name
// that it adds to what it reads.
static bool hides_types;
static int read_errors[4];
static const char *added_name;
static atomic_size_t reads;

// The kernel's `struct linux_dirent64`.
enum { RECLEN = 16, TYPE = 18, NAME = 19 };

static long add_name(char *buf, long size) {
    unsigned short reclen = (unsigned short)((NAME + strlen(added_name) + 8) / 8 * 8);
    memset(buf + size, 0, reclen);
    memcpy(buf + size + RECLEN, &reclen, sizeof(reclen));
    strcpy(buf + size + NAME, added_name);
    added_name = NULL;
    return size + reclen;
}

static long change(char *buf, long size) {
    for (long at = 0; hides_types && at < size;) {
        unsigned short reclen;
        memcpy(&reclen, buf + at + RECLEN, sizeof(reclen));
        buf[at + TYPE] = DT_UNKNOWN;
        at += reclen;
    }
    return added_name && size > 0 ? add_name(buf, size) : size;
}

static long real_syscall(long number, const long arg[6]) {
    static long (*real)(long, ...);
    if (!real) {
        void *symbol = dlsym(RTLD_NEXT, "syscall");
        memcpy(&real, &symbol, sizeof(real));
    }
    return real(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

static void before_stat(long dfd, const char *name) {
    if (strncmp(name, "slow-", 5) == 0) {
        // Long enough to be known for slow, whatever comes after.
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        pass_gate();
    } else if (strncmp(name, "vanishes", 8) == 0) {
        CHECK_EQ(unlinkat((int)dfd, name, 0), 0);
    }
}

// Reads more arguments than there may be. That is what the C library's own does, too.
long syscall(long number, ...) {
    long arg[6];
    va_list list;
    va_start(list, number);
    for (size_t i = 0; i < COUNT(arg); ++i) {
        arg[i] = va_arg(list, long);
    }
    va_end(list);
    if (number == SYS_statx && arg[1]) {
        before_stat(arg[0], (const char *)arg[1]);
    } else if (number == SYS_getdents64) {
        size_t call = reads++;
        if (call < COUNT(read_errors) && read_errors[call]) {
            errno = read_errors[call];
            return -1;
        }
        return change((char *)arg[1], real_syscall(number, arg));
    }
    return real_syscall(number, arg);
}

static int list_by(struct ioq *ioq, const char *path, unsigned int flags, struct ioq_list **list) {
    CHECK_EQ(ioq_list(ioq, root_fd, path, flags, MASK, list, list), 0);
    return take(ioq, IOQ_LIST, list);
}

static const struct ioq_list_ent *find(const struct ioq_list *list, const char *name) {
    for (size_t i = 0; i < list->count; ++i) {
        if (strcmp(list->ents[i].name, name) == 0) {
            return &list->ents[i];
        }
    }
    return NULL;
}

// The type is the stat's, where the directory does not tell.
static void unknown_types(struct ioq *ioq) {
    struct ioq_list *list;
    hides_types = true;
    CHECK_EQ(list_by(ioq, "types", 0, &list), 0);
    CHECK_EQ(find(list, "file")->type, DT_UNKNOWN);
    ioq_list_free(list);
    CHECK_EQ(ioq_list(ioq, root_fd, "types", IOQ_LIST_STAT, STATX_SIZE, &list, &list), 0);
    CHECK_EQ(take(ioq, IOQ_LIST, &list), 0);
    CHECK_EQ(list->count, 4);
    CHECK_EQ(find(list, "file")->type, DT_REG);
    CHECK_EQ(find(list, "sub")->type, DT_DIR);
    CHECK_EQ(find(list, "link")->type, DT_LNK);
    CHECK_EQ(find(list, "fifo")->type, DT_FIFO);
    ioq_list_free(list);
    hides_types = false;
}

static void set_read_errors(int first, int second) {
    reads = 0;
    memset(read_errors, 0, sizeof(read_errors));
    read_errors[0] = first;
    read_errors[1] = second;
}

// A directory that cannot be read is an error. One that cannot be read to its end is a list that says so.
static void broken_reads(struct ioq *ioq) {
    struct ioq_list *list;
    set_read_errors(EIO, 0);
    CHECK_EQ(list_by(ioq, "types", IOQ_LIST_STAT | IOQ_LIST_FD, &list), -EIO);
    CHECK(!list);
    static const int errors[] = {EIO, EOVERFLOW, ESTALE};
    for (size_t i = 0; i < COUNT(errors); ++i) {
        set_read_errors(0, errors[i]);
        CHECK_EQ(list_by(ioq, "types", IOQ_LIST_STAT, &list), 0);
        CHECK_EQ(list->error, errors[i]);
        CHECK_EQ(list->count, 4);
        CHECK(find(list, "file")->stat);
        ioq_list_free(list);
    }
    // The directory was removed.
    set_read_errors(0, ENOENT);
    CHECK_EQ(list_by(ioq, "types", 0, &list), 0);
    CHECK_EQ(list->error, 0);
    ioq_list_free(list);
    // A signal, or the file system, interrupts.
    set_read_errors(EINTR, EINTR);
    CHECK_EQ(list_by(ioq, "types", 0, &list), 0);
    CHECK_EQ(list->error, 0);
    CHECK_EQ(list->count, 4);
    ioq_list_free(list);
    set_read_errors(0, 0);
}

// Names may be longer than 255 bytes. (Here, no such file is there to be statted.)
static void long_names(struct ioq *ioq) {
    char name[1021];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    struct ioq_list *list;
    added_name = name;
    CHECK_EQ(list_by(ioq, "types", IOQ_LIST_STAT, &list), 0);
    CHECK_EQ(list->count, 5);
    const struct ioq_list_ent *ent = find(list, name);
    CHECK(ent);
    CHECK_EQ(ent->error, ENAMETOOLONG);
    CHECK(!ent->stat);
    CHECK(find(list, "file")->stat);
    ioq_list_free(list);
}

// A file that is removed between the read and its stat.
static void vanishes(void) {
    struct ioq *ioq = create(1, 1);
    make_file(root_fd, "types/vanishes", 0);
    struct ioq_list *list;
    CHECK_EQ(list_by(ioq, "types", IOQ_LIST_STAT, &list), 0);
    CHECK_EQ(list->count, 5);
    CHECK_EQ(find(list, "vanishes")->error, ENOENT);
    CHECK(!find(list, "vanishes")->stat);
    CHECK(find(list, "file")->stat);
    ioq_list_free(list);
    ioq_destroy(ioq);
}

// Once a stat is known to be slow, as many at once are made as there are workers.
static void all_at_once(void) {
    for (size_t nthreads = 1; nthreads < SLOW; ++nthreads) {
        struct ioq *ioq = create(1, nthreads);
        struct ioq_list *list;
        CHECK_EQ(list_by(ioq, "slow", IOQ_LIST_STAT, &list), 0);
        ioq_list_free(list);
        set_gate(true, nthreads);
        CHECK_EQ(list_by(ioq, "slow", IOQ_LIST_STAT, &list), 0);
        CHECK_EQ(list->count, SLOW);
        for (size_t i = 0; i < SLOW; ++i) {
            CHECK(list->ents[i].stat);
        }
        ioq_list_free(list);
        ioq_destroy(ioq);
    }
}

// The worker that is stuck in a list holds up nobody else.
static void others_come_back(void) {
    for (size_t known = 0; known <= 1; ++known) {
        struct ioq *ioq = create(32, SLOW + 1);
        struct ioq_list *slow, *lists[20];
        if (known) {
            CHECK_EQ(list_by(ioq, "slow", IOQ_LIST_STAT, &slow), 0);
            ioq_list_free(slow);
        }
        set_gate(true, 0);
        for (size_t i = 0; i < COUNT(lists); ++i) {
            CHECK_EQ(ioq_list(ioq, root_fd, "types", IOQ_LIST_STAT, MASK, &lists[i], NULL), 0);
            if (i == 5) {
                CHECK_EQ(ioq_list(ioq, root_fd, "slow", IOQ_LIST_STAT, MASK, &slow, &slow), 0);
            }
        }
        // Through a ring, nothing hangs here.
        bool back = false;
        for (size_t others = 0; others < COUNT(lists);) {
            struct ioq_ent *ent = ioq_pop(ioq, true);
            CHECK_EQ(ent->result, 0);
            if (ent->ptr) {
                CHECK(!(surely_sync() && !statx_refused()) && !back);
                back = true;
            } else {
                ++others;
            }
            ioq_list_free(*ent->list.list);
            ioq_free(ioq, ent);
        }
        set_gate(false, 0);
        if (!back) {
            CHECK_EQ(take(ioq, IOQ_LIST, &slow), 0);
            ioq_list_free(slow);
        }
        ioq_destroy(ioq);
    }
}

// A list that is cancelled in the middle comes back without what was found.
static void cancelled(void) {
    for (size_t one = 0; one <= 1; ++one) {
        for (size_t nthreads = 1; nthreads <= 3; nthreads += 2) {
            struct ioq *ioq = create(1, nthreads);
            struct ioq_list *list;
            CHECK_EQ(list_by(ioq, "slow", IOQ_LIST_STAT, &list), 0);
            ioq_list_free(list);
            set_gate(true, 0);
            CHECK_EQ(ioq_list(ioq, root_fd, "slow", IOQ_LIST_STAT | IOQ_LIST_FD, MASK, &list, &list), 0);
            ioq_submit(ioq);
            await_gate(nthreads);
            if (one) {
                ioq_cancel_one(ioq, ioq_last(ioq));
            } else {
                ioq_cancel(ioq);
            }
            set_gate(false, 0);
            CHECK_EQ(take(ioq, IOQ_LIST, &list), one ? -ECANCELED : -EINTR);
            CHECK(!list);
            ioq_destroy(ioq);
        }
    }
}

// A part that was read and then cancelled can be had again.
static void parts_again(void) {
    struct ioq *ioq = create(1, 1);
    struct ioq_list *list;
    int fd = openat(root_fd, "slow", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0);
    set_gate(true, 0);
    CHECK_EQ(ioq_list(ioq, fd, NULL, IOQ_LIST_STAT | IOQ_LIST_PART, MASK, &list, &list), 0);
    ioq_submit(ioq);
    await_gate(1);
    ioq_cancel_one(ioq, ioq_last(ioq));
    set_gate(false, 0);
    CHECK_EQ(take(ioq, IOQ_LIST, &list), -ECANCELED);
    CHECK_EQ(ioq_list(ioq, fd, NULL, IOQ_LIST_STAT | IOQ_LIST_PART, MASK, &list, &list), 0);
    CHECK_EQ(take(ioq, IOQ_LIST, &list), 0);
    CHECK_EQ(list->count, SLOW);
    ioq_list_free(list);
    CHECK_EQ(close(fd), 0);
    ioq_destroy(ioq);
}

static void *open_gate(void *arg) {
    set_gate(false, 0);
    return arg;
}

// Destroying waits for the stats that have begun, and leaves nothing behind.
static void destroyed(void) {
    for (size_t nthreads = 1; nthreads <= 3; nthreads += 2) {
        struct ioq *ioq = create(1, nthreads);
        struct ioq_list *list;
        set_gate(true, 0);
        CHECK_EQ(ioq_list(ioq, root_fd, "slow", IOQ_LIST_STAT | IOQ_LIST_FD, MASK, &list, NULL), 0);
        ioq_submit(ioq);
        await_gate(1);
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, open_gate, NULL), 0);
        ioq_destroy(ioq);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
}

// A directory that hangs holds up only what is in it; if the walk sorts, all that comes after.
static void walks(void) {
    enum { OUTSIDE = 7 };
    const char *roots[] = {root, NULL};
    for (size_t sort = 0; sort <= 1; ++sort) {
        struct ioq_walk_options options = {
            .size = sizeof(options), .flags = IOQ_WALK_STAT | (sort ? IOQ_WALK_SORT : 0), .mask = MASK};
        struct ioq_walk *walk = ioq_walk_open(roots, &options);
        CHECK(walk);
        const struct ioq_walk_ent *ent;
        set_gate(true, 0);
        size_t count = 0;
        for (; count < (sort ? 2 : OUTSIDE); ++count) {
            CHECK_EQ(ioq_walk_next(walk, &ent), 1);
            CHECK_EQ(ent->error, 0);
            CHECK(strncmp(ent->name, "slow-", 5) != 0);
        }
        CHECK_ERRNO(ioq_walk_try_next(walk, &ent), EAGAIN);
        await_gate(1);
        CHECK_ERRNO(ioq_walk_try_next(walk, &ent), EAGAIN);
        set_gate(false, 0);
        for (; count < OUTSIDE + SLOW; ++count) {
            CHECK_EQ(ioq_walk_next(walk, &ent), 1);
            CHECK_EQ(ent->error, 0);
        }
        CHECK_EQ(ioq_walk_next(walk, &ent), 0);
        ioq_walk_close(walk);
    }
}

int main(void) {
    root_fd = temp_dir(root);
    CHECK_EQ(mkdirat(root_fd, "types", 0755), 0);
    make_file(root_fd, "types/file", 1);
    CHECK_EQ(mkdirat(root_fd, "types/sub", 0755), 0);
    CHECK_EQ(mkfifoat(root_fd, "types/fifo", 0600), 0);
    CHECK_EQ(symlinkat("file", root_fd, "types/link"), 0);
    CHECK_EQ(mkdirat(root_fd, "slow", 0755), 0);
    for (int i = 0; i < SLOW; ++i) {
        char name[32];
        snprintf(name, sizeof(name), "slow/slow-%d", i);
        make_file(root_fd, name, 0);
    }
    RUN_EACH_WAY(unknown_types);
    RUN_EACH_WAY(broken_reads);
    RUN_EACH_WAY(long_names);
    RUN(others_come_back);
    if (surely_sync() && !statx_refused()) {
        RUN(vanishes);
        RUN(all_at_once);
        RUN(cancelled);
        RUN(parts_again);
        RUN(destroyed);
        RUN(walks);
    }
    remove_temp_dir(root, root_fd);
    return 0;
}
