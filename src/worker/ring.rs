//! A worker's io_uring.
//!
//! A ring belongs to the thread that made it, and is made there, so that the kernel may be told that nobody else
//! submits. What must hold, whatever the kernel answers:
//!
//! - never more is in flight than the completion queue holds, so no completion is dropped;
//! - a place in `Flights`, with the buffer that the kernel writes to, is free again only when its completion was seen;
//! - a submission that the kernel has not taken is still in the queue, and is sent again. If the kernel takes none at
//!   all, the ring is given up, and what it has not seen goes back to the others, to be run by plain calls.

use super::flight::{Flights, Recalled};
use super::uring::{self, Uring};
use crate::block::Span;
use crate::errno::Errno;
use crate::hand::Hand;
use crate::policy::Policy;
use crate::pool::Member;
use crate::processors;
use crate::shared::{Counters, DELIVER_AFTER, Shared};
use crate::sync::{Instant, sleep};
use io_uring::squeue;
use std::time::Duration;

/// Submissions in flight at most. A page of them; the kernel makes the completion queue twice as large.
const ENTRIES: u32 = 64;

/// How often to ask again when the kernel takes nothing although nothing is in flight, and how long to wait before.
const PATIENCE: u32 = 10;
const PAUSE: Duration = Duration::from_millis(1);

/// Whether a ring can be had.
pub fn check_available() -> Result<(), Errno> {
    uring::check_available(ENTRIES)
}

/// A worker's ring, and what is in its hands.
pub struct Ring {
    uring: Uring,
    flights: Flights,
}

impl Ring {
    /// Makes a ring for this thread.
    pub fn new() -> Result<Self, Errno> {
        let uring = Uring::new(ENTRIES)?;
        let flights = Flights::new(uring.entries().min(ENTRIES) as usize)?;
        // The kernel's own workers are per thread and per ring here. The default, four for each processor, is for
        // programs with one ring.
        uring.limit_workers((processors::count() as u32).max(4));
        Ok(Self { uring, flights })
    }

    /// Adds a submission that `flights` made.
    fn push(&mut self, submission: &squeue::Entry) {
        // SAFETY: what the submission points to stays valid until its completion was seen: the path and the caller's
        // buffers by the contract of `ioq.h`, the statx buffer in its flight.
        unsafe { self.uring.push(submission) };
    }
}

/// A stretch of work with a ring: from a first span until nothing is in flight any more.
///
/// Requests that are not in the ring yet are in the worker's hand, open to others (`hand.rs`). Those in the ring only
/// this worker can finish; so it delivers what is done before it turns to what may take long.
pub struct Session<'a> {
    shared: &'a Shared,
    member: &'a mut Member,
    policy: &'a mut Policy,
    ring: &'a mut Ring,
    /// What is done and not delivered yet.
    done: Done,
    stopping: bool,
    broken: bool,
}

/// How a session ended. Nothing is in flight. If the ring is not wanted any more, something may be left in the hand.
pub struct End {
    /// The stop message came.
    pub stopping: bool,
    /// The ring is of no use any more.
    pub broken: bool,
}

impl<'a> Session<'a> {
    pub fn new(
        shared: &'a Shared,
        member: &'a mut Member,
        policy: &'a mut Policy,
        ring: &'a mut Ring,
        first: Span,
    ) -> Self {
        let session = Self { shared, member, policy, ring, done: Done::default(), stopping: false, broken: false };
        session.take_in_hand(first);
        session
    }

