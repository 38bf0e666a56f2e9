// The same lstats as in lstat.c by plain system calls, each thread with its part of the list: what calls can do.
//
// lstat-plain PATHS THREADS MS

#include "paths.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>

enum { MAX_THREADS = 1024 };

/** What a thread does. It goes on until the process ends. */
struct part {
	alignas(64) struct paths paths;
	atomic_size_t count, failed;
};

static void *stat_part(void *ptr)
{
	struct part *part = ptr;
	// What a queue asks for
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
	unsigned int mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID;
	struct statx buf;
	for (size_t count = 1, failed = 0;; ++count) {
		failed += statx(AT_FDCWD, next_path(&part->paths), flags, mask, &buf) != 0;
		atomic_store_explicit(&part->count, count, memory_order_relaxed);
		atomic_store_explicit(&part->failed, failed, memory_order_relaxed);
	}
	return NULL;
}

int main(int argc, char *argv[])
{
	alarm(WATCHDOG);
	size_t threads = argc == 4 ? number(argv[2]) : 0;
	if (threads < 1 || threads > MAX_THREADS) {
		usage("lstat-plain PATHS THREADS MS");
	}
	struct paths paths = read_paths(argv[1]);
	static struct part parts[MAX_THREADS];

	struct span start = start_span();
	for (size_t i = 0; i < threads; ++i) {
		// A thread begins at its part, and does not come to the next one's unless it is much quicker.
		parts[i].paths = paths;
		parts[i].paths.next = paths.count * i / threads;
		pthread_t thread;
		errno = pthread_create(&thread, NULL, stat_part, &parts[i]);
		if (errno) {
			die("pthread_create()");
		}
	}
	pause_us((int64_t)number(argv[3]) * 1000);
	size_t count = 0, failed = 0;
	for (size_t i = 0; i < threads; ++i) {
		count += atomic_load_explicit(&parts[i].count, memory_order_relaxed);
		failed += atomic_load_explicit(&parts[i].failed, memory_order_relaxed);
	}
	struct span span = end_span(start);

	lstat_figures(count, failed, span);
	return EXIT_SUCCESS;
}
