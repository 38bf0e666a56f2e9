// A scripted kernel: io_uring as a script wants it, by plain system calls, on any machine.
//
// A program that is linked with kernel.c defines syscall() and close() itself, and libioq calls those. What is about an
// io_uring never reaches the real kernel: a ring is a memory file, laid out as io_uring_params tells, and
// io_uring_enter() takes the submissions out of it and runs them with statx(), openat(), unlinkat() and the like. Everything
// else goes to the real kernel.
//
// How to script it: fill a struct kernel_script, in which 0 always means "as a good kernel does", and give it to
// kernel_start() before the queue is created. After the queue was destroyed, kernel_stop() returns what was seen.
//
//     struct kernel_script script = {
//         .order = KERNEL_REVERSE,
//         .rules = {
//             {KERNEL_SETUP_FAILS, .value = EMFILE, .from = 2},              // the third setup and all after it
//             {KERNEL_SUBMIT_FAILS, .value = EAGAIN, .from = 3, .count = 5}, // the 4th to 8th enter of a ring
//             {KERNEL_REFUSES, .value = EACCES, .ops = KERNEL_STATX},        // every statx
//         },
//     };
//     kernel_start(&script);
//
// With IOQ_BACKEND=uring, ioq_create() asks for a ring without entries, to see whether there are any: that is the first
// setup. The ring comes later.
//
// Time is the script's as well. A wait with a limit ends by that limit only if all that is in flight is held, and then at
// once, or nearly. So what the library does because a ring is slow does not depend on the machine.
//
// What no kernel would put up with, and what libioq promises not to do, ends the program with a message and status 1:
//
// - more requests in flight than the program allows, or than completions fit; user data or a buffer in use twice;
// - setup flags that are not known here; a ring that is made or entered by another thread than the driver, or entered while
//   it is disabled, while its descriptor is open although it was registered or there is to be none, or by the number of a
//   standard stream;
// - operations that are not known here; a ring that is asked twice to cancel all there is;
// - a wait for a completion that nothing can bring, or without a limit; a ring that goes while requests are in flight;
// - a descriptor closed a second time, or one that is somebody else's by now.

#ifndef KERNEL_H
#define KERNEL_H

#include <limits.h>
#include <linux/io_uring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KERNEL_RULES = 16 };

// What a rule is about, and what its `value` means.
enum kernel_event {
    KERNEL_NOTHING,
    KERNEL_THREAD_FAILS,   // A thread of the library's cannot be started: pthread_attr_init() fails with `value`. Counts
                           // its calls.
    KERNEL_SETUP_FAILS,    // io_uring_setup() fails with errno `value`. Counts calls of all rings.
    KERNEL_MAPS_NOTHING,   // It gives a ring that cannot be mapped. Counts the same.
    KERNEL_LOSES_UNMAPPED, // Before the library can map the ring, its number is an empty file's, and what reads or writes
                           // there is killed (SIGBUS). Counts the same.
    KERNEL_LOSES,          // Just before a call of io_uring_register(), the program closes the ring's descriptor, which it
                           // does not know, and its number is then free, or another ring's, as `value` says
                           // (enum kernel_loss). Counts calls of all rings.
    KERNEL_REGISTER_FAILS, // io_uring_register() fails with errno `value`. Counts a ring's calls: first it is registered,
                           // then enabled, then its workers are limited.
    KERNEL_ENTER_FAILS,    // io_uring_enter() fails with errno `value`. This and the next three count a ring's calls.
    KERNEL_SUBMIT_FAILS,   // The same if there is something to submit; waiting alone works.
    KERNEL_TAKES,          // At most `value` submissions are taken.
    KERNEL_INTERRUPTS,     // The call does not wait: it returns how many it took, or fails with EINTR if none.
    KERNEL_REFUSES,        // A submission fails with errno `value` without having run. This and the next two count a
                           // ring's submissions.
    KERNEL_ANSWERS,        // The same, but it is the answer of a file system or a security module: a probe, which is
                           // about no file, does not come to that.
    KERNEL_HOLDS,          // A request completes after `value` further calls of io_uring_enter() at the earliest, or, if
                           // that is KERNEL_FOREVER, after kernel_release().
};

