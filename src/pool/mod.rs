//! Which workers sleep, and which of them to wake.
//!
//! A wake-up costs more than most requests, and workers that wait in ticket order would be woken the oldest and coldest
//! first. So workers do not sleep on the pending queue. A worker without work
//!
//! 1. *searches*: looks at the queue for a short while. At most one worker searches at a time;
//! 2. *parks*: puts itself on top of a stack and sleeps until it is taken off.
//!
//! Whoever puts a span into the pending queue calls `notify` after. It wakes the worker that parked last, and that
//! worker searches; but if somebody searches already, nobody needs to be woken. A searcher that finds a span goes to
//! work, and notifies in turn if there are more. So workers are woken one after the other, each only when the one
//! before found more than it could take. (Go's and Tokio's schedulers do the same.)
//!
//! What a worker has in hand (`hand.rs`) is open to workers without work as well.
//!
//! # Room to work
//!
//! Requests that keep a processor busy go no faster with more workers than processors; they only get in each other's way
//! and in the caller's. So there is *room* for one worker less than there are processors, and for all of them while
//! requests wait for something, which the workers tell (`Member::set_waits`).
//!
//! A request may hang, though, before anybody could tell. So when work is there, and workers, but no room, one of the
//! parked is the *watcher*: it wakes up by itself every few milliseconds, and if nothing was taken since, it makes room
//! for one more, itself. The caller does the same in a pop that finds nothing for some time (`rouse`).
//!
//! # Why no wake-up is lost
//!
//! `notify` reads one flag, `wakeable`: someone is parked, nobody searches, and there is room or nobody to watch. It
//! pushed first; then comes a fence; then it reads. Everybody who can make the flag true (by parking, by going to work,
//! by making room, by ceasing to watch) sets it first; then comes a fence; then they look at the queue. Of two such
//! pairs at least one sees the other's write (Dekker): the pusher wakes a worker, or the worker sees the span. If the
//! flag was false because somebody searched, then it is the searcher's going to work or parking that is followed by a
//! look. If it was false because nobody is parked, every worker will look before it parks. If it was false because
//! there is no room and somebody watches, then those at work will look before they park; and if they are held up, the
//! watcher looks in the meantime.

mod idle;
mod member;
#[cfg(all(test, ioq_loom))]
mod models;

pub use member::Member;

use crate::alloc;
use crate::errno::Errno;
use crate::hand::Hands;
use crate::mpmc::Mpmc;
use crate::sync::{AtomicBool, CachePadded, Condvar, Mutex, MutexGuard, Ordering, fence, spin_loop};
use idle::Idle;

/// The workers of a queue, as far as sleeping and waking goes.
pub struct Pool {
    /// The hands of the workers, and after them that of the caller.
    pub hands: Hands,
    flags: CachePadded<Flags>,
    idle: Mutex<Idle>,
    seats: Vec<CachePadded<Seat>>,
    /// How often a searcher looks before it parks.
    spins: u32,
}

/// What of `Idle` must be known without the lock. Written under it.
struct Flags {
    /// Whether there is a worker to be woken.
    wakeable: AtomicBool,
    /// Whether there is one to be started.
    startable: AtomicBool,
}

/// Where a parked worker sleeps.
struct Seat {
    woken: Mutex<bool>,
    cond: Condvar,
}

impl Pool {
    /// A pool of at most `limit` workers, none of which is started. Only `room` of them work at once while no request
    /// waits for anything.
    pub fn new(limit: usize, room: usize, spins: u32) -> Result<Self, Errno> {
        let seat = |_| CachePadded(Seat { woken: Mutex::new(false), cond: Condvar::new() });
        Ok(Self {
            hands: Hands::new(limit.checked_add(1).ok_or(Errno(libc::ENOMEM))?)?,
            flags: CachePadded(Flags { wakeable: AtomicBool::new(false), startable: AtomicBool::new(limit > 0) }),
            idle: Mutex::new(Idle::new(limit, room)?),
            seats: alloc::vec(limit, seat)?,
            spins,
        })
    }

