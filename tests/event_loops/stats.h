/*
 * What the programs of event loops do: a thousand stats, as many at once as the queue holds, and a call that does not return
 * before the loop's timer has ticked some times.
 */

#ifndef STATS_H
#define STATS_H

#define _GNU_SOURCE

#include <fcntl.h>
#include <ioq.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH = 64, STATS = 1000, TICKS = 5 };

struct stats {
	struct ioq *ioq;
	int fd;
	/* What the call waits for. */
	int gate[2];
	int submitted, answered, failed;
	bool call_is_back;
	struct statx bufs[STATS];
};

static int wait_at_gate(void *arg)
{
	char byte;
	return (int)read(((struct stats *)arg)->gate[0], &byte, 1);
}

static void let_go(struct stats *stats)
{
	if (write(stats->gate[1], "", 1) != 1) {
		abort();
	}
}

static void submit(struct stats *stats)
{
	while (stats->submitted < STATS && ioq_capacity(stats->ioq) > 0) {
		struct statx *buf = &stats->bufs[stats->submitted++];
		if (ioq_statx(stats->ioq, AT_FDCWD, "/", 0, STATX_BASIC_STATS, buf, buf) != 0) {
			abort();
		}
	}
	ioq_submit(stats->ioq);
}

static void begin(struct stats *stats)
{
	alarm(120); /* Only against a hang. */
	stats->ioq = ioq_create(DEPTH, 2);
	stats->fd = stats->ioq ? ioq_fd(stats->ioq) : -1;
	if (stats->fd < 0 || pipe(stats->gate) != 0 || ioq_call(stats->ioq, wait_at_gate, stats, NULL) != 0) {
		perror("begin");
		exit(EXIT_FAILURE);
	}
	submit(stats);
}

/* Take what is there. Returns whether that was all. */
static bool take(struct stats *stats)
{
	struct ioq_ent *ent;
	while ((ent = ioq_pop(stats->ioq, false))) {
		if (!ent->ptr) {
			stats->call_is_back = ent->result == 1;
		} else {
			++stats->answered;
			stats->failed += ent->result != 0 || !S_ISDIR(((struct statx *)ent->ptr)->stx_mode);
		}
		ioq_free(stats->ioq, ent);
		submit(stats);
	}
	return stats->answered == STATS && stats->call_is_back;
}

static int end(struct stats *stats, int ticks)
{
	ioq_destroy(stats->ioq);
	printf("%d answers, %d failed, %s\n", stats->answered, stats->failed,
	       stats->call_is_back && ticks >= TICKS ? "and the loop went on" : "and the loop stood still");
	return EXIT_SUCCESS;
}

#endif
