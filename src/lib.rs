//! An asynchronous queue of file-system metadata operations, behind a C ABI.
//!
//! A program submits requests (stat this path, open this directory, close this descriptor), goes on working, and pops
//! responses in whatever order they finish. What C programs see is in `abi` (the functions of `include/ioq.h`), `entry`
//! (its types), and `dir` and `stat` (the functions of `include/ioq/*.h`).
//!
//! The way of a request, and where to read about it:
//!
//! | step | module |
//! |---|---|
//! | the caller writes it into an entry of a block | `queue`, `block` |
//! | its span travels through the pending queue | `mpmc` |
//! | a worker is awake, woken or started | `pool` |
//! | it may take it from the worker that had it before, who is held up | `hand` |
//! | the worker runs it, by plain system calls or through its io_uring | `worker`, `shared`, `exec` |
//! | the `bfs_*` functions that do the work are the host's or the library's | `host`, `dir`, `stat` |
//! | its span travels back through the ready queue | `mpmc` |
//! | the caller pops it, and gives it back | `queue`, `block` |
//!
//! Beside the way: `backend` (the user's choice), `policy` (the library's), `prefetch` (cache lines ahead of their use),
//! `processors` (how many), `clock` (one that is cheap to read), `cancellation` (of the calling thread, which waits),
//! `errno` (errors), `alloc` (memory that may fail to come), `sync` (atomics and locks, or those of the model checkers), and
//! for the models alone `machine` and `models`.
//! `docs/design.md` has the whole picture, and the figures behind it.

#[cfg(all(ioq_shipped, not(panic = "abort")))]
compile_error!("the shipped library must abort on panic: nothing may unwind into C");

mod abi;
mod alloc;
mod backend;
mod block;
mod cancellation;
#[cfg(not(any(ioq_loom, ioq_shuttle)))]
mod clock;
mod dir;
mod entry;
mod errno;
mod exec;
mod hand;
mod host;
#[cfg(any(ioq_loom, ioq_shuttle))]
mod machine;
#[cfg(all(test, ioq_shuttle))]
mod models;
mod mpmc;
mod policy;
mod pool;
mod prefetch;
mod processors;
mod queue;
mod shared;
mod stat;
mod sync;
mod worker;
