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
//! - a caller whose pop finds nothing wakes one if some hand has not changed since some time;
//! - where there is always something else, who takes that looks into the hands first now and then (`Turns`).
//!
//! Nor must a request that is done wait for the next one, which may take long or for ever. Between two requests a worker
//! delivers what is done if the caller sleeps, and else keeps it in its hand, where a caller that finds nothing else
//! takes it.

use crate::alloc;
use crate::block::Span;
use crate::errno::Errno;
use crate::sync::{AtomicBool, AtomicPtr, CachePadded, Ordering, fence};
use std::ptr;

/// How often a thread that takes something looks into the hands before. A look takes a cache line from each owner, and
/// costs next to nothing beside so many spans.
const HANDS_FIRST_EVERY: u32 = 64;

/// Whose turn it is, when a thread looks for something to take: that of the hands, or that of the queue.
#[derive(Default)]
pub struct Turns(u32);

impl Turns {
    /// Whether it is the hands' turn.
    pub fn hands_first(&mut self) -> bool {
        let due = self.0 >= HANDS_FIRST_EVERY;
        if due {
            self.0 = 0;
        }
        due
    }

    /// This thread has taken something. Looks that find nothing do not count: who finds nothing has other reasons to
    /// look into the hands.
    pub fn took(&mut self) {
        self.0 += 1;
    }
}

/// What a thread has in hand.
pub struct Hand {
    /// Requests to be run: a span, or nothing.
    open: AtomicPtr<()>,
    /// Requests that were run before those: a span, or nothing.
    done: AtomicPtr<()>,
}

