//! An asynchronous queue of file-system metadata operations, behind a C ABI.
//!
//! A program submits requests (stat this path, open this directory, close this descriptor), goes on working, and pops
//! responses in whatever order they finish. What C programs see is in `abi` (the functions of `include/ioq.h`), `entry`
//! (its types), and `fs::dir` and `fs::stat` (the functions of `include/ioq/*.h`).
//!
//! The way of a request, and where to read about it:
//!
//! | step | module |
//! |---|---|
//! | the caller writes it into an entry of a block | `queue::caller`, `queue::block` |
//! | its span goes through a channel | `queue::span`, `queue::shared`, `channel` |
//! | a worker is awake, woken or started | `scheduler` |
//! | the worker runs it by plain calls | `worker::executor`, `worker::local` |
//! | or the driver of the ring sends it off, while that pays | `worker::ring`, `worker::pace` |
//! | what it does | `ops`, one file for each operation |
//! | the `bfs_*` functions that do the work are the host's or the library's | `fs::host`, `fs::dir`, `fs::stat` |
//! | its span comes back through another channel, and the caller pops it | `channel`, `queue::caller` |
//!
//! A program on top of all that is `walk`, the functions of `include/ioq/walk.h`.
//!
//! Beside the way: `platform` (what the system gives), and for the model checkers alone `models`.
//! `docs/design.md` has the whole picture, and the figures behind it.

#[cfg(all(ioq_shipped, not(panic = "abort")))]
compile_error!("the shipped library must abort on panic: nothing may unwind into C");

mod abi;
mod channel;
mod entry;
mod fs;
#[cfg(any(ioq_loom, ioq_shuttle))]
mod models;
mod ops;
mod platform;
mod queue;
mod scheduler;
#[cfg(not(any(ioq_loom, ioq_shuttle)))]
mod walk;
mod worker;
