//! The only door to atomics, locks and threads' hints, so that loom can stand behind it.
//!
//! Built with `--cfg ioq_loom`, the same names are loom's, and the models in `mpmc` and `pool` explore every
//! interleaving of them. A cfg of the crate's own is needed: `--cfg loom` would flip every dependency too.

#[cfg(not(ioq_loom))]
mod imp {
    pub use std::hint::spin_loop;
    pub use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};

    pub use parking_lot::{Condvar, Mutex, MutexGuard};
}

#[cfg(ioq_loom)]
mod imp {
    pub use loom::sync::MutexGuard;
    pub use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};
    pub use loom::thread::yield_now as spin_loop;

    /// loom's mutex with parking_lot's signatures: a panic fails the model, so nothing is ever poisoned.
    pub struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }

    /// What parking_lot tells after a wait with a limit.
    pub struct WaitTimeoutResult;

    impl WaitTimeoutResult {
        pub fn timed_out(&self) -> bool {
            false
        }
    }

    /// loom's condition variable with parking_lot's signatures.
    pub struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub fn new() -> Self {
            Self(loom::sync::Condvar::new())
        }

        pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            // loom's wait takes the guard by value and gives it back.
            // SAFETY: the guard is moved out and another for the same mutex is moved in before anyone can see it;
            // loom's wait does not unwind except to abandon the whole model.
            unsafe {
                let moved = std::ptr::read(guard);
                std::ptr::write(guard, self.0.wait(moved).unwrap());
            }
        }

        /// Never times out: what the models prove must not hang on it.
        pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _: std::time::Duration) -> WaitTimeoutResult {
            self.wait(guard);
            WaitTimeoutResult
        }

        pub fn notify_one(&self) {
            self.0.notify_one();
        }

        pub fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}

pub use imp::*;

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
