// What a life is lived under: which backend, on which kernel. The program is linked with one of two implementations:
//
//     real.c      this machine's kernel    auto, uring, sync: that backend
//                                          refused: auto where the kernel refuses to set up an io_uring
//     scripted.c  ../kernel/               ring: uring on a good kernel
//                                          no-statx, no-openat: the ring refuses that operation
//                                          hangs: some requests stay in the ring for long
//                                          broken: after some calls the ring takes nothing any more
//                                          slow: auto where plain stats take long, so that the ring is used
//                                          hostile: threads and rings fail, refuse, hold back and reorder at random

#ifndef MATRIX_CONDITION_H
#define MATRIX_CONDITION_H

#include "../test.h"

// A queue, as it was asked for.
struct setting {
    size_t depth, threads;
    // The most requests in flight, or 0 for the library's own choice, which is 256.
    size_t inflight;
    bool caller_runs, no_descriptors;
    // Whether the environment chooses the backend; else the program does, whatever the environment says.
    bool by_environment;
    enum ioq_backend backend;
    // Whether the kernel may say of anything that it was interrupted.
    bool interrupts;
};

// How a life went.
struct outcome {
    // Whether all came back, and none was cancelled: then it is certain who ran what.
    bool complete;
    struct ioq_counts counts;
    // How many requests were accepted that never wait, and how many that a ring can do from beginning to end: no worker has
    // to go on with them.
    size_t nops, for_ring;
};

// Begins a life in a process of its own, and sets the backend. Returns false if there is no such condition.
bool condition_start(const char *name, struct setting *setting, uint64_t seed);

// Brings a queue that was just created to where the condition has come about. Returns how many requests that took.
size_t condition_settle(struct ioq *ioq, const struct setting *setting);

// Checks that the condition was what it is called, after the queue was destroyed.
void condition_end(const struct setting *setting, const struct outcome *outcome);

#endif // MATRIX_CONDITION_H
