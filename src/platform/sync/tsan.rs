//! The standard library's locks, as ThreadSanitizer must be shown them (`--cfg ioq_tsan`, `make check-tsan`).
//!
//! That library comes compiled, without instrumentation. The part of its locks that is inlined into this crate is seen,
//! but not what a thread does that has to wait for one; so whoever waited would seem to have no right to what the lock
//! protects. Here the same locks tell the sanitizer when they are taken and let go of. That also lets it look for locks
//! that are taken in different orders, and for a lock that is let go of by another thread.

use std::ffi::{c_int, c_uint, c_void};
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::{LockResult, PoisonError, WaitTimeoutResult};
use std::time::Duration;

// The runtime's interface for locks of one's own (sanitizer/tsan_interface.h). Between `pre` and `post` it disregards
// what the thread does; `lock` is no more than a name to it.
unsafe extern "C" {
    safe fn __tsan_mutex_pre_lock(lock: *mut c_void, flags: c_uint);
    safe fn __tsan_mutex_post_lock(lock: *mut c_void, flags: c_uint, recursion: c_int);
    safe fn __tsan_mutex_pre_unlock(lock: *mut c_void, flags: c_uint) -> c_int;
    safe fn __tsan_mutex_post_unlock(lock: *mut c_void, flags: c_uint);
}

/// `std::sync::Mutex`, as far as this crate uses it.
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let guard = self.locking(|| self.0.lock());
        Ok(MutexGuard { guard: ManuallyDrop::new(guard.unwrap_or_else(PoisonError::into_inner)), mutex: self })
    }

    fn name(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// Calls `lock`, which takes this lock.
    fn locking<R>(&self, lock: impl FnOnce() -> R) -> R {
        __tsan_mutex_pre_lock(self.name(), 0);
        let result = lock();
        __tsan_mutex_post_lock(self.name(), 0, 0);
        result
    }

    /// Calls `unlock`, which lets go of this lock. Then it may be gone, as far as this thread knows.
    fn unlocking(&self, unlock: impl FnOnce()) {
        let name = self.name();
        __tsan_mutex_pre_unlock(name, 0);
        unlock();
        __tsan_mutex_post_unlock(name, 0);
    }
}

/// `std::sync::MutexGuard`.
pub struct MutexGuard<'a, T> {
    guard: ManuallyDrop<std::sync::MutexGuard<'a, T>>,
    mutex: &'a Mutex<T>,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        let Self { guard, mutex } = self;
        // SAFETY: the guard is not used again.
        mutex.unlocking(|| unsafe { ManuallyDrop::drop(guard) });
    }
}

/// `std::sync::Condvar`, as far as this crate uses it.
pub struct Condvar(std::sync::Condvar);

impl Condvar {
    pub fn new() -> Self {
        Self(std::sync::Condvar::new())
    }

    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        Ok(waiting(guard, |guard| (self.0.wait(guard).unwrap_or_else(PoisonError::into_inner), ())).0)
    }

    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        limit: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        Ok(waiting(guard, |guard| self.0.wait_timeout(guard, limit).unwrap_or_else(PoisonError::into_inner)))
    }

    pub fn notify_one(&self) {
        self.0.notify_one();
    }
}

/// Calls `wait`, which lets go of a lock and takes it again.
fn waiting<'a, T, R>(
    guard: MutexGuard<'a, T>,
    wait: impl FnOnce(std::sync::MutexGuard<'a, T>) -> (std::sync::MutexGuard<'a, T>, R),
) -> (MutexGuard<'a, T>, R) {
    let mut guard = ManuallyDrop::new(guard);
    let mutex = guard.mutex;
    // SAFETY: the outer guard is neither used nor dropped any more.
    let inner = unsafe { ManuallyDrop::take(&mut guard.guard) };
    mutex.unlocking(|| ());
    let (inner, result) = mutex.locking(|| wait(inner));
    (MutexGuard { guard: ManuallyDrop::new(inner), mutex }, result)
}
