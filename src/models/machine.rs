//! The machine that the models run on, as far as the library can tell one from another.
//!
//! How many processors there are, whether a thread can be started, how long something took and whether it slept: on a
//! real machine that is as it happens, and a model that asked the real one could not be replayed. So a model chooses its
//! machine, and what may come either way on it is left to chance, which is the scheduler's to play.

#![allow(dead_code, reason = "not all models have a use for all of it")]

use super::uring::Submission;
use crate::entry::ioq_ent;
use crate::platform::errno::Errno;
use libc::c_char;
use std::cell::Cell;
use std::time::Duration;

#[cfg(ioq_loom)]
use loom::{
    sync::{Condvar, MutexGuard},
    thread,
};
#[cfg(ioq_shuttle)]
use shuttle::{
    sync::{Condvar, MutexGuard},
    thread,
};

/// What may come either way.
#[derive(Clone, Copy)]
pub enum Chance {
    Never,
    #[cfg(ioq_shuttle)]
    Even,
    Always,
}

impl Chance {
    /// Whether it comes this time.
    pub fn comes(self) -> bool {
        match self {
            Self::Never => false,
            #[cfg(ioq_shuttle)]
            Self::Even => shuttle::rand::Rng::r#gen(&mut shuttle::rand::thread_rng()),
            Self::Always => true,
        }
    }
}

/// What a machine is like.
#[derive(Clone, Copy)]
pub struct Machine {
    /// How many processors it has.
    pub processors: usize,
    /// Whether starting a thread fails.
    pub lacks_threads: Chance,
    /// Whether threads that are started do nothing, because the model plays their parts.
    pub threads_are_idle: bool,
    /// Whether time goes by: whether what is measured takes long, and sleeps.
    pub time_passes: Chance,
    /// Whether a wait with a limit ends by itself. Where none does, a model proves that nothing hangs on it.
    pub limits_end: Chance,
    /// What else happens when a request is run by calls.
    pub request: fn(&ioq_ent),
    /// What else happens when an entry of a list, of which this is the name, is looked up by a call.
    pub entry: fn(*const c_char),
    /// Whether making a ring fails.
    pub lacks_rings: Chance,
    /// Whether a ring takes less than it is given, fails, or is interrupted.
    pub ring_balks: Chance,
    /// Whether a ring refuses an operation, or cancels what it has taken.
    pub ring_refuses: Chance,
    /// Whether a ring is not done with this yet.
    pub holds: fn(&Submission) -> bool,
    /// What else happens when a ring does something.
    pub in_ring: fn(&Submission),
}

impl Machine {
    /// One on which nothing fails and no time goes by.
    pub const IDEAL: Self = Self {
        processors: 2,
        lacks_threads: Chance::Never,
        threads_are_idle: false,
        time_passes: Chance::Never,
        limits_end: Chance::Never,
        request: |_| (),
        entry: |_| (),
        lacks_rings: Chance::Never,
        ring_balks: Chance::Never,
        ring_refuses: Chance::Never,
        holds: |_| false,
        in_ring: |_| (),
    };

    /// Chooses the machine for this model.
    #[cfg(test)]
    pub fn set(self) {
        MACHINE.set(self);
    }
}

thread_local! {
    // All threads of a model are one to the system.
    static MACHINE: Cell<Machine> = const { Cell::new(Machine::IDEAL) };
}

/// The machine of this model.
pub fn get() -> Machine {
    MACHINE.get()
}

/// How long a thread has waited, of which only chance can say anything.
pub struct Usage;

impl Usage {
    pub fn now() -> Self {
        Self
    }

    pub fn elapsed(&self) -> Duration {
        Instant.elapsed()
    }

    pub fn waited_since(&self, _: &Self) -> Duration {
        if get().time_passes.comes() { Duration::from_secs(1) } else { Duration::ZERO }
    }
}

/// One of so many possibilities.
pub fn one_of(count: usize) -> usize {
    #[cfg(ioq_shuttle)]
    return shuttle::rand::Rng::gen_range(&mut shuttle::rand::thread_rng(), 0..count);
    #[cfg(ioq_loom)]
    return count - 1;
}

/// A time, of which only chance can say how long ago it was.
#[derive(Clone, Copy)]
pub struct Instant;

impl Instant {
    pub fn now() -> Self {
        Self
    }

    pub fn elapsed(&self) -> Duration {
        if get().time_passes.comes() { Duration::from_secs(1) } else { Duration::ZERO }
    }
}

/// A time to come, of which only chance can say how far it is.
#[derive(Clone, Copy)]
pub struct Deadline;

impl Deadline {
    pub const NEVER: Self = Self;

    pub fn new(_: impl TryInto<u64>, _: libc::c_long) -> Result<Self, Errno> {
        Ok(Self)
    }

    pub fn remaining(&self) -> Duration {
        let is_over = get().time_passes.comes() || (get().limits_end.comes() && one_of(2) == 0);
        if is_over { Duration::ZERO } else { Duration::from_secs(1) }
    }
}

/// Lets others go on.
pub fn sleep(_: Duration) {
    thread::yield_now();
}

/// Waits on a condition variable, for some time at most. Returns whether that was over. A nap, which nobody need end,
/// always ends by itself.
pub fn wait_for<'a, T>(cond: &Condvar, guard: MutexGuard<'a, T>, limit: Duration) -> (MutexGuard<'a, T>, bool) {
    #[cfg(not(ioq_shuttle))]
    let _ = limit;
    #[cfg(ioq_shuttle)]
    if limit < Duration::from_millis(1) || get().limits_end.comes() {
        return (wait_to_the_end(cond, guard), true);
    }
    (cond.wait(guard).expect("a panic ends the model"), false)
}

/// Waits until the time is over, which is when the scheduler comes to a thread that says so.
#[cfg(ioq_shuttle)]
fn wait_to_the_end<'a, T>(cond: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    use std::sync::atomic::{AtomicBool, Ordering};
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                thread::yield_now();
                cond.notify_all();
            }
        });
        let guard = cond.wait(guard).expect("a panic ends the model");
        over.store(true, Ordering::Relaxed);
        guard
    })
}
