// What the library is given to do while its calls fail, and the checks of what comes of it.

#ifndef WORKLOAD_H
#define WORKLOAD_H

#include "inject.h"

// How the queue is made, and how its responses are got.
struct use {
    size_t threads, depth;
    bool block;
};

struct workload {
    const char *name;
    void (*run)(const struct use *use);
    // How many microseconds a plain stat takes at least.
    unsigned delay;
};

// Up to one without a name.
extern const struct workload workloads[];

// Fails unless the requests so far went through a ring at least once.
void check_rings_used(void);

#endif // WORKLOAD_H
