//! What the caller, the workers and the driver of the ring share.
//!
//! ```text
//!                                      ┌───────────────────────────────────────┐
//!     caller ──▶ pending ──┬──────────▶│ workers: plain calls                  │──▶ ready ──▶ caller
//!                          │           └───────────────────────────────────────┘      ▲
//!                          │                ▲ plain: what only threads can do         │
//!                          │           ┌────┴──────────────────────────────────┐      │
//!                          └──────────▶│ driver: many in flight in the ring    │──────┘
//!                       while it pays  └───────────────────────────────────────┘
//! ```
//!
//! While the ring is not needed, workers take from `pending` themselves. While it is, the driver takes what is pending, and
//! passes on to `plain` what must, or should, be run by plain calls.

use super::event::Event;
use super::finished::Finished;
use super::options::{Backend, Options};
use crate::channel::monitor::Waiter;
use crate::channel::{Channel, Sender, Sent};
use crate::entry::ioq_op;
use crate::fs::host::Host;
use crate::ops::list::{Listing, OpenLists, STATS, Stage};
use crate::ops::{self, List, Nop};
use crate::platform::errno::Errno;
use crate::platform::processors;
use crate::platform::sync::{AtomicUsize, Ordering, fence};
use crate::queue::span::Span;
use crate::scheduler::{Load, Scheduler, Work};
use crate::worker::ring::Driver;
use crate::worker::{Change, LocalQueue, Pace, Remote, Thread, ThreadOptions, Worker};

/// Pauses between looks at a channel before going to sleep: some microseconds, as a pause takes 10 to 50 ns. Nobody looks
/// at all on a single processor, where the other side cannot run meanwhile.
///
/// In the models, every look is one more thing that may happen before or after all others; one of each kind will do.
const SPINS: u32 = if cfg!(any(ioq_loom, ioq_shuttle)) { 1 } else { 64 };

/// What was cancelled of a queue.
pub struct Cancelled(AtomicUsize);

impl Cancelled {
    const NONE: usize = 0;
    /// Requests that are marked.
    const SOME: usize = 1;
    /// The whole queue: for good.
    const ALL: usize = 2;

    fn new() -> Self {
        Self(AtomicUsize::new(Self::NONE))
    }

    /// Whether nothing was.
    pub fn is_none(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::NONE
    }

    /// Whether the whole queue was cancelled.
    pub fn is_all(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::ALL
    }

    /// Cancels the queue.
    pub fn set_all(&self) {
        self.0.store(Self::ALL, Ordering::Relaxed);
    }

