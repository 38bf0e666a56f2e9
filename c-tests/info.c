// ioq_info() and ioq_version(): what a queue is doing, and which library this is.

#define HOST_DIR
#define HOST_READDIR
#include "host.h"

#include <ioq/stat.h>
#include <time.h>

static struct ioq_info info(struct ioq *ioq) {
    struct ioq_info info = {.size = sizeof(info)};
    CHECK_EQ(ioq_info(ioq, &info), 0);
    CHECK_EQ(info.size, sizeof(info));
    return info;
}

static void the_version_is_the_headers(void) {
    CHECK(strcmp(ioq_version(), IOQ_VERSION) == 0);
    char version[64];
    snprintf(version, sizeof(version), "%d.%d.%d", IOQ_VERSION_MAJOR, IOQ_VERSION_MINOR, IOQ_VERSION_PATCH);
    CHECK(strcmp(ioq_version(), version) == 0);
}

static void sizes(void) {
    struct {
        struct ioq_info info;
        unsigned char more[16];
    } later = {.info = {.size = sizeof(later)}};
    CHECK_ERRNO(ioq_info(NULL, &later.info), EINVAL);
    struct ioq *ioq = create(8, 1);
    CHECK_ERRNO(ioq_info(ioq, NULL), EINVAL);
    later.info.size = sizeof(struct ioq_info) - 1;
    CHECK_ERRNO(ioq_info(ioq, &later.info), EINVAL);
    later.info.size = sizeof(later);
    memset(later.more, 1, sizeof(later.more));
    CHECK_EQ(ioq_info(ioq, &later.info), 0);
    CHECK_EQ(later.info.size, sizeof(later));
    for (size_t i = 0; i < sizeof(later.more); ++i) {
        CHECK_EQ(later.more[i], 0);
    }
    ioq_destroy(ioq);
}

// What is told adds up, from submission to ioq_free().
static void numbers(void) {
    struct ioq *ioq = create(64, 1);
    struct ioq_info at_first = info(ioq);
    CHECK_EQ(at_first.pending + at_first.running + at_first.ready + at_first.held + at_first.workers, 0);
    CHECK_EQ(at_first.oldest, 0);
    gate_set(true);
    struct bfs_dir dir = {.magic = 0};
    int fd = openat(root_fd, "sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK_EQ(ioq_opendir(ioq, &dir, fd, NULL, 0, &dir), 0);
    ioq_submit(ioq);
    gate_await(1);
    for (size_t i = 0; i < 40; ++i) {
        CHECK_EQ(ioq_stat(ioq, root_fd, "file", 0, stat_buf(), NULL), 0);
    }
    struct ioq_info now = info(ioq);
    CHECK_EQ(now.workers, 1);
    CHECK_EQ(now.pending + now.running + now.ready, 41);
    CHECK(now.running >= 1);
    if (surely_sync()) {
        CHECK_EQ(now.running, 1);
        CHECK_EQ(now.pending, 40);
    }
    CHECK_EQ(now.held, 0);

    // The directory is getting old.
    nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
    CHECK(info(ioq).oldest >= 20000000);

    gate_set(false);
    struct ioq_ent *ents[41];
    for (size_t i = 0; i < COUNT(ents); ++i) {
        ents[i] = ioq_pop(ioq, true);
        CHECK(ents[i]);
        CHECK_EQ(info(ioq).held, i + 1);
        now = info(ioq);
        CHECK_EQ(now.pending + now.running + now.ready + now.held, 41);
    }
    CHECK_EQ(info(ioq).oldest, 0);
    CHECK_EQ(info(ioq).running, 0);
    for (size_t i = 0; i < COUNT(ents); ++i) {
        ioq_free(ioq, ents[i]);
        CHECK_EQ(info(ioq).held, 40 - i);
    }
    CHECK_EQ(bfs_closedir(&dir), 0);
    ioq_destroy(ioq);
}

int main(void) {
    make_tree();
    RUN(the_version_is_the_headers);
    RUN(sizes);
    RUN(numbers);
    remove_temp_dir(root, root_fd);
    return 0;
}
