//! `ioq_access()`: faccessat2(2), and what the C library does without that.

use super::{Operation, Request, require};
use crate::entry::*;
use crate::fs::host::Host;
use crate::platform::errno::{self, Errno};
use crate::platform::prefetch;
use libc::{c_char, c_int};

pub struct Access;

impl Access {
    /// `EINVAL` without a path.
    pub fn request(dfd: c_int, path: *const c_char, mode: c_int, flags: c_int) -> Result<Request, Errno> {
        require(path)?;
        let args = ioq_args { access: ioq_access { path, dfd, mode, flags } };
        Ok(Request { op: ioq_op::IOQ_ACCESS, args })
    }
}

/// # Safety
///
/// `path` must be a string.
unsafe fn access(dfd: c_int, path: *const c_char, mode: c_int, flags: c_int) -> c_int {
    if flags != 0 {
        // Old C libraries do not know of this call.
        // SAFETY: `path` is a string.
        let ret = unsafe { libc::syscall(libc::SYS_faccessat2, dfd, path, mode, flags) };
        let result = errno::negated(ret as c_int);
        // Nor do kernels before 5.8: there the C library finds out what it can by other calls.
        if result != -libc::ENOSYS {
            return result;
        }
    }
    // SAFETY: `path` is a string.
    errno::negated(unsafe { libc::faccessat(dfd, path, mode, flags) })
}

impl Operation for Access {
    fn prefetch(&self, ent: &ioq_ent) {
        // SAFETY: the arguments of this operation.
        prefetch::for_read(unsafe { ent.args.access.path }.cast());
    }

    unsafe fn run(&self, _: &Host, ent: &mut ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation, whose path is as the caller vouches for.
        unsafe {
            let ioq_access { path, dfd, mode, flags } = ent.args.access;
            errno::uninterrupted(|| access(dfd, path, mode, flags))
        }
    }
}
