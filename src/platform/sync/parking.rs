//! parking_lot's locks in the form of the standard library's, as far as this crate uses them (feature `parking_lot`).

pub use parking_lot::MutexGuard;

use parking_lot::WaitTimeoutResult;
use std::sync::LockResult;
use std::time::Duration;

pub struct Mutex<T>(parking_lot::Mutex<T>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self(parking_lot::Mutex::new(value))
    }

    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        Ok(self.0.lock())
    }
}

pub struct Condvar(parking_lot::Condvar);

impl Condvar {
    pub fn new() -> Self {
        Self(parking_lot::Condvar::new())
    }

    pub fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.0.wait(&mut guard);
        Ok(guard)
    }

    pub fn wait_timeout<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        limit: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let result = self.0.wait_for(&mut guard, limit);
        Ok((guard, result))
    }

    pub fn notify_one(&self) {
        self.0.notify_one();
    }
}
