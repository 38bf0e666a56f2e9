//! What a submission's user data says: whose it is.

use crate::channel::RESERVED;
use crate::entry::{ioq_ent, ioq_op};
use crate::ops;
use crate::ops::list::Part;
use crate::queue::span::Span;
use std::ptr::{self, NonNull};

/// Whose a submission is.
pub enum Tag {
    Request(Span),
    /// A stat of a list.
    Part(Part),
    /// Whether the ring refuses this operation.
    Probe(ioq_op),
    /// Interrupts one request, or all.
    Cancel,
}

/// No block and no list is at an address as low as these.
const CANCEL: u64 = ops::COUNT as u64;

/// The bit that tells a part from a span, which leaves it to channels.
pub const PART: u64 = RESERVED as u64;

impl Tag {
    pub fn to_user_data(&self) -> u64 {
        match self {
            // The kernel keeps it as a number.
            Self::Request(span) => span.as_ptr().expose_provenance() as u64,
            Self::Part(part) => part.as_ptr().expose_provenance() as u64 | PART,
            Self::Probe(op) => *op as u64,
            Self::Cancel => CANCEL,
        }
    }

    /// # Safety
    ///
    /// `data` must come from `to_user_data` of a tag that nobody has any more.
    pub unsafe fn from_user_data(data: u64) -> Self {
        let pointer = ptr::with_exposed_provenance_mut((data & !PART) as usize);
        // SAFETY: passed on to the caller.
        unsafe {
            match data {
                ..CANCEL => Self::Probe(ops::ALL[data as usize]),
                CANCEL => Self::Cancel,
                _ if data & PART != 0 => Self::Part(Part::from_ptr(pointer)),
                _ => Self::Request(Span::from_ptr(pointer)),
            }
        }
    }
}

/// The user data of this entry's request, if it is in flight.
pub fn of_request(entry: NonNull<ioq_ent>) -> u64 {
    Span::word_of(entry).expose_provenance() as u64
}
