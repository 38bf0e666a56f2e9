//! `ioq_utimens()`: utimensat(2).

use super::{Operation, Request, require};
use crate::entry::*;
use crate::fs::host::Host;
use crate::platform::errno::{self, Errno};
use libc::{c_char, c_int, timespec};

pub struct Utimens;

impl Utimens {
    /// `EINVAL` without a path.
    pub fn request(dfd: c_int, path: *const c_char, times: *const timespec, flags: c_int) -> Result<Request, Errno> {
        require(path)?;
        Ok(Request { op: ioq_op::IOQ_UTIMENS, args: ioq_args { utimens: ioq_utimens { path, times, dfd, flags } } })
    }
}

impl Operation for Utimens {
    unsafe fn run(&self, _: &Host, ent: &mut ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation, whose pointers are as the caller vouches for.
        unsafe {
            let ioq_utimens { path, times, dfd, flags } = ent.args.utimens;
            errno::uninterrupted(|| errno::negated(libc::utimensat(dfd, path, times, flags)))
        }
    }
}
