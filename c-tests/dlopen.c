// The library loaded at run time and kept private, as a plug-in or another language's bindings would: nothing of it is
// visible to the program, and it still finds its own functions.

#include "test.h"

#include <dlfcn.h>
#include <ioq/dir.h>
#include <ioq/stat.h>

static void *library;

// The address of a function as one of any type.
static void find(void *function, const char *name) {
    void *symbol = dlsym(library, name);
    CHECK(symbol);
    memcpy(function, &symbol, sizeof(symbol));
}

#define FIND(name) find(&name, #name)

static void standalone(void) {
    struct ioq *(*ioq_create)(size_t, size_t);
    int (*ioq_opendir)(struct ioq *, struct bfs_dir *, int, const char *, unsigned int, void *);
    int (*ioq_closedir)(struct ioq *, struct bfs_dir *, void *);
    int (*ioq_stat)(struct ioq *, int, const char *, unsigned int, struct bfs_stat *, void *);
    struct ioq_ent *(*ioq_pop)(struct ioq *, bool);
    void (*ioq_free)(struct ioq *, struct ioq_ent *);
    void (*ioq_destroy)(struct ioq *);
    struct bfs_dir *(*bfs_allocdir)(void);
    int (*bfs_readdir)(struct bfs_dir *, struct bfs_dirent *);
    FIND(ioq_create);
    FIND(ioq_opendir);
    FIND(ioq_closedir);
    FIND(ioq_stat);
    FIND(ioq_pop);
    FIND(ioq_free);
    FIND(ioq_destroy);
    FIND(bfs_allocdir);
    FIND(bfs_readdir);

    struct ioq *ioq = ioq_create(16, 2);
    if (!ioq && backend_is("uring") && ring_errno() != 0) {
        skip("IOQ_BACKEND=uring, and no io_uring to be had here");
    }
    CHECK(ioq);
    struct bfs_dir *dir = bfs_allocdir();
    struct bfs_stat buf = {.ino = 0};
    struct stat sb;
    CHECK(dir);
    CHECK_EQ(stat("/", &sb), 0);
    for (int i = 0; i < 50; ++i) {
        bool block = i % 2;
        struct ioq_ent *ent;
        CHECK_EQ(ioq_opendir(ioq, dir, AT_FDCWD, "/", 0, dir), 0);
        CHECK_EQ(ioq_stat(ioq, AT_FDCWD, "/", 0, &buf, &buf), 0);
        for (int j = 0; j < 2; ++j) {
            while (!(ent = ioq_pop(ioq, block))) {
                CHECK(!block);
            }
            CHECK_EQ(ent->result, 0);
            ioq_free(ioq, ent);
        }
        CHECK_EQ(buf.ino, sb.st_ino);
        CHECK_EQ(bfs_readdir(dir, NULL), 1);
        CHECK_EQ(ioq_closedir(ioq, dir, dir), 0);
        while (!(ent = ioq_pop(ioq, block))) {
            CHECK(!block);
        }
        CHECK_EQ(ent->result, 0);
        ioq_free(ioq, ent);
    }
    ioq_destroy(ioq);
    free(dir);
}

static void load(void) {
    library = dlopen("libioq.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        _exit(1);
    }
}

static size_t mappings(void) {
    FILE *file = fopen("/proc/self/maps", "r");
    CHECK(file);
    size_t count = 0;
    for (int c; (c = getc(file)) != EOF;) {
        count += c == '\n';
    }
    fclose(file);
    return count;
}

// A queue that is destroyed leaves nothing behind that would need the library's code, or keep its memory.
static void unloaded(void) {
    size_t before = 0;
    for (size_t i = 0; i < rounds(100); ++i) {
        load();
        standalone();
        CHECK_EQ(dlclose(library), 0);
        if (i == 4) {
            before = mappings();
        }
    }
    CHECK(wrapped() || mappings() <= before + 8); // as many as the C library's own heaps may take
}

int main(void) {
    load();
    CHECK(!dlsym(RTLD_DEFAULT, "ioq_create"));
    CHECK(!dlsym(RTLD_DEFAULT, "bfs_opendir"));
    RUN(standalone);
    CHECK_EQ(dlclose(library), 0);
    RUN(unloaded);
    return 0;
}
