//! What the driver does with the ring while there is something to do.

use super::Ring;
use super::driver::{Gauges, leave_to_workers};
use super::tag::{PART, Tag};
use crate::channel::{Sender, Sent};
use crate::entry::ioq_op;
use crate::ops::list::{Listing, Part, STATS, Stage};
use crate::ops::{self, List, Next};
use crate::platform::alloc;
use crate::platform::errno::Errno;
use crate::platform::sync::{Ordering, sleep};
use crate::queue::shared::Shared;
use crate::queue::span::Span;
use crate::scheduler::STALL_AFTER;
use io_uring::opcode;
use io_uring::types::CancelBuilder;
use std::ptr;
use std::time::Duration;

/// How long to wait for a completion before the driver looks what is pending: at first, and at most. It doubles while nothing
/// comes. To be woken for what is pending would take a descriptor, or a kernel of late (Linux 6.7).
const SHORTEST_TICK: Duration = Duration::from_micros(500);
const LONGEST_TICK: Duration = Duration::from_millis(8);

/// How often to ask again when the kernel takes nothing although nothing is in flight, and how long to wait before.
const PATIENCE: u32 = 10;
const PAUSE: Duration = Duration::from_millis(1);

/// How many requests to send off before one is run by a plain call, to tell whether they are still slow: after one that
/// was, and after one that was not.
const SAMPLE_EVERY: usize = 1024;
const SAMPLE_AGAIN: usize = 32;

/// A stretch of work with the ring: until nothing is in flight and nothing pending.
pub struct Session<'a> {
    shared: &'a Shared,
    ring: &'a mut Ring,
    /// Requests that were taken and have not been come to.
    taken: Option<Span>,
    /// The way back, the way to the workers, and whether the other side knows of all that is there.
    ready: Sender,
    plain: Sender,
    told_caller: bool,
    told_workers: bool,
    /// How long nothing has completed, and how long to wait for that next.
    quiet: Duration,
    tick: Duration,
    /// Whether the kernel was asked to interrupt what it can, because the queue was cancelled.
    interrupted: bool,
}

impl<'a> Session<'a> {
    pub fn new(shared: &'a Shared, ring: &'a mut Ring) -> Self {
        Self {
            shared,
            ring,
            taken: None,
            ready: Sender::default(),
            plain: Sender::default(),
            told_caller: true,
            told_workers: true,
            quiet: Duration::ZERO,
            tick: SHORTEST_TICK,
            interrupted: false,
        }
    }

    pub fn run(mut self) {
        loop {
            let limited = self.fill();
            self.tell();
            let Gauges { in_flight, limit } = &self.shared.driver.gauges;
            in_flight.store(self.ring.in_flight, Ordering::Relaxed);
            limit.store(self.ring.limit.get(), Ordering::Relaxed);
            if self.ring.in_flight == 0 {
                return;
            }
            self.interrupt();
            self.enter();
            let completed = self.reap();
            self.ring.limit.completed(completed, limited);
            if completed > 0 {
                self.quiet = Duration::ZERO;
                self.tick = SHORTEST_TICK;
            } else if limited && self.quiet >= STALL_AFTER {
                // What is in the ring seems to hang.
                if let Some(span) = self.taken.take().or_else(|| self.shared.pending.try_pop()) {
                    self.pass_on(span);
                }
            }
        }
    }

    /// Has the kernel interrupt what was cancelled.
    fn interrupt(&mut self) {
        if self.shared.cancelled.is_none() {
            return;
        }
        if self.shared.cancelled.is_all() && !self.interrupted && self.has_room() {
            self.interrupted = true;
            self.submit(opcode::AsyncCancel2::new(CancelBuilder::any()).build(), Tag::Cancel);
        }
        while self.has_room() {
            let Some(data) = self.shared.driver.to_interrupt.lock().pop() else { return };
            if self.is_cancelled(data) {
                self.submit(opcode::AsyncCancel::new(data).build(), Tag::Cancel);
            }
        }
    }

    /// Whether what has this user data is to be interrupted. If it is a list, so are those of its stats that are in flight.
    fn is_cancelled(&self, data: u64) -> bool {
        if data & PART != 0 {
            return self.ring.parts.contains_key(&data);
        }
        // SAFETY: this is only looked at, and its block is live.
        let one = unsafe { Span::from_ptr(ptr::with_exposed_provenance_mut(data as usize)) };
        // It may be back, and another in its place, which would have to come through this thread first.
        if !one.is_cancelled(0) {
            return false;
        }
        let parts = self.ring.parts.iter().filter(|&(_, &word)| word == one.as_ptr().addr());
        let mut to_interrupt = self.shared.driver.to_interrupt.lock();
        // Without memory, they take their time.
        parts.for_each(|(&part, _)| _ = alloc::push(&mut to_interrupt, part));
        true
    }

    /// Takes what is pending as long as there is something and the limit allows it. Returns whether it did not.
    fn fill(&mut self) -> bool {
        while self.shared.pace.wants_ring() && !self.ring.broken {
            self.ask_again();
            if self.ring.in_flight >= self.ring.limit.get() {
                return self.taken.is_some() || self.shared.pending.has_spans();
            }
            let Some(one) = self.next() else { return false };
            self.tick = SHORTEST_TICK;
            self.begin(one);
        }
        if let Some(rest) = self.taken.take() {
            self.shared.send(&mut Sender::default(), rest);
        }
        false
    }

