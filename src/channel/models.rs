//! What must hold in every interleaving, on channels of one and two slots.

use super::monitor::{Sleep, Waiter};
use super::{Channel, Sender, Sent, Slot};
use crate::models::explore;
use crate::platform::sync::{AtomicUsize as Ticket, CachePadded, Ordering};
use crate::queue::span::Span;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use loom::thread;

/// A channel with so few slots that writers must wait for readers, as they never have to in a queue.
fn channel(size: usize) -> Arc<Channel> {
    let ticket = || CachePadded(Ticket::new(0));
    Arc::new(Channel { slots: super::slot::empty(size).unwrap(), head: ticket(), tail: ticket() })
}

fn span(label: usize) -> Span {
    Span::labelled(label, 1)
}

fn push(channel: &Channel, label: usize) {
    channel.push(span(label));
}

/// Takes a span, waiting for it.
fn pop(channel: &Channel) -> Span {
    loop {
        if let Some(span) = channel.try_pop() {
            return span;
        }
        thread::yield_now();
    }
}

/// Takes a ticket, whatever is to be seen.
fn pop_ticket(channel: &Channel) -> Option<Span> {
    let ticket = channel.tail.fetch_add(1, Ordering::Relaxed);
    Slot::pop(channel.slot(ticket))
}

struct Cell(UnsafeCell<usize>);
// SAFETY: loom checks every access to the cell.
unsafe impl Sync for Cell {}
// SAFETY: as above.
unsafe impl Send for Cell {}

fn sorted(mut spans: Vec<Span>) -> Vec<usize> {
    spans.sort_by_key(Span::label);
    let labels: Vec<_> = spans.iter().map(Span::label).collect();
    // Nothing of the channel's own is left in them.
    assert!(spans.iter().zip(&labels).all(|(found, &label)| *found == span(label)));
    labels
}

/// What a writer wrote before it pushed a span is what the reader sees after it popped it.
#[test]
fn a_span_carries_what_was_written_before() {
    for size in [1, 2] {
        explore(3, move || {
            let channel = channel(size);
            let cell = Arc::new(Cell(UnsafeCell::new(0)));
            let writer = {
                let (channel, cell) = (channel.clone(), cell.clone());
                thread::spawn(move || {
                    // SAFETY: loom checks that nobody else is at it.
                    cell.0.with_mut(|p| unsafe { *p = 42 });
                    push(&channel, 1);
                })
            };
            assert_eq!(pop(&channel).label(), 1);
            // SAFETY: as above.
            assert_eq!(cell.0.with(|p| unsafe { *p }), 42);
            writer.join().unwrap();
        });
    }
}

/// Every span that is pushed is popped, once. In a single slot, the writer waits for the reader.
#[test]
fn readers_and_writers_lose_and_double_nothing() {
    for size in [1, 2] {
        explore(2, move || {
            let channel = channel(size);
            let writer = {
                let channel = channel.clone();
                thread::spawn(move || (1..=2).for_each(|i| push(&channel, i)))
            };
            assert_eq!(sorted((1..=2).map(|_| pop(&channel)).collect()), [1, 2]);
            assert!(!channel.has_spans());
            writer.join().unwrap();
        });
    }
}

/// The same with two writers that compete for the slots.
#[test]
fn two_writers_lose_and_double_nothing() {
    explore(3, || {
        let channel = channel(2);
        let writer = {
            let channel = channel.clone();
            thread::spawn(move || push(&channel, 1))
        };
        push(&channel, 2);
        let mut spans: Vec<_> = channel.try_pop().into_iter().collect();
        writer.join().unwrap();
        spans.extend(channel.try_pop());
        assert_eq!(sorted(spans), [1, 2]);
    });
}

/// The same with two readers, each of which gets one span.
#[test]
fn two_readers_get_one_span_each() {
    explore(3, || {
        let channel = channel(2);
        push(&channel, 1);
        push(&channel, 2);
        let reader = {
            let channel = channel.clone();
            thread::spawn(move || channel.try_pop())
        };
        let mut spans: Vec<_> = channel.try_pop().into_iter().collect();
        assert_eq!(spans.len(), 1);
        spans.extend(reader.join().unwrap());
        assert_eq!(sorted(spans), [1, 2]);
    });
}

/// What is added to a span is read once: with it, or on its own when it came too late; and it is read as it was written.
#[test]
fn what_is_added_to_a_span_arrives_once() {
    explore(3, || {
        let channel = channel(2);
        let cell = Arc::new(Cell(UnsafeCell::new(0)));
        let writer = {
            let (channel, cell) = (channel.clone(), cell.clone());
            thread::spawn(move || {
                let (first, second) = Span::labelled(1, 3).split(2);
                let mut sender = Sender::default();
                let _ = sender.send(&channel, first);
                // SAFETY: loom checks that nobody else is at it.
                cell.0.with_mut(|p| unsafe { *p = 42 });
                let _ = sender.send(&channel, second);
            })
        };
        let mut read = 0;
        while read < 3 {
            let span = pop(&channel);
            assert_eq!(span.index(), read);
            read += span.len();
        }
        // SAFETY: as above.
        assert_eq!(cell.0.with(|p| unsafe { *p }), 42);
        writer.join().unwrap();
        assert!(!channel.has_spans());
    });
}

/// Readers that take tickets without a look leave skips, and the writers pass them over: no span is lost to them.
#[test]
fn writers_pass_over_the_skips_of_impatient_readers() {
    explore(3, || {
        let channel = channel(2);
        let writer = {
            let channel = channel.clone();
            thread::spawn(move || (1..=2).for_each(|i| push(&channel, i)))
        };
        let mut spans: Vec<_> = (0..2).filter_map(|_| pop_ticket(&channel)).collect();
        writer.join().unwrap();
        spans.extend(std::iter::from_fn(|| channel.try_pop()));
        assert_eq!(sorted(spans), [1, 2]);
        assert!(!channel.has_spans());
    });
}

