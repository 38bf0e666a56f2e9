//! A worker's part in the pool: finding work, and sleeping until there is some.

use super::{Pool, spin};
use crate::block::Span;
use crate::hand::Turns;
use crate::mpmc::Mpmc;
use std::time::Duration;

/// How often the watcher looks whether anything was taken. Rare enough to cost next to nothing, and what a request
/// waits at most, or twice that, when all before it hang.
const WATCH_EVERY: Duration = Duration::from_millis(5);

/// How often it finds no work before it sleeps like the others.
const WATCH_FOR: u32 = 4;

/// A worker's part in the pool.
pub struct Member {
    index: usize,
    /// Whether this worker is the searcher.
    searching: bool,
    /// Whether it went to work since it last took something. Whoever pushed before left the next worker to it to wake.
    fresh: bool,
    /// Whether its requests wait for something, as far as it told.
    waits: bool,
    /// Whether it slept since it was last asked.
    slept: bool,
    turns: Turns,
}

/// What the watcher saw last.
#[derive(Default)]
struct Watch {
    /// What had been taken from the queue, and what was in the hands.
    progress: Option<(usize, usize)>,
    /// How many times in a row there was nothing to do.
    quiet: u32,
}

/// What a parked worker does next.
enum Next {
    Work,
    Watch,
    Sleep,
}

impl Member {
    /// A worker that was started, to search or beside somebody who does.
    pub fn new(index: usize, searching: bool) -> Self {
        Self { index, searching, fresh: false, waits: false, slept: false, turns: Turns::default() }
    }

    /// Whether this worker is the searcher.
    pub fn is_searching(&self) -> bool {
        self.searching
    }

    /// The worker's number.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Whether this worker slept since it was last asked.
    pub fn has_slept(&mut self) -> bool {
        std::mem::take(&mut self.slept)
    }

    /// Takes a span from the pending queue or from another's hand, or sleeps until there is one.
    pub fn next(&mut self, pool: &Pool, pending: &Mpmc) -> Span {
        loop {
            if !self.searching {
                if let Some(span) = self.take(pool, pending).or_else(|| pool.hands.steal()) {
                    if std::mem::take(&mut self.fresh) && pool.has_work(pending) {
                        pool.notify();
                    }
                    return span;
                }
                self.become_searcher(pool);
            }
            let may_work = self.searching && self.look(pool, pending) && self.go_to_work(pool);
            if !may_work {
                self.park(pool, pending);
            }
        }
    }

    /// Takes a span from the pending queue, and now and then from another's hand before.
    pub fn take(&mut self, pool: &Pool, pending: &Mpmc) -> Option<Span> {
        let stolen = if self.turns.hands_first() { pool.hands.steal() } else { None };
        let span = stolen.or_else(|| pending.try_pop())?;
        self.turns.took();
        Some(span)
    }

    /// Tells whether this worker's requests wait for something, so that there is room for all.
    pub fn set_waits(&mut self, pool: &Pool, pending: &Mpmc, waits: bool) {
        if waits != self.waits {
            self.waits = waits;
            let mut idle = pool.idle.lock();
            idle.set_waiting(waits);
            pool.publish(idle);
            if pool.has_work(pending) {
                pool.notify();
            }
        }
    }

    fn become_searcher(&mut self, pool: &Pool) {
        let mut idle = pool.idle.lock();
        self.searching = idle.search();
        pool.publish(idle);
    }

    /// Looks for work for a while.
    fn look(&self, pool: &Pool, pending: &Mpmc) -> bool {
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

    /// Ceases to search, if there is room to work.
    pub(super) fn go_to_work(&mut self, pool: &Pool) -> bool {
        let mut idle = pool.idle.lock();
        self.searching = !idle.go_to_work();
        self.fresh |= !self.searching;
        pool.publish(idle);
        !self.searching
    }

    /// Sleeps until woken, which makes this worker the searcher; or until there is work, and room to do it.
    pub(super) fn park(&mut self, pool: &Pool, pending: &Mpmc) {
        let mut idle = pool.idle.lock();
        idle.park(self.index, std::mem::take(&mut self.searching));
        pool.publish(idle);

        // The look that follows the flags; see the head of mod.rs.
        let mut next = if pool.has_work(pending) { self.work_or_watch(pool) } else { Next::Sleep };
        let mut watch = Watch::default();
        let seat = &pool.seats[self.index];
        while !matches!(next, Next::Work) {
            let mut woken = seat.woken.lock();
            let mut timed_out = false;
            while !*woken && !timed_out {
                self.slept = true;
                if matches!(next, Next::Watch) {
                    (woken, timed_out) = seat.cond.wait_for(woken, WATCH_EVERY);
                } else {
                    woken = seat.cond.wait(woken);
                }
            }
            if std::mem::take(&mut *woken) {
                self.searching = true;
                return;
            }
            drop(woken);
            next = self.watch(pool, pending, &mut watch);
        }
        self.fresh = true;
    }

    /// Being parked, and there being work: goes to do it if there is room, and else watches if nobody does. If somebody
    /// has taken this worker off the stack, the wake-up is on its way.
    fn work_or_watch(&self, pool: &Pool) -> Next {
        let mut idle = pool.idle.lock();
        let next = if idle.unpark(self.index) {
            Next::Work
        } else if idle.watch(self.index) {
            Next::Watch
        } else {
            Next::Sleep
        };
        pool.publish(idle);
        next
    }

    /// The watcher's look at the others.
    fn watch(&self, pool: &Pool, pending: &Mpmc, watch: &mut Watch) -> Next {
        if !pool.has_work(pending) {
            watch.quiet += 1;
            if watch.quiet < WATCH_FOR {
                return Next::Watch;
            }
            let mut idle = pool.idle.lock();
            idle.unwatch(self.index);
            pool.publish(idle);
            // Somebody may have relied on the watcher meanwhile.
            return if pool.has_work(pending) { self.work_or_watch(pool) } else { Next::Sleep };
        }
        watch.quiet = 0;
        let progress = Some((pending.taken(), pool.hands.fingerprint()));
        if watch.progress == progress {
            let mut idle = pool.idle.lock();
            idle.make_room();
            pool.publish(idle);
        }
        watch.progress = progress;
        self.work_or_watch(pool)
    }
}
