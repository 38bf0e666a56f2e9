//! `ioq_statx()`: statx(2) as it is.

use super::{Next, Operation, Request, RingOperation, StatxPool, is_inconclusive};
use crate::entry::*;
use crate::fs::host::Host;
use crate::fs::stat::{by_statx, does_without_statx};
use crate::platform::errno;
use crate::platform::prefetch;
use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use libc::{c_char, c_int, c_uint, statx};
use std::mem::MaybeUninit;
use std::ptr;

pub struct Statx;

impl Statx {
    pub fn request(dfd: c_int, path: *const c_char, flags: c_int, mask: c_uint, buf: *mut statx) -> Request {
        let args = ioq_args { statx: ioq_statx { path, buf, dfd, flags, mask } };
        Request { op: ioq_op::IOQ_STATX, args }
    }

    /// Calls statx(2). Without a path, that is about `dfd` itself; without a buffer, the answer is dropped.
    ///
    /// # Safety
    ///
    /// `path` must be NULL or a string, and `buf` NULL or valid for writes.
    unsafe fn call(dfd: c_int, path: *const c_char, flags: c_int, mask: c_uint, buf: *mut statx) -> c_int {
        let (path, flags) = named(path, flags);
        let mut nowhere = MaybeUninit::uninit();
        let buf = if buf.is_null() { nowhere.as_mut_ptr() } else { buf };
        // SAFETY: `path` is a string now, and the buffer valid for writes.
        errno::uninterrupted(|| errno::negated_result(unsafe { by_statx(dfd, path, flags, mask, buf) }))
    }
}

/// The path that stands for none, and the flag for that.
fn named(path: *const c_char, flags: c_int) -> (*const c_char, c_int) {
    if path.is_null() { (c"".as_ptr(), flags | libc::AT_EMPTY_PATH) } else { (path, flags) }
}

impl Operation for Statx {
    fn prefetch(&self, ent: &ioq_ent) {
        // SAFETY: the arguments of this operation.
        prefetch::for_read(unsafe { ent.args.statx.path }.cast());
    }

    unsafe fn run(&self, _: &Host, ent: &mut ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation, whose pointers are as the caller vouches for.
        unsafe {
            let ioq_statx { path, buf, dfd, flags, mask } = ent.args.statx;
            Self::call(dfd, path, flags, mask, buf)
        }
    }

    fn in_ring(&self) -> Option<&dyn RingOperation> {
        Some(self)
    }
}

impl RingOperation for Statx {
    unsafe fn submission(&self, _: &Host, pool: &mut StatxPool, ent: &mut ioq_ent) -> Option<squeue::Entry> {
        // SAFETY: the arguments of this operation.
        let ioq_statx { path, buf, dfd, flags, mask } = unsafe { ent.args.statx };
        if does_without_statx() {
            // Here as there: no filter reaches a ring.
            return None;
        }
        let (path, flags) = named(path, flags);
        let buf = if buf.is_null() { pool.nowhere() } else { buf };
        Some(opcode::Statx::new(Fd(dfd), path, buf.cast()).flags(flags).mask(mask).build())
    }

    unsafe fn completed(&self, _: &Host, _: &mut StatxPool, ent: &mut ioq_ent, result: c_int) -> Next {
        if is_inconclusive(result) { Next::plain(ent, result) } else { Next::Done(result) }
    }

    fn probe(&self) -> squeue::Entry {
        opcode::Statx::new(Fd(-1), c".".as_ptr(), ptr::null_mut()).build()
    }
}
