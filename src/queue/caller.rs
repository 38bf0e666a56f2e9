//! The part of a queue that belongs to the calling thread.
//!
//! # Who runs requests
//!
//! The workers do, so that a pop is never held up by one request while responses are ready. The caller runs some itself,
//! when it would have to wait, only if that cannot hold up a response:
//!
//! - nothing in flight can wait for anything (no-ops);
//! - nobody else can run them: there are no workers, and none can be started;
//!
//! or if the program has asked for it (`IOQ_CALLER_RUNS`) and nothing has waited lately.
//!
//! # How the caller waits
//!
//! To put a thread to sleep and wake it takes longer than most requests. So while there is a *backlog*, requests that
//! nobody has come to, the caller takes *naps*: it wakes up by itself after some time, to all that has been done in
//! it, as a network driver does under load. Until then nobody needs it; a worker that finds nothing to do ends the nap.
//! Without a backlog, it is woken for the first response.

use super::ages::Ages;
use super::block::Arena;
use super::options::Options;
use super::shared::Shared;
use super::span::{Entries, Span};
use crate::abi::types::ioq_info;
use crate::channel::Sender;
use crate::channel::monitor::Sleep;
use crate::entry::{ioq_ent, ioq_op};
use crate::ops::{self, Request};
use crate::platform::cancellation;
use crate::platform::errno::{self, Errno};
use crate::platform::sync::{Deadline, Instant, Ordering, spin_loop};
use crate::scheduler::{Census, STALL_AFTER, Work};
use crate::worker::Executor;
use libc::{c_int, c_void};
use std::ptr::NonNull;
use std::time::Duration;

/// How long the caller naps. With what the system adds to that (timer slack, 50 µs), no response waits longer than 0.2 ms.
const NAP: Duration = Duration::from_micros(150);

/// What is left of that, if it is less than this, is not worth a sleep.
const SHORTEST_NAP: Duration = Duration::from_micros(20);

/// How long the caller runs requests before it looks at the responses.
const RUN_FOR: Duration = Duration::from_micros(25);

/// How long to wait for a response.
#[derive(Clone, Copy)]
pub enum Wait {
    No,
    /// Until then, and without running requests.
    Until(Deadline),
    Forever,
}

pub struct Caller {
    depth: usize,
    caller_runs: bool,
    /// Whether there are no workers and never will be.
    has_no_workers: bool,
    /// Whether the event has a descriptor, which is to tell what is ready.
    is_polled: bool,
    arena: Arena,
    /// The way to the workers.
    pending: Sender,
    /// How many requests were sent so far, and how many of them were not received yet.
    sent: u64,
    in_flight: usize,
    /// Whether a request that can wait was sent since the queue was last empty.
    can_wait: bool,
    /// Responses that were received and not popped yet.
    current: Entries,
    executor: Executor,
    /// Whether to nap, where there is a backlog: responses come quicker than naps end.
    naps: bool,
    /// How old requests are, if somebody has asked.
    ages: Option<Ages>,
    /// When the last nap ended, and how many spans were ready then and have not been received.
    woke: Instant,
    gathered: usize,
}

impl Caller {
    pub fn new(options: &Options) -> Self {
        Self {
            depth: options.depth,
            caller_runs: options.caller_runs,
            has_no_workers: options.nthreads == 0,
            is_polled: false,
            arena: Arena::new(),
            pending: Sender::default(),
            sent: 0,
            in_flight: 0,
            can_wait: false,
            current: Entries::NONE,
            executor: Executor::new(),
            naps: false,
            ages: None,
            woke: Instant::now(),
            gathered: 0,
        }
    }

    pub fn capacity(&self) -> usize {
        self.depth - self.arena.held()
    }

    #[inline(always)]
    pub fn request(&mut self, shared: &Shared, request: Request, ptr: *mut c_void) -> Result<(), Errno> {
        if shared.cancelled.is_all() {
            return Err(Errno(libc::EINTR));
        }
        if self.capacity() == 0 {
            return Err(Errno(libc::EAGAIN));
        }
        let entry = self.arena.entry()?;
        self.can_wait |= request.op != ioq_op::IOQ_NOP;
        // SAFETY: the arena gave this entry to us to be written.
        unsafe { entry.write(ioq_ent { op: request.op, result: 0, ptr, args: request.args }) };
        if let Some(ages) = &mut self.ages {
            ages.begin(entry);
        }
        if self.arena.is_full() {
            self.submit(shared);
        }
        Ok(())
    }

    /// Sends what is buffered.
    #[inline(never)]
    pub fn submit(&mut self, shared: &Shared) {
        if let Some(span) = self.arena.flush() {
            self.sent += span.len() as u64;
            self.in_flight += span.len();
            shared.send(&mut self.pending, span);
        }
    }

    #[inline]
    pub fn pop(&mut self, shared: &Shared, wait: Wait) -> Option<NonNull<ioq_ent>> {
        if !self.arena.is_buffering() && !self.is_polled {
            if let Some(entry) = self.current.next() {
                return Some(entry);
            }
        }
        self.pop_slowly(shared, wait)
    }