enum { KERNEL_FOREVER = INT_MAX };

enum kernel_loss { KERNEL_KEEPS, KERNEL_FREES, KERNEL_REPLACES };

// Operations, for `ops`.
#define KERNEL_OP(op) (UINT64_C(1) << (op))
#define KERNEL_OPENAT KERNEL_OP(IORING_OP_OPENAT)
#define KERNEL_OPENAT2 KERNEL_OP(IORING_OP_OPENAT2)
#define KERNEL_STATX KERNEL_OP(IORING_OP_STATX)
// All that change names.
#define KERNEL_CHANGES (KERNEL_OP(IORING_OP_UNLINKAT) | KERNEL_OP(IORING_OP_RENAMEAT) | KERNEL_OP(IORING_OP_MKDIRAT) \
    | KERNEL_OP(IORING_OP_LINKAT) | KERNEL_OP(IORING_OP_SYMLINKAT))

struct kernel_rule {
    enum kernel_event event;
    int value;
    // The calls or submissions that it is about: the first, counted from 0, and how many, 0 for all that follow.
    unsigned int from, count;
    // Only each so many-th of them.
    unsigned int every;
    // Only if at least so many requests are in flight, or so many completions were not seen yet. (For calls.)
    unsigned int busy, ready;
    // Only these operations. (For submissions.)
    uint64_t ops;
};

// In which order requests complete that could complete at once.
enum kernel_order { KERNEL_FORWARD, KERNEL_REVERSE, KERNEL_RANDOM };

struct kernel_script {
    // The first rule that applies to an event counts.
    struct kernel_rule rules[KERNEL_RULES];
    // The Linux version, as 0x0512 for 5.18, that knows the flags, features and operations of its time; 0 for 6.1.
    unsigned int version;
    enum kernel_order order;
    // A completion call posts so many at most.
    unsigned int burst;
    // Requests complete while the program is not in io_uring_enter(), by a thread of the kernel's.
    bool outside;
    // What is held cannot be interrupted by a cancel.
    bool stubborn;
    // How many entries a ring has at most, a power of two. 0 stands for 1024.
    unsigned int entries;
    // The most requests in flight that the program allows (struct ioq_options). 0 stands for 256.
    size_t inflight;
    // The program allows no descriptors (the same).
    bool no_descriptors;
    // A plain statx() by another thread than the first sleeps so many microseconds before, as if it waited for a disk.
    unsigned int stat_delay;
    // The program knows that it closes descriptors that are not open.
    bool strays;
    uint64_t seed;
    // Called first in every io_uring_enter(), by the calling thread, with the number of the ring's call.
    void (*entered)(unsigned int call);
};

struct kernel_counts {
    size_t unstarted;      // threads that could not be started
    size_t setups, rings;  // calls of io_uring_setup(), and those that succeeded
    size_t enters;         // calls of io_uring_enter()
    size_t idle;           // those with nothing in flight before and after
    size_t in_vain;        // those that ended because their time was over, or by an interruption
    size_t submitted;      // requests
    size_t probes;         // submissions that ask whether an operation is refused
    size_t cancels;        // submissions that interrupt others
    size_t completed;      // submissions of all three kinds
    size_t refused;        // those that were refused
    size_t most;           // requests in flight
    unsigned int flags;    // of the last ring, as it was set up
    unsigned int workers;  // how many of the kernel's threads it may have, 0 for no limit
};

// Starts the kernel. There must be no ring.
void kernel_start(const struct kernel_script *script);

// What was seen so far.
struct kernel_counts kernel_seen(void);

// Lets go of what is held until then, and holds nothing so any more.
void kernel_release(void);

// Sets the script's stat_delay.
void kernel_delay_stats(unsigned int delay);

// Whether a request in flight has this path or buffer.
bool kernel_uses(const void *memory);

// Stops it. Every ring must be gone.
struct kernel_counts kernel_stop(void);

#endif // KERNEL_H