    /// There are, or are no more, requests that are marked.
    pub fn set_some(&self, some: bool) {
        let (from, to) = if some { (Self::NONE, Self::SOME) } else { (Self::SOME, Self::NONE) };
        if self.0.load(Ordering::Relaxed) == to {
            return;
        }
        // Whoever cancels the queue at the same time has the last word.
        let _ = self.0.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// One queue's shared part.
pub struct Shared {
    /// Requests that nobody has come to.
    pub pending: Channel,
    /// Requests that only workers are to take: what the driver leaves to them, and lists whose stats they share.
    pub plain: Channel,
    /// Those of them that come first.
    pub finished: Finished,
    /// Responses.
    pub ready: Channel,
    /// Where the caller sleeps, and what it polls.
    pub caller: Waiter,
    pub event: Event,
    /// What others see of the caller while it runs requests itself.
    pub caller_remote: Remote,
    pub scheduler: Scheduler,
    pub driver: Driver,
    pub pace: Pace,
    pub cancelled: Cancelled,
    pub open_lists: OpenLists,
    pub host: Host,
    pub threads: ThreadOptions,
    /// How many requests there may be.
    #[cfg_attr(any(ioq_loom, ioq_shuttle), expect(dead_code))]
    depth: usize,
    /// Whether the queue may take descriptors.
    pub descriptors: bool,
    /// How often to look before sleeping.
    pub spins: u32,
}

impl Shared {
    pub fn new(options: &Options) -> Result<Self, Errno> {
        let processors = processors::count();
        let spins = if processors == 1 { 0 } else { SPINS };
        // What a ring cannot do is the workers'. Without any, there is none either.
        let backend = if options.nthreads == 0 { Backend::Sync } else { options.backend };
        // A span has at least one request, so there are never more spans than requests.
        let channel = || Channel::new(options.depth);
        Ok(Self {
            pending: channel()?,
            plain: channel()?,
            finished: Finished::new(),
            ready: channel()?,
            caller: Waiter::new(),
            event: Event::new(),
            caller_remote: Remote::new(),
            scheduler: Scheduler::new(options.nthreads, processors, spins),
            driver: Driver::new(options.inflight),
            pace: Pace::new(backend),
            cancelled: Cancelled::new(),
            open_lists: OpenLists::new(options.nthreads),
            host: Host::get(),
            threads: options.threads,
            depth: options.depth,
            descriptors: options.descriptors,
            spins,
        })
    }

    /// Frees what is not the threads', in a process that has none of them: what they were changing when it was forked,
    /// such as where the memory of a list is, may be half changed.
    pub fn abandon(self) {
        let Self { scheduler, driver, finished, .. } = self;
        std::mem::forget((scheduler, driver, finished));
    }

    /// Hands a span to whoever takes what is pending.
    pub fn send(&self, sender: &mut Sender, span: Span) {
        if sender.send(&self.pending, span) == Sent::Pushed {
            self.notify();
        }
    }

    /// Hands a list whose directory was read to those who do its stats.
    pub fn send_list(&self, one: Span) {
        // SAFETY: this thread owns the span.
        let in_ring = List::stats(unsafe { one.entry(0).as_ref() }).is_some_and(|list| self.sends_to_ring(list));
        if in_ring {
            self.send(&mut Sender::default(), one);
        } else {
            let _ = Sender::default().send(&self.plain, one);
            self.scheduler.notify(self);
        }
    }

    /// Whether the stats of a list go through the ring.
    pub fn sends_to_ring(&self, list: &Listing) -> bool {
        self.pace.suits_ring(STATS) && list.suits_ring()
    }

    /// Something is pending. Gets somebody to take it.
    ///
    /// Who turns the ring on or off does so before a fence and a look at what is pending (`pace_changed`). So if this is
    /// told to one side just when it becomes the other's to take, the other looks by itself.
    fn notify(&self) {
        fence(Ordering::SeqCst);
        if self.pace.wants_ring() {
            self.driver.notify(self);
        } else {
            self.scheduler.notify(self);
        }
    }

    /// Responses are ready that the caller may not know of.
    pub fn tell_caller(&self) {
        self.caller.notify();
        self.event.raise(|| self.ready.can_pop());
    }

    /// Acts on what was measured.
    #[cold]
    pub fn pace_changed(&self, change: Change) {
        fence(Ordering::SeqCst);
        match change {
            Change::RingOn => self.driver.notify(self),
            Change::Blocks | Change::RingOff if self.is_waiting() => self.scheduler.recruit(self),
            _ => {}
        }
    }

    /// Why a request is not to run, if it was cancelled, or the whole queue.
    pub fn why_cancelled(&self, span: &Span, i: usize) -> Option<Errno> {
        if self.cancelled.is_none() {
            return None;
        }
        match (self.cancelled.is_all(), span.is_cancelled(i)) {
            (_, true) => Some(Errno(libc::ECANCELED)),
            (true, false) => Some(Errno(libc::EINTR)),
            (false, false) => None,
        }
    }

    /// Whether a request is not to run, because the queue was cancelled, or itself. Then its result says so.
    fn cancels(&self, span: &Span, i: usize) -> bool {
        let Some(Errno(e)) = self.why_cancelled(span, i) else { return false };
        // SAFETY: who has a span owns its entries.
        let ent = unsafe { span.entry(i).as_mut() };
        if ops::of(ent.op).survives_cancel(ent) {
            return false;
        }
        self.open_lists.moved(Stage::of(ent), Stage::Closed);
        ops::of(ent.op).abandon(ent);
        ent.result = -e;
        true
    }

    /// Does what takes no time: a no-op, or a request that is not to run because it was cancelled. Returns whether that
    /// was all.
    #[inline]
    pub fn run_if_nonblocking(&self, span: &Span, i: usize) -> bool {
        if self.cancels(span, i) {
            return true;
        }
        // SAFETY: who has a span owns its entries, which were written before they were sent.
        let ent = unsafe { span.entry(i).as_mut() };
        let quick = ent.op == ioq_op::IOQ_NOP;
        if quick {
            ent.result = Nop::perform(ent);
        }
        quick
    }

    /// Runs the request of a span of one by plain calls, unless it was cancelled.
    ///
    /// # Safety
    ///
    /// The request's pointers must be as `ioq.h` asks.
    pub unsafe fn run(&self, one: &Span) {
        if self.cancels(one, 0) {
            return;
        }
        // SAFETY: who has a span owns its entries, which were written before they were sent.
        let ent = unsafe { one.entry(0).as_mut() };
        #[cfg(any(ioq_loom, ioq_shuttle))]
        (crate::models::machine::get().request)(ent);
        let (answered, stage) = (ent.result, Stage::of(ent));
        // SAFETY: passed on to the caller.
        ent.result = unsafe { ops::of(ent.op).run(&self.host, ent) };
        self.open_lists.moved(stage, Stage::of(ent));
        self.pace.compare(ent.op, answered, ent.result);
    }

    /// Steals from somebody's local run queue.
    pub fn steal(&self) -> Option<Span> {
        self.locals().find_map(LocalQueue::steal)
    }

    /// The local run queues.
    fn locals(&self) -> impl Iterator<Item = &LocalQueue> {
        self.scheduler.workers().map(|worker| &worker.remote).chain([&self.caller_remote]).map(|remote| &remote.local)
    }
}

impl Work for Shared {
    fn is_waiting(&self) -> bool {
        self.plain.has_spans()
            || !self.finished.is_empty()
            || (!self.pace.wants_ring() && self.pending.has_spans())
            || self.locals().any(|local| !local.is_empty())
    }

    fn progress(&self) -> usize {
        // Of nobody else: what the driver and the caller take does not get on a worker that is stuck.
        let workers = self.scheduler.workers().map(|worker| &worker.remote);
        workers.fold(0, |sum, Remote { local, count }| {
            sum.rotate_left(7) ^ local.fingerprint() ^ (count.get() as usize).rotate_left(16)
        })
    }

    fn take(&self, fair: bool) -> Option<Span> {
        if let Some(span) = self.finished.pop() {
            return Some(span);
        }
        let stolen = if fair { self.steal().or_else(|| self.pending.try_pop()) } else { None };
        stolen.or_else(|| self.plain.try_pop()).or_else(|| {
            let pending = if self.pace.wants_ring() { None } else { self.pending.try_pop() };
            pending.or_else(|| self.steal())
        })
    }

    fn has_run_dry(&self) {
        if self.ready.has_spans() {
            self.caller.hurry();
        }
    }

    fn lacks_workers(&self) {
        self.caller.notify();
        self.driver.wake();
    }

    fn load(&self) -> Load {
        Load { blocks: self.pace.blocks(), caller_is_awake: self.caller.is_awake() }
    }

    fn worker(&self, index: usize) -> Worker {
        Worker::new(index, self)
    }

    fn start(&self, worker: &Worker) -> Result<Thread, Errno> {
        #[cfg(not(any(ioq_loom, ioq_shuttle)))]
        if self.descriptors && self.scheduler.workers().count() == 1 {
            crate::platform::cancellation::disabled(|| crate::platform::descriptors::make_room(self.depth));
        }
        // SAFETY: both are parts of a queue, which does not move, and joins its threads before it goes.
        unsafe { worker.start() }
    }
}
