//! Which workers sleep, and which of them to wake or start.
//!
//! A wake-up costs more than most requests. So workers do not sleep on a channel, but on a stack, and the one that parked
//! last is woken first: its cache is the warmest. A worker is
//!
//! ```text
//!                 nothing to take                 nothing came
//!     at work ───────────────────────▶ searching ──────────────▶ parked
//!        ▲  ▲                           │     ▲                   │ │
//!        │  └─────── work, and room ────┘     └──── notify() ─────┘ │
//!        └────────── room, or the others are stuck ─────────────────┘
//! ```
//!
//! At most one worker *searches*, which is to look for work for some microseconds before it parks. Who makes work calls
//! `notify()`. While somebody searches, nobody else is woken; a searcher that finds work wakes the next if there is more.
//! (Go's and Tokio's schedulers do the same.) Where nobody is parked, `notify()` starts a thread, whoever calls it.
//!
//! # The concurrency limit
//!
//! Requests that keep processors busy go no faster with more workers than processors, and the caller needs one as well
//! while it is awake. So there is *room* for one more at work only while
//!
//! ```text
//!     at work  <  max(1, processors - [caller is awake]) + overcommit
//! ```
//!
//! or requests *block*, as Windows' thread pools have it: wait for something else than a processor.
//!
//! # Stalls
//!
//! A request may hang before anybody can tell that it blocks. So while there is work but no room, one of the parked is
//! the *stall detector*, as Go's `sysmon` is: it wakes up every few milliseconds, and if no worker has got on in the
//! meantime, it raises the overcommitment by one and goes to work itself. The next one that is parked or started
//! takes over. What holds at rest, with `work` for requests that nobody has come to:
//!
//! ```text
//!     work  ⟹  somebody searches  ∨  somebody detects stalls  ∨  all that were asked for are at work
//! ```
//!
//! or threads cannot be had; then `notify()` tries again every ten milliseconds.
//!
//! # Why no wake-up is lost
//!
//! `notify()` reads one flag, whether another worker is wanted. Its caller made work first; then comes a fence; then it
//! reads. Everybody who can raise the flag (by parking, by going to work, by ceasing to detect) raises it first; then comes
//! a fence; then they look for work. Of two such pairs at least one sees the other's write (Dekker). So either the one
//! who makes work gets a worker, or the other sees the work.

#[cfg(all(test, ioq_loom))]
mod models;
mod roster;
mod state;

pub use state::{Census, Load};

use crate::platform::alloc;
use crate::platform::errno::Errno;
use crate::platform::sync::{AtomicBool, CachePadded, Mutex, MutexGuard, Ordering, fence, spin_loop};
use crate::queue::span::Span;
use crate::worker::{Thread, Worker};
use libc::c_int;
use roster::Roster;
use state::{Recruit, State};
use std::time::Duration;

/// How often the detector looks. Rare enough to cost next to nothing, and what a request waits, or twice that, when all
/// before it hang.
pub const STALL_AFTER: Duration = Duration::from_millis(5);

/// How many times in a row the detector finds no work before it sleeps like the others.
const DETECT_FOR: u32 = 4;

/// How often a worker looks for what others have not come to before it looks elsewhere: where there is always more to
/// take, nothing is left behind. (Go and Tokio take 61, a prime, as well.)
const FAIRNESS_TICK: u32 = 61;

/// What there is to do, as the scheduler sees it.
pub trait Work {
    /// Whether there is something that a worker without work could take.
    fn is_waiting(&self) -> bool;

    /// A number that changes when a worker takes something, or is done with it.
    fn progress(&self) -> usize;

    /// Takes something; what others have not come to first, if so asked.
    fn take(&self, fair: bool) -> Option<Span>;

    /// A worker found nothing to do.
    fn has_run_dry(&self);

    /// A worker could not be started. Somebody is to try again, who is not a worker.
    fn lacks_workers(&self);

    /// What else decides how many workers are to be at work.
    fn load(&self) -> Load;

    /// A worker, without a thread.
    fn worker(&self, index: usize) -> Worker;

