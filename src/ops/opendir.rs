//! `ioq_opendir()`: `bfs_opendir()`, then `bfs_polldir()` to read the first entries ahead.
//!
//! A ring can open the directory, which on a network is most of the time that it takes. To read it, only a thread can; so
//! that, a worker does with the ring's descriptor.

use super::{Next, Operation, Request, RingOperation, StatxPool, opened, require};
use crate::entry::*;
use crate::fs::dir::calls::OPEN_FLAGS;
use crate::fs::host::Host;
use crate::platform::errno::Errno;
use crate::platform::prefetch;
use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use libc::{c_char, c_int, c_uint};
use std::ptr;

pub struct Opendir;

impl Opendir {
    /// `EINVAL` without a directory.
    pub fn request(dir: *mut bfs_dir, dfd: c_int, path: *const c_char, flags: c_uint) -> Result<Request, Errno> {
        require(dir)?;
        let args = ioq_args { opendir: ioq_opendir { dir, path, dfd, flags } };
        Ok(Request { op: ioq_op::IOQ_OPENDIR, args })
    }
}

impl Operation for Opendir {
    fn prefetch(&self, ent: &ioq_ent) {
        // SAFETY: the arguments of this operation.
        prefetch::for_read(unsafe { ent.args.opendir.path }.cast());
    }

    unsafe fn run(&self, host: &Host, ent: &mut ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation, whose pointers are as the caller vouches for.
        unsafe {
            let ioq_opendir { dir, path, dfd, flags } = ent.args.opendir;
            let result = match opened::get(ent) {
                Some(fd) => host.dir.opendir(dir, fd, ptr::null(), flags),
                None => host.dir.opendir(dir, dfd, path, flags),
            };
            if result >= 0 {
                host.dir.polldir(dir);
            } else {
                // The directory has not taken it over.
                opened::abandon(ent);
            }
            result
        }
    }

    fn abandon(&self, ent: &ioq_ent) {
        opened::abandon(ent);
    }

    unsafe fn discard(&self, host: &Host, ent: &ioq_ent) {
        if ent.result >= 0 {
            // SAFETY: the directory is open, and still the queue's.
            unsafe { host.dir.closedir(ent.args.opendir.dir) };
        }
    }

    fn in_ring(&self) -> Option<&dyn RingOperation> {
        Some(self)
    }
}

impl RingOperation for Opendir {
    unsafe fn submission(&self, _: &Host, _: &mut StatxPool, ent: &mut ioq_ent) -> Option<squeue::Entry> {
        // SAFETY: the arguments of this operation.
        let ioq_opendir { path, dfd, .. } = unsafe { ent.args.opendir };
        // Without a path there is nothing to open, and what is open already waits for a worker alone.
        let opens = !path.is_null() && opened::get(ent).is_none();
        opens.then(|| opened::without_waiting(opcode::OpenAt::new(Fd(dfd), path).flags(OPEN_FLAGS).build()))
    }

    unsafe fn completed(&self, _: &Host, _: &mut StatxPool, ent: &mut ioq_ent, result: c_int) -> Next {
        opened::completed(ent, result)
    }

    fn probe(&self) -> squeue::Entry {
        opcode::OpenAt::new(Fd(-1), c".".as_ptr()).flags(OPEN_FLAGS).build()
    }
}
