// ioq_list(): the same names, types and stats as opendir(), readdir() and statx() find, or the same error.

#include "test.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

enum { MASK = STATX_BASIC_STATS | STATX_BTIME };

static char root[PATH_MAX];
static int root_fd;

static int list_by(struct ioq *ioq, int dfd, const char *path, unsigned int flags, struct ioq_list **list) {
    CHECK_EQ(ioq_list(ioq, dfd, path, flags, MASK, list, root), 0);
    struct ioq_ent *ent = next(ioq);
    CHECK_EQ(ent->op, IOQ_LIST);
    CHECK(ent->list.path == path);
    CHECK(ent->list.list == list);
    CHECK_EQ(ent->list.dfd, dfd);
    CHECK_EQ(ent->list.flags, flags);
    CHECK_EQ(ent->list.mask, MASK);
    CHECK(ent->ptr == root);
    int result = ent->result;
    CHECK_EQ(result == 0, *list != NULL);
    ioq_free(ioq, ent);
    return result;
}

static unsigned char type_of(const struct stat *sb) {
    return (unsigned char)IFTODT(sb->st_mode);
}

// Compares a stat with what older and newer calls say.
static void check_stat(int fd, const struct ioq_list_ent *ent) {
    struct stat sb;
    CHECK_EQ(fstatat(fd, ent->name, &sb, AT_SYMLINK_NOFOLLOW), 0);
    const struct statx *sx = ent->stat;
    CHECK(sx);
    CHECK_EQ(sx->stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
    CHECK_EQ(sx->stx_mode, sb.st_mode);
    CHECK_EQ(makedev(sx->stx_dev_major, sx->stx_dev_minor), sb.st_dev);
    CHECK_EQ(makedev(sx->stx_rdev_major, sx->stx_rdev_minor), sb.st_rdev);
    CHECK_EQ(sx->stx_ino, sb.st_ino);
    CHECK_EQ(sx->stx_nlink, sb.st_nlink);
    CHECK_EQ(sx->stx_uid, sb.st_uid);
    CHECK_EQ(sx->stx_gid, sb.st_gid);
    CHECK_EQ(sx->stx_size, sb.st_size);
    CHECK_EQ(sx->stx_blocks, sb.st_blocks);
    CHECK_EQ(sx->stx_blksize, sb.st_blksize);
    CHECK_EQ(sx->stx_mtime.tv_sec, sb.st_mtim.tv_sec);
    CHECK_EQ(sx->stx_mtime.tv_nsec, sb.st_mtim.tv_nsec);
    CHECK_EQ(sx->stx_ctime.tv_sec, sb.st_ctim.tv_sec);
    CHECK_EQ(sx->stx_ctime.tv_nsec, sb.st_ctim.tv_nsec);
    CHECK_EQ(ent->type, type_of(&sb));

    struct statx want;
    if (!statx_refused()) {
        CHECK_EQ(statx(fd, ent->name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, MASK, &want), 0);
        CHECK_EQ(sx->stx_mask, want.stx_mask);
        CHECK_EQ(sx->stx_attributes, want.stx_attributes);
        CHECK_EQ(sx->stx_btime.tv_sec, want.stx_btime.tv_sec);
        CHECK_EQ(sx->stx_btime.tv_nsec, want.stx_btime.tv_nsec);
    }
}

// The number of an entry of this name, of which there is one.
static size_t find(const struct ioq_list *list, const char *name) {
    size_t found = list->count;
    for (size_t i = 0; i < list->count; ++i) {
        if (strcmp(list->ents[i].name, name) == 0) {
            CHECK_EQ(found, list->count);
            found = i;
        }
    }
    CHECK(found < list->count);
    return found;
}

// Compares a list with the directory that `fd`, which this closes, refers to.
static void check_list(const struct ioq_list *list, int fd, unsigned int flags) {
    DIR *dir = fdopendir(fd);
    CHECK(dir);
    bool sorted = flags & (IOQ_LIST_SORT_NAME | IOQ_LIST_SORT_INODE);
    size_t count = 0;
    for (struct dirent *de; (de = readdir(dir));) {
        if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0) {
            continue;
        }
        CHECK(count < list->count);
        const struct ioq_list_ent *ent = &list->ents[sorted ? find(list, de->d_name) : count];
        CHECK_EQ(strcmp(ent->name, de->d_name), 0);
        CHECK_EQ(ent->ino, de->d_ino);
        CHECK_EQ(ent->error, 0);
        CHECK(ent->type == de->d_type || de->d_type == DT_UNKNOWN);
        if (flags & IOQ_LIST_STAT) {
            check_stat(fd, ent);
        } else {
            CHECK(!ent->stat);
        }
        ++count;
    }
    CHECK_EQ(count, list->count);
    CHECK_EQ(list->error, 0);
    for (size_t i = 1; i < list->count; ++i) {
        const struct ioq_list_ent *before = &list->ents[i - 1], *ent = &list->ents[i];
        CHECK(!(flags & IOQ_LIST_SORT_NAME) || strcmp(before->name, ent->name) < 0);
        CHECK(!(flags & IOQ_LIST_SORT_INODE) || before->ino <= ent->ino);
    }
    if (flags & IOQ_LIST_FD) {
        struct stat want, have;
        CHECK_EQ(fcntl(list->fd, F_GETFD), FD_CLOEXEC);
        CHECK_EQ(fstat(list->fd, &have), 0);
        CHECK_EQ(fstat(fd, &want), 0);
        CHECK(have.st_dev == want.st_dev && have.st_ino == want.st_ino);
        CHECK_EQ(close(list->fd), 0);
    } else {
        CHECK_EQ(list->fd, -1);
    }
    closedir(dir);
}

