//! The worker threads: starting them, and their loop.

mod flight;
mod ring;
#[cfg_attr(any(ioq_loom, ioq_shuttle), path = "model_thread.rs")]
mod thread;
#[cfg_attr(any(ioq_loom, ioq_shuttle), path = "model_uring.rs")]
mod uring;

use crate::block::{BLOCK_ENTRIES, Span};
use crate::errno::Errno;
use crate::policy::Policy;
use crate::pool::Member;
use crate::prefetch;
use crate::shared::{Counters, Run, Shared};
use ring::{Ring, Session};
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::time::Duration;
use thread::{set_name, sleeps};

pub use ring::check_available as check_ring;
pub use thread::Thread;
#[cfg(any(ioq_loom, ioq_shuttle))]
pub use uring::Submission;

/// What a worker thread is told when it starts. It stays where it is: a thread that frees what another has allocated, or
/// allocates anything itself, first gets a heap of its own, which takes longer than to start it.
pub struct Job {
    shared: *const Shared,
    member: MaybeUninit<Member>,
}

impl Job {
    /// A place for a job.
    pub const NONE: Self = Self { shared: ptr::null(), member: MaybeUninit::uninit() };
}

/// Starts a worker thread.
///
/// # Safety
///
/// `shared` must live, and not move, until the thread was joined; and `place` as well, without being used again.
pub unsafe fn spawn(shared: &Shared, member: Member, place: NonNull<Job>) -> Result<Thread, Errno> {
    // SAFETY: passed on to the caller.
    unsafe {
        place.write(Job { shared, member: MaybeUninit::new(member) });
        Thread::start(place)
    }
}

/// What a worker thread does.
///
/// # Safety
///
/// `job` must be one that `spawn` made, for this thread alone, as long as its `shared` lives.
unsafe fn work(job: NonNull<Job>) {
    // SAFETY: by this function's contract.
    let (shared, member) = unsafe { (&*job.as_ref().shared, job.as_ref().member.assume_init_read()) };
    set_name(member.index());
    Worker { shared, member, policy: Policy::new(shared.backend), ring: RingState::Untried, ahead: false }.run();
}

/// Takes note of how long plain calls took, and tells the others if that changes how many are to work at once.
fn measured(shared: &Shared, member: &mut Member, policy: &mut Policy, count: usize, time: Duration) {
    policy.measured(count, time, sleeps);
    member.set_waits(&shared.pool, &shared.pending, policy.has_waited());
}

/// A worker thread's state.
struct Worker<'a> {
    shared: &'a Shared,
    member: Member,
    policy: Policy,
    ring: RingState,
    /// The last span was short, and took no time: this worker is faster than the caller.
    ahead: bool,
}

/// Whether a worker has a ring.
#[cfg_attr(
    not(any(ioq_loom, ioq_shuttle)),
    expect(clippy::large_enum_variant, reason = "there is one of these for each thread, on its stack")
)]
enum RingState {
    /// Not needed so far.
    Untried,
    Ready(Ring),
    /// None could be had, or it broke. That costs this worker its ring, and nobody else.
    Failed,
}

impl Worker<'_> {
    fn run(mut self) {
        loop {
            if std::mem::take(&mut self.ahead) {
                self.shared.pool.let_gather();
            }
            let span = self.member.next(&self.shared.pool, &self.shared.pending);
            if self.member.has_slept() {
                self.policy.rested(sleeps);
            }
            if span == Span::STOP || self.run_span(span) {
                break;
            }
        }
        self.leave();
    }

    /// Runs a span, by the ring or by plain calls. Returns whether the stop message was met on the way.
    fn run_span(&mut self, span: Span) -> bool {
        prefetch::entries(&span);
        // SAFETY: this thread owns the span, whose entries were written before they were sent.
        let op = unsafe { span.entry(0).as_ref() }.op;
        if !self.policy.wants_ring() || !self.policy.suits_ring(op) {
            self.run_plain(span);
            return false;
        }
        if let RingState::Untried = self.ring {
            self.ring = Ring::new().map_or(RingState::Failed, RingState::Ready);
        }
        let RingState::Ready(ring) = &mut self.ring else {
            self.run_plain(span);
            return false;
        };
        let end = Session::new(self.shared, &mut self.member, &mut self.policy, ring, span).run();
        if end.broken {
            self.ring = RingState::Failed;
        }
        let rest = self.shared.run_on(self.member.index());
        self.go_on(rest);
        end.stopping
    }

    /// Runs a span by plain system calls.
    fn run_plain(&mut self, span: Span) {
        let short = span.len() < BLOCK_ENTRIES;
        let first = self.shared.run(span, self.member.index());
        self.ahead = short && first.as_ref().is_some_and(|run| run.measured.is_none());
        self.go_on(first);
    }

    /// Delivers what was run, and runs what is left in the hand.
    fn go_on(&mut self, first: Option<Run>) {
        let (shared, index) = (self.shared, self.member.index());
        let hand = shared.pool.hands.of(index);
        let mut next = first;
        while let Some(run) = next {
            Counters::add(&shared.counters[index].plain, run.count);
            if let Some(done) = run.done {
                shared.ready.push(done);
            }
            if let Some((count, time)) = run.measured {
                measured(shared, &mut self.member, &mut self.policy, count, time);
            }
            // What is left would wait behind slow requests. Let an idle worker have a part of it.
            if hand.len() > 1 && shared.pool.has_idle() {
                if let Some(theirs) = hand.steal() {
                    shared.send(theirs);
                }
            }
            next = shared.run_on(index);
        }
    }

    /// Having received the stop message: the last worker sees to it that nothing stays behind.
    fn leave(mut self) {
        if self.shared.pool.leave() {
            self.shared.send(Span::STOP);
            return;
        }
        while let Some(span) = self.shared.pending.try_pop() {
            self.run_plain(span);
        }
    }
}
