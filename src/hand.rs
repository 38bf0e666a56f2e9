//! The requests that a thread has in hand, which others may take from it.
//!
//! A worker takes up to 31 requests at once, and runs one after the other. Should one of them wait for a slow disk, the
//! others must not wait behind it while somebody is idle. So before a request that may wait, a worker lays what it has
//! on its hand, open to all; it claims them one by one from the front, and whoever is idle steals the back half.
//!
//! Nobody tells the idle when somebody's hand is stuck. They come by themselves:
//!
//! - a worker that is out of work looks into all hands before it parks;
//! - so does a caller before it sleeps in a pop, and steals; or, if it may not, wakes a worker to do so;
//! - a caller that sleeps says so, and a worker that then opens its hand wakes a worker to look into it;
//! - a caller whose pop finds nothing wakes one if some hand has not changed since some time.

use crate::alloc;
use crate::block::Span;
use crate::errno::Errno;
use crate::sync::{AtomicPtr, CachePadded, Ordering};
use std::ptr;

/// What a thread has in hand: a span, or nothing.
pub struct Hand(AtomicPtr<()>);

impl Hand {
    /// Lays a span on the hand, which must be empty. Only its owner does this.
    pub fn put(&self, span: Span) {
        debug_assert!(self.is_empty());
        // Release: whoever takes of it sees the entries as they are now.
        self.0.store(span.as_ptr(), Ordering::Release);
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.word().is_null()
    }

    /// How many requests are in it.
    pub fn len(&self) -> usize {
        let word = self.word();
        // SAFETY: a word in a hand came from a span; this is only arithmetic on it.
        if word.is_null() { 0 } else { unsafe { Span::from_ptr(word) }.len() }
    }

    fn word(&self) -> *mut () {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes the first request.
    pub fn claim(&self) -> Option<Span> {
        self.take(|span| match span.len() {
            1 => (span, None),
            _ => {
                let (first, rest) = span.split(1);
                (first, Some(rest))
            }
        })
    }

    /// Takes the back half, the larger one, for another thread.
    pub fn steal(&self) -> Option<Span> {
        self.take(|span| match span.len() {
            1 => (span, None),
            len => {
                let (front, back) = span.split(len / 2);
                (back, Some(front))
            }
        })
    }

    /// Takes everything.
    pub fn clear(&self) -> Option<Span> {
        self.take(|span| (span, None))
    }

    /// Takes a part of what is there, and leaves the other.
    fn take(&self, cut: impl Fn(Span) -> (Span, Option<Span>)) -> Option<Span> {
        let mut seen = self.word();
        while !seen.is_null() {
            // SAFETY: a word in a hand came from a span. Until the exchange below succeeds, this is only arithmetic on
            // it; and when it does, the word is this span again, whatever happened in between, and we its owners.
            let (taken, left) = cut(unsafe { Span::from_ptr(seen) });
            let left = left.map_or(ptr::null_mut(), |span| span.as_ptr());
            // Acquire: see the entries as they were when they were put there. Release: so does who takes of the rest.
            match self.0.compare_exchange_weak(seen, left, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Some(taken),
                Err(now) => seen = now,
            }
        }
        None
    }
}

/// The hands of a queue's threads.
pub struct Hands(Vec<CachePadded<Hand>>);

impl Hands {
    /// Hands for so many threads.
    pub fn new(count: usize) -> Result<Self, Errno> {
        alloc::vec(count, |_| CachePadded(Hand(AtomicPtr::new(ptr::null_mut())))).map(Self)
    }

    /// The hand of a thread.
    pub fn of(&self, index: usize) -> &Hand {
        &self.0[index]
    }

    /// Whether nobody has anything in hand.
    pub fn are_empty(&self) -> bool {
        self.0.iter().all(|hand| hand.is_empty())
    }

    /// Steals from somebody.
    pub fn steal(&self) -> Option<Span> {
        self.0.iter().find_map(|hand| hand.steal())
    }

    /// A number that says what is in all hands, 0 for nothing. Others may have the same, but hardly in a row.
    pub fn fingerprint(&self) -> usize {
        self.0.iter().fold(0, |sum, hand| sum.rotate_left(7) ^ hand.word().addr())
    }
}

#[cfg(all(test, not(ioq_loom)))]
mod tests {
    use super::*;

    fn hands() -> Hands {
        Hands::new(2).unwrap()
    }

    #[test]
    fn what_was_put_is_claimed_in_order() {
        let hands = hands();
        hands.of(0).put(Span::labelled(7, 4));
        for i in 0..4 {
            assert_eq!(hands.of(0).claim().map(|span| (span.label(), span.index(), span.len())), Some((7, i, 1)));
        }
        assert_eq!(hands.of(0).claim(), None);
        assert!(hands.are_empty());
    }

    #[test]
    fn thieves_take_halves_from_the_back() {
        let hands = hands();
        hands.of(1).put(Span::labelled(7, 7));
        for (index, len) in [(3, 4), (1, 2), (0, 1)] {
            assert_eq!(hands.steal().map(|span| (span.index(), span.len())), Some((index, len)));
        }
        assert_eq!(hands.steal(), None);
    }

    #[test]
    fn fingerprints_tell_changes() {
        let hands = hands();
        assert_eq!(hands.fingerprint(), 0);
        hands.of(1).put(Span::labelled(7, 3));
        let first = hands.fingerprint();
        assert_ne!(first, 0);
        assert_eq!(hands.fingerprint(), first);
        let _ = hands.of(1).claim();
        assert_ne!(hands.fingerprint(), first);
        let _ = hands.of(1).clear();
        assert_eq!(hands.fingerprint(), 0);
    }
}

#[cfg(all(test, ioq_loom))]
mod models {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    /// Each request in a hand has one taker: its owner or a thief.
    #[test]
    fn every_request_is_taken_once() {
        loom::model(|| {
            let hands = Arc::new(Hands::new(1).unwrap());
            hands.of(0).put(Span::labelled(1, 4));
            let thief = {
                let hands = hands.clone();
                thread::spawn(move || [hands.steal(), hands.steal()])
            };
            let mut taken: Vec<Span> = std::iter::from_fn(|| hands.of(0).claim()).collect();
            taken.extend(thief.join().unwrap().into_iter().flatten());
            let mut indices: Vec<_> = taken.iter().flat_map(|s| s.index()..s.index() + s.len()).collect();
            indices.sort();
            assert_eq!(indices, [0, 1, 2, 3]);
        });
    }
}
