//! Where threads sleep: one monitor for each worker, one for the caller, and one for the driver of the ring.

use crate::platform::sync::{AtomicUsize, CachePadded, Condvar, Mutex, Ordering, fence};
use std::time::Duration;

/// A place for one thread to sleep until it is woken: a mutex, a condition variable, and a token between them.
///
/// No wake-up is lost: the token is set and looked at under the mutex, and the sleeper lets go of that only in the
/// condition variable.
pub struct Monitor {
    token: Mutex<bool>,
    cond: Condvar,
}

impl Monitor {
    pub fn new() -> Self {
        Self { token: Mutex::new(false), cond: Condvar::new() }
    }

    /// Sleeps until woken, or for so long. Returns whether it was woken, now or before it came here.
    pub fn sleep(&self, limit: Option<Duration>) -> bool {
        let mut token = self.token.lock();
        let mut timed_out = false;
        while !*token && !timed_out {
            match limit {
                Some(limit) => (token, timed_out) = self.cond.wait_for(token, limit),
                None => token = self.cond.wait(token),
            }
        }
        std::mem::take(&mut token)
    }

    /// Wakes the thread that sleeps here, or will next.
    pub fn wake(&self) {
        *self.token.lock() = true;
        self.cond.notify_one();
    }
}

/// The sleep of a thread that waits for spans in a channel, and is to be woken by whoever pushes.
///
/// The thread says that it sleeps, then has a fence, then looks at the channel for the last time. Whoever pushes has a
/// fence after it, then looks whether the thread sleeps. Of two threads that each write, fence, and read what the other
/// wrote, at least one sees the other's write (Dekker): the thread sees the span, or the pusher sees the sleeper.
pub struct Waiter {
    state: CachePadded<AtomicUsize>,
    monitor: Monitor,
}

/// It comes by itself.
const AWAKE: usize = 0;
/// It comes by itself, and soon: who pushes need not wake it.
const NAPPING: usize = 1;
/// It is to be woken.
const ASLEEP: usize = 2;

impl Waiter {
    pub fn new() -> Self {
        Self { state: CachePadded(AtomicUsize::new(AWAKE)), monitor: Monitor::new() }
    }

    /// Whether the thread is in need of its processor.
    pub fn is_awake(&self) -> bool {
        self.state.load(Ordering::Relaxed) == AWAKE
    }

    /// Sleeps until woken, unless there `is_something` already. Before, it does what is to be done `at_rest`.
    pub fn sleep(&self, how: Sleep, is_something: impl FnOnce() -> bool, at_rest: impl FnOnce()) {
        let (state, limit) = match how {
            Sleep::Nap(limit) => (NAPPING, Some(limit)),
            Sleep::For(limit) => (ASLEEP, Some(limit)),
            Sleep::UntilWoken => (ASLEEP, None),
        };
        self.state.store(state, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if !is_something() {
            at_rest();
            // A token may be left of a wake-up that came too late for the sleep that it was for. Callers look again.
            self.monitor.sleep(limit);
        }
        self.state.store(AWAKE, Ordering::Relaxed);
    }

    /// Call this after a push: wakes the thread if it sleeps until then.
    pub fn notify(&self) {
        fence(Ordering::SeqCst);
        if self.state.load(Ordering::Relaxed) == ASLEEP {
            self.wake(ASLEEP);
        }
    }

    /// Ends its nap, if it has one.
    pub fn hurry(&self) {
        if self.state.load(Ordering::Relaxed) == NAPPING {
            self.wake(NAPPING);
        }
    }

    #[cold]
    fn wake(&self, state: usize) {
        // Of several who would, one does.
        if self.state.compare_exchange(state, AWAKE, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.monitor.wake();
        }
    }
}

/// How to sleep.
#[derive(Clone, Copy)]
pub enum Sleep {
    /// For so long, whatever comes, unless somebody says `hurry`.
    Nap(Duration),
    /// Until somebody pushes, or for so long.
    For(Duration),
    /// Until somebody pushes.
    UntilWoken,
}
