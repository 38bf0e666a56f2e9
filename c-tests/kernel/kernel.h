// A scripted kernel: io_uring as a script wants it, by plain system calls, on any machine.
//
// A program that is linked with kernel.c defines syscall() and close() itself, and libioq calls those. What is about an
// io_uring never reaches the real kernel: a ring is a memory file, laid out as io_uring_params tells, and
// io_uring_enter() takes the submissions out of it and runs them with statx(), openat() and close(). Everything else
// goes to the real kernel.
//
// How to script it: fill a struct kernel_script, in which 0 always means "as a good kernel does", and give it to
// kernel_start() before the queue is created. After the queue was destroyed, kernel_stop() returns what was seen.
//
//     struct kernel_script script = {
//         .order = KERNEL_REVERSE,
//         .rules = {
//             {KERNEL_SETUP_FAILS, .value = EMFILE, .from = 2},            // the third setup and all after it
//             {KERNEL_SUBMIT_FAILS, .value = EAGAIN, .from = 3, .count = 5}, // the 4th to 8th enter of each ring
//             {KERNEL_REFUSES, .value = EACCES, .ops = KERNEL_STATX},      // every statx
//         },
//     };
//     kernel_start(&script);
//
// With IOQ_BACKEND=uring, ioq_create() makes a ring to see whether it can and closes it again: that is the first setup
// and the first ring. Each worker's own comes later.
//
// What no kernel would put up with ends the program, with a message and status 1: more in flight than completions fit,
// user data or a buffer in use twice, a submission by another thread than the single issuer, setup flags that make no
// sense together, a wait for a completion that nothing can bring, a ring closed while requests are in flight, and a
// descriptor closed a second time.

#ifndef KERNEL_H
#define KERNEL_H

#include <linux/io_uring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KERNEL_RULES = 16 };

// What a rule is about, and what its `value` means.
enum kernel_event {
    KERNEL_NOTHING,
    KERNEL_SETUP_FAILS,  // io_uring_setup() fails with errno `value`. Counts calls of all rings.
    KERNEL_MAPS_NOTHING, // It gives a descriptor that cannot be mapped. Counts the same.
    KERNEL_REGISTER_FAILS, // io_uring_register() fails with errno `value`. Counts a ring's calls: first it is registered,
                         // then enabled.
    KERNEL_ENTER_FAILS,  // io_uring_enter() fails with errno `value`. This and the next three count a ring's calls.
    KERNEL_SUBMIT_FAILS, // The same if there is something to submit; waiting alone works.
    KERNEL_TAKES,        // At most `value` submissions are taken.
    KERNEL_INTERRUPTS,   // The call does not wait: it returns how many it took, or fails with EINTR if none.
    KERNEL_REFUSES,      // A request fails with errno `value` without having run. This and the next two count a
                         // ring's requests.
    KERNEL_ANSWERS,      // A request runs, and then fails with errno `value`. The number of a descriptor that it
                         // closed is in use by somebody else at once.
    KERNEL_HOLDS,        // A request completes after `value` further calls of io_uring_enter() at the earliest.
};

// Operations, for `ops`.
#define KERNEL_OP(op) (UINT64_C(1) << (op))
#define KERNEL_NOP KERNEL_OP(IORING_OP_NOP)
#define KERNEL_OPENAT KERNEL_OP(IORING_OP_OPENAT)
#define KERNEL_CLOSE KERNEL_OP(IORING_OP_CLOSE)
#define KERNEL_STATX KERNEL_OP(IORING_OP_STATX)

struct kernel_rule {
    enum kernel_event event;
    int value;
    // The calls or requests that it is about: the first, counted from 0, and how many, 0 for all that follow.
    unsigned int from, count;
    // Only each so many-th of them.
    unsigned int every;
    // Only the ring of this number, counted from 1.
    unsigned int ring;
    // Only if at least so many requests are in flight, or so many completions were not seen yet. (For calls.)
    unsigned int busy, ready;
    // Only these operations. (For requests.)
    uint64_t ops;
};

// In which order requests complete that could complete at once.
enum kernel_order { KERNEL_FORWARD, KERNEL_REVERSE, KERNEL_RANDOM };

struct kernel_script {
    // The first rule that applies to an event counts.
    struct kernel_rule rules[KERNEL_RULES];
    // The Linux version, as 0x0501 for 5.1, that setup knows the flags and features of; 0 for 6.1. Since 5.18 rings can
    // be registered.
    unsigned int version;
    enum kernel_order order;
    // A completion call posts so many at most.
    unsigned int burst;
    // Requests complete while the program is not in io_uring_enter(), by a thread of the kernel's.
    bool outside;
    // A plain statx() by another thread than the first sleeps so many microseconds before, as if it waited for a disk.
    unsigned int stat_delay;
    // The program knows that it closes descriptors that are not open.
    bool strays;
    uint64_t seed;
    // Called first in every io_uring_enter(), by the calling thread, with the ring's number and that of the call.
    void (*entered)(unsigned int ring, unsigned int call);
};

struct kernel_counts {
    size_t setups, rings; // calls of io_uring_setup(), and those that succeeded
    size_t enters;        // calls of io_uring_enter()
    size_t idle;          // those with nothing in flight before and after
    size_t submitted, completed, refused;
    size_t most; // in flight in one ring
};

// Starts the kernel. There must be no ring.
void kernel_start(const struct kernel_script *script);

// What was seen so far.
struct kernel_counts kernel_seen(void);

// Whether a request in flight has this path.
bool kernel_uses(const char *path);

// Stops it. Every ring must be closed.
struct kernel_counts kernel_stop(void);

#endif // KERNEL_H
