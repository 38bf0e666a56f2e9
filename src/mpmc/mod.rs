//! The bounded queue that carries spans of entries between the caller and the workers.
//!
//! A circular buffer of 2^k slots. `head` counts the writers' tickets, `tail` the readers'; each is claimed with an
//! unconditional fetch-and-add, which under contention beats a compare-and-swap loop by far (Nikolaev and Ravindran's
//! wCQ, <https://arxiv.org/abs/2201.02179>, has the argument and the figures). A ticket, modulo the size, is a slot.
//!
//! Because a ticket cannot be given back, a reader that does not want to wait may find its slot empty, before the
//! writer of that slot has come. It leaves a mark there, and the writer that comes passes the slot over:
//!
//! ```text
//!     reader                          writer
//!     ─────────────────────────       ─────────────────────────
//!     tail:    0 → 1
//!     slot[0]: empty → skip(1)
//!                                     head:    0 → 1
//!                                     slot[0]: skip(1) → empty
//!                                     head:    1 → 2
//!                                     slot[1]: empty → full(p)
//!     tail:    1 → 2
//!     slot[1]: full(p) → empty
//! ```
//!
//! Readers may go round more than once before a writer comes, so the marks count. A reader that keeps asking can stay
//! ahead of the writers for ever; so `try_pop` looks first, and takes a ticket only when its slot is full. Then a mark
//! is left only by readers who raced for the same span.
//!
//! Each slot has at most one span; a writer whose slot is full waits for the reader, and a blocking reader whose slot
//! is empty waits for the writer. They sleep on monitors (`monitor.rs`). The word's bits are in `word.rs`, its
//! transitions in `slot.rs`.

#[cfg(all(test, ioq_loom))]
mod models;
mod monitor;
mod slot;
mod word;

pub use word::RESERVED;

use crate::block::Span;
use crate::errno::Errno;
use crate::sync::{AtomicUsize, CachePadded, Ordering};
use monitor::Monitors;
use slot::{Slot, Waiting};

/// A bounded multi-producer, multi-consumer queue of spans.
pub struct Mpmc {
    slots: Vec<Slot>,
    monitors: Monitors,
    spins: u32,
    /// The next writer's ticket.
    head: CachePadded<AtomicUsize>,
    /// The next reader's ticket.
    tail: CachePadded<AtomicUsize>,
}

/// Where a span was put, and what it was then.
pub struct Pushed {
    ticket: usize,
    word: *mut (),
}

impl Mpmc {
    /// A queue of at least `size` slots, whose threads look `spins` times before they sleep.
    pub fn new(size: usize, spins: u32) -> Result<Self, Errno> {
        let size = size.checked_next_power_of_two().ok_or(Errno(libc::ENOMEM))?;
        Ok(Self {
            slots: slot::empty(size)?,
            monitors: Monitors::new(size)?,
            spins,
            head: CachePadded(AtomicUsize::new(0)),
            tail: CachePadded(AtomicUsize::new(0)),
        })
    }

    fn slot(&self, ticket: usize) -> (&Slot, Waiting<'_>) {
        let index = ticket & (self.slots.len() - 1);
        (&self.slots[index], Waiting { monitors: &self.monitors, index, spins: self.spins })
    }

    /// Puts a span in. Waits if the queue is full.
    pub fn push(&self, span: Span) -> Pushed {
        let word = span.as_ptr();
        let mut span = span;
        loop {
            let ticket = self.head.fetch_add(1, Ordering::Relaxed);
            let (slot, waiting) = self.slot(ticket);
            match slot.push(span, waiting) {
                Ok(()) => return Pushed { ticket, word },
                Err(passed_over) => span = passed_over,
            }
        }
    }

    /// Makes a span that was pushed before longer, if it is still there and `more` goes on where it ends.
    ///
    /// This takes no ticket, and nobody need be woken for it: that was done for the span as it was.
    pub fn extend(&self, pushed: &mut Pushed, more: Span) -> Result<(), Span> {
        // SAFETY: the word came from a span. Until the exchange below succeeds, this is only arithmetic on it; and when
        // it does, the word in the slot is this span, whatever happened in between, and we may add to it.
        let before = unsafe { Span::from_ptr(pushed.word) };
        let len = before.len();
        let longer = before.join(more).map_err(|(_, more)| more)?;
        if self.slot(pushed.ticket).0.replace(pushed.word, longer.as_ptr()) {
            pushed.word = longer.as_ptr();
            Ok(())
        } else {
            Err(longer.split(len).1)
        }
    }

    /// Puts spans in, claiming their tickets at once.
    pub fn push_batch(&self, spans: impl ExactSizeIterator<Item = Span>) {
        let mut spans = spans;
        let mut next = spans.next();
        while next.is_some() {
            let count = 1 + spans.len();
            let first = self.head.fetch_add(count, Ordering::Relaxed);
            for ticket in first..first.wrapping_add(count) {
                let Some(span) = next.take() else { break };
                let (slot, waiting) = self.slot(ticket);
                next = match slot.push(span, waiting) {
                    Ok(()) => spans.next(),
                    Err(span) => Some(span),
                };
            }
        }
    }

    /// Whether the next reader would find a span, as far as can be told without a ticket.
    ///
    /// It may miss a span that lies behind an unfinished push; but then that push is followed by its own look for somebody
    /// to do the work. No span is missed because a reader takes the one before it: the slot of a reader that came
    /// meanwhile says nothing about the next.
    pub fn has_spans(&self) -> bool {
        let mut tail = self.taken();
        loop {
            if self.slot(tail).0.is_full() {
                return true;
            }
            let now = self.taken();
            if now == tail {
                return false;
            }
            tail = now;
        }
    }

    /// About how many spans are in it.
    pub fn len(&self) -> usize {
        let (head, tail) = (self.head.load(Ordering::Relaxed), self.taken());
        // Readers that found nothing may be ahead of the writers.
        (head.wrapping_sub(tail) as isize).max(0) as usize
    }

    /// A number that changes whenever a span is taken out.
    pub fn taken(&self) -> usize {
        self.tail.load(Ordering::Relaxed)
    }

    /// Takes a span out if there is one.
    pub fn try_pop(&self) -> Option<Span> {
        if self.has_spans() { self.pop_ticket(false) } else { None }
    }

    /// Takes a span out. Waits if there is none.
    pub fn pop(&self) -> Span {
        loop {
            if let Some(span) = self.pop_ticket(true) {
                return span;
            }
        }
    }

    fn pop_ticket(&self, block: bool) -> Option<Span> {
        let ticket = self.tail.fetch_add(1, Ordering::Relaxed);
        let (slot, waiting) = self.slot(ticket);
        slot.pop(block, waiting)
    }
}
