//! `ioq_symlink()`: symlinkat(2).

use super::{Operation, Request, RingOperation, StatxPool, require};
use crate::entry::*;
use crate::fs::host::Host;
use crate::platform::errno::{self, Errno};
use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use libc::{c_char, c_int};

pub struct Symlink;

impl Symlink {
    /// `EINVAL` without a target or a path.
    pub fn request(target: *const c_char, dfd: c_int, path: *const c_char) -> Result<Request, Errno> {
        require(target)?;
        require(path)?;
        Ok(Request { op: ioq_op::IOQ_SYMLINK, args: ioq_args { symlink: ioq_symlink { target, path, dfd } } })
    }
}

impl Operation for Symlink {
    unsafe fn run(&self, _: &Host, ent: &mut ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation, whose strings are as the caller vouches for.
        unsafe {
            let ioq_symlink { target, path, dfd } = ent.args.symlink;
            errno::negated(libc::symlinkat(target, dfd, path))
        }
    }

    fn in_ring(&self) -> Option<&dyn RingOperation> {
        Some(self)
    }
}

/// Since Linux 5.15.
impl RingOperation for Symlink {
    unsafe fn submission(&self, _: &Host, _: &mut StatxPool, ent: &mut ioq_ent) -> Option<squeue::Entry> {
        // SAFETY: the arguments of this operation.
        let ioq_symlink { target, path, dfd } = unsafe { ent.args.symlink };
        Some(opcode::SymlinkAt::new(Fd(dfd), target, path).build())
    }

    fn probe(&self) -> squeue::Entry {
        opcode::SymlinkAt::new(Fd(-1), c"x".as_ptr(), c"y".as_ptr()).build()
    }
}
