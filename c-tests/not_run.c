// Requests of every operation, in queues that are cancelled or destroyed: what did not run has left no trace, and what did run
// has its own result. No descriptor is lost.

#include "test.h"

#include <ioq/stat.h>
#include <linux/openat2.h>

static char root[PATH_MAX];
static int root_fd;

// Where the answers go.
struct answers {
    struct bfs_stat stat;
    struct statx statx, opened;
    char link[16], value[16];
};

static struct answers untouched;

static int nothing(void *count) {
    ++*(int *)count;
    return 0;
}

static const struct open_how how = {.flags = O_WRONLY | O_CREAT | O_CLOEXEC, .mode = 0600};
static const struct timespec times[2] = {{1, 1}, {1, 1}};

// One request of each operation, of which none depends on another.
enum { REQUESTS = 15 };

static void submit_all(struct ioq *ioq, struct answers *answers, int *calls) {
    *answers = untouched;
    *calls = 0;
    void *ptr = answers;
    CHECK_EQ(ioq_call(ioq, nothing, calls, ptr), 0);
    CHECK_EQ(ioq_stat(ioq, root_fd, "file", 0, &answers->stat, ptr), 0);
    CHECK_EQ(ioq_statx(ioq, root_fd, "file", 0, STATX_SIZE, &answers->statx, ptr), 0);
    CHECK_EQ(ioq_openat(ioq, root_fd, "opened", &how, STATX_SIZE, &answers->opened, ptr), 0);
    CHECK_EQ(ioq_readlink(ioq, root_fd, "link", answers->link, sizeof(answers->link), ptr), 0);
    CHECK_EQ(ioq_getxattr(ioq, root_fd, "file", "user.x", answers->value, sizeof(answers->value), 0, ptr), 0);
    CHECK_EQ(ioq_access(ioq, root_fd, "file", R_OK, 0, ptr), 0);
    CHECK_EQ(ioq_unlink(ioq, root_fd, "victim", 0, ptr), 0);
    CHECK_EQ(ioq_rename(ioq, root_fd, "old", root_fd, "new", 0, ptr), 0);
    CHECK_EQ(ioq_mkdir(ioq, root_fd, "directory", 0700, ptr), 0);
    CHECK_EQ(ioq_link(ioq, root_fd, "file", root_fd, "hard", 0, ptr), 0);
    CHECK_EQ(ioq_symlink(ioq, "file", root_fd, "soft", ptr), 0);
    CHECK_EQ(ioq_chmod(ioq, root_fd, "mode", 0400, 0, ptr), 0);
    CHECK_EQ(ioq_chown(ioq, root_fd, "file", (uid_t)-1, (gid_t)-1, 0, ptr), 0);
    CHECK_EQ(ioq_utimens(ioq, root_fd, "mode", times, 0, ptr), 0);
}

