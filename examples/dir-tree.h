/**
 * The directories that a walk has found and not finished, each with its parent and what was counted in it, and the
 * paths that lead to them. Nothing here knows of the queue.
 */

#ifndef DIR_TREE_H
#define DIR_TREE_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

struct totals {
	uintmax_t blocks; // of 512 bytes
	uintmax_t bytes;
	uintmax_t files;
	uintmax_t dirs;
};

static inline void add_totals(struct totals *to, const struct totals *t)
{
	to->blocks += t->blocks;
	to->bytes += t->bytes;
	to->files += t->files;
	to->dirs += t->dirs;
}

struct dir {
	struct dir *parent; // NULL at the top
	struct dir *next; // in a stack: pending, or reading
	struct dir *older, *newer; // in a list: idle
	bool idle;
	bool eof; // read to its end
	struct bfs_dir *handle; // NULL while it is not open
	size_t busy; // requests in flight that use its file descriptor
	size_t waiting; // subdirectories that are pending
	size_t unfinished; // subdirectories that are not finished
	dev_t dev;
	ino_t ino;
	uint64_t mnt_id;
	struct totals totals; // of itself, and of everything below it that was counted so far
	char name[];
};

/** Returns NULL if there is no memory. */
static inline struct dir *new_dir(struct dir *parent, const char *name)
{
	size_t size = strlen(name) + 1;
	struct dir *dir = malloc(sizeof(*dir) + size);
	if (dir) {
		*dir = (struct dir){.parent = parent};
		memcpy(dir->name, name, size);
	}
	return dir;
}

/** The idle directories, in the order in which they came to be idle. All zeroes is the empty list. */
struct idle_list {
	struct dir *oldest, *newest;
	size_t count;
};

static inline void add_idle(struct idle_list *list, struct dir *dir)
{
	dir->idle = true;
	dir->newer = NULL;
	dir->older = list->newest;
	*(dir->older ? &dir->older->newer : &list->oldest) = dir;
	list->newest = dir;
	++list->count;
}

/** Does nothing if the directory is not idle. */
static inline void remove_idle(struct idle_list *list, struct dir *dir)
{
	if (dir->idle) {
		dir->idle = false;
		*(dir->older ? &dir->older->newer : &list->oldest) = dir->newer;
		*(dir->newer ? &dir->newer->older : &list->newest) = dir->older;
		--list->count;
	}
}

/** Room for a path, of which there is one at a time. All zeroes is none yet. */
struct path_buf {
	char *buf;
	size_t size;
};

/** The path of `name` in `dir`, relative to `base`: `dir` itself or an ancestor. Returns NULL if there is no memory. */
static inline char *path_from(struct path_buf *buf, const struct dir *base, const struct dir *dir, const char *name)
{
	size_t size = strlen(name) + 1;
	for (const struct dir *d = dir; d != base; d = d->parent) {
		size += strlen(d->name) + 1;
	}
	if (size > buf->size) {
		free(buf->buf);
		buf->buf = malloc(2 * size);
		buf->size = buf->buf ? 2 * size : 0;
		if (!buf->buf) {
			return NULL;
		}
	}

	// Backwards, from the name up
	char *path = buf->buf + buf->size;
	*--path = '\0';
	while (true) {
		size_t len = strlen(name);
		path -= len;
		memcpy(path, name, len);
		if (dir == base) {
			return path;
		}
		name = dir->name;
		dir = dir->parent;
		if (name[strlen(name) - 1] != '/') { // as the name at the top may
			*--path = '/';
		}
	}
}

/** Open a directory whose path may be of any length: in steps, for which it is cut up in place. */
static inline int open_path(int base, char *path)
{
	int fd = base;
	while (true) {
		char *rest = NULL;
		if (strlen(path) >= PATH_MAX) {
			rest = path + PATH_MAX - 1;
			while (rest > path && *rest != '/') {
				--rest;
			}
			*rest = '\0';
			while (*++rest == '/') {
			}
		}

		int next = openat(fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		int error = errno;
		if (fd != base) {
			close(fd);
		}
		if (next < 0 || !rest) {
			errno = error;
			return next;
		}
		fd = next;
		path = rest;
	}
}

#endif // DIR_TREE_H
