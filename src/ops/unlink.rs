//! `ioq_unlink()`: unlinkat(2).

use super::{Operation, Request, RingOperation, StatxPool, require};
use crate::entry::*;
use crate::fs::host::Host;
use crate::platform::errno::{self, Errno};
use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use libc::{c_char, c_int};

pub struct Unlink;

impl Unlink {
    /// `EINVAL` without a path.
    pub fn request(dfd: c_int, path: *const c_char, flags: c_int) -> Result<Request, Errno> {
        require(path)?;
        Ok(Request { op: ioq_op::IOQ_UNLINK, args: ioq_args { unlink: ioq_unlink { path, dfd, flags } } })
    }
}

impl Operation for Unlink {
    unsafe fn run(&self, _: &Host, ent: &mut ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation, whose path is as the caller vouches for.
        unsafe {
            let ioq_unlink { path, dfd, flags } = ent.args.unlink;
            errno::negated(libc::unlinkat(dfd, path, flags))
        }
    }

    fn in_ring(&self) -> Option<&dyn RingOperation> {
        Some(self)
    }
}

/// Since Linux 5.11.
impl RingOperation for Unlink {
    unsafe fn submission(&self, _: &Host, _: &mut StatxPool, ent: &mut ioq_ent) -> Option<squeue::Entry> {
        // SAFETY: the arguments of this operation.
        let ioq_unlink { path, dfd, flags } = unsafe { ent.args.unlink };
        Some(opcode::UnlinkAt::new(Fd(dfd), path).flags(flags).build())
    }

    fn probe(&self) -> squeue::Entry {
        opcode::UnlinkAt::new(Fd(-1), c"x".as_ptr()).build()
    }
}
