//! The pool of monitors that threads sleep on when a slot is not as they need it.

use crate::alloc;
use crate::errno::Errno;
use crate::sync::{CachePadded, Condvar, Mutex};

/// Few ever sleep on a slot: the caller for want of a response, and writers to a full queue, of which there are none while
/// each request has a slot of its own. Sharing a monitor costs a sleeper only a look at its slot.
const MAX_MONITORS: usize = 4;

/// A mutex and a condition variable. The mutex guards nothing but the order of sleeping and waking.
struct Monitor {
    mutex: Mutex<()>,
    cond: Condvar,
}

/// Monitors, each on its own cache line, that a queue's slots share round-robin.
pub struct Monitors(Vec<CachePadded<Monitor>>);

impl Monitors {
    /// Monitors for `slots` slots, a power of two.
    pub fn new(slots: usize) -> Result<Self, Errno> {
        let monitor = |_| CachePadded(Monitor { mutex: Mutex::new(()), cond: Condvar::new() });
        alloc::vec(slots.min(MAX_MONITORS), monitor).map(Self)
    }

    fn of(&self, slot: usize) -> &Monitor {
        &self.0[slot & (self.0.len() - 1)]
    }

    /// Sleeps while `must_sleep()`, which is asked again after each wake-up, with the mutex held.
    pub fn wait_while(&self, slot: usize, mut must_sleep: impl FnMut() -> bool) {
        let monitor = self.of(slot);
        let mut guard = monitor.mutex.lock();
        while must_sleep() {
            guard = monitor.cond.wait(guard);
        }
    }

    /// Wakes whoever sleeps on `slot`, which was changed before this call.
    ///
    /// No wake-up is lost: a waiter looks at its slot under the mutex and lets go of it only in the condition variable.
    /// So either it looked after this function had the mutex, and saw the change; or it looked before, and then this
    /// function had to wait for the mutex until the waiter slept, where the notification finds it. The notification
    /// itself need not hold the mutex: the woken thread would only run into it.
    pub fn wake(&self, slot: usize) {
        let monitor = self.of(slot);
        drop(monitor.mutex.lock());
        monitor.cond.notify_all();
    }
}
