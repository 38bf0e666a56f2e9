//! Running requests by plain system calls, on a worker's thread or on the caller's.

use super::thread::Usage;
use super::{Change, Remote};
use crate::channel::{Sender, Sent};
use crate::entry::ioq_op;
use crate::ops::list::{Listing, STATS, Stage};
use crate::ops::{self, List};
use crate::queue::shared::Shared;
use crate::queue::span::Span;
use std::time::Duration;

/// How long to measure requests together: some hundred times what reading a thread's usage takes.
const MEASURE_FOR: Duration = Duration::from_micros(100);

/// What a thread that runs requests knows.
pub struct Executor {
    /// The way back.
    outbox: Sender,
    stopwatch: Stopwatch,
    /// Whether what it has began when nothing went through the ring.
    plain: bool,
    /// A list whose stats this thread does one after the other.
    list: Option<Span>,
}

impl Executor {
    pub fn new() -> Self {
        Self { outbox: Sender::default(), stopwatch: Stopwatch::new(), plain: true, list: None }
    }

    /// Takes a span up: runs what never blocks, and publishes the rest in this thread's local run queue, for `step` or for
    /// others. Returns what is done.
    #[must_use = "somebody waits for what is done"]
    pub fn begin(&mut self, shared: &Shared, remote: &Remote, span: Span) -> Option<Span> {
        let len = span.len();
        let quick = (0..len).take_while(|&i| shared.run_if_nonblocking(&span, i)).count();
        let (done, rest) = span.split_at(quick);
        // It is counted before it can be popped.
        remote.count.add(quick);
        if let Some(rest) = rest {
            for i in 0..rest.len() {
                // SAFETY: this thread owns the span, whose entries were written before they were sent.
                let ent = unsafe { rest.entry(i).as_ref() };
                ops::of(ent.op).prefetch(ent);
            }
            self.plain = !shared.pace.wants_ring();
            let several = rest.len() > 1;
            remote.local.publish(rest);
            if several {
                shared.scheduler.notify(shared);
            }
        }
        done
    }

    /// Goes on: completes a list whose stats are finished, does the next stat of the list that this thread has in hand,
    /// or runs the next request of the local run queue. Returns whether there was any of these.
    pub fn step(&mut self, shared: &Shared, remote: &Remote) -> bool {
        if self.plain && shared.pace.wants_ring() {
            // What waits here may wait in the ring, all at once.
            if let Some(rest) = remote.local.take_all() {
                shared.send(&mut Sender::default(), rest);
            }
        }
        if let Some(one) = shared.finished.pop() {
            // To close its directory may wait.
            self.let_go(shared);
            self.complete(shared, remote, one);
            return true;
        }
        let Some(one) = self.list.take().or_else(|| remote.local.pop()) else {
            self.stopwatch.stop(shared);
            return false;
        };
        // SAFETY: this thread owns the span, whose entries were written before they were sent.
        let ent = unsafe { one.entry(0).as_ref() };
        if List::stats(ent).is_some() {
            self.go_on(shared, remote, one);
            return true;
        }
        self.stopwatch.start(shared, ent.op);
        // SAFETY: what is in the entry is as the caller of `ioq.h` vouched for.
        unsafe { shared.run(&one) };
        // SAFETY: this thread still owns the span.
        match List::stats(unsafe { one.entry(0).as_ref() }) {
            None => self.finish(shared, remote, one),
            Some(list) if list.is_finished() || shared.open_lists.has_many_read() || !shared.sends_to_ring(list) => {
                self.list = Some(one);
            }
            Some(_) => shared.send_list(one),
        }
        self.stopwatch.count(shared);
        true
    }

