//! `ioq_utimens()`: utimensat(2).

use super::{Operation, Request, require};
use crate::entry::*;
use crate::fs::host::Host;
use crate::platform::errno::{self, Errno};
use crate::platform::time64::{self, Timespec64};
use libc::{c_char, c_int, timespec};

pub struct Utimens;

impl Utimens {
    /// `EINVAL` without a path.
    pub fn request(dfd: c_int, path: *const c_char, times: *const timespec, flags: c_int) -> Result<Request, Errno> {
        Self::with(ioq_utimens { path, times, dfd, flags, time64: false })
    }

    /// The same with times of 64 bits.
    pub fn request64(
        dfd: c_int,
        path: *const c_char,
        times: *const Timespec64,
        flags: c_int,
    ) -> Result<Request, Errno> {
        Self::with(ioq_utimens { path, times: times.cast(), dfd, flags, time64: true })
    }

    fn with(utimens: ioq_utimens) -> Result<Request, Errno> {
        require(utimens.path)?;
        Ok(Request { op: ioq_op::IOQ_UTIMENS, args: ioq_args { utimens } })
    }
}

impl Operation for Utimens {
    unsafe fn run(&self, _: &Host, ent: &mut ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation, whose pointers are as the caller vouches for.
        unsafe {
            let ioq_utimens { path, times, dfd, flags, time64 } = ent.args.utimens;
            errno::uninterrupted(|| {
                errno::negated(if time64 {
                    time64::utimensat(dfd, path, times.cast(), flags)
                } else {
                    libc::utimensat(dfd, path, times, flags)
                })
            })
        }
    }
}
