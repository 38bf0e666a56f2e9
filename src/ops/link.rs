//! `ioq_link()`: linkat(2).

use super::{Operation, Request, RingOperation, StatxPool, require};
use crate::entry::*;
use crate::fs::host::Host;
use crate::platform::errno::{self, Errno};
use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use libc::{c_char, c_int};

pub struct Link;

impl Link {
    /// `EINVAL` without both paths.
    pub fn request(
        olddfd: c_int,
        oldpath: *const c_char,
        newdfd: c_int,
        newpath: *const c_char,
        flags: c_int,
    ) -> Result<Request, Errno> {
        require(oldpath)?;
        require(newpath)?;
        let args = ioq_args { link: ioq_link { oldpath, newpath, olddfd, newdfd, flags } };
        Ok(Request { op: ioq_op::IOQ_LINK, args })
    }
}

impl Operation for Link {
    unsafe fn run(&self, _: &Host, ent: &mut ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation, whose paths are as the caller vouches for.
        unsafe {
            let ioq_link { oldpath, newpath, olddfd, newdfd, flags } = ent.args.link;
            errno::negated(libc::linkat(olddfd, oldpath, newdfd, newpath, flags))
        }
    }

    fn in_ring(&self) -> Option<&dyn RingOperation> {
        Some(self)
    }
}

/// Since Linux 5.15.
impl RingOperation for Link {
    unsafe fn submission(&self, _: &Host, _: &mut StatxPool, ent: &mut ioq_ent) -> Option<squeue::Entry> {
        // SAFETY: the arguments of this operation.
        let ioq_link { oldpath, newpath, olddfd, newdfd, flags } = unsafe { ent.args.link };
        // Before Linux 6.7 a ring took an empty path for none, whatever the flags.
        let suits = flags & libc::AT_EMPTY_PATH == 0;
        suits.then(|| opcode::LinkAt::new(Fd(olddfd), oldpath, Fd(newdfd), newpath).flags(flags).build())
    }

    fn probe(&self) -> squeue::Entry {
        opcode::LinkAt::new(Fd(-1), c"x".as_ptr(), Fd(-1), c"y".as_ptr()).build()
    }
}
