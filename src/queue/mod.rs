//! A queue as its caller sees it: submitting, popping, freeing; and its life from create to destroy.
//!
//! A request is written into an entry of the block that is being filled (`block`). When that is full, or the caller
//! submits or pops, its span goes on its way (`shared`). Popping goes through the entries of a span that came back, one by
//! one. Freeing an entry gives its place in the block back.

mod ages;
pub mod batch;
mod block;
mod caller;
mod event;
mod finished;
pub mod options;
pub mod shared;
pub mod span;

use crate::abi::types::{ioq_counts, ioq_info};
use crate::entry::ioq_ent;
use crate::ops::Request;
use crate::platform::alloc;
use crate::platform::cancellation;
use crate::platform::errno::Errno;
use crate::platform::sync::Deadline;
use crate::worker::ring;
use caller::Caller;
pub use caller::Wait;
use libc::{c_int, c_void, pid_t};
use options::{Backend, Options};
use shared::Shared;
use std::cell::UnsafeCell;
use std::ptr::NonNull;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicBool, Ordering};

/// The queue behind C's `struct ioq`.
pub struct Ioq {
    shared: Shared,
    caller: UnsafeCell<Caller>,
    /// The process that the workers live in.
    pid: pid_t,
    /// Whether a thread is using the queue.
    #[cfg(debug_assertions)]
    in_use: AtomicBool,
}

/// Ends the program if two threads use a queue at once, or one does so from within a function that the queue has called.
#[cfg(debug_assertions)]
struct Alone<'a>(&'a AtomicBool);

#[cfg(debug_assertions)]
impl<'a> Alone<'a> {
    fn new(in_use: &'a AtomicBool) -> Self {
        assert!(!in_use.swap(true, Ordering::Relaxed), "this queue is in use already, by another thread or this one");
        Self(in_use)
    }
}

#[cfg(debug_assertions)]
impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Ioq {
    pub fn create(options: Options) -> Result<NonNull<Self>, Errno> {
        if options.backend == Backend::Uring && options.nthreads > 0 {
            cancellation::disabled(ring::check_available)?;
        }
        let caller = UnsafeCell::new(Caller::new(&options));
        // SAFETY: always safe to ask.
        let pid = unsafe { libc::getpid() };
        alloc::boxed(Self {
            shared: Shared::new(&options)?,
            caller,
            pid,
            #[cfg(debug_assertions)]
            in_use: AtomicBool::new(false),
        })
    }

    /// Runs `f` with the shared part, and the one that belongs to the calling thread.
    ///
    /// # Safety
    ///
    /// This thread must be the only one that uses the queue, and not be in such a call already.
    #[inline(always)]
    unsafe fn with<R>(&self, f: impl FnOnce(&Shared, &mut Caller) -> R) -> R {
        #[cfg(debug_assertions)]
        let _alone = Alone::new(&self.in_use);
        // SAFETY: by this function's contract, nobody else has a reference.
        f(&self.shared, unsafe { &mut *self.caller.get() })
    }

    /// # Safety
    ///
    /// As for `with`.
    pub unsafe fn capacity(&self) -> usize {
        // SAFETY: passed on to the caller.
        unsafe { self.with(|_, caller| caller.capacity()) }
    }

    /// # Safety
    ///
    /// As for `with`, and the request's pointers must be as `ioq.h` asks.
    #[inline(always)]
    pub unsafe fn request(&self, request: Request, ptr: *mut c_void) -> Result<(), Errno> {
        // SAFETY: passed on to the caller.
        unsafe { self.with(|shared, caller| caller.request(shared, request, ptr)) }
    }

    /// # Safety
    ///
    /// As for `with`.
    pub unsafe fn submit(&self) {
        // SAFETY: passed on to the caller.
        unsafe { self.with(|shared, caller| caller.submit(shared)) }
    }

    /// # Safety
    ///
    /// As for `with`.
    #[inline]
    pub unsafe fn pop(&self, wait: Wait) -> Option<NonNull<ioq_ent>> {
        // SAFETY: passed on to the caller.
        unsafe { self.with(|shared, caller| caller.pop(shared, wait)) }
    }

    /// # Safety
    ///
    /// As for `with`.
    pub unsafe fn pop_until(&self, deadline: Deadline) -> Result<Option<NonNull<ioq_ent>>, Errno> {
        // SAFETY: passed on to the caller.
        unsafe { self.with(|shared, caller| caller.pop_until(shared, deadline)) }
    }

    /// # Safety
    ///
    /// As for `with`.
    pub unsafe fn fd(&self) -> Result<c_int, Errno> {
        // SAFETY: passed on to the caller.
        unsafe { self.with(|shared, caller| caller.fd(shared)) }
    }

    /// # Safety
    ///
    /// As for `with`.
    pub unsafe fn last(&self) -> Option<NonNull<ioq_ent>> {
        // SAFETY: passed on to the caller.
        unsafe { self.with(|_, caller| caller.last()) }
    }

    /// # Safety
    ///
    /// As for `with`, and `entry` must come from `last`, and not have been popped since.
    pub unsafe fn cancel_one(&self, entry: NonNull<ioq_ent>) {
        // SAFETY: passed on to the caller.
        unsafe { self.with(|shared, caller| caller.cancel(shared, entry)) }
    }

    /// # Safety
    ///
    /// As for `with`, and `entry` must have been popped from this queue, and not freed.
    pub unsafe fn free(&self, entry: NonNull<ioq_ent>) {
        // SAFETY: passed on to the caller.
        unsafe { self.with(|_, caller| caller.free(entry)) }
    }

    /// How the requests so far were run.
    pub fn counts(&self) -> ioq_counts {
        ioq_counts {
            ring: self.shared.driver.count.get(),
            worker: self.shared.scheduler.workers().map(|worker| worker.remote.count.get()).sum(),
            caller: self.shared.caller_remote.count.get(),
        }
    }

    /// What it is doing.
    ///
    /// # Safety
    ///
    /// As for `with`.
    pub unsafe fn info(&self) -> ioq_info {
        let ioq_counts { ring, worker, caller: own } = self.counts();
        // SAFETY: passed on to the caller.
        unsafe { self.with(|shared, caller| caller.info(shared, ring + worker + own)) }
    }

    /// Cancels the queue. Any thread may do this.
    pub fn cancel(&self) {
        self.shared.cancelled.set_all();
    }

    /// # Safety
    ///
    /// `ioq` must come from `create`, be used by this thread alone, and not be used again.
    pub unsafe fn destroy(ioq: NonNull<Self>) {
        // SAFETY: a live queue, by this function's contract.
        unsafe {
            cancellation::disabled(|| {
                // A child of fork() has no workers to talk to, and cannot trust any lock that they might have held.
                let is_child = ioq.as_ref().pid != libc::getpid();
                if !is_child {
                    ioq.as_ref().finish();
                }
                let ioq = alloc::unbox(ioq);
                if is_child {
                    ioq.shared.abandon();
                }
            });
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
        unsafe {
            self.with(|shared, caller| {
                caller.submit(shared);
                // The driver first: what it leaves undone, it leaves to the workers.
                shared.driver.stop();
                shared.scheduler.stop();
                caller.finish(shared);
            });
        }
    }
}
