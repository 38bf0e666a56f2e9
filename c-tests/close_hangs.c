// A directory that cannot be closed for a while, as on a server that is gone, holds up the request that it is of, and no
// other.

#include "test.h"

#include <pthread.h>
#include <sys/prctl.h>

enum { LISTS = 200, FILES = 60, WORKERS = 4 };

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
// How many closes of workers from now the one is that hangs.
static int countdown;

int close(int fd) {
    char name[16] = "";
    prctl(PR_GET_NAME, name);
    bool is_worker = strncmp(name, "ioq-", 4) == 0 && strcmp(name, "ioq-ring") != 0;
    if (is_worker && __atomic_sub_fetch(&countdown, 1, __ATOMIC_RELAXED) == 0) {
        pthread_mutex_lock(&gate);
        pthread_mutex_unlock(&gate);
    }
    return (int)syscall(SYS_close, fd);
}

static struct ioq_list *lists[LISTS];

static void take_list(struct ioq *ioq) {
    struct ioq_ent *ent = next(ioq);
    struct ioq_list *list = *(struct ioq_list **)ent->ptr;
    CHECK_EQ(ent->result, 0);
    CHECK_EQ(list->count, FILES);
    ioq_list_free(list);
    ioq_free(ioq, ent);
}

static int root_fd;

static void lists_come_back_but_one(void) {
    for (size_t i = 0; i < rounds(40); ++i) {
        struct ioq *ioq = create(LISTS, WORKERS);
        CHECK_EQ(pthread_mutex_lock(&gate), 0);
        __atomic_store_n(&countdown, (int)i + 1, __ATOMIC_RELAXED);
        for (size_t j = 0; j < LISTS; ++j) {
            CHECK_EQ(ioq_list(ioq, root_fd, ".", IOQ_LIST_STAT, STATX_BASIC_STATS, &lists[j], &lists[j]), 0);
        }
        for (size_t j = 1; j < LISTS; ++j) {
            take_list(ioq);
        }
        CHECK(__atomic_load_n(&countdown, __ATOMIC_RELAXED) <= 0);
        CHECK_EQ(pthread_mutex_unlock(&gate), 0);
        take_list(ioq);
        CHECK(!ioq_pop(ioq, true));
        ioq_destroy(ioq);
    }
}

int main(void) {
    char path[PATH_MAX];
    need_fds(512);
    root_fd = temp_dir(path);
    for (int i = 0; i < FILES; ++i) {
        char name[16];
        snprintf(name, sizeof(name), "%d", i);
        make_file(root_fd, name, 0);
    }
    for (test_way = test_ways; test_way != test_ways + COUNT(test_ways); ++test_way) {
        if (test_way->threads == 1) {
            RUN(lists_come_back_but_one);
        }
    }
    test_way = &test_ways[1];
    remove_temp_dir(path, root_fd);
    return 0;
}
