//! Where entries live, and what travels through the queues.
//!
//! Entries come in blocks of 31, and what a slot holds is a *span*: some consecutive entries of one block. A block's
//! address has eleven free bits at the bottom, and a span keeps its first and last index there:
//!
//! ```text
//!     0 | address of the block | last: 5 bits | first: 5 bits | 0
//!     ↑ SKIP                                                    ↑ BLOCKED
//! ```
//!
//! So one fetch-and-add and one compare-and-swap move up to 31 requests, no memory is needed to hold a batch together,
//! and a span can be cut in two anywhere, to share slow work or to deliver the part of it that is done. Two spans never
//! overlap: whoever holds a span owns its entries. The block's head belongs to the calling thread alone.
//!
//! Blocks are recycled, never moved and never given back before the queue is destroyed.

use crate::alloc;
use crate::entry::ioq_ent;
use crate::errno::Errno;
use crate::mpmc;
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

/// Entries in a block: with its head, which is as large as an entry, 32 times 64 bytes.
pub const BLOCK_ENTRIES: usize = 31;

/// What a block must be aligned to, so that a span fits into its address.
const BLOCK_ALIGN: usize = 2048;

/// Entries, and what the calling thread must know about them.
#[repr(C, align(2048))]
pub struct Block {
    head: UnsafeCell<Head>,
    entries: [UnsafeCell<MaybeUninit<ioq_ent>>; BLOCK_ENTRIES],
}

/// The part of a block that only the calling thread uses.
#[repr(align(64))]
struct Head {
    /// Bit i + 1 is set while entry i is not free: to be used yet, buffered, on its way, or popped and not given back.
    busy: u32,
    /// The next block in the arena's free list.
    next: *mut Block,
}

const _: () = {
    assert!(usize::BITS == 64, "a span is packed into a 64-bit word");
    assert!(size_of::<Block>() == BLOCK_ALIGN && align_of::<Block>() == BLOCK_ALIGN);
    assert!(BLOCK_ENTRIES <= INDEX_MASK);
    assert!((INDEX_MASK << LAST_SHIFT | INDEX_MASK << FIRST_SHIFT | mpmc::RESERVED) & ADDRESS == 0);
};

const FIRST_SHIFT: u32 = 1;
const LAST_SHIFT: u32 = 6;
const INDEX_MASK: usize = 31;
const ADDRESS: usize = !(BLOCK_ALIGN - 1) & !mpmc::RESERVED;

/// Consecutive entries of one block, owned by whoever holds this.
///
/// A span is not dropped but handed on: its entries must come back to the caller.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the entries of a dropped span never come back"]
pub struct Span(NonNull<()>);

// SAFETY: a span is the right to its entries, which are plain data; nothing in them is bound to a thread.
unsafe impl Send for Span {}

impl Span {
    /// The sentinel that tells a worker to leave. It has no block, and indices that no real span has.
    pub const STOP: Span = Span(NonNull::new(ptr::without_provenance_mut(1 << FIRST_SHIFT)).unwrap());

    /// The sentinel that tells a caller, who sleeps, to look into the workers' hands.
    pub const LOOK: Span = Span(NonNull::new(ptr::without_provenance_mut(2 << FIRST_SHIFT)).unwrap());

    /// Entries `first..=last` of `block`.
    fn new(block: NonNull<Block>, first: usize, last: usize) -> Self {
        debug_assert!(first <= last && last < BLOCK_ENTRIES);
        // A block's address is not 0, and setting low bits cannot make it so.
        Self(block.cast().map_addr(|a| a | (first << FIRST_SHIFT | last << LAST_SHIFT)))
    }

    /// The word that a slot holds.
    pub fn as_ptr(&self) -> *mut () {
        self.0.as_ptr()
    }

    /// The span whose word this is.
    ///
    /// # Safety
    ///
    /// `word` must come from `as_ptr` of a span that nobody else holds any more.
    pub unsafe fn from_ptr(word: *mut ()) -> Self {
        // SAFETY: `as_ptr` never returns NULL.
        Self(unsafe { NonNull::new_unchecked(word) })
    }

