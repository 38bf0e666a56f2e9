//! What requests do: one file for each operation, with its checks, its plain calls, and its form for a ring.
//!
//! To add an operation, write its file, name it in `ALL` and `of` below, append its number and arguments to `entry.rs`, and give
//! it a function in `abi/requests.rs`.

mod close;
mod closedir;
mod nop;
mod opendir;
mod stat;

pub use close::Close;
pub use closedir::Closedir;
pub use nop::Nop;
pub use opendir::Opendir;
pub use stat::{Stat, StatxPool};

use crate::entry::{ioq_args, ioq_ent, ioq_op};
use crate::fs::host::Host;
use io_uring::squeue;
use libc::c_int;

/// A request before it has an entry.
pub struct Request {
    pub op: ioq_op,
    pub args: ioq_args,
}

/// All operations.
pub const ALL: [ioq_op; COUNT] =
    [ioq_op::IOQ_NOP, ioq_op::IOQ_CLOSE, ioq_op::IOQ_OPENDIR, ioq_op::IOQ_CLOSEDIR, ioq_op::IOQ_STAT];

/// How many there are.
pub const COUNT: usize = 5;

/// The implementation of an operation.
pub fn of(op: ioq_op) -> &'static dyn Operation {
    match op {
        ioq_op::IOQ_NOP => &Nop,
        ioq_op::IOQ_CLOSE => &Close,
        ioq_op::IOQ_OPENDIR => &Opendir,
        ioq_op::IOQ_CLOSEDIR => &Closedir,
        ioq_op::IOQ_STAT => &Stat,
    }
}

/// What one operation does. Each function is given an entry of that operation.
///
/// Until it is done, a request's `result` says how far it came: 0 is not at all, less is what a ring answered, which
/// plain calls may know better, and more is up to the operation.
pub trait Operation: Sync {
    /// Whether it never waits for anything. Then any thread may run it, at any time.
    fn never_blocks(&self) -> bool {
        false
    }

    /// Whether it runs in a cancelled queue all the same, because something would leak otherwise.
    fn survives_cancel(&self) -> bool {
        false
    }

    /// Fetches what it will read into the processor's cache.
    fn prefetch(&self, _: &ioq_ent) {}

    /// Runs it by plain calls. Returns the result.
    ///
    /// # Safety
    ///
    /// The request's pointers must be as `ioq.h` asks.
    unsafe fn run(&self, host: &Host, ent: &mut ioq_ent) -> c_int;

    /// Takes back what was done for a request that is not to be done after all.
    fn abandon(&self, _: &ioq_ent) {}

    /// Lets go of what the response holds, which nobody will pop.
    ///
    /// # Safety
    ///
    /// As for `run`; the request is done.
    unsafe fn discard(&self, _: &Host, _: &ioq_ent) {}

    /// Its form for a ring, if it has one.
    fn in_ring(&self) -> Option<&dyn RingOperation> {
        None
    }
}

/// An operation that a ring can do.
pub trait RingOperation {
    /// The submission, or None if this request must be run by plain calls.
    ///
    /// # Safety
    ///
    /// The request's pointers must be as `ioq.h` asks, and it must be `completed` before the entry or the pool is used
    /// for anything else.
    unsafe fn submission(&self, host: &Host, statx: &mut StatxPool, ent: &mut ioq_ent) -> Option<squeue::Entry>;

    /// Finishes the request after the ring has done it. Returns the result, or None if plain calls are to go on with it.
    ///
    /// # Safety
    ///
    /// The submission's completion must have been seen, with this result.
    unsafe fn completed(&self, host: &Host, statx: &mut StatxPool, ent: &mut ioq_ent, result: c_int) -> Option<c_int>;

    /// A submission that fails with `EBADF`, whatever the file system, if a ring may do this operation at all.
    fn probe(&self) -> squeue::Entry;
}

/// Whether a ring may answer this because it is not allowed or not able to do such a request at all: filters and
/// restrictions, security modules, kernels without the operation.
pub fn may_be_refusal(result: c_int) -> bool {
    matches!(-result, libc::EACCES | libc::EPERM | libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP)
}

/// Whether a ring's answer says nothing about the request: it may be a refusal; or a thread of the kernel's was
/// interrupted, or taken away.
fn is_inconclusive(result: c_int) -> bool {
    may_be_refusal(result) || matches!(-result, libc::EINTR | libc::ECANCELED)
}
