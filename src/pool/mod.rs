//! Which workers sleep, and which of them to wake.
//!
//! A wake-up costs more than most requests, and workers that wait in ticket order would be woken the oldest and coldest
//! first. So workers do not sleep on the pending queue. A worker without work
//!
//! 1. *searches*: looks at the queue for a short while. At most one worker searches at a time;
//! 2. *parks*: puts itself on top of a stack and sleeps until it is taken off.
//!
//! Whoever puts a span into the pending queue calls `notify` after. It wakes the worker that parked last, and that
//! worker searches; but if somebody searches already, nobody needs to be woken. A searcher that finds a span stops
//! searching, and notifies in turn if there are more. So workers are woken one after the other, each only when the one
//! before found more than it could take. (Go's and Tokio's schedulers do the same.)
//!
//! What a worker has in hand (`hand.rs`) is open to workers without work as well.
//!
//! # Why no wake-up is lost
//!
//! `notify` reads one flag, `wakeable`: someone is parked and nobody searches. It pushed first; then comes a fence; then
//! it reads. Everybody who can make the flag true (by parking, or by ceasing to search) sets it first; then comes a
//! fence; then they look at the queue. Of two such pairs at least one sees the other's write (Dekker): the pusher wakes
//! a worker, or the worker sees the span. If the flag was false because somebody searched, then it is the searcher's
//! ceasing that is followed by a look, in `found` or in `park`. If it was false because nobody is parked, every worker
//! will look before it parks.

#[cfg(all(test, ioq_loom))]
mod models;

use crate::alloc;
use crate::block::Span;
use crate::errno::Errno;
use crate::hand::Hands;
use crate::mpmc::Mpmc;
use crate::sync::{AtomicBool, CachePadded, Condvar, Mutex, MutexGuard, Ordering, fence, spin_loop};

/// The workers of a queue, as far as sleeping and waking goes.
pub struct Pool {
    /// The hands of the workers, and after them that of the caller.
    pub hands: Hands,
    /// Someone is parked, and nobody searches. Written under the lock.
    wakeable: CachePadded<AtomicBool>,
    idle: Mutex<Idle>,
    seats: Vec<CachePadded<Seat>>,
    /// How often a searcher looks before it parks.
    spins: u32,
}

struct Idle {
    /// The workers that are parked, the last one on top.
    parked: Vec<usize>,
    /// Whether somebody is looking for work, or was woken or started to do so.
    searching: bool,
    /// How many workers were started.
    started: usize,
    /// How many of them have not left.
    present: usize,
    /// How many to start at most: what the user asked for, or less once starting failed.
    limit: usize,
    /// Whether the stop message was sent: nobody is started any more.
    stopped: bool,
}

/// Where a parked worker sleeps.
struct Seat {
    woken: Mutex<bool>,
    cond: Condvar,
}

/// A worker's part in the pool.
pub struct Member {
    index: usize,
    /// Whether this worker is the searcher.
    searching: bool,
}

impl Pool {
    /// A pool of at most `limit` workers, none of which is started.
    pub fn new(limit: usize, spins: u32) -> Result<Self, Errno> {
        let mut parked = Vec::new();
        parked.try_reserve_exact(limit).map_err(|_| Errno(libc::ENOMEM))?;
        let seat = |_| CachePadded(Seat { woken: Mutex::new(false), cond: Condvar::new() });
        Ok(Self {
            hands: Hands::new(limit.checked_add(1).ok_or(Errno(libc::ENOMEM))?)?,
            wakeable: CachePadded(AtomicBool::new(false)),
            idle: Mutex::new(Idle { parked, searching: false, started: 0, present: 0, limit, stopped: false }),
            seats: alloc::vec(limit, seat)?,
            spins,
        })
    }

    /// Call this after each push to the pending queue: wakes a worker if there is one to wake and nobody searches.
    pub fn notify(&self) {
        fence(Ordering::SeqCst);
        if self.wakeable.load(Ordering::Relaxed) {
            self.wake_one();
        }
    }

    #[cold]
    fn wake_one(&self) {
        let mut idle = self.idle.lock();
        if idle.searching {
            return;
        }
        if let Some(index) = idle.parked.pop() {
            idle.searching = true;
            self.publish(idle);
            let seat = &self.seats[index];
            *seat.woken.lock() = true;
            seat.cond.notify_one();
        }
    }

    /// Makes the flag agree with the state, and lets go of the lock.
    fn publish(&self, idle: MutexGuard<'_, Idle>) {
        self.wakeable.store(!idle.parked.is_empty() && !idle.searching, Ordering::Relaxed);
        drop(idle);
        fence(Ordering::SeqCst);
    }

