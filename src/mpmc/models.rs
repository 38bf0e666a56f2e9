//! What must hold in every interleaving, on queues of one and two slots.

use super::Mpmc;
use crate::block::Span;
use crate::sync::Ordering;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use loom::thread;

/// Explores all interleavings in which threads are taken off their processor at most thrice against their will.
fn model(f: impl Fn() + Sync + Send + 'static) {
    bounded(3, f);
}

/// The same with another bound.
fn bounded(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

fn queue(size: usize) -> Arc<Mpmc> {
    Arc::new(Mpmc::new(size, 0).unwrap())
}

fn span(label: usize) -> Span {
    Span::labelled(label, 1)
}

fn push(queue: &Mpmc, label: usize) {
    queue.push(span(label));
}

struct Cell(UnsafeCell<usize>);
// SAFETY: loom checks every access to the cell.
unsafe impl Sync for Cell {}
// SAFETY: as above.
unsafe impl Send for Cell {}

fn sorted(mut spans: Vec<Span>) -> Vec<usize> {
    spans.sort_by_key(Span::label);
    let labels: Vec<_> = spans.iter().map(Span::label).collect();
    // Nothing of the queue's own is left in them.
    assert!(spans.iter().zip(&labels).all(|(found, &label)| *found == span(label)));
    labels
}

/// What a writer wrote before it pushed a span is what the reader sees after it popped it.
#[test]
fn a_span_carries_what_was_written_before() {
    for size in [1, 2] {
        model(move || {
            let queue = queue(size);
            let cell = Arc::new(Cell(UnsafeCell::new(0)));
            let writer = {
                let (queue, cell) = (queue.clone(), cell.clone());
                thread::spawn(move || {
                    // SAFETY: loom checks that nobody else is at it.
                    cell.0.with_mut(|p| unsafe { *p = 42 });
                    queue.push(span(1));
                })
            };
            assert_eq!(queue.pop().label(), 1);
            // SAFETY: as above.
            assert_eq!(cell.0.with(|p| unsafe { *p }), 42);
            writer.join().unwrap();
        });
    }
}

/// Every span that is pushed is popped, once, by blocking readers; writers wait for room.
#[test]
fn blocking_readers_and_writers_lose_and_double_nothing() {
    for size in [1, 2] {
        model(move || {
            let queue = queue(size);
            let writer = {
                let queue = queue.clone();
                thread::spawn(move || (1..=3).for_each(|i| push(&queue, i)))
            };
            assert_eq!(sorted((1..=3).map(|_| queue.pop()).collect()), [1, 2, 3]);
            assert!(!queue.has_spans());
            writer.join().unwrap();
        });
    }
}

/// The same with two writers that compete for the slots.
#[test]
fn two_writers_lose_and_double_nothing() {
    for size in [1, 2] {
        model(move || {
            let queue = queue(size);
            let writers = [1, 2].map(|i| {
                let queue = queue.clone();
                thread::spawn(move || push(&queue, i))
            });
            assert_eq!(sorted(vec![queue.pop(), queue.pop()]), [1, 2]);
            writers.into_iter().for_each(|w| w.join().unwrap());
        });
    }
}

/// The same with two readers, each waiting for one span.
#[test]
fn two_blocking_readers_get_one_span_each() {
    for size in [1, 2] {
        model(move || {
            let queue = queue(size);
            let readers = [1, 2].map(|_| {
                let queue = queue.clone();
                thread::spawn(move || queue.pop())
            });
            push(&queue, 1);
            push(&queue, 2);
            assert_eq!(sorted(readers.map(|r| r.join().unwrap()).into()), [1, 2]);
        });
    }
}

/// What is added to a span is read once: with it, or on its own when it came too late; and it is read as it was written.
#[test]
fn what_is_added_to_a_span_arrives_once() {
    for size in [1, 2] {
        model(move || {
            let queue = queue(size);
            let cell = Arc::new(Cell(UnsafeCell::new(0)));
            let writer = {
                let (queue, cell) = (queue.clone(), cell.clone());
                thread::spawn(move || {
                    let (first, more) = Span::labelled(1, 5).split(2);
                    let (second, third) = more.split(2);
                    let mut pushed = queue.push(first);
                    if let Err(second) = queue.extend(&mut pushed, second) {
                        pushed = queue.push(second);
                    }
                    // SAFETY: loom checks that nobody else is at it.
                    cell.0.with_mut(|p| unsafe { *p = 42 });
                    if let Err(third) = queue.extend(&mut pushed, third) {
                        queue.push(third);
                    }
                })
            };
            let mut read = 0;
            while read < 5 {
                let span = queue.pop();
                assert_eq!(span.index(), read);
                read += span.len();
            }
            // SAFETY: as above.
            assert_eq!(cell.0.with(|p| unsafe { *p }), 42);
            writer.join().unwrap();
            assert!(!queue.has_spans());
        });
    }
}

/// A reader that takes tickets without waiting leaves skips, and the writers pass them over: no span is lost to them.
#[test]
fn writers_pass_over_the_skips_of_impatient_readers() {
    for size in [1, 2] {
        model(move || {
            let queue = queue(size);
            let writer = {
                let queue = queue.clone();
                thread::spawn(move || (1..=2).for_each(|i| push(&queue, i)))
            };
            let mut spans: Vec<_> = (0..3).filter_map(|_| queue.pop_ticket(false)).collect();
            while spans.len() < 2 {
                spans.push(queue.pop());
            }
            assert_eq!(sorted(spans), [1, 2]);
            writer.join().unwrap();
            assert!(!queue.has_spans());
        });
    }
}

/// Readers that go round more than once leave a skip for each time, and the queue goes on in step.
#[test]
fn every_skip_counts() {
    model(|| {
        let queue = queue(2);
        assert!((0..5).all(|_| queue.pop_ticket(false).is_none()));
        push(&queue, 1);
        push(&queue, 2);
        assert_eq!([(); 2].map(|()| queue.try_pop().map(|span| span.label())), [Some(1), Some(2)]);
    });
}

/// Two readers that race for one span: one gets it, the other's skip costs nobody anything.
#[test]
fn a_race_for_one_span_has_one_winner() {
    for size in [1, 2] {
        model(move || {
            let queue = queue(size);
            let won = Arc::new(AtomicUsize::new(0));
            queue.push(span(1));
            let readers = [1, 2].map(|_| {
                let (queue, won) = (queue.clone(), won.clone());
                thread::spawn(move || {
                    if queue.try_pop().is_some() {
                        won.fetch_add(1, Ordering::Relaxed);
                    }
                })
            });
            readers.into_iter().for_each(|r| r.join().unwrap());
            assert_eq!(won.load(Ordering::Relaxed), 1);
            queue.push(span(2));
            assert_eq!(queue.try_pop().map(|s| s.label()), Some(2));
        });
    }
}

/// A batch arrives whole, whatever skips lie in its way, and in a queue that is too small for it.
#[test]
fn a_batch_arrives_whole() {
    for size in [1, 2] {
        model(move || {
            let queue = queue(size);
            let writer = {
                let queue = queue.clone();
                thread::spawn(move || queue.push_batch([1, 2, 3].map(span).into_iter()))
            };
            let mut spans: Vec<_> = queue.pop_ticket(false).into_iter().collect();
            while spans.len() < 3 {
                spans.push(queue.pop());
            }
            assert_eq!(sorted(spans), [1, 2, 3]);
            writer.join().unwrap();
        });
    }
}

/// When nobody is in the middle of anything, looking without a ticket tells the truth.
#[test]
fn looking_is_exact_at_rest() {
    for size in [1, 2] {
        model(move || {
            let queue = queue(size);
            let reader = {
                let queue = queue.clone();
                thread::spawn(move || queue.pop_ticket(false))
            };
            queue.push(span(1));
            let got = reader.join().unwrap();
            assert_eq!(queue.has_spans(), got.is_none());
        });
    }
}

/// Two writers and a batch between them: all arrives, and what is behind an unfinished push is not lost either.
#[test]
fn a_batch_beside_another_writer_arrives_whole() {
    for size in [1, 2] {
        bounded(2, move || {
            let queue = queue(size);
            let batch = {
                let queue = queue.clone();
                thread::spawn(move || queue.push_batch([1, 2].map(span).into_iter()))
            };
            let writer = {
                let queue = queue.clone();
                thread::spawn(move || push(&queue, 3))
            };
            assert_eq!(sorted((0..3).map(|_| queue.pop()).collect()), [1, 2, 3]);
            batch.join().unwrap();
            writer.join().unwrap();
        });
    }
}

/// What is added to a span goes to the one reader who takes it, of two who try.
#[test]
fn what_is_added_has_one_reader() {
    for size in [1, 2] {
        model(move || {
            let queue = queue(size);
            let (first, more) = Span::labelled(1, 3).split(1);
            let mut pushed = queue.push(first);
            let readers = [(); 2].map(|()| {
                let queue = queue.clone();
                thread::spawn(move || queue.try_pop())
            });
            if let Err(more) = queue.extend(&mut pushed, more) {
                queue.push(more);
            }
            let taken = readers.map(|reader| reader.join().unwrap());
            let left = std::iter::from_fn(|| queue.try_pop());
            let mut spans: Vec<_> = taken.into_iter().flatten().chain(left).map(|s| (s.index(), s.len())).collect();
            spans.sort();
            assert!(spans == [(0, 3)] || spans == [(0, 1), (1, 2)], "{spans:?}");
        });
    }
}
