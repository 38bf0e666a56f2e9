//! `ioq_chown()`: fchownat(2).

use super::{Operation, Request, require};
use crate::entry::*;
use crate::fs::host::Host;
use crate::platform::errno::{self, Errno};
use libc::{c_char, c_int, gid_t, uid_t};

pub struct Chown;

impl Chown {
    /// `EINVAL` without a path.
    pub fn request(dfd: c_int, path: *const c_char, uid: uid_t, gid: gid_t, flags: c_int) -> Result<Request, Errno> {
        require(path)?;
        Ok(Request { op: ioq_op::IOQ_CHOWN, args: ioq_args { chown: ioq_chown { path, dfd, uid, gid, flags } } })
    }
}

impl Operation for Chown {
    unsafe fn run(&self, _: &Host, ent: &mut ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation, whose path is as the caller vouches for.
        unsafe {
            let ioq_chown { path, dfd, uid, gid, flags } = ent.args.chown;
            errno::uninterrupted(|| errno::negated(libc::fchownat(dfd, path, uid, gid, flags)))
        }
    }
}
