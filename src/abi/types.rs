//! What `ioq.h` declares beside the entries: what a queue is to be like, and what can be known of it.

#![allow(non_camel_case_types)]

use super::extensible::Extensible;
use libc::{c_char, c_int, c_uint};
use std::mem::offset_of;

/// How a queue runs requests that may wait.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ioq_backend {
    /// What the environment variable `IOQ_BACKEND` says, and `IOQ_BACKEND_AUTO` if it says nothing.
    IOQ_BACKEND_DEFAULT = 0,
    /// io_uring where it can be had and pays, else plain system calls.
    IOQ_BACKEND_AUTO = 1,
    /// io_uring for all that it can do. Without one, `ioq_create_with()` fails, unless `nthreads` is 0.
    IOQ_BACKEND_URING = 2,
    /// Plain system calls alone.
    IOQ_BACKEND_SYNC = 3,
}

/// Flags of a queue.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ioq_flags {
    /// An `ioq_pop()` that would wait runs requests itself for as long as they are quick, which spares a program with
    /// nothing else to do the waiting. It stops at the first sign that requests wait for something, and goes on when
    /// those of the workers are quick again. What that risks: the pop is held up for as long as the request that it runs
    /// takes, or for ever if that hangs, whatever else is ready.
    IOQ_CALLER_RUNS = 1,
    /// The queue holds no descriptor of its own, not even where its ring would need one (before Linux 5.18, or where
    /// `io_uring_register(2)` is refused): there it does without a ring. `ioq_fd()` makes one all the same.
    IOQ_NO_DESCRIPTORS = 2,
}

/// The integer behind C's `enum ioq_backend`: C may pass any value.
pub type RawBackend = c_uint;

/// What a queue is to be like.
///
/// Set everything to 0 first; 0 is the default of each member but the first two. Members may be added at the end: a
/// library that does not know one of them fails with `E2BIG` unless it is 0.
#[repr(C)]
pub struct ioq_options {
    /// `sizeof(struct ioq_options)`.
    pub size: usize,
    /// How many requests the queue holds, from submission to `ioq_free()`; exactly that many, at least 1.
    pub depth: usize,
    /// The most worker threads to start. 0 stands for none: then requests run in pops that block, and nowhere else.
    pub nthreads: usize,
    /// How to run requests.
    pub backend: RawBackend,
    /// `enum ioq_flags`, or 0.
    pub flags: c_uint,
    /// The most requests to have waiting in the kernel at once, beside one in each worker. How many it will be is found
    /// out, and depends on what the file system can do. Each takes a thread of the kernel's, of some 24 KiB, while it waits.
    /// 0 stands for 256.
    pub inflight: usize,
    /// What the names of the queue's threads begin with, of which the first 10 bytes count; NULL stands for "ioq".
    pub name: *const c_char,
    /// The size of the threads' stacks, in bytes. 0 stands for 1 MiB, which is enough for the library; functions of the
    /// program's that run there may need more.
    pub stack_size: usize,
}

/// What a queue is doing, as `ioq_info()` tells. Its threads go on meanwhile, so the numbers of one moment may not quite
/// match.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ioq_info {
    /// `sizeof(struct ioq_info)`, to be set before the call. Members may be added at the end.
    pub size: usize,
    /// Requests that were accepted and that nobody has come to.
    pub pending: usize,
    /// Requests that have begun and are not done.
    pub running: usize,
    /// Responses to be popped.
    pub ready: usize,
    /// Entries that were popped and not freed.
    pub held: usize,
    /// Workers that were started. They stay until the queue is destroyed.
    pub workers: usize,
    /// How much waits in the ring: requests, and each stat of a list. So it may be more than `running`.
    pub in_ring: usize,
    /// How many may at this time; 0 if there was no need of a ring so far.
    pub ring_limit: usize,
    /// Why there is no ring: an `errno`, if one was wanted and could not be had, or was lost; else 0.
    pub ring_error: c_int,
    /// Why there are no more workers: an `errno`, if one was wanted and could not be started; else 0.
    pub worker_error: c_int,
    /// For how long the oldest request has been on its way, in nanoseconds, to some milliseconds. Known of requests that
    /// were submitted after the first call of `ioq_info()`; 0 if there are none.
    pub oldest: u64,
}

/// How the requests of a queue were run so far.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ioq_counts {
    /// By the thread of the ring: through io_uring, and those no-ops and cancelled requests that it has come to. A list
    /// counts for whoever completes it.
    pub ring: u64,
    /// By a worker, with plain system calls, be it after a ring has begun or refused.
    pub worker: u64,
    /// By the caller itself, in `ioq_pop()`.
    pub caller: u64,
}

// SAFETY: plain data, with pointers that may be NULL.
unsafe impl Extensible for ioq_options {
    const FIRST_SIZE: usize = offset_of!(Self, stack_size) + size_of::<usize>();
}

// SAFETY: numbers.
unsafe impl Extensible for ioq_info {
    const FIRST_SIZE: usize = offset_of!(Self, oldest) + size_of::<u64>();
}

const _: () = {
    const POINTER: usize = size_of::<*mut ()>();
    assert!(size_of::<ioq_backend>() == 4 && size_of::<ioq_flags>() == 4);
    assert!(size_of::<ioq_options>() == 6 * POINTER + 8 && offset_of!(ioq_options, inflight) == 3 * POINTER + 8);
    assert!(size_of::<ioq_info>() == 8 * POINTER + 16 && offset_of!(ioq_info, oldest) == 8 * POINTER + 8);
    assert!(size_of::<ioq_counts>() == 24 && offset_of!(ioq_counts, caller) == 16);
};