    fn hand(&self) -> &'a Hand {
        self.shared.pool.hands.of(self.member.index())
    }

    fn take_in_hand(&self, span: Span) {
        self.hand().put(span);
        self.shared.tell_of_hand();
    }

    /// Runs to the end.
    pub fn run(mut self) -> End {
        loop {
            self.fill();
            self.done.deliver(self.shared);
            if self.ring.flights.len() == 0 {
                return End { stopping: self.stopping, broken: self.broken };
            }
            self.enter();
            // Whether the thread slept for completions says nothing about plain calls.
            self.policy.rested(super::thread::sleeps);
            self.reap();
        }
    }

    /// Takes requests as long as there are some and the ring has room. With a broken ring, a worker waits for what is still
    /// in that: to run anything else, which may hang, it leaves to the others meanwhile.
    fn fill(&mut self) {
        while !self.broken && !self.ring.flights.is_full() {
            let wanted = self.policy.wants_ring();
            if !wanted && self.ring.flights.len() == 0 {
                break;
            }
            let Some(span) = self.next() else { break };
            // SAFETY: this thread owns the span.
            let ent = unsafe { span.entry(0).as_mut() };
            let suits = self.policy.suits_ring(ent.op) && !self.shared.check_cancel(ent);
            let prepared = if wanted && suits { self.ring.flights.prepare(self.shared, span) } else { Err(span) };
            match prepared {
                Ok(submission) => {
                    self.ring.push(&submission);
                    self.policy.ran_in_ring(1);
                }
                Err(span) => {
                    let all_sent = self.run_plain(span);
                    // Of such requests there may be no end, so what the ring has done, or does not take, comes in between.
                    if !all_sent || self.ring.uring.has_completion() {
                        break;
                    }
                }
            }
        }
    }

    /// Sends the submissions so far, for the kernel to work on while this thread does something else. Returns whether it
    /// took them. If not, `enter` sends them again.
    fn send_off(&mut self) -> bool {
        let unsent = self.unsent();
        unsent == 0 || self.ring.uring.enter(unsent, 0) == Ok(unsent)
    }

    /// How many submissions are to be sent. A broken ring is sent none any more, though some are left in it.
    fn unsent(&mut self) -> usize {
        if self.broken { 0 } else { self.ring.uring.unsent() }
    }

    /// The next request, as a span of one.
    fn next(&mut self) -> Option<Span> {
        loop {
            if let Some(one) = self.hand().claim() {
                return Some(one);
            }
            if self.stopping {
                return None;
            }
            let span = self.member.take(&self.shared.pool, &self.shared.pending)?;
            if span == Span::STOP {
                self.stopping = true;
                return None;
            }
            self.take_in_hand(span);
        }
    }

    fn count_plain(&self) {
        Counters::add(&self.shared.counters[self.member.index()].plain, 1);
    }

    /// Runs a request by plain calls. Returns false if there are submissions that the kernel did not take.
    fn run_plain(&mut self, span: Span) -> bool {
        self.count_plain();
        // SAFETY: this thread owns the span.
        let ent = unsafe { span.entry(0).as_mut() };
        if self.shared.run_quick(ent) {
            self.done.add(self.shared, span);
            // When they were so many that they have been delivered, submissions are not to wait for more of them.
            return self.done.requests > 0 || self.send_off();
        }
        let all_sent = self.send_off();
        self.done.deliver(self.shared);
        let start = Instant::now();
        self.shared.run_one(&span);
        let time = start.elapsed();
        self.done.add(self.shared, span);
        super::measured(self.shared, self.member, self.policy, 1, time);
        if time >= DELIVER_AFTER {
            self.done.deliver(self.shared);
        }
        all_sent
    }

    /// Sends the submissions, and waits for a completion.
    fn enter(&mut self) {
        let mut patience = PATIENCE;
        loop {
            let unsent = self.unsent();
            let waiting = self.ring.flights.len() - unsent;
            let want = if self.ring.uring.has_completion() { 0 } else { 1 };
            if unsent == 0 && want == 0 {
                return;
            }
            let result = self.ring.uring.enter(unsent, want);
            match result {
                Ok(sent) if sent > 0 || unsent == 0 => return,
                Err(Errno(libc::EINTR)) => return,
                _ if self.ring.uring.has_completion() => return,
                // It never will. What it has must be waited for all the same.
                _ if unsent > 0 && !may_pass(result) => return self.give_up(unsent),
                _ if waiting > 0 => {
                    // Too much in flight for the kernel. Wait until there is less.
                    if self.ring.uring.enter(0, 1).is_ok() {
                        return;
                    }
                    sleep(PAUSE);
                }
                _ if patience > 0 => {
                    patience -= 1;
                    sleep(PAUSE);
                }
                _ => return self.give_up(unsent),
            }
        }
    }

    /// The kernel takes no submissions. All that it has not taken become pending again, lest one that hangs hold up the
    /// others.
    fn give_up(&mut self, unsent: usize) {
        self.broken = true;
        self.take_back(unsent);
        // A caller that sleeps may be the only one who can get somebody else to run them, should the first hang.
        self.shared.tell_of_hand();
    }

    fn take_back(&mut self, unsent: usize) {
        while let Some(recalled) = self.ring.flights.recall(self.shared, unsent as u64) {
            match recalled {
                Recalled::Untouched(span) => drop(self.shared.send(span)),
                Recalled::Done(span) => {
                    self.count_plain();
                    self.done.add(self.shared, span);
                }
            }
        }
    }

    /// Finishes what has been completed: first what takes no time, then what is to be tried again, and then directories,
    /// which are to be read. Each of these may take long, and is preceded by a delivery.
    fn reap(&mut self) {
        let mut long = [(0, 0); ENTRIES as usize];
        let mut count = 0;
        while let Some((place, result)) = self.ring.uring.next_completion() {
            if self.ring.flights.is_long(place, result) {
                long[count] = (place, result);
                count += 1;
            } else {
                self.finish(place, result);
            }
        }
        for opened in [false, true] {
            for &(place, result) in long[..count].iter().filter(|&&(_, result)| (result >= 0) == opened) {
                self.done.deliver(self.shared);
                self.finish(place, result);
            }
        }
        self.done.deliver(self.shared);
    }

    fn finish(&mut self, place: u64, result: i32) {
        match self.ring.flights.complete(self.shared, place, result) {
            Ok(span) => {
                Counters::add(&self.shared.counters[self.member.index()].ring, 1);
                self.done.add(self.shared, span);
            }
            Err(submission) if !self.broken => self.ring.push(&submission),
            Err(_) => self.take_back(1),
        }
    }
}