    fn addr(&self) -> usize {
        self.0.as_ptr().addr()
    }

    fn first(&self) -> usize {
        self.addr() >> FIRST_SHIFT & INDEX_MASK
    }

    fn last(&self) -> usize {
        self.addr() >> LAST_SHIFT & INDEX_MASK
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.last() - self.first() + 1
    }

    fn block(&self) -> *mut Block {
        self.as_ptr().map_addr(|a| a & ADDRESS).cast()
    }

    /// The `i`-th of its entries.
    pub fn entry(&self, i: usize) -> NonNull<ioq_ent> {
        debug_assert!(*self != Self::STOP && *self != Self::LOOK && i < self.len());
        // SAFETY: a span that is no sentinel names entries of a live block, and the index is one of them.
        unsafe {
            let entries = &raw mut (*self.block()).entries;
            NonNull::new_unchecked(entries.cast::<ioq_ent>().add(self.first() + i))
        }
    }

    /// Cuts off its first `n` entries; `n` must be between 1 and `len() - 1`.
    pub fn split(self, n: usize) -> (Span, Span) {
        debug_assert!(0 < n && n < self.len());
        let (first, last) = (self.first(), self.last());
        // SAFETY: the block of a span is not NULL.
        let block = unsafe { NonNull::new_unchecked(self.block()) };
        (Self::new(block, first, first + n - 1), Self::new(block, first + n, last))
    }

    /// One span of this and `next`, if `next` starts in the same block where this one ends; else both as they were.
    pub fn join(self, next: Span) -> Result<Span, (Span, Span)> {
        if self.block() == next.block() && self.last() + 1 == next.first() {
            // SAFETY: the block of a span is not NULL.
            Ok(Self::new(unsafe { NonNull::new_unchecked(self.block()) }, self.first(), next.last()))
        } else {
            Err((self, next))
        }
    }
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
}

impl Iterator for Entries {
    type Item = NonNull<ioq_ent>;

    #[inline]
    fn next(&mut self) -> Option<NonNull<ioq_ent>> {
        if self.next == self.end {
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
        self.block().addr() / BLOCK_ALIGN
    }

    pub fn index(&self) -> usize {
        self.first()
    }
}

/// The blocks of a queue, and the one that is being filled. Belongs to the calling thread.
pub struct Arena {
    /// What was allocated, and how many blocks each.
    chunks: Vec<(NonNull<Block>, usize)>,
    /// Recycled blocks, the last one first: it is the likeliest to be in the cache.
    free: *mut Block,
    /// The first entry that is buffered: not yet taken by `flush`.
    start: *mut ioq_ent,
    /// The entry to be used next. At the end of a block, where the next one would begin, if there is none.
    next: *mut ioq_ent,
}

/// The bit in a block's head that stands for the entry at this address.
fn busy_bit(entry: *mut ioq_ent) -> u32 {
    // A block is as large as 32 entries, the first of which is its head.
    1 << (entry.addr() / size_of::<ioq_ent>() % 32)
}

/// The bits of all entries.
const ALL_BUSY: u32 = !1;

/// The most blocks to allocate at once.
const MAX_CHUNK: usize = 16;

impl Arena {
    pub fn new() -> Self {
        let none: *mut ioq_ent = ptr::null_mut();
        Self { chunks: Vec::new(), free: none.cast(), start: none, next: none }
    }

    /// An entry to be filled in by the caller, at the end of the buffer. It must be written before the next `flush`.
    ///
    /// Nothing may be buffered in a full block: `flush` when `is_full`.
    #[inline]
    pub fn entry(&mut self) -> Result<NonNull<ioq_ent>, Errno> {
        if self.is_full() {
            self.next_block()?;
        }
        let entry = self.next;
        self.next = entry.wrapping_add(1);
        // SAFETY: not at the end of a block, so it is in one.
        Ok(unsafe { NonNull::new_unchecked(entry) })
    }

    /// Whether the block that is being filled has no room left.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.next.addr() % BLOCK_ALIGN == 0
    }

    /// Whether something is buffered.
    #[inline]
    pub fn is_buffering(&self) -> bool {
        self.start != self.next
    }

