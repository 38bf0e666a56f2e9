//! A descriptor that a ring has opened for a request that is not done with that.
//!
//! It is kept in the entry's `result`, as the descriptor plus 1.

use super::{Next, is_inconclusive};
use crate::entry::ioq_ent;
use io_uring::squeue;
use libc::c_int;

/// Has a ring open a file in a thread of the kernel's. It would open what it finds in the cache in the driver's, where a
/// server that does not answer would hold up everything else; and FIFOs as if by `O_NONBLOCK`.
pub fn without_waiting(open: squeue::Entry) -> squeue::Entry {
    open.flags(squeue::Flags::ASYNC)
}

/// Keeps a descriptor.
pub fn keep(ent: &mut ioq_ent, fd: c_int) {
    ent.result = fd + 1;
}

/// The descriptor that is kept, if there is one.
pub fn get(ent: &ioq_ent) -> Option<c_int> {
    (ent.result > 0).then(|| ent.result - 1)
}

/// What comes after a ring has answered a submission to open a file that plain calls go on with.
pub fn completed(ent: &mut ioq_ent, result: c_int) -> Next {
    if result >= 0 {
        keep(ent, result);
        Next::Plain
    } else if is_inconclusive(result) {
        Next::plain(ent, result)
    } else {
        Next::Done(result)
    }
}

/// Closes a descriptor of the library's own.
pub fn close(fd: c_int) {
    // SAFETY: it was opened for a request, and nobody else knows of it.
    unsafe { libc::close(fd) };
}

/// Closes the descriptor that is kept, if there is one.
pub fn abandon(ent: &ioq_ent) {
    get(ent).into_iter().for_each(close);
}
