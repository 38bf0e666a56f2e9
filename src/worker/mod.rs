//! The worker threads, which run requests by plain system calls, and the driver of the ring (`ring`).
//!
//! A worker never has anything in flight in a ring, and the driver never makes a call that may wait. So whatever a
//! request waits for, nothing that is done has to wait with it.

mod executor;
mod local;
mod pace;
pub mod ring;

pub use executor::Executor;
pub use local::LocalQueue;
pub use pace::{Change, Pace};

#[cfg(any(ioq_loom, ioq_shuttle))]
pub use crate::models::thread::{self, Thread};
#[cfg(not(any(ioq_loom, ioq_shuttle)))]
pub use crate::platform::thread::{self, Thread};

use crate::channel::monitor::Monitor;
use crate::platform::errno::Errno;
use crate::platform::prefetch;
use crate::platform::sync::{AtomicU64, CachePadded, Ordering};
use crate::queue::shared::Shared;
use crate::scheduler::Member;
use std::ptr::NonNull;
use thread::Body;

/// What others see of a worker.
pub struct Remote {
    pub index: usize,
    shared: *const Shared,
    pub local: LocalQueue,
    pub monitor: Monitor,
    pub count: Counter,
}

// SAFETY: the pointer is to what the worker shares with others.
unsafe impl Send for Remote {}
// SAFETY: as above.
unsafe impl Sync for Remote {}

impl Remote {
    /// A worker of a queue whose shared part does not move.
    pub fn new(index: usize, shared: *const Shared) -> Self {
        Self { index, shared, local: LocalQueue::new(), monitor: Monitor::new(), count: Counter::new() }
    }

    /// Starts the worker's thread.
    ///
    /// # Safety
    ///
    /// This must stay where it is, and its queue's shared part as well, until the thread was joined.
    pub unsafe fn start(&self) -> Result<Thread, Errno> {
        // SAFETY: passed on to the caller.
        unsafe { Thread::start(NonNull::from(self)) }
    }
}

impl Body for Remote {
    fn run(&self) {
        thread::set_name(format_args!("ioq-{}", self.index));
        // SAFETY: `start` was promised that it lives until this thread was joined.
        let shared = unsafe { &*self.shared };
        let mut member = Member::new(self.index);
        let mut executor = Executor::new();
        while let Some(span) = member.next(&shared.scheduler, shared) {
            if member.has_slept() {
                executor.has_rested();
            }
            prefetch::entries(&span);
            executor.begin(shared, self, span);
            while executor.step(shared, self) {}
        }
    }
}

/// How many requests a thread has run. Written by that thread alone.
pub struct Counter(CachePadded<AtomicU64>);

impl Counter {
    pub fn new() -> Self {
        Self(CachePadded(AtomicU64::new(0)))
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn add(&self, count: usize) {
        self.0.store(self.get() + count as u64, Ordering::Relaxed);
    }
}
