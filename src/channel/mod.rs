//! The bounded queue that carries spans between the caller and the workers.
//!
//! A circular buffer of 2^k slots. `head` counts the writers' tickets, `tail` the readers'; each is claimed with an
//! unconditional fetch-and-add, which under contention beats a compare-and-swap loop by far (Nikolaev and Ravindran's
//! wCQ, <https://arxiv.org/abs/2201.02179>, has the argument and the figures). A ticket, modulo the size, is a slot.
//!
//! A ticket cannot be given back. So a reader that has one, and finds its slot empty because the writer of that slot is
//! still on its way, leaves a mark there, and the writer passes the slot over:
//!
//! ```text
//!     reader                          writer
//!     ─────────────────────────       ─────────────────────────
//!                                     head:    0 → 1
//!     tail:    0 → 1
//!     slot[0]: empty → skip(1)
//!                                     slot[0]: skip(1) → empty
//!                                     head:    1 → 2
//!                                     slot[1]: empty → full(p)
//!     tail:    1 → 2
//!     slot[1]: full(p) → empty
//! ```
//!
//! Readers may race for one span, and go round more than once before a writer comes, so the marks count. No reader waits
//! for a writer, then, and none is held up by one that was taken off its processor.
//!
//! A channel has more slots than there are ever spans in it. So a writer finds its slot full only if that reader of the
//! lap before it is in the middle of a pop, and waits for it by sleeping for a moment.
//!
//! Nobody sleeps *on* a channel: whoever pushes tells the readers by other means (`monitor.rs`, `scheduler`), and a
//! reader sleeps only after `has_spans()` said no. That errs on one side alone: it counts a span from the moment in which
//! its writer takes a ticket to the moment in which its reader does.
//!
//! The word's bits are in `word.rs`, its transitions in `slot.rs`.

#[cfg(all(test, ioq_loom))]
mod models;
pub mod monitor;
mod slot;
mod word;

pub use word::RESERVED;

use crate::platform::errno::Errno;
use crate::platform::sync::{AtomicUsize, CachePadded, Ordering};
use crate::queue::span::Span;
use slot::Slot;

/// A bounded multi-producer, multi-consumer queue of spans.
pub struct Channel {
    slots: Vec<Slot>,
    /// The next writer's ticket.
    head: CachePadded<AtomicUsize>,
    /// The next reader's ticket.
    tail: CachePadded<AtomicUsize>,
}

/// Where a span was put, and what it was then.
struct Pushed {
    ticket: usize,
    word: *mut (),
}

impl Channel {
    /// A channel for at most `spans` spans at once.
    pub fn new(spans: usize) -> Result<Self, Errno> {
        let size = spans.checked_add(1).and_then(usize::checked_next_power_of_two).ok_or(Errno(libc::ENOMEM))?;
        Ok(Self {
            slots: slot::empty(size)?,
            head: CachePadded(AtomicUsize::new(0)),
            tail: CachePadded(AtomicUsize::new(0)),
        })
    }

    fn slot(&self, ticket: usize) -> &Slot {
        &self.slots[ticket & (self.slots.len() - 1)]
    }

    /// Puts a span in.
    fn push(&self, span: Span) -> Pushed {
        let word = span.as_ptr();
        let mut span = span;
        loop {
            let ticket = self.head.fetch_add(1, Ordering::Relaxed);
            match self.slot(ticket).push(span) {
                Ok(()) => return Pushed { ticket, word },
                Err(passed_over) => span = passed_over,
            }
        }
    }

    /// Makes a span that was pushed before longer, if it is still there and `more` goes on where it ends.
    fn extend(&self, pushed: &mut Pushed, more: Span) -> Result<(), Span> {
        // SAFETY: the word came from a span. Until the exchange below succeeds, this is only arithmetic on it; and when
        // it does, the word in the slot is this span, whatever happened in between, and we may add to it.
        let before = unsafe { Span::from_ptr(pushed.word) };
        let len = before.len();
        let longer = before.join(more).map_err(|(_, more)| more)?;
        let word = longer.as_ptr();
        match self.slot(pushed.ticket).replace(pushed.word, longer) {
            Ok(()) => {
                pushed.word = word;
                Ok(())
            }
            Err(longer) => Err(longer.split(len).1),
        }
    }

    /// Whether there is a span in it, or one on its way.
    pub fn has_spans(&self) -> bool {
        self.len() > 0
    }

    /// How many spans are in it, or on their way.
    pub fn len(&self) -> usize {
        let (head, tail) = (self.head.load(Ordering::Relaxed), self.taken());
        // Readers that raced for the last span may be ahead of the writers.
        (head.wrapping_sub(tail) as isize).max(0) as usize
    }

    /// Whether a pop would find a span, unless another reader is quicker.
    pub fn can_pop(&self) -> bool {
        let first = self.taken();
        (0..self.len()).any(|i| self.slot(first.wrapping_add(i)).is_full())
    }

    /// A number that changes whenever a span is taken out.
    pub fn taken(&self) -> usize {
        self.tail.load(Ordering::Relaxed)
    }

    /// Takes a span out if there is one.
    pub fn try_pop(&self) -> Option<Span> {
        // The slot is looked at first: its line has to come in any case.
        while self.slot(self.taken()).is_full() || self.has_spans() {
            let ticket = self.tail.fetch_add(1, Ordering::Relaxed);
            let span = self.slot(ticket).pop();
            if span.is_some() {
                return span;
            }
        }
        None
    }
}

/// A writer's end: it adds to the span that it sent last for as long as nobody has taken that.
#[derive(Default)]
pub struct Sender(Option<Pushed>);

/// What became of a span that was sent.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "somebody may have to be told"]
pub enum Sent {
    /// It is in a slot of its own, of which the readers know nothing yet.
    Pushed,
    /// It was added to one that is there still. Whoever was told of that will take both.
    Added,
}

impl Sender {
    pub fn send(&mut self, channel: &Channel, span: Span) -> Sent {
        let mut span = span;
        if let Some(pushed) = &mut self.0 {
            match channel.extend(pushed, span) {
                Ok(()) => return Sent::Added,
                Err(apart) => span = apart,
            }
        }
        self.0 = Some(channel.push(span));
        Sent::Pushed
    }
}

// SAFETY: the pointer is a word to compare with, and never followed unless the channel holds it.
unsafe impl Send for Sender {}
