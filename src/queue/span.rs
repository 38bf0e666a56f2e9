//! What travels through the channels: some consecutive entries of one block, in one word.
//!
//! ```text
//!     address of the block | last | first | 0
//!                                           ↑ SKIP, the channel's (channel/word.rs)
//! ```
//!
//! A block is aligned to its size, which leaves room at the bottom of its address for the indices of the first and the
//! last entry. So one fetch-and-add and one compare-and-swap move up to 31 requests, a batch needs no memory of its own,
//! and a span can be cut in two anywhere, to share slow work or to deliver the part of it that is done.
//!
//! Two spans never overlap: whoever holds a span owns its entries.

use super::block::{BLOCK_ALIGN, BLOCK_ENTRIES, Block, INDEX_BITS};
use crate::channel::RESERVED;
use crate::entry::ioq_ent;
use crate::platform::prefetch;
use std::ptr::{self, NonNull};

const FIRST_SHIFT: u32 = RESERVED.trailing_ones();
const LAST_SHIFT: u32 = FIRST_SHIFT + INDEX_BITS;
const INDEX_MASK: usize = (1 << INDEX_BITS) - 1;
const ADDRESS: usize = !(BLOCK_ALIGN - 1);

const _: () = {
    assert!(BLOCK_ENTRIES <= INDEX_MASK);
    assert!((INDEX_MASK << LAST_SHIFT | INDEX_MASK << FIRST_SHIFT | RESERVED) & ADDRESS == 0);
};

/// Consecutive entries of one block, owned by whoever holds this.
///
/// A span is not dropped but handed on: its entries must come back to the caller.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the entries of a dropped span never come back"]
pub struct Span(NonNull<()>);

// SAFETY: a span is the right to its entries, which are plain data; nothing in them is bound to a thread.
unsafe impl Send for Span {}

impl Span {
    /// Entries `first..=last` of `block`.
    pub(super) fn new(block: NonNull<Block>, first: usize, last: usize) -> Self {
        debug_assert!(first <= last && last < BLOCK_ENTRIES);
        // A block's address is not 0, and setting low bits cannot make it so.
        Self(block.cast().map_addr(|a| a | (first << FIRST_SHIFT | last << LAST_SHIFT)))
    }

    /// The word that stands for a span of this entry alone. Whoever has that span has the entry.
    pub fn word_of(entry: NonNull<ioq_ent>) -> *mut () {
        let block = block_of(entry.as_ptr());
        let index = (entry.addr().get() - block.addr()) / size_of::<ioq_ent>() - 1;
        // SAFETY: the block of an entry is not at 0.
        Self::new(unsafe { NonNull::new_unchecked(block) }, index, index).as_ptr()
    }

    /// Whether a request of it is not to run.
    pub fn is_cancelled(&self, i: usize) -> bool {
        // SAFETY: the span's block is live, and the pointer comes from it.
        unsafe { Block::is_cancelled(self.entry(i).as_ptr()) }
    }

    /// The word that stands for it.
    pub fn as_ptr(&self) -> *mut () {
        self.0.as_ptr()
    }

    /// The span whose word this is.
    ///
    /// # Safety
    ///
    /// `word` must come from `as_ptr` of a span. As long as somebody else may hold that one, this is good for arithmetic,
    /// and for `is_cancelled` while the block is live; its entries must not be touched.
    pub unsafe fn from_ptr(word: *mut ()) -> Self {
        // SAFETY: `as_ptr` never returns NULL.
        Self(unsafe { NonNull::new_unchecked(word) })
    }

    fn addr(&self) -> usize {
        self.0.as_ptr().addr()
    }

    pub(super) fn first(&self) -> usize {
        self.addr() >> FIRST_SHIFT & INDEX_MASK
    }

    fn last(&self) -> usize {
        self.addr() >> LAST_SHIFT & INDEX_MASK
    }

    /// How many entries it has, at least 1.
    pub fn len(&self) -> usize {
        self.last() - self.first() + 1
    }

    pub(super) fn block(&self) -> NonNull<Block> {
        // SAFETY: `new` put the address of a block there, which is not NULL.
        unsafe { NonNull::new_unchecked(self.as_ptr().map_addr(|a| a & ADDRESS).cast()) }
    }

    /// The `i`-th of its entries.
    pub fn entry(&self, i: usize) -> NonNull<ioq_ent> {
        debug_assert!(i < self.len());
        // SAFETY: a span names entries of a live block, and the index is one of them.
        unsafe {
            let entries = &raw mut (*self.block().as_ptr()).entries;
            NonNull::new_unchecked(entries.cast::<ioq_ent>().add(self.first() + i))
        }
    }

    /// Starts to fetch its entries into the processor's cache.
    #[inline]
    pub fn prefetch(&self) {
        for i in 0..self.len() {
            prefetch::for_write(self.entry(i).as_ptr().cast());
        }
    }

