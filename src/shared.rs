//! What the caller and the workers of one queue share.

use crate::alloc;
use crate::backend::Backend;
use crate::block::Span;
use crate::cancellation;
use crate::entry::ioq_ent;
use crate::errno::Errno;
use crate::exec;
use crate::host::Host;
use crate::mpmc::{Mpmc, Pushed};
use crate::pool::Pool;
use crate::prefetch;
use crate::processors;
use crate::sync::{AtomicBool, AtomicU64, CachePadded, Instant, Ordering, fence};
use std::time::Duration;

/// How long a finished request may wait for its neighbours before it is delivered.
///
/// A span of quick requests is delivered whole. What takes longer than this would rather be seen by the caller than be
/// cheap: waking the caller costs a few microseconds, so this keeps that cost to a fraction of the work.
pub const DELIVER_AFTER: Duration = Duration::from_micros(25);

/// Pauses between looks at a queue before going to sleep: some microseconds, as a pause takes 10 to 50 ns. Nobody looks
/// at all on a single processor, where the other side cannot run meanwhile.
///
/// In the models, every look is one more thing that may happen before or after all others; one of each kind will do.
const SPINS: u32 = if cfg!(any(ioq_loom, ioq_shuttle)) { 1 } else { 64 };

/// One queue's shared part.
pub struct Shared {
    /// Requests on their way to the workers.
    pub pending: Mpmc,
    /// Responses on their way to the caller.
    pub ready: Mpmc,
    pub pool: Pool,
    pub cancelled: AtomicBool,
    /// Whether the caller sleeps until a response is ready.
    pub caller_asleep: CachePadded<AtomicBool>,
    pub backend: Backend,
    pub host: Host,
    /// What each worker did, by its number.
    pub counters: Vec<CachePadded<Counters>>,
}

/// How many requests a worker ran. Written by that worker alone.
pub struct Counters {
    pub ring: AtomicU64,
    pub plain: AtomicU64,
}

impl Counters {
    /// Adds to a counter that nobody else writes.
    pub fn add(counter: &AtomicU64, count: usize) {
        counter.store(counter.load(Ordering::Relaxed) + count as u64, Ordering::Relaxed);
    }
}

impl Shared {
    pub fn new(depth: usize, nthreads: usize, backend: Backend) -> Result<Self, Errno> {
        let processors = processors::count();
        let spins = if processors == 1 { 0 } else { SPINS };
        // With `IOQ_BACKEND=uring`, workers wait for completions and use no processor meanwhile: all may be at work.
        let room = if backend == Backend::Uring { nthreads } else { (processors - 1).max(1) };
        let counters = |_| CachePadded(Counters { ring: AtomicU64::new(0), plain: AtomicU64::new(0) });
        // Each span has at least one request, so there is a slot for each span, and for what comes beside them: nobody
        // waits for room that might be nobody's to make.
        let slots = |beside| depth.checked_add(beside).ok_or(Errno(libc::ENOMEM));
        Ok(Self {
            // The stop message.
            pending: Mpmc::new(slots(1)?, spins)?,
            // The sentinels that woke the caller: one each that a worker is about to push, and what is left of another.
            ready: Mpmc::new(slots(nthreads + 2)?, spins)?,
            pool: Pool::new(nthreads, room, spins)?,
            cancelled: AtomicBool::new(false),
            caller_asleep: CachePadded(AtomicBool::new(false)),
            backend,
            host: Host::get(),
            counters: alloc::vec(nthreads, counters)?,
        })
    }

    /// Hands a span to the workers.
    pub fn send(&self, span: Span) -> Pushed {
        let pushed = self.pending.push(span);
        self.pool.notify();
        pushed
    }

    /// Whether a request is not to run, because the queue was cancelled. Then its result says so.
    pub fn check_cancel(&self, ent: &mut ioq_ent) -> bool {
        let cancel = self.cancelled.load(Ordering::Relaxed) && !exec::survives_cancel(ent.op);
        if cancel {
            ent.result = -libc::EINTR;
        }
        cancel
    }

    /// Runs a span's requests one after the other by plain system calls. `owner` is the number of this thread's hand,
    /// where those that must wait for others wait; so they may be gone before they are run here. What is left in the
    /// hand after this is for `run_on`.
    pub fn run(&self, span: Span, owner: usize) -> Option<Run> {
        let len = span.len();
        // What never waits need not be laid open.
        // SAFETY: this thread owns the span, whose entries were written before they were sent.
        let quick = (0..len).take_while(|&i| self.run_quick(unsafe { span.entry(i).as_mut() })).count();
        if quick == len {
            return Some(Run { done: Some(span), count: len, measured: None });
        }
        let (done, rest) = if quick == 0 {
            (None, span)
        } else {
            let (done, rest) = span.split(quick);
            (Some(done), rest)
        };
        for i in 0..rest.len() {
            // SAFETY: as above.
            prefetch::path(unsafe { rest.entry(i).as_ref() });
        }
        let several = rest.len() > 1;
        self.pool.hands.of(owner).put(rest);
        if several {
            self.tell_of_hand();
        }
        if owner == self.pool.caller_hand() {
            // The calls that wait are cancellation points, and the caller's thread may be cancelled, as no worker can.
            return cancellation::disabled(|| self.run_hand(owner, done));
        }
        self.run_hand(owner, done)
    }

    /// Goes on with what is left in the hand. None if nothing is.
    pub fn run_on(&self, owner: usize) -> Option<Run> {
        self.run_hand(owner, None)
    }

