// Faults: the N-th call of one kind that the library makes fails, once or from then on; or any call, at random.
//
// Only the library's own calls are touched. They all go through the table of addresses that the dynamic linker filled in
// for libioq.so, and patch.c puts the functions of wrap.c there. Each counts its calls, fails those that are to fail, and
// otherwise does what it stands for; ledger.c keeps book of memory. What the C library calls in turn, as pthread_create()
// does, is none of the library's.

#ifndef INJECT_H
#define INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// What can fail.
enum kind {
    MEMORY,
    MAP,
    THREAD,
    SETUP,
    ENTER,
    REGISTER,
    EVENTFD,
    OPENAT,
    GETDENTS,
    STATX,
    FSTATAT,
    CHANGE,
    ATTRIBUTE,
    CLOSE,
    FUTEX,
    OTHER,
    COMPLETION,
    KINDS,
};

// The name that the command line has for a kind, and the errors that it may fail with, up to a 0.
struct kind_info {
    const char *name;
    int errors[8];
};

extern const struct kind_info kinds[KINDS];

// An io_uring_enter() that takes only one of several submissions. Not an errno.
#define SHORT 9999

// Faults in a row, where an error that lasts for ever would have to be retried for ever.
enum { TRANSIENT = 20 };

enum mode { ONCE, ON, RANDOM };

struct fault {
    enum mode mode;
    // Which call of which kind is the first to fail, and how. At random, the first is the seed.
    enum kind kind;
    unsigned long first;
    int error;
};

// What a run did. In memory that a child shares with its parent, so that it outlives an abort.
struct tally {
    unsigned long calls[KINDS];
    unsigned long faults;
};

// Puts the functions of wrap.c in place of the library's imports. No other thread may be there yet.
void patch_library(void);

// Starts counting.
void inject(const struct fault *fault, struct tally *tally);

// How many microseconds a plain stat of the library's takes at least.
void delay_stats(unsigned microseconds);

// How many calls of this thread failed so far on purpose.
unsigned long injected_here(void);

// What fails in this run.
const struct fault *injected(void);

// Whether memory may be what is wanting in this run, and whether there is no statx() in it for good.
bool lacks_memory(void);
bool refuses_statx(void);

// The last error of those that may be the reason why there is no queue, or no descriptor of it.
int injected_reason(void);

// What calls may be about, to find out what became of a request.
enum subject { OPENING, READING, ASKING, CHANGING, CLOSING };

// Where the log of calls ends now.
size_t log_end(void);

// The error that was injected into the first or last call since `mark` about a path or a descriptor; 0 if that call was a
// real one, or if there was none.
int first_injected(enum subject subject, uintptr_t key, size_t mark);
int last_injected(enum subject subject, uintptr_t key, size_t mark);

// Whether this error was injected into any call since `mark`, whatever it was about.
bool was_injected(enum subject subject, int error, size_t mark);

// How many calls there were about something.
size_t calls_about(enum subject subject, uintptr_t key, size_t mark);

// Counts a call, and returns the error that it is to fail with, or 0.
int next_error(enum kind kind);
// Puts a call into the log.
void note(enum subject subject, uintptr_t key, int injected);

// Whether the kernel can be made to fail what a ring does.
bool completions_can_fail(void);
// A ring's parameters, its mappings, and its registration with this thread.
void ring_made(int fd, const void *params);
void ring_mapped(int fd, off_t offset, void *address);
void ring_registered(const void *update);
// The descriptor of the ring that is entered with these arguments.
int ring_entered(const long arg[]);
// Makes some of its next submissions fail.
void ring_inject(int fd, unsigned count);

// The library's memory and mappings.
void ledger_add(uintptr_t address, size_t size);
// Returns false if this is not the library's.
bool ledger_remove(uintptr_t address);
// Fails if anything is left.
void ledger_check(void);

#endif // INJECT_H
