//! One slot: an atomic word that is empty, holds a span, or is to be skipped.

use super::word::{self, State};
use crate::platform::alloc;
use crate::platform::cancellation;
use crate::platform::errno::Errno;
use crate::platform::sync::{AtomicPtr, Ordering, snooze};
use crate::queue::span::Span;
use std::ptr;

/// The word is a pointer, so that a span keeps the provenance of its block on the way through.
pub struct Slot(AtomicPtr<()>);

/// So many empty slots. Those of a channel that is deeper than it is ever full are never touched.
pub fn empty(count: usize) -> Result<Vec<Slot>, Errno> {
    // SAFETY: an atomic pointer is laid out as a pointer, and NULL is all zeros.
    #[cfg(not(any(ioq_loom, ioq_shuttle)))]
    return unsafe { alloc::zeroed(count) };
    // A model's atomics are more than what they hold.
    #[cfg(any(ioq_loom, ioq_shuttle))]
    alloc::vec(count, |_| Slot(AtomicPtr::new(ptr::null_mut())))
}

impl Slot {
    /// Whether a span is in it just now.
    pub fn is_full(&self) -> bool {
        // Acquire: if a reader has emptied it, see that its ticket was taken.
        word::state(self.0.load(Ordering::Acquire).addr()) == State::Full
    }

    /// Puts a span in, or takes one skip off and gives the span back.
    pub fn push(&self, span: Span) -> Result<(), Span> {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let state = word::state(seen.addr());
            let next = match state {
                // The reader of the lap before has its ticket, and was taken off its processor before it took the span.
                State::Full => {
                    cancellation::disabled(snooze);
                    seen = self.0.load(Ordering::Relaxed);
                    continue;
                }
                // empty → full(span)
                State::Empty => span.as_ptr(),
                // skip(n) → skip(n - 1) or empty
                State::Skip => ptr::without_provenance_mut(word::skipped(seen.addr())),
            };
            // Release: whoever takes the span out sees its entries as they are now.
            match self.0.compare_exchange_weak(seen, next, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return if state == State::Empty { Ok(()) } else { Err(span) },
                Err(now) => seen = now,
            }
        }
    }

    /// Puts `longer` in the place of the span with this word, if that is still in it; else gives it back.
    pub fn replace(&self, word: *mut (), longer: Span) -> Result<(), Span> {
        // Release: whoever takes the longer one out sees its new entries as they are now.
        match self.0.compare_exchange(word, longer.as_ptr(), Ordering::Release, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            Err(_) => Err(longer),
        }
    }

    /// Takes the span out, or leaves a skip behind if there is none.
    pub fn pop(&self) -> Option<Span> {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let full = word::state(seen.addr()) == State::Full;
            // full(p) → empty, empty → skip(1), skip(n) → skip(n + 1)
            let next = if full { ptr::null_mut() } else { ptr::without_provenance_mut(word::missed(seen.addr())) };
            // Acquire: see the span's entries as they were when it was put in. Release: see `is_full`.
            match self.0.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                // SAFETY: a full word came from `Span::as_ptr` in `push` or `replace`, and taking it out of the slot makes
                // this thread its only owner.
                Ok(_) => return full.then(|| unsafe { Span::from_ptr(seen) }),
                Err(now) => seen = now,
            }
        }
    }
}
