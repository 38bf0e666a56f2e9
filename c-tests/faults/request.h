// Requests of every kind, and what must come of each.

#ifndef REQUEST_H
#define REQUEST_H

#include "../test.h"

#include "inject.h"
#include <ioq/dir.h>
#include <ioq/stat.h>
#include <stdatomic.h>

struct request {
    enum ioq_op op;
    enum { UNUSED, SUBMITTED, POPPED } state;
    // The result if nothing fails.
    int result;
    ino_t ino;
    // The descriptor that it is about: to be closed, or of the directory, or to be adopted, or to be asked about; or -1.
    int fd;
    struct bfs_dir *dir;
    // Its own copy, so that the log of calls tells which request a call was for.
    const char *path;
    char name[32];
    // What else it is about: the second name of a change.
    char other[32];
    int flags;
    // Whether it was cancelled by itself.
    bool cancelled;
    // Where the log ended before it was submitted.
    size_t mark;
    struct bfs_stat buf;
    struct statx sx;
    // Of a link or an attribute.
    char value[16];
    struct ioq_list *list;
    // How often its function was called.
    atomic_int calls;
};

// The tree that the requests are about: directories from "dir-0" on with files in them, and how many names are beside those.
enum { TREE_DIRS = 3, TREE_NAMES = TREE_DIRS + 2 };
void make_tree(void);
void remove_tree(void);
const char *tree_path(void);
size_t tree_names(size_t dir);

// Submits the i-th kind of request. Returns false if the library has no memory for that; then nothing is left of it.
bool submit_any(struct ioq *ioq, struct request *req, size_t i);
bool submit_stat(struct ioq *ioq, struct request *req, size_t i);
bool submit_closedir(struct ioq *ioq, struct request *req, struct bfs_dir *dir);

// Submits the i-th kind of those requests that bfs does not know.
bool submit_own(struct ioq *ioq, struct request *req, size_t i);

// Submits the i-th kind of those that change names and what is known of files, or ask about files in ways of their own.
bool submit_change(struct ioq *ioq, struct request *req, size_t i);

// Checks a response, in a queue that was perhaps cancelled. Where a request failed, the fault must be one that was injected into a call for it. Returns the
// directory if one is open now.
struct bfs_dir *check_response(struct request *req, const struct ioq_ent *ent, bool queue_cancelled);

// Lets go of what is the caller's of a request that was submitted, and whose queue is destroyed.
void abandon_request(struct request *req);

// Closes a directory and lets go of it.
void drop_dir(struct bfs_dir *dir);

#endif // REQUEST_H
