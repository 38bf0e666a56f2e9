//! What the caller, the workers and the driver of the ring tell each other, in every interleaving.
//!
//! The shared part is the library's, and the threads are the model's: those that are started do nothing, so that the spans
//! may be without entries.

use crate::channel::Sender;
use crate::channel::monitor::Sleep;
use crate::models::explore;
use crate::models::machine::{Chance, Machine};
use crate::ops;
use crate::queue::options::{Backend, Options};
use crate::queue::shared::Shared;
use crate::queue::span::Span;
use crate::scheduler::Member;
use crate::worker::ThreadOptions;
use crate::worker::thread::Body;
use loom::sync::Arc;
use loom::thread;
use std::time::Duration;

/// The shared part of a queue with one worker, on a machine on which no ring can be made.
fn shared(backend: Backend) -> Arc<Shared> {
    Machine { threads_are_idle: true, lacks_rings: Chance::Always, ..Machine::IDEAL }.set();
    let threads = ThreadOptions::default();
    let options =
        Options { depth: 3, nthreads: 1, backend, caller_runs: false, inflight: 1, descriptors: true, threads };
    Arc::new(Shared::new(&options).unwrap())
}

fn send(shared: &Shared, label: usize) {
    shared.send(&mut Sender::default(), Span::labelled(label, 1));
}

/// Whether a worker was got, which has not left yet.
fn has_worker(shared: &Shared) -> bool {
    shared.scheduler.workers().next().is_some()
}

/// What is sent while the ring is turned off is told to the workers, by whoever sends it or by whoever turns it off.
#[test]
fn what_is_sent_as_the_ring_is_turned_off_gets_a_worker() {
    explore(2, || {
        let shared = shared(Backend::Uring);
        shared.driver.notify(&shared);
        let other = {
            let shared = shared.clone();
            thread::spawn(move || {
                for op in ops::ALL {
                    let change = shared.pace.refuse(op);
                    shared.pace_changed(change);
                }
            })
        };
        send(&shared, 1);
        other.join().unwrap();
        assert!(has_worker(&shared));
    });
}

/// So it is with what is sent while the driver finds that it cannot have a ring, though what it wanted one for was taken by
/// somebody else.
#[test]
fn what_is_sent_as_no_ring_can_be_had_gets_a_worker() {
    explore(2, || {
        let shared = shared(Backend::Uring);
        shared.driver.notify(&shared);
        let driver = {
            let shared = shared.clone();
            thread::spawn(move || Body::run(&*shared))
        };
        send(&shared, 1);
        let taken = shared.pending.try_pop();
        assert_eq!(taken, Some(Span::labelled(1, 1)));
        send(&shared, 2);
        shared.driver.stop();
        driver.join().unwrap();
        // A driver that has left before it saw what was sent has not turned anything off.
        assert!(has_worker(&shared) || shared.pace.wants_ring());
    });
}

/// A caller that naps is woken by a worker that finds nothing to do, though naps never end here.
#[test]
fn a_worker_that_runs_dry_ends_the_nap() {
    explore(2, || {
        let shared = shared(Backend::Sync);
        send(&shared, 1);
        let worker = {
            let shared = shared.clone();
            thread::spawn(move || {
                let mut member = Member::new(0);
                let span = member.next(&shared.scheduler, &*shared).unwrap();
                let _ = Sender::default().send(&shared.ready, span);
                while shared.caller.is_awake() {
                    thread::yield_now();
                }
                assert!(member.next(&shared.scheduler, &*shared).is_none());
            })
        };
        shared.caller.sleep(Sleep::Nap(Duration::from_micros(100)), || false, || ());
        assert_eq!(shared.ready.try_pop(), Some(Span::labelled(1, 1)));
        shared.scheduler.stop();
        worker.join().unwrap();
    });
}