    /// Starts the thread of a worker.
    fn start(&self, worker: &Worker) -> Result<Thread, Errno>;
}

/// The workers of a queue.
pub struct Scheduler {
    /// What of `state` must be known without its lock: whether another worker is wanted when work comes.
    wanted: CachePadded<AtomicBool>,
    /// The same, of whether threads cannot be started, and no worker is there.
    failing: AtomicBool,
    deserted: AtomicBool,
    state: Mutex<State>,
    threads: Mutex<Vec<Thread>>,
    workers: Roster<Worker>,
    /// How often a searcher looks before it parks.
    spins: u32,
}

impl Scheduler {
    /// A scheduler of at most `limit` workers, none of which is started.
    pub fn new(limit: usize, processors: usize, spins: u32) -> Self {
        Self {
            wanted: CachePadded(AtomicBool::new(limit > 0)),
            failing: AtomicBool::new(false),
            deserted: AtomicBool::new(limit == 0),
            state: Mutex::new(State::new(limit, processors)),
            threads: Mutex::new(Vec::new()),
            workers: Roster::new(),
            spins,
        }
    }

    /// What others see of the workers.
    pub fn workers(&self) -> impl Iterator<Item = &Worker> {
        self.workers.iter()
    }

    /// Call this after making work: gets another worker if one is wanted.
    pub fn notify(&self, work: &impl Work) {
        fence(Ordering::SeqCst);
        if self.wanted.load(Ordering::Relaxed) {
            self.recruit(work);
        }
    }

    /// Gets another worker if one is wanted now, whatever the flag says: the load has changed.
    #[cold]
    pub fn recruit(&self, work: &impl Work) {
        let mut state = self.state.lock();
        match state.recruit(work.load()) {
            Some(Recruit::Wake(index)) => {
                self.publish(state, work);
                self.workers.get(index).monitor.wake();
            }
            Some(Recruit::Start(index)) => {
                let started = self.start(&mut state, index, work);
                match started {
                    Ok(()) => state.started(),
                    Err(e) => state.start_failed(e),
                }
                self.publish(state, work);
                if started.is_err() {
                    work.lacks_workers();
                }
            }
            None => self.publish(state, work),
        }
    }

    /// Starts a worker. The lock is held meanwhile, so nobody finds a worker half started.
    fn start(&self, state: &mut State, index: usize, work: &impl Work) -> Result<(), Errno> {
        state.reserve()?;
        let mut threads = self.threads.lock();
        alloc::reserve(&mut threads, index + 1)?;
        // One may be there whose thread could not be started.
        let worker =
            if index < self.workers.len() { self.workers.get(index) } else { self.workers.push(work.worker(index))? };
        threads.push(work.start(worker)?);
        Ok(())
    }

    /// Makes the flags agree with the state, and lets go of the lock.
    fn publish(&self, state: MutexGuard<'_, State>, work: &impl Work) {
        self.wanted.store(state.wants_another(work.load()), Ordering::Relaxed);
        self.failing.store(state.is_failing(), Ordering::Relaxed);
        self.deserted.store(state.is_deserted(), Ordering::Relaxed);
        drop(state);
        fence(Ordering::SeqCst);
    }

    /// Whether threads could not be started when they were last wanted.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Whether there is no worker, and none can be started for now.
    pub fn is_deserted(&self) -> bool {
        self.deserted.load(Ordering::Relaxed)
    }

    /// How many workers there are, and how many of them are at work.
    pub fn census(&self) -> Census {
        self.state.lock().census()
    }

    /// Why threads cannot be started; 0 if they can.
    pub fn error(&self) -> c_int {
        self.state.lock().error()
    }

    /// Lets the workers leave when there is nothing to do any more, and waits for that. Nobody is started from now on.
    pub fn stop(&self) {
        let parked = self.state.lock().stop();
        for index in parked {
            self.workers.get(index).monitor.wake();
        }
        let threads = std::mem::take(&mut *self.threads.lock());
        threads.into_iter().for_each(Thread::join);
    }
}