/// Whether the kernel, which did not take anything, may do so later: it is short of something.
fn may_pass(result: Result<usize, Errno>) -> bool {
    matches!(result, Ok(_) | Err(Errno(libc::EAGAIN | libc::EBUSY | libc::ENOMEM)))
}

/// Finished requests, collected to be delivered together.
#[derive(Default)]
struct Done {
    spans: [Option<Span>; Done::MAX],
    /// How many of those are in use.
    len: usize,
    /// How many requests they have.
    requests: usize,
}

impl Done {
    /// How many requests to collect.
    const MAX: usize = 32;

    /// Adds a request. Delivers them all if there are many.
    fn add(&mut self, shared: &Shared, span: Span) {
        self.requests += 1;
        // Requests often finish in the order in which they came.
        let last = self.len.checked_sub(1).and_then(|last| self.spans[last].take());
        let span = match last {
            None => span,
            Some(last) => match last.join(span) {
                Ok(joined) => {
                    self.len -= 1;
                    joined
                }
                Err((last, span)) => {
                    self.spans[self.len - 1] = Some(last);
                    span
                }
            },
        };
        self.spans[self.len] = Some(span);
        self.len += 1;
        if self.requests == Self::MAX {
            self.deliver(shared);
        }
    }

    fn deliver(&mut self, shared: &Shared) {
        if self.len > 0 {
            let spans = &mut self.spans[..std::mem::take(&mut self.len)];
            shared.ready.push_batch(spans.iter_mut().map(|span| span.take().expect("filled in order")));
            self.requests = 0;
        }
    }
}