    /// Call this after each push to the pending queue: wakes a worker if there is one to wake and nobody searches.
    pub fn notify(&self) {
        fence(Ordering::SeqCst);
        if self.flags.wakeable.load(Ordering::Relaxed) {
            self.wake_one();
        }
    }

    /// Wakes a worker even if there is no room, because the others seem to be held up.
    pub fn rouse(&self) {
        let mut idle = self.idle.lock();
        idle.make_room();
        self.publish(idle);
        self.notify();
    }

    #[cold]
    fn wake_one(&self) {
        let mut idle = self.idle.lock();
        if let Some(index) = idle.wake() {
            self.publish(idle);
            let seat = &self.seats[index];
            *seat.woken.lock() = true;
            seat.cond.notify_one();
        }
    }

    /// Makes the flags agree with the state, and lets go of the lock.
    fn publish(&self, idle: MutexGuard<'_, Idle>) {
        self.flags.wakeable.store(idle.is_wakeable(), Ordering::Relaxed);
        self.flags.startable.store(idle.is_startable(), Ordering::Relaxed);
        drop(idle);
        fence(Ordering::SeqCst);
    }

    /// Lets the caller get ahead, so that there is more to take at once: about ten microseconds, the time in which it
    /// submits some hundred requests.
    pub fn let_gather(&self) {
        spin(4 * self.spins);
    }

    /// Whether there is something to do for a worker that has nothing.
    fn has_work(&self, pending: &Mpmc) -> bool {
        pending.has_spans() || !self.hands.are_empty()
    }

    /// Whether some worker would come if there were work.
    pub fn has_idle(&self) -> bool {
        self.flags.wakeable.load(Ordering::Relaxed)
    }

    /// Makes place for another worker if all who were started are at work. It must then be started, as the searcher, or
    /// `start_failed` be called.
    pub fn start(&self) -> Option<Member> {
        if !self.flags.startable.load(Ordering::Relaxed) {
            return None;
        }
        let mut idle = self.idle.lock();
        let index = idle.start()?;
        self.publish(idle);
        Some(Member::new(index, true))
    }

    /// How many workers have no work, each of which comes for one of the spans that are pending.
    pub fn without_work(&self) -> usize {
        self.idle.lock().without_work()
    }

    /// Makes place for another worker if there is room, even if somebody is without work already: for who cannot come
    /// back to start the next when that one goes to work.
    pub fn start_beside(&self) -> Option<Member> {
        let mut idle = self.idle.lock();
        let (index, searching) = idle.start_beside()?;
        self.publish(idle);
        Some(Member::new(index, searching))
    }

    /// The worker that place was last made for could not be started, whether it was `searching` or not: from now on,
    /// nobody will be.
    pub fn start_failed(&self, searching: bool) {
        let mut idle = self.idle.lock();
        idle.start_failed(searching);
        self.publish(idle);
        // Meanwhile others left it to the searcher to find what they pushed.
        self.notify();
    }

    /// The number of the caller's hand.
    pub fn caller_hand(&self) -> usize {
        self.seats.len()
    }

    /// How many workers are there.
    pub fn present(&self) -> usize {
        self.idle.lock().present()
    }

    /// Lets nobody start from now on. True the first time, if there are workers that must be told to leave.
    pub fn stop(&self) -> bool {
        let mut idle = self.idle.lock();
        let told = idle.stop();
        self.publish(idle);
        told
    }

    /// A worker leaves. Returns whether others are still there.
    pub fn leave(&self) -> bool {
        let mut idle = self.idle.lock();
        let others = idle.leave();
        self.publish(idle);
        others
    }
}

#[cfg(all(test, ioq_loom))]
impl Pool {
    /// Makes a worker that sleeps, without a thread.
    pub fn park_one(&self) {
        let mut idle = self.idle.lock();
        let index = idle.start().expect("one more");
        idle.park(index, true);
        self.publish(idle);
    }
}

fn spin(count: u32) {
    for _ in 0..count {
        spin_loop();
    }
}
