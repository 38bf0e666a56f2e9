// What the library is given to do while its calls fail, and the checks of what comes of it.

#ifndef WORKLOAD_H
#define WORKLOAD_H

#include "inject.h"

// How the queue is made, and how its responses are got.
struct use {
    size_t threads, depth;
    bool block;
    // The options that only ioq_create_with() has, or 0.
    unsigned flags;
    size_t inflight;
};

struct workload {
    const char *name;
    void (*run)(const struct use *use);
    // How many microseconds a plain stat takes at least.
    unsigned delay;
    // Options of its queues that only ioq_create_with() has, or 0.
    unsigned flags;
    size_t inflight;
};

// Up to one without a name.
extern const struct workload workloads[];

// A walk through the tree.
void walk_tree(const struct use *use);

// Whether no worker can be started for good. Then nothing runs but in a call that blocks.
bool is_deserted(void);

// Fails unless the requests so far went through a ring at least once.
void check_rings_used(void);

#endif // WORKLOAD_H
