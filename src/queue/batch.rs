//! A request in parts, which may be done by several threads, and at once: who claims them, and who is the last.
//!
//! A request in parts travels like any other, as a span that is in one place at a time. Whoever has the span claims parts,
//! and if some are left, may hand it on to others through the channels that all requests go through. So what holds of
//! requests there, holds of parts: somebody is awake, woken or started to take them; they go through the ring while that
//! pays; nothing waits behind one that hangs.
//!
//! Once all parts are claimed, the span rests here. Whoever finishes the last part takes it:
//!
//! ```text
//!     one thread                          another
//!     ───────────────────────────         ───────────────────────────
//!     claim 1:  unclaimed 2 → 1
//!     hands the span on      ───────────▶ claim 1:  unclaimed 1 → 0, the span rests
//!                                         finish 1: unfinished 2 → 1
//!     finish 1: unfinished 1 → 0
//!     takes the span
//! ```
//!
//! Each who finishes a part releases what it has written, and the last one acquires all of that: the parts, and the span,
//! which was put here before the last part to be claimed was finished.

use super::span::Span;
use crate::platform::sync::{AtomicPtr, AtomicUsize, Ordering};
use std::ptr;

pub struct Batch {
    /// How many parts nobody has claimed. Belongs to whoever has the span.
    unclaimed: AtomicUsize,
    /// How many are not finished.
    unfinished: AtomicUsize,
    /// The span, while all parts are claimed and not all finished.
    resting: AtomicPtr<()>,
}

