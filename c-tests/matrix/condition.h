// What a life is lived under: which backend, on which kernel. The program is linked with one of two implementations:
//
//     real.c      this machine's kernel    auto, uring, sync: as IOQ_BACKEND says
//                                          refused: auto where the kernel refuses to set up an io_uring
//     scripted.c  ../kernel/               mixed-N: the N-th worker, or the last, gets no ring, the others do
//                                          no-statx, no-openat, no-close, no-nop: rings refuse that operation
//                                          slow: auto where plain stats take long, so that workers turn to rings
//                                          hostile: rings fail, refuse, hold back and reorder at random

#ifndef MATRIX_CONDITION_H
#define MATRIX_CONDITION_H

#include "../test.h"

// How a life went.
struct outcome {
    size_t threads;
    // Whether all came back, and none was cancelled: then it is certain who ran what.
    bool complete;
    struct ioq_counts counts;
    // How many requests were accepted that a ring could do, by operation.
    size_t for_ring[IOQ_STAT + 1];
};

// Begins a life, in a process of its own, of a queue with so many threads and this depth. Returns the value of
// IOQ_BACKEND, or NULL if there is no such condition.
const char *condition_start(const char *name, size_t threads, size_t depth, uint64_t seed);

// Brings a queue that was just created to where the condition matters. Returns how many requests that took.
size_t condition_settle(struct ioq *ioq, size_t threads);

// An io_uring of the program's own, to be closed, or -1.
int condition_ring(void);

// Checks that the condition was what it is called, after the queue was destroyed.
void condition_end(const struct outcome *outcome);

#endif // MATRIX_CONDITION_H