    /// Takes what is buffered.
    pub fn flush(&mut self) -> Option<Span> {
        if !self.is_buffering() {
            return None;
        }
        let start = std::mem::replace(&mut self.start, self.next);
        let count = (self.next.addr() - start.addr()) / size_of::<ioq_ent>();
        let first = start.addr() % BLOCK_ALIGN / size_of::<ioq_ent>() - 1;
        // SAFETY: `start` was in a block.
        let block = unsafe { NonNull::new_unchecked(start.map_addr(|a| a & ADDRESS).cast()) };
        Some(Span::new(block, first, first + count - 1))
    }

    /// Takes an entry back. Returns false, and does nothing, if it is free already.
    ///
    /// # Safety
    ///
    /// `entry` must be one of this arena's, and not be used again.
    #[inline]
    pub unsafe fn free(&mut self, entry: NonNull<ioq_ent>) -> bool {
        let bit = busy_bit(entry.as_ptr());
        let block: *mut Block = entry.as_ptr().map_addr(|a| a & ADDRESS).cast();
        // SAFETY: the entry's block is live, and its head is this thread's.
        let head = unsafe { &mut *(*block).head.get() };
        if head.busy & bit == 0 {
            return false;
        }
        head.busy &= !bit;
        if head.busy == 0 {
            head.next = std::mem::replace(&mut self.free, block);
        }
        true
    }

    /// Puts a block in place to be filled.
    #[cold]
    fn next_block(&mut self) -> Result<(), Errno> {
        debug_assert!(!self.is_buffering());
        if self.free.is_null() {
            self.grow()?;
        }
        let block = self.free;
        // SAFETY: blocks in the free list are live, and their heads are this thread's.
        unsafe {
            let head = &mut *(*block).head.get();
            head.busy = ALL_BUSY;
            self.free = head.next;
            self.next = (&raw mut (*block).entries).cast();
        }
        self.start = self.next;
        Ok(())
    }

