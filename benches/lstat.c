// A flood of lstats of real files through the queue.
//
// lstat PATHS WORKERS

#include "paths.h"
#include "queue.h"

#include <ioq/stat.h>

static struct bfs_stat bufs[LSTAT_DEPTH];

int main(int argc, char *argv[])
{
	alarm(WATCHDOG);
	if (argc != 3) {
		usage("lstat PATHS WORKERS");
	}
	struct paths paths = read_paths(argv[1]);
	struct ioq *ioq = new_queue(LSTAT_DEPTH, number(argv[2]));
	fill_and_drain(ioq, IOQ_NOP_LIGHT);

	// The buffers that no request has
	struct bfs_stat *spare[LSTAT_DEPTH];
	size_t nspare = 0;
	while (nspare < LSTAT_DEPTH) {
		spare[nspare] = &bufs[nspare];
		++nspare;
	}

	struct span start = start_span();
	size_t pushed = 0, popped = 0, failed = 0;
	while (popped < paths.count) {
		while (nspare > 0 && pushed < paths.count) {
			for (int i = 0; i < PUSH_BATCH && nspare > 0 && pushed < paths.count; ++i) {
				struct bfs_stat *buf = spare[--nspare];
				if (ioq_stat(ioq, AT_FDCWD, paths.path[pushed++], BFS_STAT_NOFOLLOW, buf, buf) != 0) {
					die("ioq_stat()");
				}
			}
			ioq_submit(ioq);
		}
		struct ioq_ent *ent;
		for (int i = 0; i < POP_BATCH && (ent = ioq_pop(ioq, i == 0)); ++i) {
			spare[nspare++] = ent->ptr;
			failed += ent->result < 0;
			ioq_free(ioq, ent);
			++popped;
		}
	}
	struct span span = end_span(start);

	ioq_destroy(ioq);
	lstat_figures(&paths, failed, span);
	return EXIT_SUCCESS;
}
