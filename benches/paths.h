// The list of files that the lstat programs go through, as often as they can in a given time: paths from a file, each
// ended by a null byte.

#ifndef PATHS_H
#define PATHS_H

#include "bench.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { LSTAT_DEPTH = 1024 }; // requests in flight

struct paths {
	const char **path;
	size_t count, next;
};

static inline struct paths read_paths(const char *file)
{
	struct stat stat;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &stat) != 0) {
		die(file);
	}
	size_t size = (size_t)stat.st_size;
	const char *text = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (text == MAP_FAILED) {
		die(file);
	}
	close(fd);

	struct paths paths = {.count = 0};
	for (const char *c = text; (c = memchr(c, 0, (size_t)(text + size - c))); ++c) {
		++paths.count;
	}
	paths.path = check_alloc(calloc(paths.count + 1, sizeof(*paths.path)));
	for (size_t i = 0; i < paths.count; ++i) {
		paths.path[i] = text;
		text += strlen(text) + 1;
	}
	if (paths.count == 0) {
		fprintf(stderr, "%s: no files\n", file);
		exit(EXIT_FAILURE);
	}
	return paths;
}

/** The next path, and after the last one the first one again. */
static inline const char *next_path(struct paths *paths)
{
	const char *path = paths->path[paths->next];
	if (++paths->next == paths->count) {
		paths->next = 0;
	}
	return path;
}

/** Print the figures of a run. Files may have gone since they were listed, but not many. */
static inline void lstat_figures(size_t count, size_t failed, struct span span)
{
	if (failed > count / 100) {
		fprintf(stderr, "%zu of %zu files are not there\n", failed, count);
		exit(EXIT_FAILURE);
	}
	figure("throughput", 1e6 * (double)count / (double)span.wall, "k/s");
	figure("cpu", (double)span.cpu / 1e3 / (double)count, "us");
}

#endif // PATHS_H
