// The process is forked while another thread makes its first queue. The child, which does not have that thread, makes
// queues of its own, and waits for nobody.

#include "test.h"

#include <ioq/stat.h>
#include <pthread.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

int main(void) {
    skip("the sanitizer looks functions up itself");
}

#else

static int looking[2]; // a pipe: the thread that looks says so

void *dlsym(void *handle, const char *name);

// The library asks for the program's functions, of which there are none. The first answer takes until the fork is over.
void *dlsym(void *handle, const char *name) {
    (void)handle, (void)name;
    if (gettid() != getpid()) {
        CHECK_EQ(write(looking[1], "x", 1), 1);
        usleep(1000);
    }
    return NULL;
}

static void *make_first(void *arg) {
    ioq_destroy(create(1, 0));
    return arg;
}

static void make_another(void) {
    static struct bfs_stat buf;
    struct ioq *ioq = create(1, 1);
    CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &buf, &buf), 0);
    CHECK_EQ(take(ioq, IOQ_STAT, &buf), 0);
    ioq_destroy(ioq);
}

// The first use of a process is only once, so each time is in a child of this one.
static void fork_meanwhile(void) {
    CHECK_EQ(pipe2(looking, O_CLOEXEC), 0);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, make_first, NULL), 0);
    char byte;
    CHECK(read(looking[0], &byte, 1) == 1);
    CHECK_EQ(in_child(make_another), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

int main(void) {
    watchdog();
    for (size_t i = 0; i < rounds(20); ++i) {
        CHECK_EQ(in_child(fork_meanwhile), 0);
    }
    return 0;
}

#endif
