// The same lstats as in lstat.c by plain system calls, each thread with its part of the list: the limit of the machine.
//
// lstat-plain PATHS THREADS

#include "paths.h"

#include <pthread.h>

enum { MAX_THREADS = 1024 };

struct part {
	pthread_t thread;
	const char **first, **last;
	size_t failed;
};

static void *stat_part(void *ptr)
{
	struct part *part = ptr;
	// What a queue asks for
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
	unsigned int mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID;
	struct statx buf;
	for (const char **path = part->first; path < part->last; ++path) {
		part->failed += statx(AT_FDCWD, *path, flags, mask, &buf) != 0;
	}
	return NULL;
}

int main(int argc, char *argv[])
{
	alarm(WATCHDOG);
	size_t threads = argc == 3 ? number(argv[2]) : 0;
	if (threads < 1 || threads > MAX_THREADS) {
		usage("lstat-plain PATHS THREADS");
	}
	struct paths paths = read_paths(argv[1]);
	static struct part parts[MAX_THREADS];

	struct span start = start_span();
	for (size_t i = 0; i < threads; ++i) {
		parts[i].first = paths.path + paths.count * i / threads;
		parts[i].last = paths.path + paths.count * (i + 1) / threads;
		errno = pthread_create(&parts[i].thread, NULL, stat_part, &parts[i]);
		if (errno) {
			die("pthread_create()");
		}
	}
	size_t failed = 0;
	for (size_t i = 0; i < threads; ++i) {
		pthread_join(parts[i].thread, NULL);
		failed += parts[i].failed;
	}
	struct span span = end_span(start);

	lstat_figures(&paths, failed, span);
	return EXIT_SUCCESS;
}
