// ioq_pop_until() and ioq_pop_many(): waiting for a time, and for several.

#define HOST_DIR
#define HOST_READDIR
#include "host.h"

#include <ioq/stat.h>
#include <time.h>

static struct timespec in(long ms) {
    struct timespec time;
    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &time), 0);
    long long ns = time.tv_nsec + ms % 1000 * 1000000LL;
    time.tv_sec += ms / 1000 + ns / 1000000000;
    time.tv_nsec = ns % 1000000000;
    return time;
}

static bool is_over(const struct timespec *time) {
    struct timespec now = in(0);
    return now.tv_sec > time->tv_sec || (now.tv_sec == time->tv_sec && now.tv_nsec >= time->tv_nsec);
}

// What programs with times of 64 bits call on machines of 32.
struct ioq_ent *ioq_pop_until_time64(struct ioq *, const struct timespec *);

static struct ioq_ent *pop_until(struct ioq *ioq, const struct timespec *deadline) {
    static size_t calls;
    bool time64 = sizeof(time_t) == 8 && calls++ % 2;
    return (time64 ? ioq_pop_until_time64 : ioq_pop_until)(ioq, deadline);
}

static void nothing(struct ioq *ioq, const struct timespec *deadline, int error) {
    errno = 0;
    CHECK(!pop_until(ioq, deadline));
    CHECK_EQ(errno, error);
    errno = 0;
    CHECK(!pop_until(ioq, deadline));
    CHECK_EQ(errno, error);
}

static void bad_arguments(void) {
    struct timespec past = {0};
    nothing(NULL, &past, EINVAL);
    struct ioq *ioq = create(8, 1);
    static const struct timespec bad[] = {{.tv_nsec = -1}, {.tv_nsec = 1000000000}, {.tv_sec = -1}};
    for (size_t i = 0; i < COUNT(bad); ++i) {
        nothing(ioq, &bad[i], EINVAL);
    }
    // Everything was popped.
    nothing(ioq, &past, 0);
    nothing(ioq, NULL, 0);
    ioq_destroy(ioq);
}

static void responses_come(void) {
    struct ioq *ioq = create(64, 2);
    for (size_t round = 0; round < rounds(50); ++round) {
        for (size_t i = 0; i <= round % 64; ++i) {
            CHECK_EQ(ioq_stat(ioq, root_fd, i % 2 ? "file" : "missing", 0, stat_buf(), NULL), 0);
        }
        for (size_t i = 0; i <= round % 64; ++i) {
            struct timespec late = in(3600 * 1000);
            struct ioq_ent *ent = pop_until(ioq, i % 3 ? &late : NULL);
            CHECK(ent);
            ioq_free(ioq, ent);
        }
    }
    ioq_destroy(ioq);
}

// It is not back before its time, nor held up by what hangs.
static void time_passes(void) {
    struct ioq *ioq = create(64, 2);
    gate_set(true);
    struct bfs_dir dir = {.magic = 0};
    int fd = openat(root_fd, "sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK_EQ(ioq_opendir(ioq, &dir, fd, NULL, 0, &dir), 0);
    for (long ms = 0; ms < 40; ms = ms * 2 + 1) {
        struct timespec deadline = in(ms);
        nothing(ioq, &deadline, ETIMEDOUT);
        CHECK(is_over(&deadline));
        CHECK_EQ(ioq_stat(ioq, root_fd, "file", 0, stat_buf(), NULL), 0);
        struct timespec late = in(3600 * 1000);
        struct ioq_ent *ent = pop_until(ioq, &late);
        CHECK(ent && !ent->ptr);
        ioq_free(ioq, ent);
    }
    gate_set(false);
    struct ioq_ent *ent = pop_until(ioq, NULL);
    CHECK(ent && ent->ptr == &dir && ent->result == 0);
    CHECK_EQ(bfs_closedir(&dir), 0);
    ioq_destroy(ioq);
}

// Without threads, only a blocking ioq_pop() runs anything.
static void without_threads(void) {
    struct ioq *ioq = create(8, 0);
    CHECK_EQ(ioq_nop(ioq, IOQ_NOP_LIGHT, NULL), 0);
    struct timespec late = in(3600 * 1000);
    nothing(ioq, &late, ETIMEDOUT);
    nothing(ioq, NULL, ETIMEDOUT);
    struct ioq_ent *ent = ioq_pop(ioq, true);
    CHECK(ent);
    ioq_free(ioq, ent);
    ioq_destroy(ioq);
}

static void several_at_once(void) {
    struct ioq_ent *ents[64];
    CHECK_EQ(ioq_pop_many(NULL, ents, COUNT(ents), true), 0);
    for (size_t nthreads = 0; nthreads <= 2; ++nthreads) {
        struct ioq *ioq = create(64, nthreads);
        CHECK_EQ(ioq_pop_many(ioq, ents, COUNT(ents), true), 0);
        for (size_t i = 0; i < 50; ++i) {
            CHECK_EQ(ioq_stat(ioq, root_fd, "file", 0, stat_buf(), NULL), 0);
        }
        CHECK_EQ(ioq_pop_many(ioq, ents, 0, true), 0);
        size_t back = 0;
        while (back < 50) {
            size_t count = ioq_pop_many(ioq, ents, back % 7 + 1, true);
            CHECK(count > 0 && count <= back % 7 + 1);
            for (size_t i = 0; i < count; ++i) {
                CHECK_EQ(ents[i]->result, 0);
                ioq_free(ioq, ents[i]);
            }
            back += count;
        }
        CHECK_EQ(back, 50);
        ioq_destroy(ioq);
    }
}

int main(void) {
    make_tree();
    RUN(bad_arguments);
    RUN(responses_come);
    RUN(time_passes);
    RUN(without_threads);
    RUN(several_at_once);
    remove_temp_dir(root, root_fd);
    return 0;
}
