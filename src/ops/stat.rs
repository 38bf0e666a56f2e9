//! `ioq_stat()`: `bfs_stat()`, or in a ring statx(2), whose answer the provider of `struct bfs_stat` converts.

use super::{Next, Operation, Request, RingOperation, is_inconclusive, require};
use crate::entry::*;
use crate::fs::host::Host;
use crate::platform::alloc;
use crate::platform::errno::Errno;
use crate::platform::prefetch;
use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use libc::{c_char, c_int, c_uint, statx};
use std::ptr::{self, NonNull};

pub struct Stat;

impl Stat {
    /// `EINVAL` without a buffer.
    pub fn request(dfd: c_int, path: *const c_char, flags: c_uint, buf: *mut bfs_stat) -> Result<Request, Errno> {
        require(buf)?;
        let args = ioq_args { stat: ioq_stat { path, buf, xbuf: ptr::null_mut(), dfd, flags } };
        Ok(Request { op: ioq_op::IOQ_STAT, args })
    }
}

impl Operation for Stat {
    fn prefetch(&self, ent: &ioq_ent) {
        // SAFETY: the arguments of this operation.
        prefetch::for_read(unsafe { ent.args.stat.path }.cast());
    }

    unsafe fn run(&self, host: &Host, ent: &mut ioq_ent) -> c_int {
        // SAFETY: the arguments of this operation, whose pointers are as the caller vouches for.
        unsafe {
            let ioq_stat { path, buf, dfd, flags, .. } = ent.args.stat;
            prefetch::stat_buffer(buf.cast());
            host.stat.stat(dfd, path, flags, buf)
        }
    }

    fn in_ring(&self) -> Option<&dyn RingOperation> {
        Some(self)
    }
}

impl RingOperation for Stat {
    unsafe fn submission(&self, host: &Host, pool: &mut StatxPool, ent: &mut ioq_ent) -> Option<squeue::Entry> {
        // SAFETY: the arguments of this operation.
        let args = unsafe { &mut ent.args.stat };
        if args.path.is_null() {
            // The provider knows best how to stat a descriptor, and that never waits for a look-up.
            return None;
        }
        let (flags, mask) = host.stat.statx_args(args.flags)?;
        let buf = pool.take()?.as_ptr();
        args.xbuf = buf.cast();
        Some(opcode::Statx::new(Fd(args.dfd), args.path, buf.cast()).flags(flags).mask(mask).build())
    }

    unsafe fn completed(&self, host: &Host, pool: &mut StatxPool, ent: &mut ioq_ent, result: c_int) -> Next {
        // SAFETY: the arguments of this operation. `submission` took the buffer from the pool, and the kernel, having
        // completed it, is done with it.
        unsafe {
            let args = &mut ent.args.stat;
            let buf = std::mem::replace(&mut args.xbuf, ptr::null_mut()).cast::<statx>();
            let buf = NonNull::new(buf).expect("it was submitted with a buffer");
            let converted = (result >= 0).then(|| host.stat.statx_convert(args.buf, buf.as_ref()));
            pool.give_back(buf);
            // What cannot be found may be a link that leads nowhere, and only the provider knows which flags make it try
            // the link itself.
            let is_other = matches!(-result, libc::ENOENT | libc::ENOTDIR) && args.flags != 0;
            if converted.is_none() && (is_other || is_inconclusive(result)) {
                return Next::plain(ent, result);
            }
            Next::Done(converted.unwrap_or(result))
        }
    }

    fn probe(&self) -> squeue::Entry {
        opcode::Statx::new(Fd(-1), c".".as_ptr(), ptr::null_mut()).build()
    }
}

/// The buffers that a ring fills.
///
/// A buffer is the kernel's from the submission to the completion. All accesses are by raw pointers, as no reference
/// may cover what the kernel writes to.
pub struct StatxPool {
    buffers: NonNull<statx>,
    count: usize,
    /// How many of them were ever used. The memory of the others is not touched.
    used: usize,
    /// Those that were given back: a list, each with a pointer to the next.
    free: *mut statx,
}

impl StatxPool {
    /// A pool of so many buffers.
    pub fn new(count: usize) -> Result<Self, Errno> {
        Ok(Self { buffers: alloc::array(count + 1)?, count, used: 0, free: ptr::null_mut() })
    }

    /// A buffer, unless all are in use.
    fn take(&mut self) -> Option<NonNull<statx>> {
        if let Some(buf) = NonNull::new(self.free) {
            // SAFETY: `give_back` wrote the next one there.
            self.free = unsafe { buf.cast::<*mut statx>().read() };
            return Some(buf);
        }
        if self.used == self.count {
            return None;
        }
        self.used += 1;
        // SAFETY: within the array.
        unsafe {
            let buf = self.buffers.add(self.used - 1);
            // Tools that watch memory do not see the kernel write.
            buf.write_bytes(0, 1);
            Some(buf)
        }
    }

    /// Where any number of answers may go that nobody looks at.
    pub fn nowhere(&self) -> *mut statx {
        // SAFETY: within the array, which has room for one more.
        unsafe { self.buffers.add(self.count) }.as_ptr()
    }

    /// # Safety
    ///
    /// The buffer must come from `take`, and nobody may be using it.
    unsafe fn give_back(&mut self, buf: NonNull<statx>) {
        // SAFETY: a buffer has room for a pointer, and is aligned for one.
        unsafe { buf.cast::<*mut statx>().write(self.free) };
        self.free = buf.as_ptr();
    }
}

impl Drop for StatxPool {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this count.
        unsafe { alloc::free_array(self.buffers, self.count + 1) };
    }
}