static bool exists(const char *name) {
    struct stat sb;
    return fstatat(root_fd, name, &sb, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool is_untouched(const void *answer, size_t size) {
    return memcmp(answer, &untouched, size) == 0;
}

static void check_opened(const struct answers *answers, int result) {
    if (result >= 0) {
        CHECK(exists("opened"));
        CHECK_EQ(fcntl(result, F_GETFD), FD_CLOEXEC);
        CHECK_EQ(close(result), 0);
        CHECK_EQ(answers->opened.stx_size, 0);
    } else {
        CHECK(result == -EINTR || statx_refused());
        CHECK(is_untouched(&answers->opened, sizeof(answers->opened)));
    }
}

// Whether a request has run, as can be seen from what it was to do.
static bool has_run(const struct ioq_ent *ent, const int *calls) {
    const struct answers *answers = ent->ptr;
    struct stat sb;
    CHECK_EQ(fstatat(root_fd, "mode", &sb, 0), 0);
    switch (ent->op) {
    case IOQ_CALL:
        return *calls == 1;
    case IOQ_STAT:
        return !is_untouched(&answers->stat, sizeof(answers->stat));
    case IOQ_STATX:
        return !is_untouched(&answers->statx, sizeof(answers->statx));
    case IOQ_READLINK:
        return !is_untouched(answers->link, sizeof(answers->link));
    case IOQ_UNLINK:
        return !exists("victim");
    case IOQ_RENAME:
        return exists("new") && !exists("old");
    case IOQ_MKDIR:
        return exists("directory");
    case IOQ_LINK:
        return exists("hard");
    case IOQ_SYMLINK:
        return exists("soft");
    case IOQ_CHMOD:
        return sb.st_mode == (S_IFREG | 0400);
    case IOQ_UTIMENS:
        return sb.st_mtim.tv_sec == 1;
    default:
        return ent->result != -EINTR;
    }
}

static void check(const struct ioq_ent *ent, const int *calls) {
    if (ent->op == IOQ_OPENAT) {
        check_opened(ent->ptr, ent->result);
    } else if (ent->op == IOQ_STATX && statx_refused()) {
        CHECK(ent->result < 0);
    } else if (ent->op == IOQ_GETXATTR) {
        CHECK(ent->result < 0);
    } else if (ent->result == -EINTR) {
        // A ring may have been interrupted at something that was done all the same.
        CHECK(!has_run(ent, calls) || (ent->op >= IOQ_UNLINK && ent->op <= IOQ_SYMLINK && !surely_sync()));
    } else {
        CHECK(ent->result >= 0);
        CHECK(has_run(ent, calls));
    }
}

static void make_files(void) {
    static const char *const names[] = {"file", "old", "victim", "mode"};
    for (size_t i = 0; i < COUNT(names); ++i) {
        make_file(root_fd, names[i], 1);
    }
    CHECK_EQ(symlinkat("file", root_fd, "link"), 0);
}

static void remove_files(void) {
    static const char *const names[] = {
        "file", "old", "new", "victim", "mode", "link", "opened", "hard", "soft", "directory",
    };
    for (size_t i = 0; i < COUNT(names); ++i) {
        if (unlinkat(root_fd, names[i], 0) != 0 && unlinkat(root_fd, names[i], AT_REMOVEDIR) != 0) {
            CHECK_EQ(errno, ENOENT);
        }
    }
}

static void all_run(struct ioq *ioq) {
    make_files();
    struct answers answers;
    int calls;
    submit_all(ioq, &answers, &calls);
    for (size_t i = 0; i < REQUESTS; ++i) {
        struct ioq_ent *ent = next(ioq);
        CHECK(ent->result != -EINTR);
        check(ent, &calls);
        ioq_free(ioq, ent);
    }
    remove_files();
}

// Cancelled before anything was submitted, or so long after that as it takes to yield some times.
static void cancelled(size_t nthreads, size_t yields) {
    make_files();
    struct ioq *ioq = create(16, nthreads);
    struct answers answers;
    int calls;
    submit_all(ioq, &answers, &calls);
    if (yields > 0) {
        ioq_submit(ioq);
    }
    for (size_t i = 0; i < yields; ++i) {
        sched_yield();
    }
    ioq_cancel(ioq);
    for (size_t i = 0; i < REQUESTS; ++i) {
        struct ioq_ent *ent = ioq_pop(ioq, true);
        CHECK(yields > 0 || nthreads > 0 || ent->result == -EINTR);
        check(ent, &calls);
        ioq_free(ioq, ent);
    }
    CHECK(!ioq_pop(ioq, true));
    ioq_destroy(ioq);
    remove_files();
}

// Nobody pops what is open then.
static void destroyed(size_t nthreads, size_t yields) {
    make_files();
    struct ioq *ioq = create(16, nthreads);
    struct answers answers;
    int calls;
    submit_all(ioq, &answers, &calls);
    if (yields > 0) {
        ioq_submit(ioq);
    }
    for (size_t i = 0; i < yields; ++i) {
        sched_yield();
    }
    ioq_destroy(ioq);
    remove_files();
}

static void at_any_time(void) {
    static const size_t thread_counts[] = {0, 1, 2, 8};
    for (size_t round = 0; round < rounds(100); ++round) {
        cancelled(thread_counts[round % 4], round / 4);
        destroyed(thread_counts[round % 4], round / 4);
    }
}

int main(void) {
    root_fd = temp_dir(root);
    memset(&untouched, 0xA5, sizeof(untouched));
    RUN_EACH_WAY(all_run);
    RUN(at_any_time);
    remove_temp_dir(root, root_fd);
    return 0;
}
