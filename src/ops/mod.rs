//! What requests do: one file for each operation, with its checks, its plain calls, and its form for a ring.
//!
//! # To add an operation
//!
//! 1. Append its number and its arguments to `entry.rs`, and what is fixed of their layout. There is room for six pointers;
//!    nothing may need a stricter alignment than one.
//! 2. Write its file: `request()` checks the arguments, and `Operation::run` makes the plain calls. If a ring can do it,
//!    implement `RingOperation` as well. What `completed` does by default is right for one call that must not be made twice.
//! 3. Append it to the `TABLE` below. Everything else finds it there.
//! 4. Write its C function in `abi/`, with what C programmers must know of it; append that to `exports.txt`, and run
//!    `make headers`.
//! 5. Compare it with the plain call in a program of `c-tests/`, on success and on failure.

mod access;
mod call;
mod chmod;
mod chown;
mod close;
mod closedir;
mod getxattr;
mod link;
pub mod list;
mod mkdir;
mod nop;
mod openat;
mod opendir;
mod opened;
mod readlink;
mod rename;
mod stat;
mod statx;
mod symlink;
mod unlink;
mod utimens;

pub use access::Access;
pub use call::Call;
pub use chmod::Chmod;
pub use chown::Chown;
pub use close::Close;
pub use closedir::Closedir;
pub use getxattr::Getxattr;
pub use link::Link;
pub use list::List;
pub use mkdir::Mkdir;
pub use nop::Nop;
pub use openat::Openat;
pub use opendir::Opendir;
pub use readlink::Readlink;
pub use rename::Rename;
pub use stat::{Stat, StatxPool};
pub use statx::Statx;
pub use symlink::Symlink;
pub use unlink::Unlink;
pub use utimens::Utimens;

use crate::entry::{ioq_args, ioq_ent, ioq_op};
use crate::fs::host::Host;
use crate::platform::errno::Errno;
use io_uring::squeue;
use libc::c_int;

/// All operations, in the order of their numbers.
const TABLE: &[(ioq_op, &dyn Operation)] = &[
    (ioq_op::IOQ_NOP, &Nop),
    (ioq_op::IOQ_CLOSE, &Close),
    (ioq_op::IOQ_OPENDIR, &Opendir),
    (ioq_op::IOQ_CLOSEDIR, &Closedir),
    (ioq_op::IOQ_STAT, &Stat),
    (ioq_op::IOQ_CALL, &Call),
    (ioq_op::IOQ_STATX, &Statx),
    (ioq_op::IOQ_LIST, &List),
    (ioq_op::IOQ_OPENAT, &Openat),
    (ioq_op::IOQ_READLINK, &Readlink),
    (ioq_op::IOQ_GETXATTR, &Getxattr),
    (ioq_op::IOQ_ACCESS, &Access),
    (ioq_op::IOQ_UNLINK, &Unlink),
    (ioq_op::IOQ_RENAME, &Rename),
    (ioq_op::IOQ_MKDIR, &Mkdir),
    (ioq_op::IOQ_LINK, &Link),
    (ioq_op::IOQ_SYMLINK, &Symlink),
    (ioq_op::IOQ_CHMOD, &Chmod),
    (ioq_op::IOQ_CHOWN, &Chown),
    (ioq_op::IOQ_UTIMENS, &Utimens),
];

/// How many there are.
pub const COUNT: usize = TABLE.len();

/// Their numbers.
pub const ALL: [ioq_op; COUNT] = {
    let mut all = [ioq_op::IOQ_NOP; COUNT];
    let mut i = 0;
    while i < COUNT {
        all[i] = TABLE[i].0;
        assert!(all[i] as usize == i, "the table is not in order");
        i += 1;
    }
    all
};

/// The implementation of an operation.
#[inline]
pub fn of(op: ioq_op) -> &'static dyn Operation {
    TABLE[op as usize].1
}

/// A request before it has an entry.
pub struct Request {
    pub op: ioq_op,
    pub args: ioq_args,
}

/// `EINVAL` for a pointer that must not be NULL.
fn require<T>(pointer: *const T) -> Result<(), Errno> {
    if pointer.is_null() { Err(Errno(libc::EINVAL)) } else { Ok(()) }
}

/// What one operation does. Each function is given an entry of that operation.
///
/// Until it is done, a request's `result` says how far it came: 0 is not at all, less is what a ring answered, which
/// plain calls may know better, and more is up to the operation.
pub trait Operation: Sync {
    /// Whether it runs in a cancelled queue all the same, because something would leak otherwise.
    fn survives_cancel(&self, _: &ioq_ent) -> bool {
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

    /// Goes on with the request after the ring has answered. This is what it does if all there is to it is one call, which
    /// must not be made again if it may have been made: only if the ring surely has done nothing, plain calls do it.
    ///
    /// # Safety
    ///
    /// The submission's completion must have been seen, with this result.
    unsafe fn completed(&self, _: &Host, _: &mut StatxPool, ent: &mut ioq_ent, result: c_int) -> Next {
        if never_ran(result) { Next::plain(ent, result) } else { Next::Done(result) }
    }

    /// A submission that fails with `EBADF`, whatever the file system, if a ring may do this operation at all.
    fn probe(&self) -> squeue::Entry;
}

/// Whether a ring has opened a file for this request. Only a thread can go on with it, or close that.
pub fn has_opened(ent: &ioq_ent) -> bool {
    opened::get(ent).is_some()
}

/// What comes after a ring's answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing. This is the result.
    Done(c_int),
    /// Plain calls.
    Plain,
    /// Another `submission`.
    Again,
}

impl Next {
    /// Plain calls, which may know better than a ring with this answer.
    fn plain(ent: &mut ioq_ent, result: c_int) -> Self {
        ent.result = result;
        Self::Plain
    }
}

/// Whether a ring may answer this because it is not allowed or not able to do such a request at all: filters and
/// restrictions, security modules, kernels without the operation.
pub fn may_be_refusal(result: c_int) -> bool {
    matches!(-result, libc::EACCES | libc::EPERM | libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP)
}

/// Whether a ring that answers this has not done the request: it may be a refusal, or a thread of the kernel's was taken
/// away before it came to it.
fn never_ran(result: c_int) -> bool {
    may_be_refusal(result) || result == -libc::ECANCELED
}

/// Whether a ring's answer says nothing about a request that may be done again: it has not done it, or was interrupted.
fn is_inconclusive(result: c_int) -> bool {
    never_ran(result) || result == -libc::EINTR
}

#[cfg(all(test, not(any(ioq_loom, ioq_shuttle))))]
mod tests;
