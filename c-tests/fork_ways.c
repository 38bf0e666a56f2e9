// The ways in which a child of fork() may go, while the parent's queue has work in flight: what programs do there before
// they leave or become another must not disturb the parent, nor hang.

#include "busy.h"

#include <features.h>
#include <spawn.h>

extern char **environ;

static void with_children(void (*child)(void), size_t nthreads) {
    start(nthreads);
    for (size_t i = 0; i < rounds(40); ++i) {
        stir(i % 50 + 5, i % 5);
        CHECK_EQ(in_child(child), 0);
    }
    finish();
}

static void each_way(void (*child)(void)) {
    with_children(child, 0);
    with_children(child, 1);
    with_children(child, 4);
}

static void at_exit(void) {
    ioq_destroy(ioq);
}

// A whole program's end: its handlers destroy what they know of.
static void leave_by_exit(void) {
    CHECK_EQ(atexit(at_exit), 0);
    exit(0);
}

static void exit_with_handlers(void) {
    each_way(leave_by_exit);
}

// As before another program is started: nothing of the parent's stays open, which is nothing to the parent's rings.
static void close_all(void) {
    if (syscall(SYS_close_range, 3, ~0U, 0) != 0) {
        for (int fd = 3; fd < 1024; ++fd) {
            close(fd);
        }
    }
}

static void close_and_destroy(void) {
    close_all();
    ioq_destroy(ioq);
    CHECK(wrapped() || open_fds() == 3);
}

static void close_and_exec(void) {
    close_all();
    execl("/bin/true", "true", (char *)NULL);
    CHECK(!"execl");
}

static void descriptors_closed(void) {
    each_way(close_and_destroy);
    each_way(close_and_exec);
}

// A queue of the child's own, with work in flight as the child ends, or destroyed along with the parent's.
static void leave_another(void) {
    static struct bfs_stat buf; // which a worker may still fill after this
    struct ioq *other = create(16, 2);
    CHECK_EQ(ioq_stat(other, AT_FDCWD, "/", 0, &buf, &buf), 0);
    ioq_submit(other);
}

static void destroy_before_and_after(void) {
    struct bfs_stat buf[2];
    struct ioq *others[2] = {create(16, 2), NULL};
    CHECK_EQ(ioq_stat(others[0], AT_FDCWD, "/", 0, &buf[0], &buf[0]), 0);
    ioq_submit(others[0]);
    ioq_destroy(ioq);
    others[1] = create(16, 4);
    for (int i = 0; i < 10; ++i) {
        CHECK_EQ(ioq_stat(others[1], AT_FDCWD, "/", 0, &buf[1], &buf[1]), 0);
        CHECK_EQ(take(others[1], IOQ_STAT, &buf[1]), 0);
    }
    CHECK_EQ(take(others[0], IOQ_STAT, &buf[0]), 0);
    ioq_destroy(others[1]);
    ioq_destroy(others[0]);
    await_threads(1);
}

// Children may have children.
static void grandchild(void) {
    struct ioq *parents = ioq;
    start(2);
    submit_some(100);
    ioq_submit(ioq);
    CHECK_EQ(in_child(destroy_before_and_after), 0);
    finish();
    ioq_destroy(parents);
}

static void queues_of_the_child(void) {
    each_way(leave_another);
    each_way(destroy_before_and_after);
    each_way(grandchild);
}

static int await_child(pid_t pid) {
    int status;
    CHECK(pid > 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

// Children that are no copies, and the fork that runs no handlers. The parent's threads go on meanwhile.
static void without_a_copy(void) {
    char *argv[] = {"true", NULL};
    start(4);
    for (size_t i = 0; i < rounds(40); ++i) {
        pid_t pid;
        stir(i % 50 + 5, i % 5);
        CHECK_EQ(posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ), 0);
        CHECK_EQ(await_child(pid), 0);

        stir(i % 50 + 5, i % 5);
        pid = vfork();
        if (pid == 0) {
            execve("/bin/true", argv, environ);
            _exit(1);
        }
        CHECK_EQ(await_child(pid), 0);

#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 34)
        stir(i % 50 + 5, i % 5);
        pid = _Fork();
        if (pid == 0) {
            execve("/bin/true", argv, environ);
            _exit(1);
        }
        CHECK_EQ(await_child(pid), 0);
#endif
#endif
    }
    finish();
}

// A child that forgets about the queue, and goes on for longer than the parent's queue lives.
static void child_outlives_the_queue(void) {
    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    start(4);
    stir(5, 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        char byte;
        CHECK_EQ(read(fds[0], &byte, 1), 1);
        ioq_destroy(ioq);
        _exit(0);
    }
    finish();
    await_threads(1);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK_EQ(await_child(pid), 0);
    CHECK_EQ(close(fds[0]), 0);
    CHECK_EQ(close(fds[1]), 0);
}

int main(void) {
    RUN(exit_with_handlers);
    RUN(descriptors_closed);
    RUN(queues_of_the_child);
    RUN(without_a_copy);
    RUN(child_outlives_the_queue);
    return 0;
}
