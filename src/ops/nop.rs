//! `ioq_nop()`: nothing, or one trivial system call.

use super::{Operation, Request};
use crate::entry::*;
use crate::fs::host::Host;
use crate::platform::errno::Errno;
use libc::{c_int, c_uint};

pub struct Nop;

impl Nop {
    /// `EINVAL` if there is no such type.
    pub fn request(r#type: c_uint) -> Result<Request, Errno> {
        let r#type = match r#type {
            0 => ioq_nop_type::IOQ_NOP_LIGHT,
            1 => ioq_nop_type::IOQ_NOP_HEAVY,
            _ => return Err(Errno(libc::EINVAL)),
        };
        Ok(Request { op: ioq_op::IOQ_NOP, args: ioq_args { nop: ioq_nop { r#type } } })
    }

    /// Does it, which takes no time.
    #[inline]
    pub fn perform(ent: &ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation; the call has no effect.
        unsafe {
            if ent.args.nop.r#type == ioq_nop_type::IOQ_NOP_HEAVY {
                // The cheapest system call that no C library answers from memory.
                libc::getppid();
            }
        }
        0
    }
}

impl Operation for Nop {
    unsafe fn run(&self, _: &Host, ent: &mut ioq_ent) -> c_int {
        Self::perform(ent)
    }
}
