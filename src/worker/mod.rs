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
use crate::platform::sync::{AtomicU64, CachePadded, Ordering};
use crate::queue::shared::Shared;
use crate::scheduler::Member;
use std::fmt;
use std::ptr::NonNull;
use thread::Body;

/// What others see of a thread that runs requests: a worker, or the caller.
pub struct Remote {
    pub local: LocalQueue,
    pub count: Counter,
}

impl Remote {
    pub fn new() -> Self {
        Self { local: LocalQueue::new(), count: Counter::new() }
    }
}

/// A worker, as others see it.
pub struct Worker {
    pub index: usize,
    shared: *const Shared,
    pub remote: Remote,
    pub monitor: Monitor,
}

// SAFETY: the pointer is to what the worker shares with others, and there until its thread was joined.
unsafe impl Send for Worker {}
// SAFETY: as above.
unsafe impl Sync for Worker {}

impl Worker {
    /// A worker of a queue whose shared part does not move.
    pub fn new(index: usize, shared: *const Shared) -> Self {
        Self { index, shared, remote: Remote::new(), monitor: Monitor::new() }
    }

    /// Starts the worker's thread.
    ///
    /// # Safety
    ///
    /// This must stay where it is, and its queue's shared part as well, until the thread was joined.
    pub unsafe fn start(&self) -> Result<Thread, Errno> {
        // SAFETY: passed on to the caller.
        unsafe { Thread::start(NonNull::from(self), (*self.shared).threads.stack_size) }
    }
}

impl Body for Worker {
    fn run(&self) {
        // SAFETY: `start` was promised that it lives until this thread was joined.
        let shared = unsafe { &*self.shared };
        shared.threads.name(format_args!("-{}", self.index));
        let mut member = Member::new(self.index);
        let mut executor = Executor::new();
        while let Some(span) = member.next(&shared.scheduler, shared) {
            span.prefetch();
            if let Some(done) = executor.begin(shared, &self.remote, span) {
                executor.deliver(shared, done);
            }
            while executor.step(shared, &self.remote) {}
        }
    }
}

/// What the threads of a queue are like.
#[derive(Clone, Copy)]
pub struct ThreadOptions {
    /// What their names begin with; the rest is 0.
    name: [u8; NAME_LEN],
    pub stack_size: usize,
}

/// The kernel takes 15 bytes for a thread's name. This leaves room for which one it is.
const NAME_LEN: usize = 10;

impl ThreadOptions {
    pub fn set_name(&mut self, name: &[u8]) {
        let len = name.len().min(NAME_LEN);
        self.name = [0; NAME_LEN];
        self.name[..len].copy_from_slice(&name[..len]);
    }

    /// Names this thread.
    fn name(&self, which: fmt::Arguments) {
        let len = self.name.iter().position(|&byte| byte == 0).unwrap_or(NAME_LEN);
        thread::set_name(&self.name[..len], which);
    }
}

impl Default for ThreadOptions {
    fn default() -> Self {
        // Room for the host's functions to run in. Below the size of a huge page, lest the kernel back each stack with one.
        let mut options = Self { name: [0; NAME_LEN], stack_size: 1 << 20 };
        options.set_name(b"ioq");
        options
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