    /// Lets the caller get ahead, so that there is more to take at once.
    pub fn let_gather(&self) {
        spin(self.spins);
    }

    /// Whether there is something to do for a worker that has nothing.
    fn has_work(&self, pending: &Mpmc) -> bool {
        pending.has_spans() || !self.hands.are_empty()
    }

    /// Whether some worker is parked, and nobody searches.
    pub fn has_idle(&self) -> bool {
        self.wakeable.load(Ordering::Relaxed)
    }

    /// Makes room for another worker if all who were started are at work. It must then be started, as the searcher, or
    /// `start_failed` be called.
    pub fn start(&self) -> Option<Member> {
        let mut idle = self.idle.lock();
        if idle.stopped || idle.searching || !idle.parked.is_empty() || idle.started >= idle.limit {
            return None;
        }
        let index = idle.started;
        idle.started += 1;
        idle.present += 1;
        idle.searching = true;
        self.publish(idle);
        Some(Member { index, searching: true })
    }

    /// The worker that `start` last made room for could not be started: from now on, nobody will be.
    pub fn start_failed(&self) {
        let mut idle = self.idle.lock();
        idle.started -= 1;
        idle.present -= 1;
        idle.limit = idle.started;
        idle.searching = false;
        self.publish(idle);
    }

    /// The number of the caller's hand.
    pub fn caller_hand(&self) -> usize {
        self.seats.len()
    }

    /// How many workers are there.
    pub fn present(&self) -> usize {
        self.idle.lock().present
    }

    /// Lets nobody start from now on. True the first time, if there are workers that must be told to leave.
    pub fn stop(&self) -> bool {
        let mut idle = self.idle.lock();
        let first = !std::mem::replace(&mut idle.stopped, true);
        first && idle.present > 0
    }

    /// A worker leaves. Returns whether others are still there.
    pub fn leave(&self) -> bool {
        let mut idle = self.idle.lock();
        idle.present -= 1;
        idle.present > 0
    }
}

fn spin(count: u32) {
    for _ in 0..count {
        spin_loop();
    }
}

impl Member {
    /// The worker's number.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Takes a span from the pending queue or from another's hand, or sleeps until there is one.
    pub fn next(&mut self, pool: &Pool, pending: &Mpmc) -> Span {
        loop {
            if let Some(span) = self.try_next(pool, pending) {
                return span;
            }
            if let Some(span) = pool.hands.steal() {
                self.found(pool, pending);
                return span;
            }
            if !self.search(pool, pending) {
                self.park(pool, pending);
            }
        }
    }

    /// Takes a span from the pending queue if there is one.
    pub fn try_next(&mut self, pool: &Pool, pending: &Mpmc) -> Option<Span> {
        let span = pending.try_pop()?;
        self.found(pool, pending);
        Some(span)
    }

    /// Looks for work for a while, if nobody else does. Returns whether to try again.
    fn search(&mut self, pool: &Pool, pending: &Mpmc) -> bool {
        if !self.searching {
            let mut idle = pool.idle.lock();
            if idle.searching {
                return false;
            }
            idle.searching = true;
            self.searching = true;
            pool.publish(idle);
        }
        // Each pause is as long as all before: to look more often would only take the slot from the caller's cache.
        let mut pause = 1;
        while pause <= pool.spins {
            if pool.has_work(pending) {
                return true;
            }
            spin(pause);
            pause *= 2;
        }
        pool.has_work(pending)
    }

    /// Ceases to search, having found something.
    fn found(&mut self, pool: &Pool, pending: &Mpmc) {
        if std::mem::take(&mut self.searching) {
            let mut idle = pool.idle.lock();
            idle.searching = false;
            pool.publish(idle);
            // Whoever pushed while we searched left the next one to us.
            if pool.has_work(pending) {
                pool.notify();
            }
        }
    }

    /// Sleeps until woken, unless there is work. The woken worker is the searcher.
    fn park(&mut self, pool: &Pool, pending: &Mpmc) {
        let mut idle = pool.idle.lock();
        if std::mem::take(&mut self.searching) {
            idle.searching = false;
        }
        idle.parked.push(self.index);
        pool.publish(idle);

        // The look that follows the flag; see the head of this file.
        if pool.has_work(pending) {
            let mut idle = pool.idle.lock();
            if let Some(at) = idle.parked.iter().rposition(|&index| index == self.index) {
                idle.parked.remove(at);
                pool.publish(idle);
                return;
            }
            // Someone has taken us off the stack already: the wake-up is on its way.
        }

        let seat = &pool.seats[self.index];
        let mut woken = seat.woken.lock();
        while !*woken {
            seat.cond.wait(&mut woken);
        }
        *woken = false;
        self.searching = true;
    }
}