    fn run_hand(&self, owner: usize, mut done: Option<Span>) -> Option<Run> {
        let hand = self.pool.hands.of(owner);
        let quick = done.as_ref().map_or(0, |done| done.len());
        if hand.is_empty() {
            return done.map(|done| Run { done: Some(done), count: quick, measured: None });
        }
        // Who else should take it?
        let keeps = owner != self.pool.caller_hand();
        let mut clock = Clock::new();
        let (mut count, mut counted) = (0, 0);
        loop {
            if keeps && !hand.is_empty() {
                if let Some(span) = done.take() {
                    // The caller may have it from there at once, and then asks how many there were.
                    Counters::add(&self.counters[owner].plain, quick + count - counted);
                    counted = quick + count;
                    done = hand.keep(span, &self.caller_asleep.0);
                    if done.is_some() {
                        break;
                    }
                }
            }
            let Some(one) = hand.claim() else { break };
            self.run_one(&one);
            count += 1;
            done = Some(follow(done, one));
            if clock.is_over(count) {
                break;
            }
        }
        let kept = hand.take_done();
        let done = match done {
            Some(done) => Some(follow(kept, done)),
            None => kept,
        };
        let measured = (count > 0).then(|| (count, clock.elapsed()));
        (quick + count > 0).then(|| Run { done, count: quick + count - counted, measured })
    }

    /// Runs the one request of a span by plain system calls.
    pub fn run_one(&self, one: &Span) {
        // SAFETY: this thread owns the span, whose entries were written before they were sent; what is in them is as
        // the caller of `ioq.h` vouched for.
        unsafe {
            let ent = one.entry(0).as_mut();
            if !self.run_quick(ent) {
                exec::run(&self.host, ent);
            }
        }
    }

    /// Runs a request that waits for nothing. Returns false, and does nothing, if it is another.
    pub fn run_quick(&self, ent: &mut ioq_ent) -> bool {
        self.check_cancel(ent) || exec::run_nop(ent)
    }

    /// Call this after opening one's hand, or sending back what was in one's ring: gets somebody to look if the caller
    /// will not, because it sleeps. That is an idle worker, or else the caller itself.
    pub fn tell_of_hand(&self) {
        fence(Ordering::SeqCst);
        if !self.caller_asleep.load(Ordering::Relaxed) {
            return;
        }
        if self.pool.has_idle() {
            self.pool.notify();
        } else if self.caller_asleep.swap(false, Ordering::Relaxed) {
            self.ready.push(Span::LOOK);
        }
    }

    /// A response, if there is one.
    pub fn try_receive(&self) -> Option<Span> {
        loop {
            let span = self.ready.try_pop()?;
            if span != Span::LOOK {
                return Some(span);
            }
        }
    }

    /// Says that the caller is about to sleep. Returns whether something is in a hand, which may be held up there.
    ///
    /// Either it sees a hand that was opened here, or whoever opened it sees the caller sleep.
    pub fn caller_sleeps(&self) -> bool {
        self.caller_asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        !self.pool.hands.are_empty()
    }
}

/// One span of both. Thieves take from the back of a hand, so what is claimed follows what was claimed before.
fn follow(before: Option<Span>, next: Span) -> Span {
    match before {
        Some(before) => before.join(next).expect("consecutive requests"),
        None => next,
    }
}

/// What became of a span, or of the first part of it.
pub struct Run {
    /// The requests that are done, but for those that the caller has taken already.
    pub done: Option<Span>,
    /// How many requests were run and not counted yet.
    pub count: usize,
    /// How many of them might have waited for something, and how long all that took.
    pub measured: Option<(usize, Duration)>,
}

/// Tells when `DELIVER_AFTER` is over, looking at the time after 1, 2, 4, 8, … requests.
struct Clock {
    start: Instant,
    next_look: usize,
}

impl Clock {
    fn new() -> Self {
        Self { start: Instant::now(), next_look: 1 }
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn is_over(&mut self, done: usize) -> bool {
        if done < self.next_look {
            return false;
        }
        self.next_look = 2 * done;
        self.elapsed() >= DELIVER_AFTER
    }
}

#[cfg(all(test, ioq_loom))]
mod models {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    /// No hand is overlooked by a caller that falls asleep as it is opened: the caller sees it, or a worker is woken.
    #[test]
    fn somebody_looks_into_a_hand_when_the_caller_sleeps() {
        loom::model(|| {
            let shared = Arc::new(Shared::new(2, 2, Backend::Sync).unwrap());
            shared.pool.park_one();
            let owner = {
                let shared = shared.clone();
                thread::spawn(move || {
                    shared.pool.hands.of(1).put(Span::labelled(1, 2));
                    shared.tell_of_hand();
                })
            };
            let seen = shared.caller_sleeps();
            owner.join().unwrap();
            assert!(seen || !shared.pool.has_idle());
        });
    }

    /// However many open their hands while the caller sleeps, it is told once: the ready queue has no room for more.
    #[test]
    fn a_caller_that_sleeps_is_told_once() {
        loom::model(|| {
            let shared = Arc::new(Shared::new(2, 2, Backend::Sync).unwrap());
            shared.caller_sleeps();
            let owners = [0, 1].map(|owner| {
                let shared = shared.clone();
                thread::spawn(move || {
                    shared.pool.hands.of(owner).put(Span::labelled(owner + 1, 2));
                    shared.tell_of_hand();
                })
            });
            owners.into_iter().for_each(|owner| owner.join().unwrap());
            assert_eq!(shared.ready.try_pop(), Some(Span::LOOK));
            assert_eq!(shared.ready.try_pop(), None);
        });
    }
}
