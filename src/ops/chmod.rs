//! `ioq_chmod()`: fchmodat(2), or fchmodat2(2) where flags need that.

use super::{Operation, Request, require};
use crate::entry::*;
use crate::fs::host::Host;
use crate::platform::calls::SYS_FCHMODAT2;
use crate::platform::errno::{self, Errno};
use libc::{c_char, c_int, mode_t};

pub struct Chmod;

impl Chmod {
    /// `EINVAL` without a path.
    pub fn request(dfd: c_int, path: *const c_char, mode: mode_t, flags: c_int) -> Result<Request, Errno> {
        require(path)?;
        Ok(Request { op: ioq_op::IOQ_CHMOD, args: ioq_args { chmod: ioq_chmod { path, dfd, mode, flags } } })
    }
}

/// # Safety
///
/// `path` must be a string.
unsafe fn chmod(dfd: c_int, path: *const c_char, mode: mode_t, flags: c_int) -> c_int {
    if flags != 0 {
        // SAFETY: `path` is a string.
        let ret = unsafe { libc::syscall(SYS_FCHMODAT2, dfd, path, mode, flags) };
        let result = errno::negated(ret as c_int);
        // Before Linux 6.6, the C library does what it can.
        if result != -libc::ENOSYS {
            return result;
        }
    }
    // SAFETY: `path` is a string.
    errno::negated(unsafe { libc::fchmodat(dfd, path, mode, flags) })
}

impl Operation for Chmod {
    unsafe fn run(&self, _: &Host, ent: &mut ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation, whose path is as the caller vouches for.
        unsafe {
            let ioq_chmod { path, dfd, mode, flags } = ent.args.chmod;
            errno::uninterrupted(|| chmod(dfd, path, mode, flags))
        }
    }
}
