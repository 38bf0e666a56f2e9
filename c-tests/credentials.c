// A process that gives up its privileges while a queue lives: workers and rings lose them too. What only the superuser
// may reach can be reached before and not after, whoever runs the request.

#include "test.h"

#include <grp.h>
#include <ioq/dir.h>
#include <ioq/stat.h>

enum { DEPTH = 64, OTHER_GROUP = 54321 };

static char root[PATH_MAX];
static int root_fd;

// Has every worker run a share of these requests, all of which must end with the same result.
static void expect(struct ioq *ioq, const char *path, int result) {
    static struct bfs_stat bufs[DEPTH];
    for (size_t round = 0; round < rounds(20); ++round) {
        for (size_t i = 0; i < DEPTH; ++i) {
            CHECK_EQ(ioq_stat(ioq, root_fd, path, 0, &bufs[i], NULL), 0);
            if (i % 8 == 0) {
                ioq_submit(ioq);
            }
        }
        for (size_t i = 0; i < DEPTH; ++i) {
            struct ioq_ent *ent = next(ioq);
            CHECK_EQ(ent->result, result);
            ioq_free(ioq, ent);
        }
    }
}

static int opendir_by(struct ioq *ioq, const char *path) {
    struct bfs_dir *dir = bfs_allocdir();
    CHECK(dir);
    CHECK_EQ(ioq_opendir(ioq, dir, root_fd, path, 0, dir), 0);
    int result = take(ioq, IOQ_OPENDIR, dir);
    if (result == 0) {
        CHECK_EQ(bfs_closedir(dir), 0);
    }
    free(dir);
    return result;
}

static void user_is_dropped(void) {
    struct ioq *ioq = create(DEPTH, test_way->threads);
    expect(ioq, "secret/file", 0);
    CHECK_EQ(opendir_by(ioq, "secret"), 0);
    CHECK_EQ(setgid(65534), 0);
    CHECK_EQ(setuid(65534), 0);
    expect(ioq, "secret/file", -EACCES);
    CHECK_EQ(opendir_by(ioq, "secret"), -EACCES);
    CHECK_EQ(opendir_by(ioq, "."), 0);
    ioq_destroy(ioq);
}

// The user changes for a while, as servers do it.
static void user_comes_and_goes(void) {
    struct ioq *ioq = create(DEPTH, test_way->threads);
    for (int i = 0; i < 5; ++i) {
        expect(ioq, "secret/file", 0);
        CHECK_EQ(seteuid(65534), 0);
        expect(ioq, "secret/file", -EACCES);
        CHECK_EQ(seteuid(0), 0);
    }
    ioq_destroy(ioq);
}

static void groups_are_dropped(void) {
    gid_t group = OTHER_GROUP;
    CHECK_EQ(setgroups(1, &group), 0);
    struct ioq *ioq = create(DEPTH, test_way->threads); // while limits on rings are the superuser's
    CHECK_EQ(seteuid(65534), 0);
    expect(ioq, "group/file", 0);
    CHECK_EQ(opendir_by(ioq, "group"), 0);
    CHECK_EQ(seteuid(0), 0);
    CHECK_EQ(setgroups(0, NULL), 0);
    CHECK_EQ(seteuid(65534), 0);
    expect(ioq, "group/file", -EACCES);
    CHECK_EQ(opendir_by(ioq, "group"), -EACCES);
    ioq_destroy(ioq);
}

// Credentials change while requests run: each has one answer or the other, and none is lost.
static void in_the_middle(void) {
    struct ioq *ioq = create(DEPTH, 4);
    static struct bfs_stat bufs[DEPTH];
    for (size_t round = 0; round < rounds(100); ++round) {
        for (size_t i = 0; i < DEPTH; ++i) {
            CHECK_EQ(ioq_stat(ioq, root_fd, "secret/file", 0, &bufs[i], NULL), 0);
        }
        ioq_submit(ioq);
        CHECK_EQ(seteuid(round % 2 ? 0 : 65534), 0);
        for (size_t i = 0; i < DEPTH; ++i) {
            struct ioq_ent *ent = next(ioq);
            CHECK(ent->result == 0 || ent->result == -EACCES);
            ioq_free(ioq, ent);
        }
    }
    ioq_destroy(ioq);
}

static void (*const parts[])(void) = {user_is_dropped, user_comes_and_goes, groups_are_dropped};

int main(void) {
    if (geteuid() != 0) {
        skip("only the superuser has privileges to give up");
    }
    if (setgroups(0, NULL) != 0) {
        skip("groups cannot be changed here");
    }
    watchdog();
    umask(0);
    root_fd = temp_dir(root);
    CHECK_EQ(mkdirat(root_fd, "secret", 0700), 0);
    make_file(root_fd, "secret/file", 0);
    CHECK_EQ(mkdirat(root_fd, "group", 0750), 0);
    make_file(root_fd, "group/file", 0);
    CHECK_EQ(fchownat(root_fd, "group", (uid_t)-1, OTHER_GROUP, 0), 0);

    for (test_way = test_ways; test_way != test_ways + COUNT(test_ways); ++test_way) {
        for (size_t i = 0; i < COUNT(parts); ++i) {
            CHECK_EQ(in_child(parts[i]), 0);
        }
    }
    test_way = &test_ways[3];
    CHECK_EQ(in_child(in_the_middle), 0);
    remove_temp_dir(root, root_fd);
    return 0;
}
