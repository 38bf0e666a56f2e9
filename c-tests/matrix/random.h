// Pseudo-random choices, the same for the same seed on every machine.

#ifndef MATRIX_RANDOM_H
#define MATRIX_RANDOM_H

#include "../test.h"

// A stream of choices. Each purpose has its own: how often a queue is polled depends on time, and must not change what
// is asked of it.
struct random {
    uint64_t state;
};

// Neighbouring seeds give streams that have nothing in common (the finalizer of splitmix64).
static inline struct random random_stream(uint64_t seed, uint64_t purpose) {
    uint64_t z = seed + (purpose + 1) * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    z ^= z >> 31;
    return (struct random){z ? z : 1};
}

// A number below `limit`.
static inline size_t below(struct random *random, size_t limit) {
    return random_below(&random->state, limit);
}

static inline size_t between(struct random *random, size_t least, size_t most) {
    return least + below(random, most - least + 1);
}

// True once in `n` times.
static inline bool one_in(struct random *random, size_t n) {
    return below(random, n) == 0;
}

// Small numbers often, numbers near `limit` seldom, at least 1.
static inline size_t skewed(struct random *random, size_t limit) {
    return between(random, 1, between(random, 1, between(random, 1, limit)));
}

#endif // MATRIX_RANDOM_H