    /// The next request, as a span of one.
    fn next(&mut self) -> Option<Span> {
        let span = self.taken.take().or_else(|| {
            let span = self.shared.pending.try_pop()?;
            span.prefetch();
            Some(span)
        })?;
        let (one, rest) = span.split_at(1);
        self.taken = rest;
        one
    }

    /// Sends a request off, or has it run elsewhere.
    fn begin(&mut self, one: Span) {
        // SAFETY: this thread owns the span, whose entries were written before they were sent.
        let ent = unsafe { one.entry(0).as_ref() };
        if ops::has_opened(ent) {
            // If it was cancelled, that is to be closed.
            return self.pass_on(one);
        }
        if self.shared.run_if_nonblocking(&one, 0) {
            return self.deliver(one);
        }
        let has_stats = List::stats(ent).is_some();
        let op = if has_stats { STATS } else { ent.op };
        let is_sample = self.shared.pace.samples()
            && self.ring.unsampled >= if self.shared.pace.was_slow(op) { SAMPLE_EVERY } else { SAMPLE_AGAIN };
        if is_sample {
            self.ring.unsampled = 0;
            return self.send_plain(one);
        }
        if has_stats { self.send_stat(one) } else { self.send(one) }
    }

    /// Sends a stat of a list off, and keeps the others for later; or leaves all of them to the workers.
    fn send_stat(&mut self, one: Span) {
        // SAFETY: this thread owns the span.
        let list = List::stats(unsafe { one.entry(0).as_ref() }).expect("the directory was read");
        let is_cancelled = self.shared.why_cancelled(&one, 0).is_some();
        if list.is_finished() || is_cancelled || !self.shared.sends_to_ring(list) {
            return self.pass_on(one);
        }
        let word = one.as_ptr().addr();
        let (part, rest) = list.claim(one);
        if let Some(one) = rest {
            // What was taken with it was cut off from it.
            let all = match self.taken.take() {
                Some(others) => one.join(others).expect("neighbours"),
                None => one,
            };
            self.taken = Some(all);
        }
        self.ring.unsampled += 1;
        let (submission, tag) = (part.submission(), Tag::Part(part));
        self.ring.parts.insert(tag.to_user_data(), word);
        self.submit(submission, tag);
    }

    /// Sends a request off, if the ring can do it.
    fn send(&mut self, one: Span) {
        let Ring { statx, unsampled, .. } = &mut *self.ring;
        // SAFETY: this thread owns the span, whose entries were written before they were sent.
        let ent = unsafe { one.entry(0).as_mut() };
        let is_list = ent.op == ioq_op::IOQ_LIST;
        let suits = self.shared.pace.suits_ring(ent.op) && !(is_list && self.shared.open_lists.has_many_opened());
        let op = ops::of(ent.op).in_ring().filter(|_| suits);
        // SAFETY: what the request points to is as the caller of `ioq.h` vouched for, and stays so until it is done.
        match op.and_then(|op| unsafe { op.submission(&self.shared.host, statx, ent) }) {
            Some(submission) => {
                *unsampled += 1;
                self.shared.open_lists.moved(Stage::Closed, Stage::in_ring(ent.op));
                self.submit(submission, Tag::Request(one));
            }
            None => self.pass_on(one),
        }
    }

    /// Finds out about operations that the ring may have refused.
    fn ask_again(&mut self) {
        if !self.has_room() {
            return;
        }
        if let Some(op) = self.shared.pace.take_doubt() {
            if let Some(ring_op) = ops::of(op).in_ring() {
                self.submit(ring_op.probe(), Tag::Probe(op));
            }
        }
    }

    /// Whether one more can be in flight.
    fn has_room(&self) -> bool {
        self.ring.in_flight < self.ring.uring.entries()
    }

    fn submit(&mut self, submission: io_uring::squeue::Entry, tag: Tag) {
        self.ring.in_flight += 1;
        // SAFETY: what the submission points to stays valid until its completion was seen: the path and the caller's
        // buffers by the contract of `ioq.h`, a statx buffer because it is given back only then, and a list because its
        // part is finished only then.
        unsafe { self.ring.uring.push(submission.user_data(tag.to_user_data())) };
    }

