// A flood of lstats of real files through the queue.
//
// lstat PATHS WORKERS MS

#include "paths.h"
#include "queue.h"

#include <ioq/stat.h>

static struct bfs_stat bufs[LSTAT_DEPTH];

int main(int argc, char *argv[])
{
	alarm(WATCHDOG);
	if (argc != 4) {
		usage("lstat PATHS WORKERS MS");
	}
	struct paths paths = read_paths(argv[1]);
	int64_t duration = (int64_t)number(argv[3]) * 1000000;
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
	size_t count = 0, failed = 0;
	while (now() - start.wall < duration) {
		while (nspare > 0) {
			for (int i = 0; i < PUSH_BATCH && nspare > 0; ++i) {
				struct bfs_stat *buf = spare[--nspare];
				if (ioq_stat(ioq, AT_FDCWD, next_path(&paths), BFS_STAT_NOFOLLOW, buf, buf) != 0) {
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
			++count;
		}
	}
	struct span span = end_span(start);

	ioq_destroy(ioq);
	lstat_figures(count, failed, span);
	return EXIT_SUCCESS;
}
