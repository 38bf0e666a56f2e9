//! loom's atomics, with every access in the way of every other.
//!
//! loom runs two accesses of different threads in both orders only if they conflict, which two loads do not. But of
//! what was accessed before, it remembers the last alone (as of 0.7.3): a thread that loads a value and then exchanges it is not
//! compared with a load of another's before that, because its own is in between. Then the model passes without having
//! been in half of the interleavings. So each atomic has a second one here, which every access meets with an exchange
//! that fails: those conflict, and it changes nothing, nor does anything synchronise by it.

use crate::platform::sync::Ordering;
use loom::sync::atomic::{self, AtomicBool as Order};

fn meet(order: &Order) {
    let _ = order.compare_exchange(true, false, Ordering::Relaxed, Ordering::Relaxed);
}

macro_rules! atomic {
    ($name:ident $(<$param:ident>)?, $value:ty) => {
        pub struct $name $(<$param>)? {
            inner: atomic::$name $(<$param>)?,
            order: Order,
        }

        #[allow(dead_code, reason = "not each has a use for all of it")]
        impl $(<$param>)? $name $(<$param>)? {
            pub fn new(value: $value) -> Self {
                Self { inner: atomic::$name::new(value), order: Order::new(false) }
            }

            pub fn load(&self, order: Ordering) -> $value {
                meet(&self.order);
                self.inner.load(order)
            }

            pub fn store(&self, value: $value, order: Ordering) {
                meet(&self.order);
                self.inner.store(value, order);
            }

            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                meet(&self.order);
                self.inner.swap(value, order)
            }

            pub fn compare_exchange(
                &self,
                seen: $value,
                value: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                meet(&self.order);
                self.inner.compare_exchange(seen, value, success, failure)
            }

            pub fn compare_exchange_weak(
                &self,
                seen: $value,
                value: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                meet(&self.order);
                self.inner.compare_exchange_weak(seen, value, success, failure)
            }
        }
    };
}

atomic!(AtomicBool, bool);
atomic!(AtomicPtr<T>, *mut T);
atomic!(AtomicU64, u64);
atomic!(AtomicUsize, usize);

impl AtomicUsize {
    pub fn fetch_add(&self, value: usize, order: Ordering) -> usize {
        meet(&self.order);
        self.inner.fetch_add(value, order)
    }

    pub fn fetch_sub(&self, value: usize, order: Ordering) -> usize {
        meet(&self.order);
        self.inner.fetch_sub(value, order)
    }

    pub fn fetch_or(&self, value: usize, order: Ordering) -> usize {
        meet(&self.order);
        self.inner.fetch_or(value, order)
    }

    pub fn fetch_and(&self, value: usize, order: Ordering) -> usize {
        meet(&self.order);
        self.inner.fetch_and(value, order)
    }
}