    /// Goes on with a list whose directory was read: does a stat that nobody has come to, or completes the request.
    fn go_on(&mut self, shared: &Shared, remote: &Remote, one: Span) {
        // SAFETY: this thread owns the span.
        let ent = unsafe { one.entry(0).as_ref() };
        let list = List::stats(ent).expect("the directory was read");
        let mut one = one;
        if let Some(e) = shared.why_cancelled(&one, 0) {
            // SAFETY: the list is that of this span's request.
            match unsafe { Listing::give_up(list, one, e) } {
                Some(last) => one = last,
                None => return,
            }
        }
        if list.is_finished() {
            return self.complete(shared, remote, one);
        }
        let (part, rest) = list.claim(one);
        if let Some(rest) = rest {
            let shares = shared.pace.has_waited(STATS) || shared.sends_to_ring(list);
            if shares && !shared.open_lists.has_many_read() {
                shared.send_list(rest);
            } else {
                self.list = Some(rest);
            }
        }
        self.stopwatch.start(shared, STATS);
        let answered = part.answered();
        let result = part.run();
        shared.pace.compare(STATS, answered, result);
        if let Some(last) = part.finish() {
            self.list = Some(last);
        }
        self.stopwatch.count(shared);
    }

    /// Completes a list whose stats are all finished.
    fn complete(&mut self, shared: &Shared, remote: &Remote, one: Span) {
        self.stopwatch.stop(shared);
        // SAFETY: this thread owns the span, and what is in the entry is as the caller of `ioq.h` vouched for.
        unsafe {
            let ent = one.entry(0).as_mut();
            ent.result = List::complete(ent);
        }
        shared.open_lists.moved(Stage::Read, Stage::Closed);
        self.finish(shared, remote, one);
    }

    /// Whether this thread has nothing in hand.
    pub fn is_idle(&self, remote: &Remote) -> bool {
        self.list.is_none() && remote.local.is_empty()
    }

    /// Leaves what only this thread knows of to others, for it will do something else.
    pub fn let_go(&mut self, shared: &Shared) {
        self.stopwatch.stop(shared);
        if let Some(list) = self.list.take() {
            shared.send_list(list);
        }
    }

    /// How long what it measures has taken so far.
    pub fn elapsed(&self) -> Duration {
        self.stopwatch.elapsed()
    }

    /// A request is done.
    fn finish(&mut self, shared: &Shared, remote: &Remote, one: Span) {
        // It is counted before it can be popped.
        remote.count.add(1);
        self.deliver(shared, one);
    }

    /// Sends the caller what is done, and was counted.
    pub fn deliver(&mut self, shared: &Shared, done: Span) {
        if self.outbox.send(&shared.ready, done) == Sent::Pushed {
            shared.tell_caller();
        }
    }
}

/// Measures how long requests of one operation take.
struct Stopwatch {
    op: ioq_op,
    start: Option<Usage>,
    /// How many requests have run since.
    count: u32,
    /// At how many to look at the clock again: 1, 2, 4, 8, …
    next_look: u32,
}

impl Stopwatch {
    fn new() -> Self {
        Self { op: ioq_op::IOQ_NOP, start: None, count: 0, next_look: 0 }
    }

    fn elapsed(&self) -> Duration {
        self.start.as_ref().map_or(Duration::ZERO, Usage::elapsed)
    }

    /// A request of this operation is about to run.
    fn start(&mut self, shared: &Shared, op: ioq_op) {
        if self.next_look > 0 && op != self.op {
            self.stop(shared);
        }
        if self.next_look == 0 {
            (self.op, self.start, self.count, self.next_look) = (op, Some(Usage::now()), 0, 1);
        }
    }

    /// It has run.
    fn count(&mut self, shared: &Shared) {
        self.count += 1;
        if self.count == self.next_look {
            self.next_look *= 2;
            let time = self.elapsed();
            if time >= MEASURE_FOR {
                self.measured(shared, time);
            }
        }
    }

    /// Nothing more is to run.
    fn stop(&mut self, shared: &Shared) {
        if self.count > 0 {
            let time = self.elapsed();
            self.measured(shared, time);
        }
        self.next_look = 0;
    }

    fn measured(&mut self, shared: &Shared, time: Duration) {
        let waited =
            || self.start.as_ref().map_or(Duration::ZERO, |start| Usage::now().waited_since(start)) / self.count;
        let change = shared.pace.measured(self.op, time / self.count, waited);
        (self.count, self.next_look) = (0, 0);
        if change != Change::Nothing {
            shared.pace_changed(change);
        }
    }
}