    /// Pops a response, waiting until then at most. `ETIMEDOUT` if there is none, though there will be.
    pub fn pop_until(&mut self, shared: &Shared, deadline: Deadline) -> Result<Option<NonNull<ioq_ent>>, Errno> {
        let entry = self.pop(shared, Wait::Until(deadline));
        if entry.is_none() && self.in_flight > 0 { Err(Errno(libc::ETIMEDOUT)) } else { Ok(entry) }
    }

    /// A descriptor that is readable while a response is ready.
    pub fn fd(&mut self, shared: &Shared) -> Result<c_int, Errno> {
        if self.has_no_workers {
            return Err(Errno(libc::EOPNOTSUPP));
        }
        // Somebody must try again to start threads that could not be had, and who waits for a descriptor does not.
        shared.driver.start(shared)?;
        let fd = cancellation::disabled(|| shared.event.open())?;
        self.is_polled = true;
        self.show_ready(shared);
        Ok(fd)
    }

    fn show_ready(&self, shared: &Shared) {
        shared.event.set(|| !self.current.is_empty() || shared.ready.can_pop());
    }

    /// Pops where something is to be sent or received before.
    #[cold]
    #[inline(never)]
    fn pop_slowly(&mut self, shared: &Shared, wait: Wait) -> Option<NonNull<ioq_ent>> {
        if self.arena.is_buffering() {
            errno::preserved(|| self.submit(shared));
        }
        let entry = self.current.next().or_else(|| {
            let span = self.receive(shared, wait)?;
            self.in_flight -= span.len();
            if self.in_flight == 0 {
                self.can_wait = false;
                shared.cancelled.set_some(false);
            }
            if let Some(ages) = &mut self.ages {
                (0..span.len()).for_each(|i| ages.end(span.entry(i)));
            }
            self.current = Entries::of(span);
            self.current.next()
        });
        if self.is_polled {
            errno::preserved(|| self.show_ready(shared));
        }
        entry
    }

    /// The next responses, if there are any.
    fn receive(&mut self, shared: &Shared, wait: Wait) -> Option<Span> {
        if self.in_flight == 0 {
            return None;
        }
        let gathers = matches!(wait, Wait::Forever) && self.gathers(shared);
        if !gathers {
            if let Some(span) = self.take(shared) {
                return Some(span);
            }
        }
        errno::preserved(|| match wait {
            Wait::No => {
                try_again_to_start(shared);
                None
            }
            Wait::Until(deadline) => self.wait(shared, Some(deadline)),
            Wait::Forever => self.wait(shared, None),
        })
    }

    /// Responses that are ready.
    fn take(&mut self, shared: &Shared) -> Option<Span> {
        let span = shared.ready.try_pop();
        match &span {
            Some(span) => {
                self.gathered = self.gathered.saturating_sub(1);
                span.prefetch();
            }
            None => self.gathered = 0,
        }
        span
    }

    /// Whether responses are to be left where they are until there are more of them.
    fn gathers(&self, shared: &Shared) -> bool {
        self.naps && self.gathered == 0 && shared.pending.has_spans()
    }

    /// Sleeps for the rest of the time for which responses may be gathered.
    fn nap(&mut self, shared: &Shared) {
        let rest = NAP.saturating_sub(self.woke.elapsed());
        if rest >= SHORTEST_NAP {
            shared.caller.sleep(Sleep::Nap(rest), || false, || leave_processor(shared));
        }
        self.woke = Instant::now();
        self.gathered = shared.ready.len();
        self.naps = self.gathered > 0;
    }

    /// Waits for responses. With a deadline it runs nothing, and may find none.
    fn wait(&mut self, shared: &Shared, deadline: Option<Deadline>) -> Option<Span> {
        let mut stuck = false;
        loop {
            if deadline.is_none() {
                if self.gathers(shared) && !self.may_run(shared) {
                    self.nap(shared);
                }
                if stuck || self.may_run(shared) {
                    let span = self.run(shared);
                    if span.is_some() {
                        return span;
                    }
                }
            }
            if let Some(span) = self.look(shared) {
                self.naps = true;
                return Some(span);
            }
            // While threads cannot be started, nobody may be there to detect a stall.
            let failing = shared.scheduler.is_failing();
            let limit = failing.then_some(STALL_AFTER);
            let limit = match deadline.map(|deadline| deadline.remaining()) {
                Some(Duration::ZERO) => {
                    try_again_to_start(shared);
                    return None;
                }
                Some(_) if self.has_no_workers => return None,
                Some(rest) => Some(limit.map_or(rest, |limit| limit.min(rest))),
                None => limit,
            };
            let sleep = limit.map_or(Sleep::UntilWoken, Sleep::For);
            let has_news = || shared.ready.has_spans() || shared.scheduler.is_failing() != failing;
            let start = Instant::now();
            shared.caller.sleep(sleep, has_news, || leave_processor(shared));
            self.naps = start.elapsed() < NAP / 2;
            self.woke = Instant::now();
            let span = self.take(shared);
            if span.is_some() {
                return span;
            }
            stuck = failing && shared.scheduler.is_failing();
        }
    }