static void check(struct ioq *ioq, int dfd, const char *path, unsigned int flags) {
    struct ioq_list *list;
    CHECK_EQ(list_by(ioq, dfd, path, flags, &list), 0);
    int fd = openat(dfd, path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0);
    check_list(list, fd, flags);
    ioq_list_free(list);
}

static const unsigned int all_flags[] = {
    0,
    IOQ_LIST_STAT,
    IOQ_LIST_SORT_NAME,
    IOQ_LIST_FD,
    IOQ_LIST_STAT | IOQ_LIST_FD,
    IOQ_LIST_STAT | IOQ_LIST_SORT_NAME,
    IOQ_LIST_STAT | IOQ_LIST_SORT_INODE,
    IOQ_LIST_STAT | IOQ_LIST_SORT_NAME | IOQ_LIST_NOFOLLOW | IOQ_LIST_FD,
};

static void every_type(struct ioq *ioq) {
    for (size_t i = 0; i < COUNT(all_flags); ++i) {
        check(ioq, root_fd, "types", all_flags[i]);
        check(ioq, root_fd, "names", all_flags[i]);
        check(ioq, root_fd, "empty", all_flags[i]);
        check(ioq, root_fd, ".", all_flags[i]);
        check(ioq, root_fd, "types/../empty", all_flags[i]);
        check(ioq, AT_FDCWD, root, all_flags[i]);
    }
    // An absolute path needs no dfd.
    check(ioq, -1, root, IOQ_LIST_STAT);
}

// Other file systems than the test's own. What is in these does not change meanwhile.
static void others(struct ioq *ioq) {
    check(ioq, AT_FDCWD, "/sys", IOQ_LIST_STAT);
    check(ioq, AT_FDCWD, "/sys/kernel", IOQ_LIST_STAT | IOQ_LIST_SORT_NAME);
    check(ioq, AT_FDCWD, "/", IOQ_LIST_SORT_NAME);
}