impl Batch {
    pub fn new(parts: usize) -> Self {
        Self {
            unclaimed: AtomicUsize::new(parts),
            unfinished: AtomicUsize::new(parts),
            resting: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// How many parts nobody has claimed. For whoever has the span.
    pub fn unclaimed(&self) -> usize {
        self.unclaimed.load(Ordering::Relaxed)
    }

    /// Claims so many parts. Returns the request's span, which this is given, if others are left.
    pub fn claim(&self, span: Span, count: usize) -> Option<Span> {
        debug_assert!(count > 0);
        let left = self.unclaimed() - count;
        self.unclaimed.store(left, Ordering::Relaxed);
        if left > 0 {
            return Some(span);
        }
        self.resting.store(span.as_ptr(), Ordering::Relaxed);
        None
    }

    /// Finishes so many parts that were claimed. Returns the request's span if they were the last. If they were not, all
    /// of this may be gone.
    pub fn finish(&self, count: usize) -> Option<Span> {
        let before = self.unfinished.fetch_sub(count, Ordering::AcqRel);
        (before == count).then(|| {
            // SAFETY: `claim` put the span there with the last part, and nobody else finishes the last.
            unsafe { Span::from_ptr(self.resting.load(Ordering::Relaxed)) }
        })
    }

    /// Starts anew with so many parts. For whoever has finished the last.
    pub fn restart(&self, parts: usize) {
        self.unclaimed.store(parts, Ordering::Relaxed);
        self.unfinished.store(parts, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(ioq_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_span_rests_until_the_last_part_is_finished() {
        let batch = Batch::new(3);
        let span = batch.claim(Span::labelled(7, 1), 1).unwrap();
        assert_eq!(batch.finish(1), None);
        let span = batch.claim(span, 1).unwrap();
        assert_eq!(batch.claim(span, 1), None);
        assert_eq!(batch.finish(1), None);
        assert_eq!(batch.finish(1), Some(Span::labelled(7, 1)));
    }

    #[test]
    fn all_can_be_claimed_at_once() {
        let batch = Batch::new(3);
        let span = batch.claim(Span::labelled(7, 1), 1).unwrap();
        assert_eq!(batch.unclaimed(), 2);
        assert_eq!(batch.claim(span, 2), None);
        assert_eq!(batch.finish(2), None);
        assert!(batch.finish(1).is_some());
    }

    #[test]
    fn it_can_start_anew() {
        let batch = Batch::new(1);
        assert_eq!(batch.claim(Span::labelled(7, 1), 1), None);
        let span = batch.finish(1).unwrap();
        batch.restart(2);
        let span = batch.claim(span, 1).unwrap();
        assert_eq!(batch.claim(span, 1), None);
        assert_eq!(batch.finish(1), None);
        assert_eq!(batch.finish(1), Some(Span::labelled(7, 1)));
    }
}

#[cfg(all(test, ioq_loom))]
mod models {
    use super::*;
    use crate::models::explore;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    /// A request in parts, the way from one who has its span to the next, and what is done for it.
    struct Request {
        batch: Batch,
        channel: AtomicPtr<()>,
        /// The next part to claim. Belongs to whoever has the span.
        next: UnsafeCell<usize>,
        /// How often each part was done.
        parts: Vec<UnsafeCell<usize>>,
        /// How often the last one has come by.
        completed: UnsafeCell<usize>,
    }
    // SAFETY: loom checks every access.
    unsafe impl Send for Request {}
    // SAFETY: as above.
    unsafe impl Sync for Request {}

    impl Request {
        fn new(parts: usize) -> Arc<Self> {
            Arc::new(Self {
                batch: Batch::new(parts),
                channel: AtomicPtr::new(ptr::null_mut()),
                next: UnsafeCell::new(0),
                parts: (0..parts).map(|_| UnsafeCell::new(0)).collect(),
                completed: UnsafeCell::new(0),
            })
        }

        fn send(&self, span: Span) {
            assert!(self.channel.swap(span.as_ptr(), Ordering::Release).is_null(), "a span is in one place");
        }

        fn receive(&self) -> Option<Span> {
            let word = self.channel.swap(ptr::null_mut(), Ordering::Acquire);
            // SAFETY: `send` put a span there, which nobody else takes.
            (!word.is_null()).then(|| unsafe { Span::from_ptr(word) })
        }

        /// Claims a part and does it, and hands the span on before that if there are more.
        fn take_part(&self, span: Span) {
            // SAFETY: loom checks that no two threads are here at once.
            let part = self.next.with_mut(|next| unsafe { std::mem::replace(&mut *next, *next + 1) });
            if let Some(span) = self.batch.claim(span, 1) {
                self.send(span);
            }
            // SAFETY: loom checks that nobody else is at it.
            self.parts[part].with_mut(|part| unsafe { *part += 1 });
            if let Some(span) = self.batch.finish(1) {
                assert_eq!(span, Span::labelled(1, 1));
                self.complete();
            }
        }

        /// Claims what is left, and does nothing for it.
        fn give_up(&self, span: Span) {
            let left = self.batch.unclaimed();
            assert_eq!(self.batch.claim(span, left), None);
            if self.batch.finish(left).is_some() {
                self.complete();
            }
        }

        fn complete(&self) {
            // SAFETY: loom checks that nobody is at any part any more.
            unsafe {
                self.parts.iter().for_each(|part| part.with(|part| assert!(*part <= 1)));
                self.completed.with_mut(|completed| *completed += 1);
            }
        }

        /// Takes part as long as the span is to be had.
        fn help(&self) {
            while let Some(span) = self.receive() {
                self.take_part(span);
            }
        }

        /// How many parts were done by the end.
        fn done(&self) -> usize {
            // SAFETY: loom checks that all others are gone.
            unsafe {
                self.completed.with(|completed| assert_eq!(*completed, 1, "it is completed once"));
                self.parts.iter().map(|part| part.with(|part| *part)).sum()
            }
        }
    }

    /// Each part has one who does it, and the last of them sees what the others did.
    #[test]
    fn the_last_to_finish_sees_all_parts() {
        explore(3, || {
            let request = Request::new(3);
            let helper = {
                let request = request.clone();
                thread::spawn(move || request.help())
            };
            request.take_part(Span::labelled(1, 1));
            request.help();
            helper.join().unwrap();
            assert_eq!(request.done(), 3);
        });
    }

    /// So it is if somebody gives up what nobody has come to.
    #[test]
    fn what_is_given_up_is_finished_once() {
        explore(3, || {
            let request = Request::new(3);
            let helper = {
                let request = request.clone();
                thread::spawn(move || {
                    if let Some(span) = request.receive() {
                        request.give_up(span);
                    }
                })
            };
            request.take_part(Span::labelled(1, 1));
            request.help();
            helper.join().unwrap();
            assert!(request.done() >= 1);
        });
    }
}
