//! `ioq_rename()`: renameat2(2).

use super::{Operation, Request, RingOperation, StatxPool, require};
use crate::entry::*;
use crate::fs::host::Host;
use crate::platform::errno::{self, Errno};
use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use libc::{c_char, c_int, c_uint};

pub struct Rename;

impl Rename {
    /// `EINVAL` without both paths.
    pub fn request(
        olddfd: c_int,
        oldpath: *const c_char,
        newdfd: c_int,
        newpath: *const c_char,
        flags: c_uint,
    ) -> Result<Request, Errno> {
        require(oldpath)?;
        require(newpath)?;
        let args = ioq_args { rename: ioq_rename { oldpath, newpath, olddfd, newdfd, flags } };
        Ok(Request { op: ioq_op::IOQ_RENAME, args })
    }
}

impl Operation for Rename {
    unsafe fn run(&self, _: &Host, ent: &mut ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation, whose paths are as the caller vouches for.
        unsafe {
            let ioq_rename { oldpath, newpath, olddfd, newdfd, flags } = ent.args.rename;
            // Old kernels and C libraries have no renameat2().
            let ret = match flags {
                0 => libc::renameat(olddfd, oldpath, newdfd, newpath),
                _ => libc::syscall(libc::SYS_renameat2, olddfd, oldpath, newdfd, newpath, flags) as c_int,
            };
            errno::negated(ret)
        }
    }

    fn in_ring(&self) -> Option<&dyn RingOperation> {
        Some(self)
    }
}

/// Since Linux 5.11.
impl RingOperation for Rename {
    unsafe fn submission(&self, _: &Host, _: &mut StatxPool, ent: &mut ioq_ent) -> Option<squeue::Entry> {
        // SAFETY: the arguments of this operation.
        let ioq_rename { oldpath, newpath, olddfd, newdfd, flags } = unsafe { ent.args.rename };
        Some(opcode::RenameAt::new(Fd(olddfd), oldpath, Fd(newdfd), newpath).flags(flags).build())
    }

    fn probe(&self) -> squeue::Entry {
        opcode::RenameAt::new(Fd(-1), c"x".as_ptr(), Fd(-1), c"y".as_ptr()).build()
    }
}
