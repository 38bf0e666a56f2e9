//! `ioq_openat()`: openat2(2), and if there is a buffer for it, statx(2) of what was opened.
//!
//! In a ring these are two trips. What was opened is kept between them.

use super::{Next, Operation, Request, RingOperation, StatxPool, is_inconclusive, never_ran, opened, require};
use crate::entry::*;
use crate::fs::host::Host;
use crate::fs::stat::{self, does_without_statx};
use crate::platform::errno::{self, Errno};
use crate::platform::prefetch;
use io_uring::types::{Fd, OpenHow};
use io_uring::{opcode, squeue};
use libc::{c_char, c_int, c_uint, mode_t, open_how, statx};
use std::ptr;

pub struct Openat;

impl Openat {
    /// `EINVAL` without a path, or without anything that says how to open it.
    pub fn request(
        dfd: c_int,
        path: *const c_char,
        how: *const open_how,
        mask: c_uint,
        buf: *mut statx,
    ) -> Result<Request, Errno> {
        require(path)?;
        require(how)?;
        Ok(Request { op: ioq_op::IOQ_OPENAT, args: ioq_args { openat: ioq_openat { path, how, buf, dfd, mask } } })
    }
}

/// Whether the file may be another one after it was opened: new, or empty.
fn changes(how: &open_how) -> bool {
    how.flags & (libc::O_CREAT | libc::O_TRUNC) as u64 != 0
}

/// Opens a file by the best system call there is.
///
/// # Safety
///
/// `path` must be a string.
unsafe fn open(dfd: c_int, path: *const c_char, how: &open_how) -> c_int {
    let size = size_of::<open_how>();
    // SAFETY: `path` is a string.
    let result =
        errno::negated(unsafe { libc::syscall(libc::SYS_openat2, dfd, path, ptr::from_ref(how), size) } as c_int);
    // Kernels before 5.6 have no such call, and filters that do not know it refuse it.
    if !matches!(-result, libc::ENOSYS | libc::EPERM) || how.resolve != 0 {
        return result;
    }
    let Ok(flags) = c_int::try_from(how.flags) else {
        return -libc::EINVAL;
    };
    // SAFETY: `path` is a string.
    errno::negated(unsafe { libc::openat(dfd, path, flags, how.mode as mode_t) })
}

impl Operation for Openat {
    fn survives_cancel(&self, ent: &ioq_ent) -> bool {
        // SAFETY: the arguments of this operation, whose pointers are as the caller of `ioq.h` vouches for.
        opened::get(ent).is_some() && changes(unsafe { &*ent.args.openat.how })
    }

    fn prefetch(&self, ent: &ioq_ent) {
        // SAFETY: the arguments of this operation.
        prefetch::for_read(unsafe { ent.args.openat.path }.cast());
    }

    unsafe fn run(&self, _: &Host, ent: &mut ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation, whose pointers are as the caller vouches for.
        unsafe {
            let ioq_openat { path, how, buf, dfd, mask } = ent.args.openat;
            let how = &*how;
            let fd = match opened::get(ent) {
                Some(fd) => fd,
                None if changes(how) => open(dfd, path, how),
                None => errno::uninterrupted(|| open(dfd, path, how)),
            };
            if fd < 0 || buf.is_null() {
                return fd;
            }
            let result = stat::raw(fd, c"".as_ptr(), libc::AT_EMPTY_PATH, mask, buf);
            if result < 0 {
                opened::close(fd);
                return result;
            }
            fd
        }
    }

    fn abandon(&self, ent: &ioq_ent) {
        opened::abandon(ent);
    }

    unsafe fn discard(&self, _: &Host, ent: &ioq_ent) {
        if ent.result >= 0 {
            opened::close(ent.result);
        }
    }

    fn in_ring(&self) -> Option<&dyn RingOperation> {
        Some(self)
    }
}

impl RingOperation for Openat {
    unsafe fn submission(&self, _: &Host, _: &mut StatxPool, ent: &mut ioq_ent) -> Option<squeue::Entry> {
        // SAFETY: the arguments of this operation.
        let ioq_openat { path, how, buf, dfd, mask } = unsafe { ent.args.openat };
        if let Some(fd) = opened::get(ent) {
            let statx = opcode::Statx::new(Fd(fd), c"".as_ptr(), buf.cast());
            return Some(statx.flags(libc::AT_EMPTY_PATH).mask(mask).build());
        }
        if !buf.is_null() && does_without_statx() {
            return None;
        }
        Some(opened::without_waiting(opcode::OpenAt2::new(Fd(dfd), path, how.cast()).build()))
    }

    unsafe fn completed(&self, _: &Host, _: &mut StatxPool, ent: &mut ioq_ent, result: c_int) -> Next {
        // SAFETY: the arguments of this operation, whose pointers are as the caller vouches for.
        let (how, buf) = unsafe { (&*ent.args.openat.how, ent.args.openat.buf) };
        match opened::get(ent) {
            Some(fd) if result >= 0 => Next::Done(fd),
            // A worker will find out, and close it.
            Some(_) => Next::Plain,
            None if result >= 0 && buf.is_null() => Next::Done(result),
            None if result >= 0 => {
                opened::keep(ent, result);
                Next::Again
            }
            None if never_ran(result) || !changes(how) && is_inconclusive(result) => Next::plain(ent, result),
            None => Next::Done(result),
        }
    }

    fn probe(&self) -> squeue::Entry {
        static READ: OpenHow = OpenHow::new();
        opcode::OpenAt2::new(Fd(-1), c".".as_ptr(), &READ).build()
    }
}
