//! `ioq_mkdir()`: mkdirat(2).

use super::{Operation, Request, RingOperation, StatxPool, require};
use crate::entry::*;
use crate::fs::host::Host;
use crate::platform::errno::{self, Errno};
use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use libc::{c_char, c_int, mode_t};

pub struct Mkdir;

impl Mkdir {
    /// `EINVAL` without a path.
    pub fn request(dfd: c_int, path: *const c_char, mode: mode_t) -> Result<Request, Errno> {
        require(path)?;
        Ok(Request { op: ioq_op::IOQ_MKDIR, args: ioq_args { mkdir: ioq_mkdir { path, dfd, mode } } })
    }
}

impl Operation for Mkdir {
    unsafe fn run(&self, _: &Host, ent: &mut ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation, whose path is as the caller vouches for.
        unsafe {
            let ioq_mkdir { path, dfd, mode } = ent.args.mkdir;
            errno::negated(libc::mkdirat(dfd, path, mode))
        }
    }

    fn in_ring(&self) -> Option<&dyn RingOperation> {
        Some(self)
    }
}

/// Since Linux 5.15.
impl RingOperation for Mkdir {
    unsafe fn submission(&self, _: &Host, _: &mut StatxPool, ent: &mut ioq_ent) -> Option<squeue::Entry> {
        // SAFETY: the arguments of this operation.
        let ioq_mkdir { path, dfd, mode } = unsafe { ent.args.mkdir };
        Some(opcode::MkDirAt::new(Fd(dfd), path).mode(mode).build())
    }

    fn probe(&self) -> squeue::Entry {
        opcode::MkDirAt::new(Fd(-1), c"x".as_ptr()).build()
    }
}