impl Hand {
    fn new() -> Self {
        Self { open: AtomicPtr::new(ptr::null_mut()), done: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Lays a span on the hand, which must be empty. Only its owner does this.
    pub fn put(&self, span: Span) {
        debug_assert!(self.is_empty());
        // Release: whoever takes of it sees the entries as they are now.
        self.open.store(span.as_ptr(), Ordering::Release);
    }

    /// Whether there is nothing to be run in it.
    pub fn is_empty(&self) -> bool {
        self.word().is_null()
    }

    /// How many requests are to be run.
    pub fn len(&self) -> usize {
        let word = self.word();
        // SAFETY: a word in a hand came from a span; this is only arithmetic on it.
        if word.is_null() { 0 } else { unsafe { Span::from_ptr(word) }.len() }
    }

    fn word(&self) -> *mut () {
        self.open.load(Ordering::Relaxed)
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

    /// Keeps a span that was run, which goes on where the one before ends. Only the owner does this. Gives it back if the
    /// caller, being `asleep`, would not look for it: then it is to be delivered.
    ///
    /// The caller says that it sleeps before it looks into the hands for the last time; so either it sees what is kept
    /// here, or it is seen to sleep.
    pub fn keep(&self, span: Span, asleep: &AtomicBool) -> Option<Span> {
        let mut span = span;
        let mut seen = self.done.load(Ordering::Relaxed);
        loop {
            let (all, before) = if seen.is_null() {
                (span, 0)
            } else {
                // SAFETY: a word in a hand came from a span. Until the exchange below succeeds, this is only arithmetic
                // on it; and when it does, the word is this span still, and we its owners.
                let before = unsafe { Span::from_ptr(seen) };
                let len = before.len();
                (before.join(span).expect("consecutive requests"), len)
            };
            // Release: whoever takes it sees the results.
            match self.done.compare_exchange_weak(seen, all.as_ptr(), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
            span = if before > 0 { all.split(before).1 } else { all };
        }
        fence(Ordering::SeqCst);
        if asleep.load(Ordering::Relaxed) { self.take_done() } else { None }
    }

    /// Takes what was kept.
    pub fn take_done(&self) -> Option<Span> {
        if self.done.load(Ordering::Relaxed).is_null() {
            return None;
        }
        // Acquire: see the results.
        let word = self.done.swap(ptr::null_mut(), Ordering::Acquire);
        // SAFETY: a word in a hand came from a span, and taking it out makes us its only owner.
        (!word.is_null()).then(|| unsafe { Span::from_ptr(word) })
    }

    /// Takes a part of what is there to be run, and leaves the other.
    fn take(&self, cut: impl Fn(Span) -> (Span, Option<Span>)) -> Option<Span> {
        let mut seen = self.word();
        while !seen.is_null() {
            // SAFETY: a word in a hand came from a span. Until the exchange below succeeds, this is only arithmetic on
            // it; and when it does, the word is this span again, whatever happened in between, and we its owners.
            let (taken, left) = cut(unsafe { Span::from_ptr(seen) });
            let left = left.map_or(ptr::null_mut(), |span| span.as_ptr());
            // Acquire: see the entries as they were when they were put there. So does whoever takes of the rest, without a
            // release here: an exchange goes on with the release sequence of `put`.
            match self.open.compare_exchange_weak(seen, left, Ordering::Acquire, Ordering::Relaxed) {
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
        alloc::vec(count, |_| CachePadded(Hand::new())).map(Self)
    }

    /// The hand of a thread.
    pub fn of(&self, index: usize) -> &Hand {
        &self.0[index]
    }

    /// Whether nobody has anything to be run in hand.
    pub fn are_empty(&self) -> bool {
        self.0.iter().all(|hand| hand.is_empty())
    }

    /// Steals from somebody.
    pub fn steal(&self) -> Option<Span> {
        self.0.iter().find_map(|hand| hand.steal())
    }

    /// Takes what somebody has kept.
    pub fn take_done(&self) -> Option<Span> {
        self.0.iter().find_map(|hand| hand.take_done())
    }

    /// A number that says what is in all hands, 0 for nothing. Others may have the same, but hardly in a row.
    pub fn fingerprint(&self) -> usize {
        let mix = |sum: usize, word: &AtomicPtr<()>| sum.rotate_left(7) ^ word.load(Ordering::Relaxed).addr();
        self.0.iter().fold(0, |sum, hand| mix(mix(sum, &hand.open), &hand.done))
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
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    /// A hand, and the entries of the span in it.
    struct Table {
        hands: Hands,
        entries: [UnsafeCell<usize>; 4],
    }
    // SAFETY: loom checks every access to the entries.
    unsafe impl Sync for Table {}

    impl Table {
        fn new() -> Arc<Self> {
            let table = Self { hands: Hands::new(1).unwrap(), entries: Default::default() };
            Arc::new(table)
        }

        /// Writes to the entries, as the sender does, and lays the span on the hand.
        fn put(&self, span: Span) {
            self.run(&span);
            self.hands.of(0).put(span);
        }

        /// Runs the requests of a span that this thread has taken. Returns which ones.
        fn run(&self, span: &Span) -> std::ops::Range<usize> {
            let range = span.index()..span.index() + span.len();
            for i in range.clone() {
                // SAFETY: loom checks that nobody else is at it.
                self.entries[i].with_mut(|entry| unsafe { *entry += 1 });
            }
            range
        }

        fn claim_all(&self) -> Vec<usize> {
            std::iter::from_fn(|| self.hands.of(0).claim()).flat_map(|one| self.run(&one)).collect()
        }
    }

    /// Explores all interleavings in which threads are taken off their processor at most thrice against their will.
    fn model(f: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(f);
    }

    fn sorted(parts: impl IntoIterator<Item = Vec<usize>>) -> Vec<usize> {
        let mut all: Vec<_> = parts.into_iter().flatten().collect();
        all.sort();
        all
    }

    /// Each request in a hand has one taker, its owner or a thief, who sees it as it was written.
    #[test]
    fn every_request_is_taken_once() {
        model(|| {
            let table = Table::new();
            table.put(Span::labelled(1, 4));
            let thief = {
                let table = table.clone();
                thread::spawn(move || {
                    let stolen = [table.hands.steal(), table.hands.steal()];
                    stolen.into_iter().flatten().flat_map(|span| table.run(&span)).collect()
                })
            };
            let claimed = table.claim_all();
            assert_eq!(sorted([claimed, thief.join().unwrap()]), [0, 1, 2, 3]);
        });
    }

    /// What a thief takes from a hand that is just being opened, it sees as it was written.
    #[test]
    fn a_thief_sees_what_was_written() {
        model(|| {
            let table = Table::new();
            let thief = {
                let table = table.clone();
                thread::spawn(move || table.hands.steal().map_or(vec![], |span| table.run(&span).collect()))
            };
            table.put(Span::labelled(1, 3));
            let claimed = table.claim_all();
            assert_eq!(sorted([claimed, thief.join().unwrap()]), [0, 1, 2]);
        });
    }

    /// An owner who clears its hand, as the caller does, leaves nothing in it, and takes nothing that is another's.
    #[test]
    fn clearing_takes_what_no_thief_has() {
        model(|| {
            let table = Table::new();
            table.put(Span::labelled(1, 4));
            let thief = {
                let table = table.clone();
                thread::spawn(move || table.hands.steal().map_or(vec![], |span| table.run(&span).collect()))
            };
            let cleared = table.hands.of(0).clear().map_or(vec![], |span| table.run(&span).collect());
            assert!(table.hands.are_empty());
            assert_eq!(sorted([cleared, thief.join().unwrap()]), [0, 1, 2, 3]);
        });
    }

    /// What a worker has run before a request that hangs reaches the caller, once, and with its results: the worker sees
    /// that the caller sleeps and delivers it, or the caller finds it before it sleeps.
    #[test]
    fn nothing_done_stays_behind() {
        model(|| {
            let table = Table::new();
            let asleep = Arc::new(AtomicBool::new(false));
            let worker = {
                let (table, asleep) = (table.clone(), asleep.clone());
                thread::spawn(move || {
                    let (first, second) = Span::labelled(1, 2).split(1);
                    [first, second].map(|span| {
                        table.run(&span);
                        table.hands.of(0).keep(span, &asleep)
                    })
                })
            };
            let take = || table.hands.take_done().map_or(vec![], |span| table.run(&span).collect());
            let early = take();
            asleep.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            let late = take();
            let delivered = worker.join().unwrap().map(|span| span.map_or(vec![], |span| table.run(&span).collect()));
            assert_eq!(sorted([early, late].into_iter().chain(delivered)), [0, 1]);
        });
    }
}
