// What a queue costs that has little to do: its start and end, the memory that it keeps, its processor time when idle.
//
// life cycle WORKERS    create and destroy
// life ten WORKERS      create, ten no-ops, destroy
// life memory WORKERS   private memory after create, and after as many requests as fit
// life idle WORKERS     processor time of the workers while there is nothing to do

#include "queue.h"

#include <fcntl.h>

enum {
	DEPTH = 4096,
	CYCLES_NS = 100 * 1000 * 1000,
	FEW = 10,
	SETTLE_US = 20 * 1000, // for threads to start, or to fall asleep
	IDLE_US = 200 * 1000,
};

static void cycle(size_t workers, size_t nops)
{
	struct ioq *ioq = new_queue(DEPTH, workers);
	for (size_t i = 0; i < nops; ++i) {
		push_nop(ioq, IOQ_NOP_LIGHT);
	}
	ioq_submit(ioq);
	while (pop_nop(ioq, true)) {
	}
	ioq_destroy(ioq);
}

static void cycles(size_t workers, size_t nops)
{
	cycle(workers, nops);

	struct span start = start_span();
	size_t count = 0;
	do {
		cycle(workers, nops);
		++count;
	} while (now() - start.wall < CYCLES_NS);
	struct span span = end_span(start);

	figure("time", (double)span.wall / 1e3 / (double)count, "us");
	figure("cpu", (double)span.cpu / 1e3 / (double)count, "us");
}

/** The memory that this process alone has written to, in KiB. */
static double private_dirty(void)
{
	static const char FIELD[] = "Private_Dirty:";
	static char text[4096];
	int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (size < 0) {
		die("/proc/self/smaps_rollup");
	}
	close(fd);
	text[size] = '\0';
	const char *field = strstr(text, FIELD);
	return field ? strtod(field + strlen(FIELD), NULL) : 0;
}

static void memory(size_t workers)
{
	private_dirty();
	double before = private_dirty();
	struct ioq *ioq = new_queue(DEPTH, workers);
	pause_us(SETTLE_US);
	double created = private_dirty();
	fill_and_drain(ioq, IOQ_NOP_LIGHT);
	pause_us(SETTLE_US);
	double used = private_dirty();
	ioq_destroy(ioq);

	figure("created", created - before, "KiB");
	figure("used", used - before, "KiB");
}

static void idle(size_t workers)
{
	struct ioq *ioq = new_queue(DEPTH, workers);
	fill_and_drain(ioq, IOQ_NOP_LIGHT);
	pause_us(SETTLE_US);

	// One clock is read inside of the other, so that this thread's own reading of them does not count
	int64_t own = read_clock(CLOCK_THREAD_CPUTIME_ID);
	int64_t all = read_clock(CLOCK_PROCESS_CPUTIME_ID);
	pause_us(IDLE_US);
	all = read_clock(CLOCK_PROCESS_CPUTIME_ID) - all;
	own = read_clock(CLOCK_THREAD_CPUTIME_ID) - own;

	ioq_destroy(ioq);
	int64_t others = all > own ? (all - own) / 1000 : 0;
	figure("cpu", (double)others, "us");
}

int main(int argc, char *argv[])
{
	alarm(WATCHDOG);
	if (argc != 3) {
		usage("life cycle|ten|memory|idle WORKERS");
	}
	const char *what = argv[1];
	size_t workers = number(argv[2]);
	if (strcmp(what, "cycle") == 0) {
		cycles(workers, 0);
	} else if (strcmp(what, "ten") == 0) {
		cycles(workers, FEW);
	} else if (strcmp(what, "memory") == 0) {
		memory(workers);
	} else {
		idle(workers);
	}
	return EXIT_SUCCESS;
}
