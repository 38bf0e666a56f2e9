// What a request costs on its way through the queue: no-ops.
//
// nop flood light|heavy WORKERS DEPTH
//     As many at once as fit, for a fixed time. The loop is that of a traversal: fill the queue, take what is ready.
//
// nop latency light|heavy WORKERS PAUSE
//     One at a time, from submission to response, PAUSE microseconds after the one before. With a pause of 0 workers
//     may still be looking for work; after a long one they sleep. As many as fit into a fixed time, within limits.

#include "queue.h"

enum {
	FLOOD_NS = 150 * 1000 * 1000,
	FLOOD_CHECK = 512, // responses between two looks at the clock
	LATENCY_DEPTH = 64,
	LATENCY_NS = 250 * 1000 * 1000,
	LATENCY_MIN = 500,
	LATENCY_MAX = 20000,
};

static const char USAGE[] = "nop flood light|heavy WORKERS DEPTH\n       nop latency light|heavy WORKERS PAUSE";

static void flood(enum ioq_nop_type type, size_t workers, size_t depth)
{
	struct ioq *ioq = new_queue(depth, workers);
	fill_and_drain(ioq, type);

	struct span start = start_span();
	size_t count = 0;
	for (size_t check = FLOOD_CHECK;;) {
		push_nops(ioq, type);
		for (int i = 0; i < POP_BATCH && pop_nop(ioq, ioq_capacity(ioq) == 0); ++i) {
			++count;
		}
		if (count >= check) {
			if (now() - start.wall >= FLOOD_NS) {
				break;
			}
			check = count + FLOOD_CHECK;
		}
	}
	struct span span = end_span(start);

	while (pop_nop(ioq, true)) {
	}
	ioq_destroy(ioq);
	figure("throughput", 1e3 * (double)count / (double)span.wall, "M/s");
	figure("cpu", (double)span.cpu / (double)count, "ns");
}

static int compare(const void *left, const void *right)
{
	int64_t l = *(const int64_t *)left, r = *(const int64_t *)right;
	return (l > r) - (l < r);
}

static void latency(enum ioq_nop_type type, size_t workers, size_t pause)
{
	static int64_t samples[LATENCY_MAX];
	size_t count = 0;

	struct ioq *ioq = new_queue(LATENCY_DEPTH, workers);
	fill_and_drain(ioq, type);

	int64_t begin = now(), end = begin;
	while (count < LATENCY_MIN || (count < LATENCY_MAX && end - begin < LATENCY_NS)) {
		if (pause) {
			pause_us((int64_t)pause);
		}
		int64_t start = now();
		push_nop(ioq, type);
		ioq_submit(ioq);
		pop_nop(ioq, true);
		end = now();
		samples[count++] = end - start;
	}
	ioq_destroy(ioq);

	qsort(samples, count, sizeof(*samples), compare);
	figure("p50", (double)samples[count / 2], "ns");
	figure("p99", (double)samples[count * 99 / 100], "ns");
}

int main(int argc, char *argv[])
{
	alarm(WATCHDOG);
	if (argc != 5) {
		usage(USAGE);
	}
	enum ioq_nop_type type = strcmp(argv[2], "light") == 0 ? IOQ_NOP_LIGHT : IOQ_NOP_HEAVY;
	if (strcmp(argv[1], "flood") == 0) {
		flood(type, number(argv[3]), number(argv[4]));
	} else if (strcmp(argv[1], "latency") == 0) {
		latency(type, number(argv[3]), number(argv[4]));
	} else {
		usage(USAGE);
	}
	return EXIT_SUCCESS;
}