// The descriptor stays open, and where it is in the directory.
static void null_path(struct ioq *ioq) {
    for (size_t i = 0; i < COUNT(all_flags); ++i) {
        int fd = openat(root_fd, "types", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(fd >= 0);
        char buf[128];
        CHECK(syscall(SYS_getdents64, fd, buf, sizeof(buf)) > 0);
        off_t position = lseek(fd, 0, SEEK_CUR);
        check(ioq, fd, NULL, all_flags[i]);
        CHECK_EQ(lseek(fd, 0, SEEK_CUR), position);
        CHECK_EQ(close(fd), 0);
    }
    check(ioq, AT_FDCWD, NULL, 0);
}

static void links(struct ioq *ioq) {
    struct ioq_list *list;
    check(ioq, root_fd, "link", IOQ_LIST_STAT);
    check(ioq, root_fd, "link/", IOQ_LIST_STAT | IOQ_LIST_NOFOLLOW);
    check(ioq, root_fd, "types", IOQ_LIST_NOFOLLOW);
    check(ioq, root_fd, "link/../types", IOQ_LIST_NOFOLLOW);
    CHECK_EQ(list_by(ioq, root_fd, "link", IOQ_LIST_NOFOLLOW, &list), -ENOTDIR);
    CHECK_EQ(list_by(ioq, root_fd, "link", IOQ_LIST_NOFOLLOW | IOQ_LIST_STAT, &list), -ENOTDIR);
    CHECK_EQ(list_by(ioq, root_fd, "types/broken", IOQ_LIST_NOFOLLOW, &list), -ENOTDIR);
    CHECK_EQ(list_by(ioq, root_fd, "types/broken", 0, &list), -ENOENT);
}

// A directory without a name ends at once.
static void removed(struct ioq *ioq) {
    CHECK_EQ(mkdirat(root_fd, "removed", 0755), 0);
    int fd = openat(root_fd, "removed", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(unlinkat(root_fd, "removed", AT_REMOVEDIR), 0);
    struct ioq_list *list;
    CHECK_EQ(list_by(ioq, fd, NULL, IOQ_LIST_STAT, &list), 0);
    CHECK_EQ(list->count, 0);
    CHECK_EQ(list->error, 0);
    ioq_list_free(list);
    CHECK_EQ(close(fd), 0);
}

static void expect(struct ioq *ioq, int dfd, const char *path, int error) {
    for (size_t i = 0; i < COUNT(all_flags); ++i) {
        struct ioq_list *list;
        CHECK_EQ(list_by(ioq, dfd, path, all_flags[i], &list), -error);
    }
}

static void errors(struct ioq *ioq) {
    expect(ioq, root_fd, "missing", ENOENT);
    expect(ioq, root_fd, "", ENOENT);
    expect(ioq, root_fd, "missing/x", ENOENT);
    expect(ioq, root_fd, "types/file", ENOTDIR);
    expect(ioq, root_fd, "types/file/x", ENOTDIR);
    expect(ioq, root_fd, "types/fifo", ENOTDIR);
    expect(ioq, -1, "types", EBADF);
    expect(ioq, -1, NULL, EBADF);
    expect(ioq, INT_MAX, NULL, EBADF);

    int file = openat(root_fd, "types/file", O_RDONLY | O_CLOEXEC);
    expect(ioq, file, NULL, ENOTDIR);
    CHECK_EQ(close(file), 0);

    char name[NAME_MAX + 2];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    expect(ioq, root_fd, name, ENAMETOOLONG);
}

// Where a directory may be read but not searched, each stat fails. Types and numbers are known all the same.
static void denied(struct ioq *ioq) {
    expect(ioq, root_fd, "locked", EACCES);
    expect(ioq, root_fd, "locked/x", EACCES);

    struct ioq_list *list;
    CHECK_EQ(list_by(ioq, root_fd, "unsearchable", IOQ_LIST_STAT, &list), 0);
    CHECK_EQ(list->count, 3);
    for (size_t i = 0; i < list->count; ++i) {
        CHECK_EQ(list->ents[i].error, EACCES);
        CHECK(!list->ents[i].stat);
        CHECK(list->ents[i].type == DT_REG || list->ents[i].type == DT_UNKNOWN);
        CHECK(list->ents[i].ino);
    }
    ioq_list_free(list);
    CHECK_EQ(list_by(ioq, root_fd, "unsearchable", 0, &list), 0);
    CHECK_EQ(list->count, 3);
    ioq_list_free(list);
}

static void as_nobody(void) {
    become_nobody();
    RUN_EACH_WAY(denied);
}

static void arguments(struct ioq *ioq) {
    struct ioq_list *list = (struct ioq_list *)root;
    CHECK_ERRNO(ioq_list(NULL, root_fd, "types", 0, MASK, &list, NULL), EINVAL);
    CHECK_ERRNO(ioq_list(ioq, root_fd, "types", 0, MASK, NULL, NULL), EINVAL);
    CHECK_ERRNO(ioq_list(ioq, root_fd, "types", IOQ_LIST_SELF << 1, MASK, &list, NULL), EINVAL);
    CHECK_ERRNO(ioq_list(ioq, root_fd, NULL, IOQ_LIST_PART | IOQ_LIST_FD, MASK, &list, NULL), EINVAL);
    CHECK_ERRNO(ioq_list(ioq, root_fd, "types", 1U << 31, MASK, &list, NULL), EINVAL);
    CHECK_ERRNO(ioq_list(ioq, root_fd, "types", IOQ_LIST_SORT_NAME | IOQ_LIST_SORT_INODE, MASK, &list, NULL), EINVAL);
    CHECK_ERRNO(ioq_list(ioq, root_fd, "types", IOQ_LIST_STAT, 1U << 31, &list, NULL), EINVAL);
    CHECK(!list);
    ioq_list_free(NULL);
}

// What is asked for is what is filled, or more of it.
static void masks(struct ioq *ioq) {
    static const unsigned int some[] = {0, STATX_TYPE, STATX_SIZE, STATX_BASIC_STATS};
    for (size_t i = 0; i < COUNT(some); ++i) {
        struct ioq_list *list;
        CHECK_EQ(ioq_list(ioq, root_fd, "types", IOQ_LIST_STAT, some[i], &list, &list), 0);
        CHECK_EQ(take(ioq, IOQ_LIST, &list), 0);
        for (size_t j = 0; j < list->count; ++j) {
            CHECK(list->ents[j].stat);
            CHECK_EQ(list->ents[j].stat->stx_mask & some[i], some[i]);
        }
        ioq_list_free(list);
    }
}

// So many names that it takes several reads to find them all. Each has its number.
static void check_many(struct ioq *ioq, unsigned int flags, size_t total) {
    struct ioq_list *list;
    CHECK_EQ(list_by(ioq, root_fd, "many", flags, &list), 0);
    CHECK_EQ(list->count, total);
    bool *seen = calloc(total, sizeof(*seen));
    CHECK(seen);
    for (size_t i = 0; i < total; ++i) {
        const struct ioq_list_ent *ent = &list->ents[i];
        size_t number = strtoul(ent->name, NULL, 10);
        CHECK(number < total && !seen[number]);
        seen[number] = true;
        CHECK(!(flags & IOQ_LIST_SORT_NAME) || number == i);
        CHECK(!(flags & IOQ_LIST_SORT_INODE) || i == 0 || ent[-1].ino <= ent->ino);
        CHECK_EQ(ent->error, 0);
        CHECK_EQ(ent->stat != NULL, flags & IOQ_LIST_STAT);
        if (ent->stat) {
            CHECK_EQ(ent->stat->stx_ino, ent->ino);
        }
    }
    free(seen);
    ioq_list_free(list);
}

static size_t many_total;

// Part by part, each entry comes once, whatever comes with the first part.
static void check_parts(struct ioq *ioq, unsigned int flags) {
    bool *seen = calloc(many_total, sizeof(*seen));
    CHECK(seen);
    struct ioq_list *list;
    CHECK_EQ(list_by(ioq, root_fd, "many", flags | IOQ_LIST_PART | IOQ_LIST_FD, &list), 0);
    int fd = list->fd;
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    size_t parts = 1, count = 0;
    while (true) {
        CHECK_EQ(list->error, 0);
        CHECK_EQ(list->stat != NULL, (flags & IOQ_LIST_SELF) != 0);
        for (size_t i = 0; i < list->count; ++i) {
            const struct ioq_list_ent *ent = &list->ents[i];
            size_t number = strtoul(ent->name, NULL, 10);
            CHECK(number < many_total && !seen[number]);
            seen[number] = true;
            CHECK_EQ(ent->stat != NULL, flags & IOQ_LIST_STAT);
            CHECK(!(flags & IOQ_LIST_SORT_NAME) || i == 0 || strcmp(ent[-1].name, ent->name) < 0);
        }
        count += list->count;
        bool more = list->more;
        ioq_list_free(list);
        if (!more) {
            break;
        }
        CHECK_EQ(list_by(ioq, fd, NULL, flags | IOQ_LIST_PART, &list), 0);
        CHECK_EQ(list->fd, -1);
        ++parts;
    }
    CHECK_EQ(count, many_total);
    CHECK(parts > 1 || many_total < 10000);
    // The descriptor is at its end, and open.
    CHECK_EQ(list_by(ioq, fd, NULL, flags | IOQ_LIST_PART, &list), 0);
    CHECK(list->count == 0 && !list->more);
    ioq_list_free(list);
    CHECK_EQ(close(fd), 0);
    free(seen);
}

static void parts(struct ioq *ioq) {
    check_parts(ioq, 0);
    check_parts(ioq, IOQ_LIST_STAT | IOQ_LIST_SELF);
    check_parts(ioq, IOQ_LIST_SORT_NAME);
    struct ioq_list *list;
    CHECK_EQ(list_by(ioq, -1, NULL, IOQ_LIST_PART, &list), -EBADF);
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(list_by(ioq, ends[0], NULL, IOQ_LIST_PART, &list), -ENOTDIR);
    close(ends[0]);
    close(ends[1]);
    CHECK_EQ(list_by(ioq, root_fd, "empty", IOQ_LIST_PART, &list), 0);
    CHECK(list->count == 0 && !list->more && list->fd == -1);
    ioq_list_free(list);
}

// The directory's own stat is that of what was opened.
static void self(struct ioq *ioq) {
    static const char *const paths[] = {"types", "link", "empty", "types/sub", NULL};
    for (size_t i = 0; i < COUNT(paths); ++i) {
        struct ioq_list *list;
        CHECK_EQ(list_by(ioq, root_fd, paths[i], IOQ_LIST_SELF, &list), 0);
        struct stat sb;
        CHECK_EQ(fstatat(root_fd, paths[i] ? paths[i] : ".", &sb, 0), 0);
        CHECK(list->stat);
        CHECK_EQ(list->stat->stx_ino, sb.st_ino);
        CHECK_EQ(makedev(list->stat->stx_dev_major, list->stat->stx_dev_minor), sb.st_dev);
        CHECK_EQ(list->stat->stx_mode, sb.st_mode);
        CHECK_EQ(list->stat->stx_size, sb.st_size);
        ioq_list_free(list);
        CHECK_EQ(list_by(ioq, root_fd, paths[i], IOQ_LIST_STAT, &list), 0);
        CHECK(!list->stat && !list->more);
        ioq_list_free(list);
    }
}

static void many(struct ioq *ioq) {
    check_many(ioq, IOQ_LIST_STAT, many_total);
    check_many(ioq, IOQ_LIST_SORT_NAME, many_total);
    check_many(ioq, IOQ_LIST_STAT | IOQ_LIST_SORT_NAME, many_total);
    check_many(ioq, IOQ_LIST_STAT | IOQ_LIST_SORT_INODE, many_total);
}

static void make_many(void) {
    many_total = wrapped() ? 2000 : 20000;
    CHECK_EQ(mkdirat(root_fd, "many", 0755), 0);
    int fd = openat(root_fd, "many", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_file(fd, "000000", 0);
    for (size_t i = 1; i < many_total; ++i) {
        char name[32];
        snprintf(name, sizeof(name), "%06zu", i);
        // Links are made quicker than files, and some file systems allow only so many.
        if (i % 100 == 0) {
            make_file(fd, name, 0);
        } else {
            char old[32];
            snprintf(old, sizeof(old), "%06zu", i - i % 100);
            CHECK_EQ(linkat(fd, old, fd, name, 0), 0);
        }
    }
    CHECK_EQ(close(fd), 0);
}

// Where there is no memory for a list, nothing is left of it. With no worker, only this thread allocates.
static void out_of_memory(void) {
    struct ioq *ioq = create(1, 0);
    struct ioq_list *list;
    struct rlimit before;
    CHECK_EQ(getrlimit(RLIMIT_AS, &before), 0);
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file);
    unsigned long pages;
    CHECK_EQ(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    struct rlimit limit = {pages * (rlim_t)sysconf(_SC_PAGESIZE) + (1 << 20), before.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    CHECK_EQ(list_by(ioq, root_fd, "many", IOQ_LIST_STAT | IOQ_LIST_FD, &list), -ENOMEM);
    CHECK(!list);
    CHECK_EQ(list_by(ioq, root_fd, "types", IOQ_LIST_STAT, &list), 0);
    ioq_list_free(list);
    CHECK_EQ(setrlimit(RLIMIT_AS, &before), 0);
    CHECK_EQ(list_by(ioq, root_fd, "many", IOQ_LIST_STAT, &list), 0);
    CHECK_EQ(list->count, many_total);
    ioq_list_free(list);
    ioq_destroy(ioq);
}

// Hundreds of lists through a queue that is always full.
static void crowd(void) {
    enum { DEPTH = 64, TOTAL = 600 };
    static struct ioq_list *lists[TOTAL];
    static const char *const paths[] = {"types", "empty", "names", "missing", "."};
    for (size_t nthreads = 0; nthreads <= 4; nthreads += 2) {
        struct ioq *ioq = create(DEPTH, nthreads);
        size_t submitted = 0, popped = 0, total = rounds(TOTAL);
        while (popped < total) {
            while (submitted < total && ioq_capacity(ioq) > 0) {
                const char *path = paths[submitted % COUNT(paths)];
                unsigned int flags = all_flags[submitted % COUNT(all_flags)] & ~(unsigned int)IOQ_LIST_FD;
                CHECK_EQ(ioq_list(ioq, root_fd, path, flags, MASK, &lists[submitted], NULL), 0);
                CHECK_EQ(ioq_capacity(ioq) + ++submitted - popped, DEPTH);
            }
            struct ioq_ent *ent = ioq_pop(ioq, true);
            CHECK(ent);
            if (strcmp(ent->list.path, "missing") == 0) {
                CHECK_EQ(ent->result, -ENOENT);
            } else {
                CHECK_EQ(ent->result, 0);
                if (popped % 10 == 0) {
                    int fd = openat(root_fd, ent->list.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                    check_list(*ent->list.list, fd, ent->list.flags);
                }
                ioq_list_free(*ent->list.list);
            }
            ioq_free(ioq, ent);
            ++popped;
        }
        CHECK(!ioq_pop(ioq, true));
        ioq_destroy(ioq);
    }
}

// However many lists there are, their directories are opened only so far ahead that descriptors are left.
static void few_descriptors(void) {
    // So many are opened, and as many read and not finished, and the threads have some in hand.
    enum { DEPTH = 1000, THREADS = 2, ENOUGH = 2 * 8 + 3 * THREADS + 2 * THREADS };
    static struct ioq_list *lists[DEPTH];
    struct rlimit before;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct ioq *ioq = create(DEPTH, THREADS);
    // One for whatever else the library does.
    struct rlimit limit = {open_fds() + ENOUGH + 1, before.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (size_t i = 0; i < DEPTH; ++i) {
        CHECK_EQ(ioq_list(ioq, root_fd, "types", i % 3 ? IOQ_LIST_STAT : 0, MASK, &lists[i], NULL), 0);
    }
    for (size_t i = 0; i < DEPTH; ++i) {
        struct ioq_ent *ent = ioq_pop(ioq, true);
        CHECK_EQ(ent->result, 0);
        ioq_list_free(*ent->list.list);
        ioq_free(ioq, ent);
    }
    ioq_destroy(ioq);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

// Nobody pops some of them, or any: their memory is freed, and their descriptors closed, as the caller of this checks.
static void destroyed(void) {
    enum { DEPTH = 16 };
    struct ioq_list *lists[DEPTH];
    for (size_t round = 0; round < rounds(100); ++round) {
        struct ioq *ioq = create(DEPTH, round % 4);
        for (size_t i = 0; i < DEPTH; ++i) {
            const char *path = i % 4 == 3 ? "missing" : "types";
            unsigned int flags = i % 2 ? IOQ_LIST_STAT | IOQ_LIST_FD : IOQ_LIST_STAT;
            CHECK_EQ(ioq_list(ioq, root_fd, path, flags, MASK, &lists[i], NULL), 0);
        }
        for (size_t i = 0; i < round % 8; ++i) {
            struct ioq_ent *ent = ioq_pop(ioq, true);
            if (ent->result == 0) {
                struct ioq_list *list = *ent->list.list;
                CHECK(list->fd < 0 || close(list->fd) == 0);
                ioq_list_free(list);
            }
            ioq_free(ioq, ent);
        }
        if (round % 3 == 0) {
            ioq_submit(ioq);
        }
        ioq_destroy(ioq);
        for (size_t i = 0; round % 8 == 0 && i < DEPTH; ++i) {
            CHECK(!lists[i]);
        }
    }
}

static void cancelled(void) {
    enum { DEPTH = 16 };
    struct ioq_list *lists[DEPTH];
    for (size_t round = 0; round < rounds(100); ++round) {
        struct ioq *ioq = create(DEPTH, round % 4);
        for (size_t i = 0; i < DEPTH; ++i) {
            CHECK_EQ(ioq_list(ioq, root_fd, "names", IOQ_LIST_STAT | IOQ_LIST_FD, MASK, &lists[i], &lists[i]), 0);
        }
        if (round % 2) {
            ioq_submit(ioq);
        }
        ioq_cancel(ioq);
        struct ioq_list *list = (struct ioq_list *)root;
        CHECK_ERRNO(ioq_list(ioq, root_fd, "types", 0, MASK, &list, NULL), EINTR);
        CHECK(!list);
        size_t count = 0;
        for (struct ioq_ent *ent; (ent = ioq_pop(ioq, true)); ++count) {
            CHECK(ent->result == 0 || ent->result == -EINTR);
            CHECK_EQ(ent->result == 0, *ent->list.list != NULL);
            if (ent->result == 0) {
                int fd = openat(root_fd, "names", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                check_list(*ent->list.list, fd, ent->list.flags);
                ioq_list_free(*ent->list.list);
            }
            ioq_free(ioq, ent);
        }
        CHECK_EQ(count, DEPTH);
        ioq_destroy(ioq);
    }
}

static void *free_list(void *list) {
    ioq_list_free(list);
    return NULL;
}

// A list outlives its queue, and any thread may free it.
static void outlives(void) {
    struct ioq *ioq = create(1, 1);
    struct ioq_list *list;
    CHECK_EQ(list_by(ioq, root_fd, "types", IOQ_LIST_STAT, &list), 0);
    ioq_destroy(ioq);
    check_list(list, openat(root_fd, "types", O_RDONLY | O_DIRECTORY | O_CLOEXEC), IOQ_LIST_STAT);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, free_list, list), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

// A socket's path is short; the tree's may not be.
static void make_socket(void) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/types/socket", root_fd);
    CHECK_EQ(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_EQ(close(fd), 0);
}

static void make_types(void) {
    CHECK_EQ(mkdirat(root_fd, "types", 0755), 0);
    make_file(root_fd, "types/file", 4321);
    make_socket();
    CHECK_EQ(linkat(root_fd, "types/file", root_fd, "types/hard-link", 0), 0);
    CHECK_EQ(mkdirat(root_fd, "types/sub", 0750), 0);
    make_file(root_fd, "types/sub/file", 1);
    CHECK_EQ(mkfifoat(root_fd, "types/fifo", 0600), 0);
    CHECK_EQ(symlinkat("file", root_fd, "types/link"), 0);
    CHECK_EQ(symlinkat("sub", root_fd, "types/link-to-sub"), 0);
    CHECK_EQ(symlinkat("missing", root_fd, "types/broken"), 0);
    // Not everybody may make these.
    if (mknodat(root_fd, "types/character", S_IFCHR | 0600, makedev(1, 3)) == 0) {
        CHECK_EQ(mknodat(root_fd, "types/block", S_IFBLK | 0600, makedev(7, 0)), 0);
    }
}

static void make_names(void) {
    static const char *const names[] = {"a", "A", "aa", "\xff\xfe", "\x01", "-", " ", "new\nline", "...", ".hidden", "..a"};
    CHECK_EQ(mkdirat(root_fd, "names", 0755), 0);
    int fd = openat(root_fd, "names", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < COUNT(names); ++i) {
        make_file(fd, names[i], i);
    }
    for (char c = 'a'; c <= 'z'; ++c) {
        char name[NAME_MAX + 1];
        memset(name, c, NAME_MAX);
        name[NAME_MAX] = '\0';
        make_file(fd, name, 0);
    }
    CHECK_EQ(close(fd), 0);
}

int main(void) {
    root_fd = temp_dir(root);
    make_types();
    make_names();
    CHECK_EQ(mkdirat(root_fd, "empty", 0755), 0);
    CHECK_EQ(mkdirat(root_fd, "locked", 0), 0);
    CHECK_EQ(mkdirat(root_fd, "unsearchable", 0755), 0);
    make_file(root_fd, "unsearchable/a", 0);
    make_file(root_fd, "unsearchable/b", 0);
    make_file(root_fd, "unsearchable/c", 0);
    CHECK_EQ(fchmodat(root_fd, "unsearchable", 0444, 0), 0);
    CHECK_EQ(symlinkat("types", root_fd, "link"), 0);
    make_many();

    // First: threads leave memory behind that the limit is not about.
    if (!wrapped()) {
        RUN(out_of_memory);
    }
    RUN_EACH_WAY(every_type);
    RUN_EACH_WAY(others);
    RUN_EACH_WAY(null_path);
    RUN_EACH_WAY(links);
    RUN_EACH_WAY(removed);
    RUN_EACH_WAY(errors);
    RUN_EACH_WAY(arguments);
    RUN_EACH_WAY(masks);
    RUN(crowd);
    RUN(few_descriptors);
    RUN(destroyed);
    RUN(cancelled);
    RUN(outlives);
    CHECK_EQ(in_child(as_nobody), 0);
    RUN_EACH_WAY(many);
    RUN_EACH_WAY(parts);
    RUN_EACH_WAY(self);
    CHECK_EQ(fchmodat(root_fd, "unsearchable", 0755, 0), 0);
    remove_temp_dir(root, root_fd);
    return 0;
}
