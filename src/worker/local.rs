//! A thread's local run queue: the requests that it has taken and not come to yet, which others may steal.
//!
//! A worker takes up to 31 requests at once, and runs one after the other. Should one of them wait for a slow disk, the
//! others must not wait behind it. So before the first one that may wait, a worker publishes what it has; it pops them
//! one by one from the front, and whoever has nothing to do steals the back half.
//!
//! One word holds all of it, a span. Every change is a compare-and-swap of the word that was seen. If that word came back
//! in the meantime, then with the same requests, which are again this queue's to give.

use crate::platform::sync::{AtomicPtr, CachePadded, Ordering};
use crate::queue::span::Span;
use std::ptr;

/// A span, or nothing.
pub struct LocalQueue(CachePadded<AtomicPtr<()>>);

impl LocalQueue {
    pub fn new() -> Self {
        Self(CachePadded(AtomicPtr::new(ptr::null_mut())))
    }

    /// Publishes a span. Only the owner does this, when the queue is empty.
    pub fn publish(&self, span: Span) {
        debug_assert!(self.is_empty());
        // Release: whoever takes of it sees the entries as they are now.
        self.0.store(span.as_ptr(), Ordering::Release);
    }

    pub fn is_empty(&self) -> bool {
        self.word().is_null()
    }

    /// A number that changes, in all likelihood, with what is in it: 0 for nothing.
    pub fn fingerprint(&self) -> usize {
        self.word().addr()
    }

    fn word(&self) -> *mut () {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes the first request.
    pub fn pop(&self) -> Option<Span> {
        self.take(|_| 1, true)
    }

    /// Takes the back half, the larger one, for another thread.
    pub fn steal(&self) -> Option<Span> {
        self.take(|len| len / 2, false)
    }

    /// Takes everything.
    pub fn take_all(&self) -> Option<Span> {
        self.take(|_| 0, false)
    }

    /// Cuts what is there in two, and takes the front or the back.
    fn take(&self, cut: impl Fn(usize) -> usize, front: bool) -> Option<Span> {
        let mut seen = self.word();
        while !seen.is_null() {
            // SAFETY: the word came from a span. Until the exchange below succeeds, this is only arithmetic on it; and
            // when it does, the word is this span, and we its owners.
            let span = unsafe { Span::from_ptr(seen) };
            let at = cut(span.len());
            let (before, behind) = span.split_at(at);
            let (taken, left) = if front { (before, behind) } else { (behind, before) };
            let left = left.map_or(ptr::null_mut(), |span| span.as_ptr());
            // Acquire: see the entries as they were when they were published. So does whoever takes of the rest, without
            // a release here: an exchange goes on with the release sequence of `publish`.
            match self.0.compare_exchange_weak(seen, left, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return taken,
                Err(now) => seen = now,
            }
        }
        None
    }
}

#[cfg(all(test, not(ioq_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_was_published_is_popped_in_order() {
        let local = LocalQueue::new();
        local.publish(Span::labelled(7, 4));
        for i in 0..4 {
            assert_eq!(local.pop().map(|span| (span.label(), span.index(), span.len())), Some((7, i, 1)));
        }
        assert_eq!(local.pop(), None);
        assert!(local.is_empty());
    }

    #[test]
    fn thieves_take_halves_from_the_back() {
        let local = LocalQueue::new();
        local.publish(Span::labelled(7, 7));
        for (index, len) in [(3, 4), (1, 2), (0, 1)] {
            assert_eq!(local.steal().map(|span| (span.index(), span.len())), Some((index, len)));
        }
        assert_eq!(local.steal(), None);
    }

    #[test]
    fn the_fingerprint_tells_changes() {
        let local = LocalQueue::new();
        assert_eq!(local.fingerprint(), 0);
        local.publish(Span::labelled(7, 3));
        let first = local.fingerprint();
        assert_ne!(first, 0);
        let _ = local.pop();
        assert_ne!(local.fingerprint(), first);
        assert_eq!(local.take_all().map(|span| span.len()), Some(2));
        assert_eq!(local.fingerprint(), 0);
    }
}

#[cfg(all(test, ioq_loom))]
mod models {
    use super::*;
    use crate::models::explore;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    /// A local queue, and the entries of the span in it.
    struct Table {
        local: LocalQueue,
        entries: [UnsafeCell<usize>; 4],
    }
    // SAFETY: loom checks every access to the entries.
    unsafe impl Sync for Table {}

    impl Table {
        fn new() -> Arc<Self> {
            Arc::new(Self { local: LocalQueue::new(), entries: Default::default() })
        }

        /// Writes to the entries, as the caller does, and publishes the span.
        fn publish(&self, span: Span) {
            self.run(&span);
            self.local.publish(span);
        }

        /// Runs the requests of a span that this thread has taken. Returns which ones.
        fn run(&self, span: &Span) -> Vec<usize> {
            let range = span.index()..span.index() + span.len();
            for i in range.clone() {
                // SAFETY: loom checks that nobody else is at it.
                self.entries[i].with_mut(|entry| unsafe { *entry += 1 });
            }
            range.collect()
        }

        fn pop_all(&self) -> Vec<usize> {
            std::iter::from_fn(|| self.local.pop()).flat_map(|one| self.run(&one)).collect()
        }
    }

    fn sorted(parts: impl IntoIterator<Item = Vec<usize>>) -> Vec<usize> {
        let mut all: Vec<_> = parts.into_iter().flatten().collect();
        all.sort();
        all
    }

    /// Each request has one taker, its owner or a thief, who sees it as it was written.
    #[test]
    fn every_request_is_taken_once() {
        explore(3, || {
            let table = Table::new();
            table.publish(Span::labelled(1, 4));
            let thief = {
                let table = table.clone();
                thread::spawn(move || {
                    let stolen = [table.local.steal(), table.local.steal()];
                    stolen.into_iter().flatten().flat_map(|span| table.run(&span)).collect()
                })
            };
            let popped = table.pop_all();
            assert_eq!(sorted([popped, thief.join().unwrap()]), [0, 1, 2, 3]);
        });
    }

    /// What a thief takes from a queue that is just being published, it sees as it was written.
    #[test]
    fn a_thief_sees_what_was_written() {
        explore(3, || {
            let table = Table::new();
            let thief = {
                let table = table.clone();
                thread::spawn(move || table.local.steal().map_or(vec![], |span| table.run(&span)))
            };
            table.publish(Span::labelled(1, 3));
            let popped = table.pop_all();
            assert_eq!(sorted([popped, thief.join().unwrap()]), [0, 1, 2]);
        });
    }

    /// An owner who takes all leaves nothing, and takes nothing that is another's.
    #[test]
    fn taking_all_takes_what_no_thief_has() {
        explore(3, || {
            let table = Table::new();
            table.publish(Span::labelled(1, 4));
            let thief = {
                let table = table.clone();
                thread::spawn(move || table.local.steal().map_or(vec![], |span| table.run(&span)))
            };
            let taken = table.local.take_all().map_or(vec![], |span| table.run(&span));
            assert!(table.local.is_empty());
            assert_eq!(sorted([taken, thief.join().unwrap()]), [0, 1, 2, 3]);
        });
    }
}
