//! `ioq_list()`: a whole directory, and a stat of each of its entries, in one request.
//!
//! The directory is opened, by a ring or by a worker, and read by a worker. The stats are parts of the request
//! (`queue::batch`), which that worker does one after the other while they are quick; otherwise the others and the ring
//! have their share of them. Whoever finishes the last part completes the request; a driver leaves that to a worker, if
//! it might wait.
//!
//! The list itself is in the caller's pointer from when the directory was read.

mod listing;
mod open;
mod stats;

pub use listing::{Listing, free};
pub use open::{OpenLists, Stage};
pub use stats::{OP as STATS, Part};

use super::{Next, Operation, Request, RingOperation, StatxPool, opened, require};
use crate::abi::list::{ioq_list, ioq_list_flags};
use crate::entry::*;
use crate::fs::dir::calls;
use crate::fs::host::Host;
use crate::platform::errno::Errno;
use crate::platform::prefetch;
use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use libc::{c_char, c_int, c_uint};
use std::ptr;

const STAT: c_uint = ioq_list_flags::IOQ_LIST_STAT as c_uint;
const SORT_NAME: c_uint = ioq_list_flags::IOQ_LIST_SORT_NAME as c_uint;
const SORT_INODE: c_uint = ioq_list_flags::IOQ_LIST_SORT_INODE as c_uint;
const NOFOLLOW: c_uint = ioq_list_flags::IOQ_LIST_NOFOLLOW as c_uint;
const FD: c_uint = ioq_list_flags::IOQ_LIST_FD as c_uint;
const PART: c_uint = ioq_list_flags::IOQ_LIST_PART as c_uint;
const SELF: c_uint = ioq_list_flags::IOQ_LIST_SELF as c_uint;
const FLAGS: c_uint = STAT | SORT_NAME | SORT_INODE | NOFOLLOW | FD | PART | SELF;

/// The bit of a mask that `statx(2)` takes from nobody.
const RESERVED: c_uint = libc::STATX__RESERVED as c_uint;

pub struct List;

impl List {
    /// `EINVAL` without a place for the list, or if flags or mask make no sense.
    ///
    /// # Safety
    ///
    /// `list` must be NULL or valid for writes.
    pub unsafe fn request(
        dfd: c_int,
        path: *const c_char,
        flags: c_uint,
        mask: c_uint,
        list: *mut *mut ioq_list,
    ) -> Result<Request, Errno> {
        require(list)?;
        // SAFETY: not NULL, so valid for writes.
        unsafe { list.write(ptr::null_mut()) };
        let sorts_twice = flags & (SORT_NAME | SORT_INODE) == SORT_NAME | SORT_INODE;
        let keeps_callers = next_part_of(dfd, path, flags).is_some() && flags & FD != 0;
        if flags & !FLAGS != 0 || sorts_twice || keeps_callers || mask & RESERVED != 0 {
            return Err(Errno(libc::EINVAL));
        }
        let args = ioq_args { list: ioq_list_args { path, list, dfd, flags, mask } };
        Ok(Request { op: ioq_op::IOQ_LIST, args })
    }

    /// The stats that a request has come to consist of, if its directory was read and they were asked for.
    pub fn stats(ent: &ioq_ent) -> Option<&Listing> {
        if ent.op != ioq_op::IOQ_LIST {
            return None;
        }
        // SAFETY: the arguments of this operation. The pointer is valid, as the caller of `ioq.h` vouches for. `request`
        // wrote NULL there, and since then nobody writes but whoever has the request's span, and that a list of ours; who
        // has an entry here has its span.
        unsafe {
            let ioq_list_args { list, flags, .. } = ent.args.list;
            Listing::of(*list).filter(|_| flags & STAT != 0)
        }
    }

    /// Completes a request whose stats are all finished. Returns the result.
    ///
    /// # Safety
    ///
    /// The pointer to the list must be as `ioq.h` asks.
    pub unsafe fn complete(ent: &ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation; nobody else has the list any more.
        unsafe {
            let ioq_list_args { list, flags, .. } = ent.args.list;
            if let Some((listing, Errno(e))) = Listing::of(*list).and_then(|l| Some((l, l.why_given_up()?))) {
                listing.unread();
                listing::discard(ptr::replace(list, ptr::null_mut()));
                return -e;
            }
            if flags & FD == 0 {
                listing::close(*list);
            }
        }
        0
    }

