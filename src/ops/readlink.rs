//! `ioq_readlink()`: readlinkat(2).

use super::{Operation, Request, require};
use crate::entry::*;
use crate::fs::host::Host;
use crate::platform::errno::{self, Errno};
use crate::platform::prefetch;
use libc::{c_char, c_int};

pub struct Readlink;

impl Readlink {
    /// `EINVAL` without a path or a buffer.
    pub fn request(dfd: c_int, path: *const c_char, buf: *mut c_char, size: usize) -> Result<Request, Errno> {
        require(path)?;
        require(buf)?;
        let args = ioq_args { readlink: ioq_readlink { path, buf, size, dfd } };
        Ok(Request { op: ioq_op::IOQ_READLINK, args })
    }
}

impl Operation for Readlink {
    fn prefetch(&self, ent: &ioq_ent) {
        // SAFETY: the arguments of this operation.
        prefetch::for_read(unsafe { ent.args.readlink.path }.cast());
    }

    unsafe fn run(&self, _: &Host, ent: &mut ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation, whose pointers are as the caller vouches for.
        unsafe {
            let ioq_readlink { path, buf, size, dfd } = ent.args.readlink;
            if size == 0 {
                // So says Linux, before anything else. With musl's function, it could not.
                return -libc::EINVAL;
            }
            errno::uninterrupted(|| errno::negated(libc::readlinkat(dfd, path, buf, size) as c_int))
        }
    }
}