    /// Looks for responses for a while.
    fn look(&mut self, shared: &Shared) -> Option<Span> {
        let mut pause = 1;
        loop {
            let span = self.take(shared);
            if span.is_some() || pause > shared.spins {
                return span;
            }
            (0..pause).for_each(|_| spin_loop());
            pause *= 2;
        }
    }

    /// Whether this thread may run requests itself rather than wait.
    fn may_run(&self, shared: &Shared) -> bool {
        !self.can_wait || shared.scheduler.is_deserted() || (self.caller_runs && !shared.pace.blocks())
    }

    /// Runs some of the requests that nobody has come to, until there is a response. What it calls are cancellation
    /// points, and this thread may be cancelled, as no worker can.
    fn run(&mut self, shared: &Shared) -> Option<Span> {
        cancellation::disabled(|| self.run_uncancelled(shared))
    }

    fn run_uncancelled(&mut self, shared: &Shared) -> Option<Span> {
        loop {
            if self.executor.is_idle(&shared.caller_remote) {
                let left = || shared.pending.try_pop().or_else(|| shared.plain.try_pop()).or_else(|| shared.steal());
                let span = shared.finished.pop().or_else(left)?;
                let done = self.executor.begin(shared, &shared.caller_remote, span);
                if self.executor.is_idle(&shared.caller_remote) {
                    // All of it, so this is nobody else's business.
                    return done;
                }
                done.into_iter().for_each(|done| self.executor.deliver(shared, done));
            }
            while self.executor.step(shared, &shared.caller_remote) && self.executor.elapsed() < RUN_FOR {}
            if let Some(span) = shared.ready.try_pop() {
                // Nobody knows when this thread comes back.
                self.executor.let_go(shared);
                return Some(span);
            }
        }
    }

    /// What the queue is doing, of which `done` requests were run so far. Others go on meanwhile, so it is about right.
    pub fn info(&mut self, shared: &Shared, done: u64) -> ioq_info {
        let in_ring = shared.driver.gauges.in_flight.load(Ordering::Relaxed);
        let limit = shared.driver.gauges.limit.load(Ordering::Relaxed);
        let Census { started, at_work } = shared.scheduler.census();
        let received = self.sent - self.in_flight as u64;
        let delivered = (done.saturating_sub(received) as usize).min(self.in_flight);
        let running = (in_ring + at_work).min(self.in_flight - delivered);
        let buffered = self.arena.buffered();
        let ready = delivered + self.current.len();
        ioq_info {
            size: size_of::<ioq_info>(),
            pending: self.in_flight - delivered - running + buffered,
            running,
            ready,
            held: self.arena.held() - self.in_flight - buffered - self.current.len(),
            workers: started,
            in_ring,
            ring_limit: limit,
            ring_error: shared.pace.ring_error(),
            worker_error: shared.scheduler.error(),
            oldest: self.ages.get_or_insert_default().oldest().map_or(0, |age| age.as_nanos() as u64),
        }
    }

    /// The entry of the request that was accepted last.
    pub fn last(&self) -> Option<NonNull<ioq_ent>> {
        self.arena.last()
    }

    /// Cancels one request.
    ///
    /// # Safety
    ///
    /// `entry` must come from `last`, and not have been popped since.
    pub unsafe fn cancel(&mut self, shared: &Shared, entry: NonNull<ioq_ent>) {
        // SAFETY: passed on to the caller.
        unsafe { self.arena.cancel(entry) };
        shared.cancelled.set_some(true);
        shared.driver.interrupt(entry, shared);
    }

    /// # Safety
    ///
    /// `entry` must have been popped from this queue, and not be used again.
    pub unsafe fn free(&mut self, entry: NonNull<ioq_ent>) {
        // SAFETY: passed on to the caller.
        unsafe { self.arena.free(entry) };
    }

    /// After the workers have left: runs what is left, and lets go of responses that nobody will pop.
    pub fn finish(&mut self, shared: &Shared) {
        let mut current = std::mem::replace(&mut self.current, Entries::NONE);
        loop {
            for entry in current {
                // SAFETY: this thread owns the entry, and its request is done; what it points to is the program's, and stays
                // valid until the response was popped or the queue destroyed.
                unsafe {
                    let ent = entry.as_ref();
                    ops::of(ent.op).discard(&shared.host, ent);
                }
            }
            let Some(span) = shared.ready.try_pop().or_else(|| self.run(shared)) else { return };
            current = Entries::of(span);
        }
    }
}

/// Tries again to start threads that could not be had. Nobody else might be there to do that.
fn try_again_to_start(shared: &Shared) {
    if shared.scheduler.is_failing() && shared.is_waiting() {
        shared.scheduler.notify(shared);
    }
}

/// The caller is about to sleep. A worker may have its processor.
fn leave_processor(shared: &Shared) {
    if shared.is_waiting() {
        shared.scheduler.recruit(shared);
    }
}