    /// Cuts off its first `n` entries; `n` must be between 1 and `len() - 1`.
    pub fn split(self, n: usize) -> (Span, Span) {
        debug_assert!(0 < n && n < self.len());
        let (block, first, last) = (self.block(), self.first(), self.last());
        (Self::new(block, first, first + n - 1), Self::new(block, first + n, last))
    }

    /// Cuts off its first `n` entries, which may be none or all.
    pub fn split_at(self, n: usize) -> (Option<Span>, Option<Span>) {
        if n == 0 {
            (None, Some(self))
        } else if n == self.len() {
            (Some(self), None)
        } else {
            let (front, back) = self.split(n);
            (Some(front), Some(back))
        }
    }

    /// One span of this and `next`, if `next` starts in the same block where this one ends; else both as they were.
    pub fn join(self, next: Span) -> Result<Span, (Span, Span)> {
        if self.block() == next.block() && self.last() + 1 == next.first() {
            Ok(Self::new(self.block(), self.first(), next.last()))
        } else {
            Err((self, next))
        }
    }
}

/// The block that an entry is in.
pub(super) fn block_of(entry: *mut ioq_ent) -> *mut Block {
    entry.map_addr(|a| a & ADDRESS).cast()
}

/// The entries of a span, to be taken one by one.
pub struct Entries {
    next: *mut ioq_ent,
    end: *mut ioq_ent,
}

impl Entries {
    /// None at all.
    pub const NONE: Self = Self { next: ptr::null_mut(), end: ptr::null_mut() };

    /// Those of `span`.
    pub fn of(span: Span) -> Self {
        let next = span.entry(0).as_ptr();
        // At the end of a block, this points just past it.
        Self { next, end: next.wrapping_add(span.len()) }
    }

    pub fn is_empty(&self) -> bool {
        self.next == self.end
    }

    pub fn len(&self) -> usize {
        (self.end.addr() - self.next.addr()) / size_of::<ioq_ent>()
    }
}

impl Iterator for Entries {
    type Item = NonNull<ioq_ent>;

    #[inline]
    fn next(&mut self) -> Option<NonNull<ioq_ent>> {
        if self.is_empty() {
            return None;
        }
        let entry = NonNull::new(self.next);
        self.next = self.next.wrapping_add(1);
        entry
    }
}

/// Spans without entries, for tests of what carries them.
#[cfg(test)]
#[allow(dead_code, reason = "not every build has all of those tests")]
impl Span {
    /// The first `len` entries of a block that is not there.
    pub fn labelled(label: usize, len: usize) -> Self {
        let block = NonNull::new(ptr::without_provenance_mut(label * BLOCK_ALIGN)).unwrap();
        Self::new(block, 0, len - 1)
    }

    pub fn label(&self) -> usize {
        self.block().addr().get() / BLOCK_ALIGN
    }

    pub fn index(&self) -> usize {
        self.first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitting_and_joining_are_inverse() {
        for n in 1..BLOCK_ENTRIES {
            let (a, b) = Span::labelled(3, BLOCK_ENTRIES).split(n);
            assert_eq!((a.len(), b.len()), (n, BLOCK_ENTRIES - n));
            assert_eq!((a.index(), b.index()), (0, n));
            let (b, a) = b.join(a).unwrap_err();
            assert_eq!(a.join(b), Ok(Span::labelled(3, BLOCK_ENTRIES)));
        }
    }

    #[test]
    fn neighbours_in_different_blocks_do_not_join() {
        let (_, last) = Span::labelled(3, BLOCK_ENTRIES).split(1);
        assert!(last.join(Span::labelled(4, 1)).is_err());
    }

    #[test]
    fn all_or_nothing_can_be_cut_off() {
        assert_eq!(Span::labelled(1, 3).split_at(0), (None, Some(Span::labelled(1, 3))));
        assert_eq!(Span::labelled(1, 3).split_at(3), (Some(Span::labelled(1, 3)), None));
        let (front, back) = Span::labelled(1, 3).split_at(1);
        assert_eq!((front.unwrap().len(), back.unwrap().len()), (1, 2));
    }

    /// Regression: marks were kept in bits of an address that alignment to two bytes leaves in use.
    #[test]
    fn every_span_fits_into_the_free_bits_of_an_address() {
        let block = NonNull::new(ptr::without_provenance_mut(7 * BLOCK_ALIGN)).unwrap();
        for last in 0..BLOCK_ENTRIES {
            for first in 0..=last {
                let span = Span::new(block, first, last);
                assert_eq!((span.block(), span.first(), span.last()), (block, first, last));
                assert_eq!(span.as_ptr().addr() & RESERVED, 0);
                // SAFETY: `span` is not used as a span from here on.
                assert_eq!(unsafe { Span::from_ptr(span.as_ptr()) }, span);
            }
        }
    }
}
