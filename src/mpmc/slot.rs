//! One slot: an atomic word that is empty, holds a span, or is to be skipped.

use super::monitor::Monitors;
use super::word::{self, BLOCKED, State};
use crate::alloc;
use crate::block::Span;
use crate::errno::Errno;
use crate::sync::{AtomicPtr, Ordering, spin_loop};
use std::ptr;

/// The word is a pointer, so that a span keeps the provenance of its block on the way through.
pub struct Slot(AtomicPtr<()>);

/// The context that a slot's operations need: where to sleep, and for how long to look before.
#[derive(Clone, Copy)]
pub struct Waiting<'a> {
    pub monitors: &'a Monitors,
    /// This slot's index.
    pub index: usize,
    /// How often to look before sleeping.
    pub spins: u32,
}

/// So many empty slots. Those of a queue that is deeper than it is ever full are never touched.
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

    /// Puts a span in, or takes one skip off and gives the span back. Waits while another span is in it.
    pub fn push(&self, span: Span, waiting: Waiting<'_>) -> Result<(), Span> {
        let mut prev = self.0.load(Ordering::Relaxed);
        loop {
            let state = word::state(prev.addr());
            let next = match state {
                // full(p) → wait
                State::Full => {
                    prev = self.wait(prev, waiting);
                    continue;
                }
                // empty → full(span)
                State::Empty => span.as_ptr(),
                // skip(n) → skip(n - 1) or empty
                State::Skip => ptr::without_provenance_mut(word::skipped(prev.addr())),
            };
            // Release: whoever takes the span out sees its entries as they are now.
            match self.0.compare_exchange_weak(prev, next, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => {
                    self.wake_if_blocked(prev, waiting);
                    return if state == State::Empty { Ok(()) } else { Err(span) };
                }
                Err(now) => prev = now,
            }
        }
    }

    /// Puts `longer` in the place of `span`, if that is still in it.
    pub fn replace(&self, span: *mut (), longer: *mut ()) -> bool {
        // Release: whoever takes the longer one out sees its new entries as they are now.
        self.0.compare_exchange(span, longer, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Takes the span out. If there is none, waits for one, or leaves a skip behind.
    pub fn pop(&self, block: bool, waiting: Waiting<'_>) -> Option<Span> {
        let mut prev = self.0.load(Ordering::Relaxed);
        loop {
            let state = word::state(prev.addr());
            let next = match state {
                // full(p) → empty
                State::Full => ptr::null_mut(),
                // empty, skip(n) → wait
                _ if block => {
                    prev = self.wait(prev, waiting);
                    continue;
                }
                // empty → skip(1), skip(n) → skip(n + 1)
                _ => ptr::without_provenance_mut(word::missed(prev.addr())),
            };
            // Acquire: see the span's entries as they were when it was put in. Release: see `is_full`.
            match self.0.compare_exchange_weak(prev, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => {
                    self.wake_if_blocked(prev, waiting);
                    return match state {
                        // SAFETY: a full word came from `Span::as_ptr` in `push`, and taking it out of the slot makes
                        // this thread its only owner.
                        State::Full => Some(unsafe { Span::from_ptr(prev.map_addr(|a| a & !BLOCKED)) }),
                        _ => None,
                    };
                }
                Err(now) => prev = now,
            }
        }
    }

    /// Waits until the word is no longer `seen`, and returns what it is then.
    #[cold]
    fn wait(&self, seen: *mut (), waiting: Waiting<'_>) -> *mut () {
        for _ in 0..waiting.spins {
            spin_loop();
            let now = self.0.load(Ordering::Relaxed);
            if now != seen {
                return now;
            }
        }

        let asleep = seen.map_addr(|a| a | BLOCKED);
        let mut now = seen;
        waiting.monitors.wait_while(waiting.index, || {
            now = self.0.load(Ordering::Relaxed);
            if now == seen && now != asleep {
                // From here on, whoever changes the word sees BLOCKED in the value that it replaced, and wakes us.
                match self.0.compare_exchange(seen, asleep, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => now = asleep,
                    Err(other) => now = other,
                }
            }
            now == asleep
        });
        now
    }

    #[inline(always)]
    fn wake_if_blocked(&self, prev: *mut (), waiting: Waiting<'_>) {
        if prev.addr() & BLOCKED != 0 {
            waiting.monitors.wake(waiting.index);
        }
    }
}