    /// Adds blocks to the free list: one, then as many as there are.
    fn grow(&mut self) -> Result<(), Errno> {
        let count = self.chunks.iter().map(|&(_, count)| count).sum::<usize>().clamp(1, MAX_CHUNK);
        let chunk = alloc::array::<Block>(count)?;
        if let Err(e) = alloc::push(&mut self.chunks, (chunk, count)) {
            // SAFETY: just allocated, with this count.
            unsafe { alloc::free_array(chunk, count) };
            return Err(e);
        }
        for i in (0..count).rev() {
            // SAFETY: within the chunk. The entries stay uninitialised; the head is written before it is ever read.
            unsafe {
                let block = chunk.add(i).as_ptr();
                debug_assert!(block.addr() & !ADDRESS == 0);
                (*block).head.get().write(Head { busy: 0, next: self.free });
                self.free = block;
            }
        }
        Ok(())
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for &(chunk, count) in &self.chunks {
            // SAFETY: allocated in `grow` with this count; entries and heads have nothing to drop.
            unsafe { alloc::free_array(chunk, count) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(arena: &mut Arena, n: usize) -> Vec<NonNull<ioq_ent>> {
        let entry = |_| {
            if arena.is_full() {
                let _ = arena.flush();
            }
            arena.entry().unwrap()
        };
        (0..n).map(entry).collect()
    }

    #[test]
    fn a_span_names_the_entries_that_were_buffered() {
        let mut arena = Arena::new();
        let entries = fill(&mut arena, 5);
        let span = arena.flush().unwrap();
        assert_eq!((0..span.len()).map(|i| span.entry(i)).collect::<Vec<_>>(), entries);
        assert_eq!(arena.flush(), None);
    }

    #[test]
    fn spans_of_one_block_do_not_overlap() {
        let mut arena = Arena::new();
        let mut entries = fill(&mut arena, 3);
        let one = arena.flush().unwrap();
        entries.extend(fill(&mut arena, BLOCK_ENTRIES - 3));
        assert!(arena.is_full());
        let two = arena.flush().unwrap();
        let named: Vec<_> = [one, two].iter().flat_map(|s| (0..s.len()).map(|i| s.entry(i))).collect();
        assert_eq!(named, entries);
    }

    #[test]
    fn splitting_and_joining_are_inverse() {
        let mut arena = Arena::new();
        let entries = fill(&mut arena, BLOCK_ENTRIES);
        let block = NonNull::new(arena.flush().unwrap().block()).unwrap();
        for (n, &entry) in entries.iter().enumerate().skip(1) {
            let span = Span::new(block, 0, BLOCK_ENTRIES - 1);
            let (a, b) = span.split(n);
            assert_eq!((a.len(), b.len()), (n, BLOCK_ENTRIES - n));
            assert_eq!(b.entry(0), entry);
            let (b, a) = b.join(a).unwrap_err();
            assert_eq!(a.join(b).unwrap().len(), BLOCK_ENTRIES);
        }
    }

    #[test]
    fn a_word_keeps_the_span() {
        let mut arena = Arena::new();
        fill(&mut arena, 7);
        let span = arena.flush().unwrap();
        let word = span.as_ptr();
        assert_eq!(word.addr() & mpmc::RESERVED, 0);
        // SAFETY: `span` is not used as a span from here on.
        assert_eq!(unsafe { Span::from_ptr(word) }, span);
        assert_ne!(Span::STOP, span);
        assert_ne!(Span::LOOK, span);
        assert_ne!(Span::LOOK, Span::STOP);
        assert_eq!((Span::STOP.as_ptr().addr() | Span::LOOK.as_ptr().addr()) & mpmc::RESERVED, 0);
    }

    /// Regression: marks were kept in bits of an address that alignment to two bytes leaves in use.
    #[test]
    fn every_span_of_every_block_fits_into_the_free_bits_of_its_address() {
        let mut arena = Arena::new();
        for _ in 0..20 {
            fill(&mut arena, BLOCK_ENTRIES);
            let block = NonNull::new(arena.flush().unwrap().block()).unwrap();
            for last in 0..BLOCK_ENTRIES {
                for first in 0..=last {
                    let span = Span::new(block, first, last);
                    assert_eq!((span.block(), span.first(), span.last()), (block.as_ptr(), first, last));
                    assert_eq!(span.as_ptr().addr() & mpmc::RESERVED, 0);
                    assert_ne!(span, Span::STOP);
                }
            }
        }
    }

    #[test]
    fn freed_entries_are_used_again() {
        let mut arena = Arena::new();
        for round in 0..1000 {
            let mut entries = fill(&mut arena, 1 + round % 100 % BLOCK_ENTRIES);
            let _ = arena.flush();
            if round % 2 == 0 {
                entries.reverse();
            }
            for entry in entries {
                // SAFETY: each is freed once.
                assert!(unsafe { arena.free(entry) });
            }
        }
        assert!(arena.chunks.len() <= 2, "two blocks are enough when everything is freed each time");
    }

    #[test]
    fn freeing_twice_changes_nothing() {
        let mut arena = Arena::new();
        let entries = fill(&mut arena, 2);
        // SAFETY: the entries are not used; the second call is what is tested.
        unsafe {
            assert!(arena.free(entries[0]));
            assert!(!arena.free(entries[0]));
            assert!(arena.free(entries[1]));
        }
    }

    #[test]
    fn a_block_comes_back_when_its_last_entry_is_freed() {
        let mut arena = Arena::new();
        let first = fill(&mut arena, BLOCK_ENTRIES);
        let _ = arena.flush();
        let second = fill(&mut arena, BLOCK_ENTRIES);
        let _ = arena.flush();
        for &entry in &first[1..] {
            // SAFETY: each is freed once.
            unsafe { arena.free(entry) };
        }
        let third = fill(&mut arena, BLOCK_ENTRIES);
        let _ = arena.flush();
        assert!(third.iter().all(|e| !first.contains(e) && !second.contains(e)));
        // SAFETY: freed once.
        unsafe { arena.free(first[0]) };
        assert_eq!(fill(&mut arena, BLOCK_ENTRIES), first);
    }
}