/// Readers that go round more than once leave a skip for each time, and the channel goes on in step.
#[test]
fn every_skip_counts() {
    explore(3, || {
        let channel = channel(2);
        assert!((0..5).all(|_| pop_ticket(&channel).is_none()));
        push(&channel, 1);
        push(&channel, 2);
        assert_eq!([(); 2].map(|()| channel.try_pop().map(|span| span.label())), [Some(1), Some(2)]);
    });
}

/// Two readers that race for one span: one gets it, the other's skip costs nobody anything.
#[test]
fn a_race_for_one_span_has_one_winner() {
    for size in [1, 2] {
        explore(3, move || {
            let channel = channel(size);
            let won = Arc::new(AtomicUsize::new(0));
            push(&channel, 1);
            let readers = [1, 2].map(|_| {
                let (channel, won) = (channel.clone(), won.clone());
                thread::spawn(move || {
                    if channel.try_pop().is_some() {
                        won.fetch_add(1, Ordering::Relaxed);
                    }
                })
            });
            readers.into_iter().for_each(|r| r.join().unwrap());
            assert_eq!(won.load(Ordering::Relaxed), 1);
            assert!(!channel.has_spans());
            push(&channel, 2);
            assert_eq!(channel.try_pop().map(|s| s.label()), Some(2));
            assert!(!channel.has_spans());
        });
    }
}

/// A reader is not held up by a writer that has its ticket and was taken off its processor: it finds what comes behind.
#[test]
fn a_writer_on_its_way_hides_no_other() {
    explore(3, || {
        let channel = channel(2);
        let slow = {
            let channel = channel.clone();
            thread::spawn(move || push(&channel, 1))
        };
        push(&channel, 2);
        let mut spans: Vec<_> = channel.try_pop().into_iter().collect();
        assert_eq!(spans.len(), 1, "one is there, whatever the other writer does");
        slow.join().unwrap();
        spans.extend(channel.try_pop());
        assert_eq!(sorted(spans), [1, 2]);
    });
}

/// When nobody is in the middle of anything, looking without a ticket tells the truth.
#[test]
fn looking_is_exact_at_rest() {
    for size in [1, 2] {
        explore(3, move || {
            let channel = channel(size);
            let reader = {
                let channel = channel.clone();
                thread::spawn(move || channel.try_pop())
            };
            push(&channel, 1);
            let got = reader.join().unwrap();
            assert_eq!(channel.has_spans(), got.is_none());
        });
    }
}

/// What is added to a span goes to the one reader who takes it, of two who try.
#[test]
fn what_is_added_has_one_reader() {
    for size in [1, 2] {
        explore(2, move || {
            let channel = channel(size);
            let (first, more) = Span::labelled(1, 3).split(1);
            let mut sender = Sender::default();
            assert_eq!(sender.send(&channel, first), Sent::Pushed);
            let readers = [(); 2].map(|()| {
                let channel = channel.clone();
                thread::spawn(move || channel.try_pop())
            });
            let _ = sender.send(&channel, more);
            let taken = readers.map(|reader| reader.join().unwrap());
            let left = std::iter::from_fn(|| channel.try_pop());
            let mut spans: Vec<_> = taken.into_iter().flatten().chain(left).map(|s| (s.index(), s.len())).collect();
            spans.sort();
            assert!(spans == [(0, 3)] || spans == [(0, 1), (1, 2)], "{spans:?}");
        });
    }
}

/// A channel, and the thread that sleeps while nothing is in it.
struct Ready {
    channel: Arc<Channel>,
    waiter: Waiter,
}

impl Ready {
    fn new() -> Arc<Self> {
        Arc::new(Self { channel: channel(2), waiter: Waiter::new() })
    }

    /// As the workers have it.
    fn deliver(&self, sender: &mut Sender, span: Span) {
        if sender.send(&self.channel, span) == Sent::Pushed {
            self.waiter.notify();
        }
    }

    /// As the caller has it.
    fn receive(&self) -> Span {
        loop {
            if let Some(span) = self.channel.try_pop() {
                return span;
            }
            self.waiter.sleep(Sleep::UntilWoken, || self.channel.has_spans(), || ());
        }
    }
}

/// A thread that falls asleep while something is pushed is woken, for the first and for what follows; what is added to a
/// span that is there is found with it, though nobody is told.
#[test]
fn a_sleeper_sleeps_through_nothing() {
    explore(2, || {
        let ready = Ready::new();
        let worker = {
            let ready = ready.clone();
            thread::spawn(move || {
                let (first, second) = Span::labelled(1, 2).split(1);
                let mut sender = Sender::default();
                ready.deliver(&mut sender, first);
                ready.deliver(&mut sender, second);
            })
        };
        let mut received = 0;
        while received < 2 {
            received += ready.receive().len();
        }
        worker.join().unwrap();
    });
}

/// The same with two who push. Of those that would wake it, one does; and the others do no harm.
#[test]
fn two_who_wake_a_sleeper_are_one_too_many_and_no_harm() {
    explore(2, || {
        let ready = Ready::new();
        let workers = [1, 2].map(|i| {
            let ready = ready.clone();
            thread::spawn(move || ready.deliver(&mut Sender::default(), span(i)))
        });
        assert_eq!(sorted(vec![ready.receive(), ready.receive()]), [1, 2]);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}