/// A worker's own part in the scheduler.
pub struct Member {
    index: usize,
    /// Whether this worker is the searcher.
    searching: bool,
    /// Whether it went to work since it last took something. Whoever made work meanwhile has left the next worker to it.
    propagates: bool,
    ticks: u32,
}

/// What a worker that was parked does next.
#[derive(PartialEq)]
enum Next {
    Work,
    Leave,
}

impl Member {
    /// A worker that was just started, to search.
    pub fn new(index: usize) -> Self {
        Self { index, searching: true, propagates: false, ticks: 0 }
    }

    /// Takes something to do, or sleeps until there is something. None if it is time to leave.
    pub fn next(&mut self, scheduler: &Scheduler, work: &impl Work) -> Option<Span> {
        loop {
            if !self.searching {
                self.ticks = self.ticks.wrapping_add(1);
                if let Some(span) = work.take(self.ticks % FAIRNESS_TICK == 0) {
                    if std::mem::take(&mut self.propagates) && work.is_waiting() {
                        scheduler.notify(work);
                    }
                    return Some(span);
                }
                work.has_run_dry();
                self.search(scheduler, work);
            }
            let may_work = self.searching && self.look(scheduler, work) && self.go_to_work(scheduler, work);
            if !may_work && self.park(scheduler, work) == Next::Leave {
                return None;
            }
        }
    }

    fn search(&mut self, scheduler: &Scheduler, work: &impl Work) {
        let mut state = scheduler.state.lock();
        self.searching = state.search(self.index);
        scheduler.publish(state, work);
    }

    /// Looks for work for a while.
    fn look(&self, scheduler: &Scheduler, work: &impl Work) -> bool {
        // Each pause is as long as all before: to look more often would only take the line from whoever makes work.
        let mut pause = 1;
        while pause <= scheduler.spins {
            if work.is_waiting() {
                return true;
            }
            (0..pause).for_each(|_| spin_loop());
            pause *= 2;
        }
        work.is_waiting()
    }

    /// Ceases to search, if there is room to work.
    fn go_to_work(&mut self, scheduler: &Scheduler, work: &impl Work) -> bool {
        let mut state = scheduler.state.lock();
        let goes = state.go_to_work(work.load());
        self.searching = !goes;
        self.propagates |= goes;
        scheduler.publish(state, work);
        goes
    }

    /// Sleeps until woken, which makes this worker the searcher; or until there is work, and room to do it.
    fn park(&mut self, scheduler: &Scheduler, work: &impl Work) -> Next {
        let mut state = scheduler.state.lock();
        self.searching = false;
        if state.is_stopping() {
            state.leave(self.index);
            scheduler.publish(state, work);
            // Whoever makes work from now on looks for it again before it leaves.
            return if work.is_waiting() { Next::Work } else { Next::Leave };
        }
        state.park(self.index);
        scheduler.publish(state, work);

        let monitor = &scheduler.workers.get(self.index).monitor;
        let mut detects = false;
        let mut idle = 0;
        let mut seen = None;
        loop {
            // The look that follows the flag; see the head of this file.
            if work.is_waiting() {
                idle = 0;
                let mut state = scheduler.state.lock();
                let progress = Some(work.progress());
                let is_stuck = std::mem::replace(&mut seen, progress) == progress;
                if detects && is_stuck {
                    state.overcommit();
                }
                let goes = state.unpark(self.index, work.load());
                detects = !goes && state.detect(self.index);
                scheduler.publish(state, work);
                if goes {
                    self.propagates = true;
                    return Next::Work;
                }
            } else if detects {
                idle += 1;
                if idle == DETECT_FOR {
                    let mut state = scheduler.state.lock();
                    state.relieve(self.index);
                    scheduler.publish(state, work);
                    detects = false;
                    // Somebody may have relied on it meanwhile.
                    continue;
                }
            }
            if monitor.sleep(detects.then_some(STALL_AFTER)) {
                let state = scheduler.state.lock();
                self.searching = state.is_searcher(self.index);
                return Next::Work;
            }
        }
    }
}