    /// Whether a request whose stats are all finished is complete as it is: nothing is to be closed or freed.
    pub fn is_complete(ent: &ioq_ent) -> bool {
        // SAFETY: the arguments of this operation.
        let keeps_fd = unsafe { ent.args.list.flags } & FD != 0;
        keeps_fd && Self::stats(ent).is_some_and(|list| list.why_given_up().is_none())
    }
}

/// The caller's descriptor, if that itself is to be read on.
fn next_part_of(dfd: c_int, path: *const c_char, flags: c_uint) -> Option<c_int> {
    (path.is_null() && flags & PART != 0).then_some(dfd)
}

/// What to open: a directory itself by its own name in it.
///
/// # Safety
///
/// The entry must be of this operation.
unsafe fn to_open(ent: &ioq_ent) -> (c_int, *const c_char, c_int) {
    // SAFETY: passed on to the caller.
    let ioq_list_args { path, dfd, flags, .. } = unsafe { ent.args.list };
    let path = if path.is_null() { c".".as_ptr() } else { path };
    (dfd, path, if flags & NOFOLLOW != 0 { libc::O_NOFOLLOW } else { 0 })
}

impl Operation for List {
    fn survives_cancel(&self, ent: &ioq_ent) -> bool {
        // Somebody may be at one of them. Whoever has the rest gives that up.
        Self::stats(ent).is_some()
    }

    fn prefetch(&self, ent: &ioq_ent) {
        // SAFETY: the arguments of this operation.
        prefetch::for_read(unsafe { ent.args.list.path }.cast());
    }

    /// Reads the directory. The stats are still to come then.
    unsafe fn run(&self, _: &Host, ent: &mut ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation, whose pointers are as the caller vouches for.
        unsafe {
            let ioq_list_args { dfd, path, list, flags, mask } = ent.args.list;
            let read = if let Some(fd) = next_part_of(dfd, path, flags) {
                Listing::read(fd, -1, flags, mask)
            } else {
                let (dfd, path, open_flags) = to_open(ent);
                match opened::get(ent).map_or_else(|| calls::open(dfd, path, open_flags), Ok) {
                    Ok(fd) => Listing::read(fd, fd, flags, mask).inspect_err(|_| opened::close(fd)),
                    Err(e) => Err(e),
                }
            };
            match read {
                Ok(listing) => list.write(listing.cast().as_ptr()),
                Err(e) => return -e.0,
            }
            if flags & STAT == 0 { Self::complete(ent) } else { 0 }
        }
    }

    fn abandon(&self, ent: &ioq_ent) {
        opened::abandon(ent);
    }

    unsafe fn discard(&self, _: &Host, ent: &ioq_ent) {
        if ent.result >= 0 {
            // SAFETY: the arguments of this operation; the list is still the queue's.
            unsafe { listing::discard(ptr::replace(ent.args.list.list, ptr::null_mut())) };
        }
    }

    fn in_ring(&self) -> Option<&dyn RingOperation> {
        Some(self)
    }
}

/// A ring opens the directory.
impl RingOperation for List {
    unsafe fn submission(&self, _: &Host, _: &mut StatxPool, ent: &mut ioq_ent) -> Option<squeue::Entry> {
        // SAFETY: an entry of this operation.
        let (args, (dfd, path, flags)) = unsafe { (ent.args.list, to_open(ent)) };
        // What is open already waits for a worker alone.
        let opens = opened::get(ent).is_none() && next_part_of(args.dfd, args.path, args.flags).is_none();
        let open = || opcode::OpenAt::new(Fd(dfd), path).flags(calls::OPEN_FLAGS | flags).build();
        opens.then(|| opened::without_waiting(open()))
    }

    unsafe fn completed(&self, _: &Host, _: &mut StatxPool, ent: &mut ioq_ent, result: c_int) -> Next {
        opened::completed(ent, result)
    }

    fn probe(&self) -> squeue::Entry {
        opcode::OpenAt::new(Fd(-1), c".".as_ptr()).flags(calls::OPEN_FLAGS).build()
    }
}