    /// Sends what was not sent yet, and waits for a completion, unless there is one.
    fn enter(&mut self) {
        let mut patience = PATIENCE;
        loop {
            let uring = &mut self.ring.uring;
            let unsent = uring.unsent();
            let want = if uring.has_completion() { 0 } else { 1 };
            if unsent == 0 && want == 0 {
                return;
            }
            let result = uring.enter(unsent, want, self.tick);
            match result {
                Ok(sent) if sent > 0 || unsent == 0 => return,
                Err(Errno(libc::ETIME)) => {
                    self.quiet += self.tick;
                    self.tick = (2 * self.tick).min(LONGEST_TICK);
                    return;
                }
                Err(Errno(libc::EINTR)) => return,
                _ if uring.has_completion() => return,
                // It never will. What it has must be waited for all the same.
                Err(e) if unsent > 0 && !may_pass(e) => return self.give_up(e),
                _ if self.ring.in_flight > unsent => {
                    // Too much in flight for the kernel. Wait until there is less.
                    if uring.enter(0, 1, self.tick).is_ok() {
                        return;
                    }
                    sleep(PAUSE);
                    self.quiet += PAUSE;
                    return;
                }
                _ if patience > 0 => {
                    patience -= 1;
                    sleep(PAUSE);
                }
                _ => return self.give_up(Errno(libc::EAGAIN)),
            }
        }
    }

    /// The kernel takes no submissions. Those that it has not taken are for the workers, and whatever comes from now on.
    fn give_up(&mut self, e: Errno) {
        self.ring.broken = true;
        while let Some(data) = self.ring.uring.take_back() {
            self.complete(data, -libc::ECANCELED);
        }
        self.shared.pace.ring_lost(e);
        leave_to_workers(self.shared);
    }

    /// Finishes what has completed. Returns how many that were.
    fn reap(&mut self) -> usize {
        let mut count = 0;
        while let Some((data, result)) = self.ring.uring.next_completion() {
            self.complete(data, result);
            count += 1;
        }
        count
    }

    fn complete(&mut self, data: u64, result: i32) {
        self.ring.in_flight -= 1;
        // SAFETY: `submit` made the tag, and the kernel is done with it.
        let one = match unsafe { Tag::from_user_data(data) } {
            Tag::Request(one) => one,
            Tag::Part(part) => {
                self.ring.parts.remove(&data);
                return self.complete_stat(part, result);
            }
            Tag::Probe(op) => {
                if ops::may_be_refusal(result) {
                    let change = self.shared.pace.refuse(op);
                    self.shared.pace_changed(change);
                }
                return;
            }
            // Before Linux 5.19 it cannot be done.
            Tag::Cancel => return,
        };
        // SAFETY: this thread owns the span.
        let ent = unsafe { one.entry(0).as_mut() };
        let op = ops::of(ent.op).in_ring().expect("what was submitted has a form for a ring");
        // SAFETY: the submission was made for this request, and its completion seen.
        let next = unsafe { op.completed(&self.shared.host, &mut self.ring.statx, ent, result) };
        self.shared.open_lists.moved(Stage::in_ring(ent.op), Stage::of(ent));
        self.go_on(one, next);
    }

    fn complete_stat(&mut self, part: Part, result: i32) {
        part.completed(result);
        let Some(last) = part.finish() else { return };
        // SAFETY: this thread owns the span.
        let ent = unsafe { last.entry(0).as_ref() };
        if !List::stats(ent).is_some_and(Listing::is_finished) {
            // Some were taken up again.
            self.pass_on(last);
        } else if !List::is_complete(ent) {
            self.finish_elsewhere(last);
        } else {
            self.shared.open_lists.moved(Stage::Read, Stage::Closed);
            self.go_on(last, Next::Done(0));
        }
    }

    /// Goes on with a request of which the ring has done something.
    fn go_on(&mut self, one: Span, next: Next) {
        match next {
            Next::Done(result) => {
                // SAFETY: this thread owns the span.
                unsafe { one.entry(0).as_mut() }.result = result;
                self.deliver(one);
            }
            Next::Again if self.shared.why_cancelled(&one, 0).is_none() => self.send(one),
            Next::Plain | Next::Again => self.pass_on(one),
        }
    }

    fn deliver(&mut self, done: Span) {
        // It is counted before it can be popped.
        self.shared.driver.count.add(done.len());
        self.told_caller &= self.ready.send(&self.shared.ready, done) == Sent::Added;
    }

    /// Leaves requests to the workers, and all stats that are left of lists.
    fn pass_on(&mut self, span: Span) {
        for i in 0..span.len() {
            // SAFETY: this thread owns the span.
            if let Some(list) = List::stats(unsafe { span.entry(i).as_ref() }) {
                list.leave_ring();
            }
        }
        self.send_plain(span);
    }

    /// Leaves a list to the workers whose stats are all finished.
    fn finish_elsewhere(&mut self, one: Span) {
        match self.shared.finished.push(one) {
            Ok(()) => self.told_workers = false,
            Err(one) => self.pass_on(one),
        }
    }

    fn send_plain(&mut self, span: Span) {
        self.told_workers &= self.plain.send(&self.shared.plain, span) == Sent::Added;
    }

    /// Tells the others what they have got.
    fn tell(&mut self) {
        if !std::mem::replace(&mut self.told_caller, true) {
            self.shared.tell_caller();
        }
        if !std::mem::replace(&mut self.told_workers, true) || self.shared.scheduler.is_failing() {
            self.shared.scheduler.notify(self.shared);
        }
    }
}

/// Whether the kernel, which did not take anything, may do so later: it is short of something.
fn may_pass(e: Errno) -> bool {
    matches!(e, Errno(libc::EAGAIN | libc::EBUSY | libc::ENOMEM))
}
