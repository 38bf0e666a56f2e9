//! What must hold in every interleaving: work is never left lying while a worker sleeps.

use super::{Member, Pool};
use crate::block::Span;
use crate::mpmc::Mpmc;
use loom::sync::Arc;
use loom::thread;

struct Queue {
    pool: Pool,
    pending: Mpmc,
    ready: Mpmc,
}

impl Queue {
    fn new(size: usize, workers: usize, room: usize) -> Arc<Self> {
        Arc::new(Self {
            pool: Pool::new(workers, room, 0).unwrap(),
            pending: Mpmc::new(size, 0).unwrap(),
            ready: Mpmc::new(2 * size, 0).unwrap(),
        })
    }

    fn send(&self, span: Span) {
        self.pending.push(span);
        self.pool.notify();
    }

    /// A worker's loop, as `worker::Worker` has it.
    fn work(&self, mut member: Member) {
        loop {
            let span = member.next(&self.pool, &self.pending);
            if span == Span::STOP {
                break;
            }
            self.ready.push(span);
        }
        if self.pool.leave() {
            return self.send(Span::STOP);
        }
        while let Some(span) = self.pending.try_pop() {
            self.ready.push(span);
        }
    }

    fn stop(&self) {
        if self.pool.stop() {
            self.send(Span::STOP);
        }
    }
}

fn span(label: usize) -> Span {
    Span::labelled(label, 1)
}

fn start(queue: &Arc<Queue>) -> Option<thread::JoinHandle<()>> {
    let member = queue.pool.start()?;
    let queue = queue.clone();
    Some(thread::spawn(move || queue.work(member)))
}

fn model(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

/// One worker that parks between the requests gets them all, and the stop message.
#[test]
fn one_worker_sleeps_through_nothing() {
    model(3, || {
        let queue = Queue::new(2, 1, 1);
        queue.send(span(1));
        let worker = start(&queue).unwrap();
        assert_eq!(queue.ready.pop().label(), 1);
        queue.send(span(2));
        assert_eq!(queue.ready.pop().label(), 2);
        queue.stop();
        worker.join().unwrap();
        assert!(!queue.pending.has_spans());
    });
}

/// Two workers and two spans: both are taken, and the stop message reaches both.
fn two_workers(room: usize) {
    model(2, move || {
        let queue = Queue::new(2, 2, room);
        queue.send(span(1));
        let first = start(&queue).unwrap();
        queue.send(span(2));
        let second = start(&queue);
        let mut labels = [queue.ready.pop().label(), queue.ready.pop().label()];
        labels.sort();
        assert_eq!(labels, [1, 2]);
        queue.stop();
        first.join().unwrap();
        if let Some(second) = second {
            second.join().unwrap();
        }
        assert!(!queue.pending.has_spans());
    });
}

/// With two workers, whoever is woken or awake takes each span, and the stop message reaches both.
#[test]
fn two_workers_sleep_through_nothing_and_both_stop() {
    two_workers(2);
}

/// With room for one worker only, the other watches; no request is left behind, and the stop message reaches both.
#[test]
fn without_room_nothing_is_left_behind_and_both_stop() {
    two_workers(1);
}

/// A span that is sent while another thread cancels is not left behind: a worker has it, or it is still in the queue
/// when all have left.
#[test]
fn a_stop_from_another_thread_loses_nothing() {
    model(2, || {
        let queue = Queue::new(1, 1, 1);
        queue.send(span(1));
        let worker = start(&queue).unwrap();
        let canceller = {
            let queue = queue.clone();
            thread::spawn(move || queue.stop())
        };
        queue.send(span(2));
        canceller.join().unwrap();
        worker.join().unwrap();
        let mut labels = vec![];
        while let Some(span) = queue.ready.try_pop().or_else(|| queue.pending.try_pop()) {
            labels.push(span.label());
        }
        labels.sort();
        assert_eq!(labels, [1, 2]);
    });
}

/// A caller that takes a span from under the eyes of a worker leaves nobody asleep beside the next one.
#[test]
fn what_the_caller_leaves_is_taken() {
    model(2, || {
        let queue = Queue::new(2, 1, 1);
        queue.send(span(1));
        let worker = start(&queue).unwrap();
        queue.send(span(2));
        let mut spans: Vec<_> = queue.pending.try_pop().into_iter().collect();
        while spans.len() < 2 {
            spans.push(queue.ready.pop());
        }
        spans.sort_by_key(Span::label);
        assert_eq!(spans, [span(1), span(2)]);
        queue.stop();
        worker.join().unwrap();
    });
}

/// While somebody searches, nobody is woken for what is sent; so the searcher, finding more than it takes, wakes another.
#[test]
fn whoever_finds_more_wakes_another() {
    model(2, || {
        let queue = Queue::new(2, 2, 2);
        queue.send(span(1));
        let mut member = queue.pool.start().unwrap();
        let _ = member.next(&queue.pool, &queue.pending);
        queue.pool.park_one();
        let worker = {
            let queue = queue.clone();
            thread::spawn(move || member.next(&queue.pool, &queue.pending))
        };
        queue.send(span(2));
        queue.send(span(3));
        let _ = worker.join().unwrap();
        assert!(!queue.pool.has_idle());
    });
}

/// The look of a worker that parks is not led astray by a caller that takes the span it looks at: the next one is seen.
#[test]
fn whoever_parks_sees_what_the_caller_leaves() {
    model(3, || {
        let queue = Queue::new(2, 1, 1);
        let mut member = queue.pool.start().unwrap();
        let worker = {
            let queue = queue.clone();
            thread::spawn(move || {
                member.park(&queue.pool, &queue.pending);
                member.next(&queue.pool, &queue.pending)
            })
        };
        queue.send(span(1));
        queue.send(span(2));
        let taken = queue.pending.try_pop();
        let mut labels = [taken.unwrap_or_else(|| queue.pending.pop()).label(), worker.join().unwrap().label()];
        labels.sort();
        assert_eq!(labels, [1, 2]);
    });
}

/// While a thread is being started, it is the searcher, and nobody is woken. If it cannot be started, another is.
#[test]
fn a_thread_that_cannot_be_started_leaves_its_search_to_others() {
    model(3, || {
        let queue = Queue::new(2, 2, 2);
        let mut first = queue.pool.start().unwrap();
        assert!(first.go_to_work(&queue.pool));
        let second = queue.pool.start().unwrap();
        let worker = {
            let queue = queue.clone();
            thread::spawn(move || first.next(&queue.pool, &queue.pending))
        };
        let sender = {
            let queue = queue.clone();
            thread::spawn(move || queue.send(span(1)))
        };
        queue.pool.start_failed(second.is_searching());
        assert_eq!(worker.join().unwrap(), span(1));
        sender.join().unwrap();
    });
}
