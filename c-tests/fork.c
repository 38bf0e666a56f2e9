// fork() while workers run: a child that leaves, or destroys the queue it cannot use, does not disturb the parent.

#include "busy.h"

#include <features.h>
#include <ioq/dir.h>
#include <spawn.h>

extern char **environ;

static void nothing(void) {
}

static void destroy(void) {
    ioq_destroy(ioq);
}

// The child may have a queue of its own, with workers, whatever becomes of the parent's.
static void use_another(void) {
    struct ioq *other = create(16, 2);
    struct bfs_stat buf;
    for (int i = 0; i < 20; ++i) {
        test_way = &test_ways[1 + i % 2]; // blocking, or polling
        CHECK_EQ(ioq_stat(other, AT_FDCWD, "/", 0, &buf, &buf), 0);
        CHECK_EQ(take(other, IOQ_STAT, &buf), 0);
    }
    CHECK(threads() > 1);
    ioq_destroy(other);
    ioq_destroy(ioq);
}

static void with_children(void (*child)(void), size_t nthreads) {
    start(nthreads);
    for (size_t i = 0; i < rounds(60); ++i) {
        stir(i % 50 + 1, 0);
        CHECK_EQ(in_child(child), 0);
    }
    finish();
}

static void child_exits(void) {
    with_children(nothing, 1);
    with_children(nothing, 4);
}

static void child_destroys(void) {
    with_children(destroy, 0);
    with_children(destroy, 1);
    with_children(destroy, 4);
}

static void child_uses_another(void) {
    with_children(use_another, 2);
}

static int close_fd;

// What was queued is the parent's business: destroying closes nothing in the child.
static void destroy_runs_nothing(void) {
    ioq_destroy(ioq);
    CHECK(fd_open(close_fd));
}

static void child_closes_nothing(void) {
    for (size_t nthreads = 0; nthreads < 3; ++nthreads) {
        ioq = create(DEPTH, nthreads);
        close_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        CHECK(close_fd >= 0);
        CHECK_EQ(ioq_close(ioq, close_fd, &close_fd), 0);
        CHECK_EQ(in_child(destroy_runs_nothing), 0);
        CHECK(fd_open(close_fd));
        CHECK_EQ(take(ioq, IOQ_CLOSE, &close_fd), 0);
        CHECK(!fd_open(close_fd));
        ioq_destroy(ioq);
    }
}

// A queue whose workers have not started, or have gone to sleep.
static void idle(void) {
    ioq = create(DEPTH, 2);
    CHECK_EQ(in_child(destroy), 0);
    for (int i = 0; i < 5; ++i) {
        CHECK_EQ(ioq_nop(ioq, IOQ_NOP_HEAVY, ioq), 0);
        CHECK_EQ(take(ioq, IOQ_NOP, ioq), 0);
        CHECK_EQ(in_child(destroy), 0);
    }
    ioq_cancel(ioq);
    CHECK_EQ(in_child(destroy), 0);
    ioq_destroy(ioq);
}

// An open directory and a popped entry outlive the child's end.
static void responses_stay(void) {
    ioq = create(DEPTH, 2);
    struct bfs_dir *dir = bfs_allocdir();
    CHECK(dir);
    CHECK_EQ(ioq_opendir(ioq, dir, AT_FDCWD, "/", 0, dir), 0);
    struct ioq_ent *ent = next(ioq);
    CHECK_EQ(in_child(destroy), 0);
    CHECK_EQ(ent->result, 0);
    CHECK(ent->ptr == dir);
    ioq_free(ioq, ent);
    struct bfs_dirent de;
    CHECK_EQ(bfs_readdir(dir, &de), 1);
    CHECK_EQ(ioq_closedir(ioq, dir, dir), 0);
    CHECK_EQ(take(ioq, IOQ_CLOSEDIR, dir), 0);
    free(dir);
    ioq_destroy(ioq);
}

// The ways around fork()'s handlers.
static void other_forks(void) {
    start(4);
    for (size_t i = 0; i < rounds(60); ++i) {
        stir(20, 0);
        pid_t pid;
        int status;
        char *argv[] = {"true", NULL};
        CHECK_EQ(posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ), 0);
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);

#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 34)
        stir(20, 0);
        pid = _Fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            _exit(0);
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
#endif
#endif
    }
    ioq_destroy(ioq);
}

int main(void) {
    RUN(child_exits);
    RUN(child_destroys);
    RUN(child_uses_another);
    RUN(child_closes_nothing);
    RUN(idle);
    RUN(responses_stay);
    RUN(other_forks);
    return 0;
}
