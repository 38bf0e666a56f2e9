//! `ioq_close()`: close(2).
//!
//! It has no form for a ring. Most closes are quicker than a trip through one; and of one that fails there, nobody could
//! tell whether the ring refused it or the file system answered so with the descriptor gone.

use super::{Operation, Request};
use crate::entry::*;
use crate::fs::host::Host;
use crate::platform::errno;
use libc::c_int;

pub struct Close;

impl Close {
    pub fn request(fd: c_int) -> Request {
        Request { op: ioq_op::IOQ_CLOSE, args: ioq_args { close: ioq_close { fd } } }
    }
}

impl Operation for Close {
    fn survives_cancel(&self, _: &ioq_ent) -> bool {
        true
    }

    unsafe fn run(&self, _: &Host, ent: &mut ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation, whose descriptor is the queue's.
        unsafe { errno::negated(libc::close(ent.args.close.fd)) }
    }
}
