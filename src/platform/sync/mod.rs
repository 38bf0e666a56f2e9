//! The only door to what queues have of atomics, locks and threads' hints, so that loom or shuttle can stand behind it.
//! (The standard library's are: what is found out once for the process, in `fs::host` and `fs::stat`; the marks of cancelled
//! requests in `queue::block`; and the kernel's counters in `worker::ring::uring`.)
//!
//! Built with `--cfg ioq_loom`, the same names are loom's, and the models beside the code (`channel`, `scheduler`,
//! `worker::local`, `queue::batch`, `queue::event`) explore every interleaving of them, with all that the memory model
//! allows. Built with `--cfg ioq_shuttle` they are shuttle's, and the models in `models` run whole queues through many
//! interleavings, though with a memory in which every store is seen at once. A cfg of the crate's own is needed: `--cfg
//! loom` would flip every dependency too.
//!
//! The locks are the standard library's, which are futexes on Linux: a word each, that never needs memory to sleep on and
//! that a child of `fork()` can trust as soon as it makes locks of its own. parking_lot's take their place with the
//! feature of that name. They let a thread that waits have its turn now and then, however busy a lock is; but a thread's
//! first sleep allocates, and aborts the program if it cannot; and they keep one table of all sleepers, which a child
//! inherits with threads in it that do not exist there.

#[cfg(not(any(ioq_loom, ioq_shuttle)))]
mod imp {
    pub use super::super::clock::{CoarseInstant, Deadline};
    #[cfg(all(feature = "parking_lot", not(ioq_tsan)))]
    pub use super::parking::{Condvar, Mutex, MutexGuard};
    #[cfg(ioq_tsan)]
    pub use super::tsan::{Condvar, Mutex, MutexGuard};
    pub use std::hint::spin_loop;
    pub use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};
    #[cfg(not(any(feature = "parking_lot", ioq_tsan)))]
    pub use std::sync::{Condvar, Mutex, MutexGuard};
    pub use std::thread::sleep;
    pub use std::time::Instant;

    use std::sync::PoisonError;
    use std::time::Duration;

    pub fn wait_for<'a, T>(cond: &Condvar, guard: MutexGuard<'a, T>, limit: Duration) -> (MutexGuard<'a, T>, bool) {
        let (guard, result) = cond.wait_timeout(guard, limit).unwrap_or_else(PoisonError::into_inner);
        (guard, result.timed_out())
    }
}

#[cfg(all(feature = "parking_lot", not(any(ioq_loom, ioq_shuttle, ioq_tsan))))]
mod parking;
#[cfg(ioq_tsan)]
mod tsan;

#[cfg(ioq_loom)]
mod imp {
    pub use crate::models::atomics::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize};
    pub use crate::models::machine::{Deadline, Instant as CoarseInstant, Instant, sleep, wait_for};
    pub use loom::sync::atomic::{Ordering, fence};
    pub use loom::sync::{Condvar, Mutex, MutexGuard};
    pub use loom::thread::yield_now as spin_loop;
}

#[cfg(ioq_shuttle)]
mod imp {
    pub use crate::models::machine::{Deadline, Instant as CoarseInstant, Instant, sleep, wait_for};
    pub use shuttle::hint::spin_loop;
    pub use shuttle::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};
    pub use shuttle::sync::{Condvar, Mutex, MutexGuard};
}

pub use imp::{
    AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, CoarseInstant, Deadline, Instant, MutexGuard, Ordering, fence,
    sleep, spin_loop,
};

use std::sync::PoisonError;
use std::time::Duration;

/// Gives way for a moment, even to a thread of a lower priority.
#[cold]
pub fn snooze() {
    sleep(Duration::from_micros(20));
}

/// A lock. It is never poisoned: a panic ends the program, or fails the model.
pub struct Mutex<T>(imp::Mutex<T>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self(imp::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A condition variable.
pub struct Condvar(imp::Condvar);

impl Condvar {
    pub fn new() -> Self {
        Self(imp::Condvar::new())
    }

    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for so long at most. Returns whether that was over.
    pub fn wait_for<'a, T>(&self, guard: MutexGuard<'a, T>, limit: Duration) -> (MutexGuard<'a, T>, bool) {
        imp::wait_for(&self.0, guard, limit)
    }

    pub fn notify_one(&self) {
        self.0.notify_one();
    }
}

/// Keeps a value on cache lines of its own, so that its neighbours' writes do not slow it down.
///
/// 128 bytes: x86-64 fetches lines in pairs, and some AArch64 cores have lines of that size.
#[repr(align(128))]
pub struct CachePadded<T>(pub T);

impl<T> std::ops::Deref for CachePadded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
