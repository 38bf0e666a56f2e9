// Operations of a ring that fail, as those of a plain call do.
//
// Before the kernel sees a submission, it is made a no-op that completes with the error. So nothing is done that should not
// have been, and the library sees a completion like any other.

#include "../test.h"

#include "inject.h"
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <sys/utsname.h>

// IORING_NOP_INJECT_RESULT of Linux 6.10, which not every <linux/io_uring.h> has.
enum { INJECT_RESULT = 1 };

// The rings, by the descriptors that they were made with. Each is used by one thread.
static struct {
    struct io_uring_params params;
    char *queue;
    struct io_uring_sqe *sqes;
} rings[1024];

// The ring that this thread has registered.
static _Thread_local int registered_fd = -1;

bool completions_can_fail(void) {
    struct utsname name;
    unsigned major, minor;
    CHECK_EQ(uname(&name), 0);
    CHECK_EQ(sscanf(name.release, "%u.%u", &major, &minor), 2);
    return major > 6 || (major == 6 && minor >= 10);
}

void ring_made(int fd, const void *params) {
    CHECK((size_t)fd < COUNT(rings));
    memcpy(&rings[fd].params, params, sizeof(rings[fd].params));
}

void ring_mapped(int fd, off_t offset, void *address) {
    CHECK((size_t)fd < COUNT(rings));
    if (offset == IORING_OFF_SQES) {
        rings[fd].sqes = address;
    } else if (offset == IORING_OFF_SQ_RING) {
        rings[fd].queue = address;
    }
}

void ring_registered(const void *update) {
    registered_fd = (int)((const struct io_uring_rsrc_update *)update)->data;
}

int ring_entered(const long arg[]) {
    return arg[3] & IORING_ENTER_REGISTERED_RING ? registered_fd : (int)arg[0];
}

// Whether a ring may mean by this that it is not allowed or not able to do such a thing. Plain calls do it then.
static bool may_be_refusal(int error) {
    return error == EACCES || error == EOPNOTSUPP;
}

// Whether it is one of those that are made once.
static bool changes_names(const struct io_uring_sqe *sqe) {
    return sqe->opcode != IORING_OP_OPENAT && sqe->opcode != IORING_OP_OPENAT2 && sqe->opcode != IORING_OP_STATX;
}

// Whether this is what became of the kernel's thread that ran it. Plain calls do that as well, unless it may have been done
// and must not be done twice.
static bool is_disturbance(const struct io_uring_sqe *sqe, int error) {
    return error == ECANCELED || (error == EINTR && !changes_names(sqe));
}

// What a submission is about. A symbolic link has its path behind what it is to contain.
static void note_submission(const struct io_uring_sqe *sqe, int error) {
    switch (sqe->opcode) {
    case IORING_OP_OPENAT:
    case IORING_OP_OPENAT2:
        note(OPENING, (uintptr_t)sqe->addr, error);
        break;
    case IORING_OP_STATX:
        note(ASKING, (uintptr_t)sqe->addr, error);
        break;
    default:
        note(CHANGING, (uintptr_t)(sqe->opcode == IORING_OP_SYMLINKAT ? sqe->off : sqe->addr), error);
    }
}

static void inject_into(struct io_uring_sqe *sqe) {
    int error = next_error(COMPLETION);
    if (!error) {
        return;
    }
    if (!may_be_refusal(error) && !is_disturbance(sqe, error)) {
        note_submission(sqe, error);
    }
    uint64_t user_data = sqe->user_data;
    memset(sqe, 0, sizeof(*sqe));
    sqe->opcode = IORING_OP_NOP;
    sqe->rw_flags = INJECT_RESULT;
    sqe->len = (uint32_t)-error;
    sqe->user_data = user_data;
}

void ring_inject(int fd, unsigned count) {
    const struct io_sqring_offsets *at = &rings[fd].params.sq_off;
    char *queue = rings[fd].queue;
    unsigned head = atomic_load((_Atomic unsigned *)(queue + at->head));
    unsigned mask = *(unsigned *)(queue + at->ring_mask);
    const unsigned *array = (unsigned *)(queue + at->array);
    for (unsigned i = 0; i < count; ++i) {
        inject_into(&rings[fd].sqes[array[(head + i) & mask]]);
    }
}
