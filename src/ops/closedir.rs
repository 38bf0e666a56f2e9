//! `ioq_closedir()`: `bfs_closedir()`.

use super::{Operation, Request, require};
use crate::entry::*;
use crate::fs::host::Host;
use crate::platform::errno::Errno;
use libc::c_int;

pub struct Closedir;

impl Closedir {
    /// `EINVAL` without a directory.
    pub fn request(dir: *mut bfs_dir) -> Result<Request, Errno> {
        require(dir)?;
        Ok(Request { op: ioq_op::IOQ_CLOSEDIR, args: ioq_args { closedir: ioq_closedir { dir } } })
    }
}

impl Operation for Closedir {
    fn survives_cancel(&self, _: &ioq_ent) -> bool {
        true
    }

    unsafe fn run(&self, host: &Host, ent: &mut ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation; the directory is open, and the queue's until the response is popped.
        unsafe { host.dir.closedir(ent.args.closedir.dir) }
    }
}
