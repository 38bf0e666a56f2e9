// The steps that every user of a queue takes, for the benchmark programs that go through one.
//
// They keep to what all implementations of ioq.h offer: some want an ioq_submit() before the responses are waited for.

#ifndef QUEUE_H
#define QUEUE_H

#include "bench.h"

#include <ioq.h>

enum {
	PUSH_BATCH = 8, // requests between two ioq_submit()
	POP_BATCH = 16, // responses to take before filling the queue up again
};

static inline struct ioq *new_queue(size_t depth, size_t workers)
{
	struct ioq *ioq = ioq_create(depth, workers);
	if (!ioq) {
		die("ioq_create()");
	}
	return ioq;
}

static inline void push_nop(struct ioq *ioq, enum ioq_nop_type type)
{
	if (ioq_nop(ioq, type, NULL) != 0) {
		die("ioq_nop()");
	}
}

/** Fill up whatever room there is with no-ops. */
static inline void push_nops(struct ioq *ioq, enum ioq_nop_type type)
{
	size_t room;
	while ((room = ioq_capacity(ioq)) > 0) {
		for (size_t i = 0; i < PUSH_BATCH && i < room; ++i) {
			push_nop(ioq, type);
		}
		ioq_submit(ioq);
	}
}

/** Pop a response and free it. Returns false if there was none. */
static inline bool pop_nop(struct ioq *ioq, bool block)
{
	struct ioq_ent *ent = ioq_pop(ioq, block);
	if (!ent) {
		return false;
	}
	if (ent->result < 0) {
		errno = -ent->result;
		die("no-op");
	}
	ioq_free(ioq, ent);
	return true;
}

/** Use the queue to its full depth once, so that all its memory is there. */
static inline void fill_and_drain(struct ioq *ioq, enum ioq_nop_type type)
{
	push_nops(ioq, type);
	while (pop_nop(ioq, true)) {
	}
}

#endif // QUEUE_H
