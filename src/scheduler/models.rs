//! What must hold in every interleaving: work is never left lying while a worker sleeps.
//!
//! Waits with a limit never end here, so nothing is found by the stall detector.

use super::roster::Roster;
use super::{Load, Scheduler, Work};
use crate::channel::monitor::Monitor;
use crate::channel::{Channel, Sender};
use crate::models::explore;
use crate::platform::errno::Errno;
use crate::queue::span::Span;
use crate::scheduler::Member;
use crate::worker::{Thread, Worker};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use std::ptr::{self, NonNull};

/// A queue, as far as its workers go: they take spans, and push them into another channel.
struct Queue {
    scheduler: Scheduler,
    pending: Channel,
    ready: Channel,
    /// How many of the next threads cannot be started.
    lacking: AtomicUsize,
    /// Whether there is room for all.
    blocks: bool,
    /// What request `HANGING` hangs until.
    released: Monitor,
}

/// A request that hangs.
const HANGING: usize = 9;

impl Work for Queue {
    fn is_waiting(&self) -> bool {
        self.pending.has_spans()
    }

    fn progress(&self) -> usize {
        self.pending.taken()
    }

    fn take(&self, _: bool) -> Option<Span> {
        self.pending.try_pop()
    }

    fn has_run_dry(&self) {}

    fn lacks_workers(&self) {}

    fn load(&self) -> Load {
        Load { blocks: self.blocks, caller_is_awake: true }
    }

    fn worker(&self, index: usize) -> Worker {
        Worker::new(index, ptr::null())
    }

    fn start(&self, worker: &Worker) -> Result<Thread, Errno> {
        if self.lacking.load(Ordering::Relaxed) > 0 {
            self.lacking.fetch_sub(1, Ordering::Relaxed);
            return Err(Errno(libc::EAGAIN));
        }
        let (queue, index) = (Pointer(NonNull::from(self)), worker.index);
        Ok(Thread::spawn(move || {
            let Pointer(queue) = { queue };
            // SAFETY: every model joins its threads before the queue goes.
            unsafe { queue.as_ref() }.work(index);
        }))
    }
}

struct Pointer(NonNull<Queue>);
// SAFETY: a queue is shared by its threads.
unsafe impl Send for Pointer {}
// SAFETY: as above.
unsafe impl Sync for Queue {}
// SAFETY: as above.
unsafe impl Send for Queue {}

impl Queue {
    fn new(workers: usize, blocks: bool) -> Arc<Self> {
        Arc::new(Self {
            scheduler: Scheduler::new(workers, 1, 0),
            pending: Channel::new(3).unwrap(),
            ready: Channel::new(3).unwrap(),
            lacking: AtomicUsize::new(0),
            blocks,
            released: Monitor::new(),
        })
    }

    fn send(&self, label: usize) {
        let _ = Sender::default().send(&self.pending, Span::labelled(label, 1));
        self.scheduler.notify(self);
    }

    /// A worker's loop.
    fn work(&self, index: usize) {
        let mut member = Member::new(index);
        while let Some(span) = member.next(&self.scheduler, self) {
            if span.label() == HANGING {
                self.released.sleep(None);
            }
            let _ = Sender::default().send(&self.ready, span);
        }
    }

    /// What comes back, when so many have been sent.
    fn receive(&self, count: usize) -> Vec<usize> {
        let mut labels = vec![];
        while labels.len() < count {
            match self.ready.try_pop() {
                Some(span) => labels.push(span.label()),
                None => loom::thread::yield_now(),
            }
        }
        labels.sort();
        labels
    }
}

/// One worker that parks between the requests gets them all, and leaves when it is told to.
#[test]
fn one_worker_sleeps_through_nothing() {
    explore(2, || {
        let queue = Queue::new(1, false);
        queue.send(1);
        assert_eq!(queue.receive(1), [1]);
        queue.send(2);
        assert_eq!(queue.receive(1), [2]);
        queue.scheduler.stop();
        assert!(!queue.pending.has_spans());
    });
}

/// So it is when it is told to leave while requests are pending: they are run first.
#[test]
fn whoever_leaves_leaves_nothing_behind() {
    for workers in [1, 2] {
        explore(2, move || {
            let queue = Queue::new(workers, true);
            queue.send(1);
            queue.send(2);
            queue.scheduler.stop();
            assert!(!queue.pending.has_spans());
            assert_eq!(queue.receive(2), [1, 2]);
        });
    }
}

/// Two workers and two requests, with room for both or for one only: both come back.
#[test]
fn two_workers_sleep_through_nothing() {
    for blocks in [false, true] {
        explore(1, move || {
            let queue = Queue::new(2, blocks);
            queue.send(1);
            queue.send(2);
            assert_eq!(queue.receive(2), [1, 2]);
            queue.scheduler.stop();
        });
    }
}

/// Of two who send at once, at least one gets a worker.
#[test]
fn what_two_send_at_once_is_taken() {
    explore(2, || {
        let queue = Queue::new(1, false);
        let other = {
            let queue = queue.clone();
            loom::thread::spawn(move || queue.send(1))
        };
        queue.send(2);
        other.join().unwrap();
        assert_eq!(queue.receive(2), [1, 2]);
        queue.scheduler.stop();
    });
}

/// While one searches, nobody else is woken. So whoever finds more than it takes wakes the next, lest that wait for what may
/// hang.
#[test]
fn whoever_finds_more_wakes_another() {
    explore(1, || {
        let queue = Queue::new(2, true);
        queue.send(1);
        assert_eq!(queue.receive(1), [1]);
        queue.send(HANGING);
        queue.send(2);
        assert_eq!(queue.receive(1), [2]);
        queue.released.wake();
        assert_eq!(queue.receive(1), [HANGING]);
        queue.scheduler.stop();
    });
}

/// Whoever goes through the workers sees each as it was when it was added.
#[test]
fn whoever_finds_a_worker_sees_it_whole() {
    struct Worker(UnsafeCell<usize>);
    // SAFETY: loom checks every access to the cell.
    unsafe impl Sync for Worker {}

    explore(2, || {
        let roster = Arc::new(Roster::new());
        let other = {
            let roster = roster.clone();
            loom::thread::spawn(move || {
                for index in 0..2 {
                    let worker = Worker(UnsafeCell::new(0));
                    // SAFETY: nobody else has it yet, which loom checks.
                    worker.0.with_mut(|p| unsafe { *p = index });
                    roster.push(worker).ok().unwrap();
                }
            })
        };
        // SAFETY: loom checks that nobody writes to it.
        let seen: Vec<_> = roster.iter().map(|worker: &Worker| worker.0.with(|p| unsafe { *p })).collect();
        assert!(seen.iter().copied().eq(0..seen.len()));
        other.join().unwrap();
    });
}

/// A thread that cannot be started leaves what it was wanted for to those that are there.
#[test]
fn a_thread_that_cannot_be_started_holds_nothing_up() {
    explore(2, || {
        let queue = Queue::new(2, true);
        queue.send(1);
        queue.lacking.store(1, Ordering::Relaxed);
        queue.send(2);
        assert_eq!(queue.receive(2), [1, 2]);
        queue.scheduler.stop();
    });
}
