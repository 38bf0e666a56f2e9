//! A queue as its caller sees it: submitting, popping, freeing; and its life from create to destroy.
//!
//! A request is written into an entry of the block that is being filled (`block`). When that is full, or the caller
//! submits or pops, its span goes on its way (`shared`). Popping goes through the entries of a span that came back, one by
//! one. Freeing an entry gives its place in the block back.

mod block;
mod caller;
pub mod options;
pub mod shared;
pub mod span;

use crate::abi::types::ioq_counts;
use crate::entry::ioq_ent;
use crate::ops::Request;
use crate::platform::alloc;
use crate::platform::cancellation;
use crate::platform::errno::Errno;
use crate::platform::sync::Ordering;
use crate::worker::ring;
use caller::Caller;
use libc::{c_void, pid_t};
use options::{Backend, Options};
use shared::Shared;
use std::cell::UnsafeCell;
use std::ptr::NonNull;

/// The queue behind C's `struct ioq`.
pub struct Ioq {
    shared: Shared,
    caller: UnsafeCell<Caller>,
    /// The process that the workers live in.
    pid: pid_t,
}

impl Ioq {
    pub fn create(options: Options) -> Result<NonNull<Self>, Errno> {
        if options.backend == Backend::Uring && options.nthreads > 0 {
            cancellation::disabled(ring::check_available)?;
        }
        let caller = UnsafeCell::new(Caller::new(&options));
        // SAFETY: always safe to ask.
        let pid = unsafe { libc::getpid() };
        alloc::boxed(Self { shared: Shared::new(&options)?, caller, pid })
    }

    /// The shared part, and the one that belongs to the calling thread.
    ///
    /// # Safety
    ///
    /// This thread must be the only one that uses the queue, and must not have this reference already.
    #[expect(clippy::mut_from_ref, reason = "the cell is what makes it possible, the contract what makes it sound")]
    unsafe fn parts(&self) -> (&Shared, &mut Caller) {
        // SAFETY: by this function's contract, nobody else has a reference.
        (&self.shared, unsafe { &mut *self.caller.get() })
    }

    /// # Safety
    ///
    /// This thread must be the only one that uses the queue.
    pub unsafe fn capacity(&self) -> usize {
        // SAFETY: passed on to the caller.
        unsafe { self.parts() }.1.capacity()
    }

    /// # Safety
    ///
    /// This thread must be the only one that uses the queue, and the request's pointers as `ioq.h` asks.
    pub unsafe fn request(&self, request: Request, ptr: *mut c_void) -> Result<(), Errno> {
        // SAFETY: passed on to the caller.
        let (shared, caller) = unsafe { self.parts() };
        caller.request(shared, request, ptr)
    }

    /// # Safety
    ///
    /// This thread must be the only one that uses the queue.
    pub unsafe fn submit(&self) {
        // SAFETY: passed on to the caller.
        let (shared, caller) = unsafe { self.parts() };
        caller.submit(shared);
    }

    /// # Safety
    ///
    /// This thread must be the only one that uses the queue.
    #[inline]
    pub unsafe fn pop(&self, block: bool) -> Option<NonNull<ioq_ent>> {
        // SAFETY: passed on to the caller.
        let (shared, caller) = unsafe { self.parts() };
        caller.pop(shared, block)
    }

    /// # Safety
    ///
    /// This thread must be the only one that uses the queue, and `entry` one that was popped from it and not freed.
    pub unsafe fn free(&self, entry: NonNull<ioq_ent>) {
        // SAFETY: passed on to the caller.
        unsafe { self.parts().1.free(entry) };
    }

    /// How the requests so far were run.
    ///
    /// # Safety
    ///
    /// This thread must be the only one that uses the queue.
    pub unsafe fn counts(&self) -> ioq_counts {
        ioq_counts {
            ring: self.shared.driver.count.get(),
            worker: self.shared.scheduler.workers().map(|worker| worker.count.get()).sum(),
            caller: self.shared.helper.count.get(),
        }
    }

    /// Cancels the queue. Any thread may do this.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::Relaxed);
    }

    /// # Safety
    ///
    /// `ioq` must come from `create`, be used by this thread alone, and not be used again.
    pub unsafe fn destroy(ioq: NonNull<Self>) {
        // SAFETY: a live queue, by this function's contract.
        unsafe {
            // A child of fork() has no workers to talk to, and cannot trust any lock that they might have held.
            if ioq.as_ref().pid == libc::getpid() {
                cancellation::disabled(|| ioq.as_ref().finish());
            }
            alloc::unbox(ioq);
        }
    }

    /// Waits for the threads, runs what must run, and lets go of what the caller never saw.
    ///
    /// # Safety
    ///
    /// This thread must be the only one that uses the queue.
    unsafe fn finish(&self) {
        self.cancel();
        // SAFETY: passed on to the caller.
        let (shared, caller) = unsafe { self.parts() };
        caller.submit(shared);
        // The driver first: what it leaves undone, it leaves to the workers.
        shared.driver.stop();
        shared.scheduler.stop();
        caller.finish(shared);
    }
}
