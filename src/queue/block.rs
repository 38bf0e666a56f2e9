//! Where entries live: in blocks of 31, of which one is being filled at a time.
//!
//! A block is filled from the front, or, if some of its entries are still held, in the gaps between those. What was
//! filled and not sent yet is *buffered*; `flush` turns it into a span.
//!
//! # Memory
//!
//! Let *held* be the entries that were handed out and not freed. The arena grows only while
//!
//! ```text
//!     entries in all blocks  ≤  2 · held + one block
//! ```
//!
//! holds afterwards, so that one entry held of each block does not pin 31 times its memory. Where it may not grow, at
//! least half of all entries are free, so the search for a block with a gap ends after two steps on average.
//!
//! Blocks are recycled, and given back to the system when the arena is dropped.

use super::span::{Span, block_of};
use crate::entry::ioq_ent;
use crate::platform::alloc;
use crate::platform::errno::Errno;
use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

/// How many bits the index of an entry takes.
pub const INDEX_BITS: u32 = if usize::BITS == 64 { 5 } else { 4 };

/// Entries in a block: with its head, which is as large as an entry, a power of two.
pub const BLOCK_ENTRIES: usize = (1 << INDEX_BITS) - 1;

/// What a block is aligned to, so that a span fits into its address.
pub const BLOCK_ALIGN: usize = size_of::<ioq_ent>() << INDEX_BITS;

/// Entries, and what the calling thread must know about them.
#[repr(C)]
#[cfg_attr(target_pointer_width = "64", repr(align(2048)))]
#[cfg_attr(target_pointer_width = "32", repr(align(1024)))]
pub struct Block {
    head: UnsafeCell<Head>,
    /// Bit i + 1 is set while the request of entry i is not to run. Written by the calling thread alone; nothing is
    /// synchronised by it, so it is no concern of the models.
    cancelled: AtomicU32,
    pub(super) entries: [UnsafeCell<MaybeUninit<ioq_ent>>; BLOCK_ENTRIES],
}

/// The part of a block that only the calling thread uses.
struct Head {
    /// Bit i + 1 is set while entry i is not free: to be filled next, buffered, on its way, or popped and not given back.
    busy: u32,
    /// The next block in the arena's free list.
    next: *mut Block,
}

const _: () = assert!(size_of::<Block>() == BLOCK_ALIGN && align_of::<Block>() == BLOCK_ALIGN);

/// The bits of all entries.
const ALL: u32 = ((1u64 << (BLOCK_ENTRIES + 1)) - 1) as u32 & !1;

/// The most blocks to allocate at once.
const MAX_CHUNK: usize = 16;

/// The blocks of a queue. Belongs to the calling thread.
pub struct Arena {
    /// What was allocated, and how many blocks each.
    chunks: Vec<(NonNull<Block>, usize)>,
    /// Where the search for a block with a gap goes on: a chunk, and a block in it.
    hand: (usize, usize),
    /// How many blocks there are.
    blocks: usize,
    /// Blocks without any entry in use, the last one first: it is the likeliest to be in the cache.
    free: *mut Block,
    /// The first entry that is buffered.
    start: *mut ioq_ent,
    /// The entry to be filled next.
    next: *mut ioq_ent,
    /// Where the gap ends that is being filled.
    end: *mut ioq_ent,
    /// How many entries are handed out and not freed.
    held: usize,
}

/// The index of an entry in its block, plus 1: the head comes first.
fn position(entry: *mut ioq_ent) -> usize {
    entry.addr() % BLOCK_ALIGN / size_of::<ioq_ent>()
}

/// Which of the bits of its block is an entry's.
fn bit(entry: *mut ioq_ent) -> u32 {
    1 << position(entry)
}

impl Block {
    /// Whether the request of an entry is not to run.
    ///
    /// # Safety
    ///
    /// `entry` must be a live arena's, and the pointer one to its whole block.
    pub(super) unsafe fn is_cancelled(entry: *mut ioq_ent) -> bool {
        // SAFETY: the block is live, and this part of it shared.
        let cancelled = unsafe { &(*block_of(entry)).cancelled };
        cancelled.load(Ordering::Relaxed) & bit(entry) != 0
    }
}

/// Whether an address space has room for so many entries.
pub fn can_hold(entries: usize) -> bool {
    Layout::array::<Block>(entries.div_ceil(BLOCK_ENTRIES)).is_ok()
}

impl Arena {
    pub fn new() -> Self {
        let none: *mut ioq_ent = ptr::null_mut();
        Self {
            chunks: Vec::new(),
            hand: (0, 0),
            blocks: 0,
            free: ptr::null_mut(),
            start: none,
            next: none,
            end: none,
            held: 0,
        }
    }

    /// An entry to be filled in by the caller, at the end of the buffer. It must be written before the next `flush`.
    ///
    /// Nothing may be buffered when the gap is full: `flush` when `is_full`.
    #[inline]
    pub fn entry(&mut self) -> Result<NonNull<ioq_ent>, Errno> {
        if self.is_full() {
            self.next_gap()?;
        }
        let entry = self.next;
        self.next = entry.wrapping_add(1);
        self.held += 1;
        // SAFETY: before the end of a gap, so it is in a block.
        Ok(unsafe { NonNull::new_unchecked(entry) })
    }

    /// Whether the gap that is being filled has no entry left.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.next == self.end
    }

    /// Whether something is buffered.
    #[inline]
    pub fn is_buffering(&self) -> bool {
        self.start != self.next
    }

    /// How many entries are buffered.
    pub fn buffered(&self) -> usize {
        (self.next.addr() - self.start.addr()) / size_of::<ioq_ent>()
    }

    /// How many entries are handed out and not freed.
    #[inline]
    pub fn held(&self) -> usize {
        self.held
    }

    /// Takes what is buffered.
    pub fn flush(&mut self) -> Option<Span> {
        if !self.is_buffering() {
            return None;
        }
        let count = self.buffered();
        let start = std::mem::replace(&mut self.start, self.next);
        let first = position(start) - 1;
        // SAFETY: `start` was in a block.
        let block = unsafe { NonNull::new_unchecked(block_of(start)) };
        Some(Span::new(block, first, first + count - 1))
    }

    /// Takes an entry back. Does nothing if it is free already.
    ///
    /// # Safety
    ///
    /// `entry` must be one of this arena's, and not be used again.
    #[inline]
    pub unsafe fn free(&mut self, entry: NonNull<ioq_ent>) {
        let bit = bit(entry.as_ptr());
        let block = block_of(entry.as_ptr());
        // SAFETY: the entry's block is live, and its head is this thread's.
        let head = unsafe { &mut *(*block).head.get() };
        if head.busy & bit == 0 {
            return;
        }
        head.busy &= !bit;
        self.held -= 1;
        if head.busy == 0 {
            head.next = std::mem::replace(&mut self.free, block);
        }
    }

    /// The entry that was handed out last, if there is one.
    pub fn last(&self) -> Option<NonNull<ioq_ent>> {
        // SAFETY: once there is a gap, `next` is never at its beginning for longer than `entry` takes.
        NonNull::new(self.next).map(|next| unsafe { next.sub(1) })
    }

    /// Marks the request of an entry as not to run.
    ///
    /// # Safety
    ///
    /// `entry` must be one of this arena's.
    pub unsafe fn cancel(&mut self, entry: NonNull<ioq_ent>) {
        // SAFETY: the entry's block is live.
        let cancelled = unsafe { &(*block_of(entry.as_ptr())).cancelled };
        cancelled.store(cancelled.load(Ordering::Relaxed) | bit(entry.as_ptr()), Ordering::Relaxed);
    }

    /// Puts a gap in place to be filled.
    #[cold]
    fn next_gap(&mut self) -> Result<(), Errno> {
        debug_assert!(!self.is_buffering());
        if self.free.is_null() {
            let room = (2 * self.held / BLOCK_ENTRIES + 1).saturating_sub(self.blocks);
            if room > 0 {
                self.grow(room.min(self.blocks.clamp(1, MAX_CHUNK)))?;
            }
        }
        let block = if self.free.is_null() { self.find_gap() } else { self.free };
        // SAFETY: a live block, whose head is this thread's.
        unsafe {
            let head = &mut *(*block).head.get();
            if head.busy == 0 {
                self.free = head.next;
            }
            // The first gap: free bits from `first` to the next busy one.
            let first = (head.busy | 1).trailing_ones();
            let len = (head.busy >> first).trailing_zeros().min(BLOCK_ENTRIES as u32 + 1 - first);
            let gap = (((1u64 << len) - 1) << first) as u32;
            head.busy |= gap;
            let cancelled = &(*block).cancelled;
            cancelled.store(cancelled.load(Ordering::Relaxed) & !gap, Ordering::Relaxed);
            self.next = (&raw mut (*block).entries).cast::<ioq_ent>().add(first as usize - 1);
            self.end = self.next.wrapping_add(len as usize);
        }
        self.start = self.next;
        Ok(())
    }

    /// A block with a gap, of which there are many: more entries are free than held.
    fn find_gap(&mut self) -> *mut Block {
        loop {
            let (chunk, index) = self.hand;
            let (blocks, count) = self.chunks[chunk];
            self.hand = if index + 1 < count { (chunk, index + 1) } else { ((chunk + 1) % self.chunks.len(), 0) };
            // SAFETY: within the chunk, and the heads are this thread's.
            unsafe {
                let block = blocks.add(index).as_ptr();
                if (*(*block).head.get()).busy != ALL {
                    return block;
                }
            }
        }
    }

    /// Adds blocks to the free list.
    fn grow(&mut self, count: usize) -> Result<(), Errno> {
        let chunk = alloc::array::<Block>(count)?;
        if let Err(e) = alloc::push(&mut self.chunks, (chunk, count)) {
            // SAFETY: just allocated, with this count.
            unsafe { alloc::free_array(chunk, count) };
            return Err(e);
        }
        self.blocks += count;
        for i in (0..count).rev() {
            // SAFETY: within the chunk. The entries stay uninitialised; the head is written before it is ever read.
            unsafe {
                let block = chunk.add(i).as_ptr();
                (*block).head.get().write(Head { busy: 0, next: self.free });
                (&raw mut (*block).cancelled).write(AtomicU32::new(0));
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
    use std::collections::HashSet;

    /// Takes `n` entries, and counts the spans that they make.
    fn fill(arena: &mut Arena, n: usize) -> (Vec<NonNull<ioq_ent>>, Vec<Span>) {
        let (mut entries, mut spans) = (vec![], vec![]);
        for _ in 0..n {
            entries.push(arena.entry().unwrap());
            if arena.is_full() {
                spans.extend(arena.flush());
            }
        }
        spans.extend(arena.flush());
        let named: Vec<_> = spans.iter().flat_map(|span| (0..span.len()).map(|i| span.entry(i))).collect();
        assert_eq!(named, entries, "the spans name what was buffered");
        (entries, spans)
    }

    fn free(arena: &mut Arena, entries: impl IntoIterator<Item = NonNull<ioq_ent>>) {
        // SAFETY: each is freed once.
        entries.into_iter().for_each(|entry| unsafe { arena.free(entry) });
    }

    #[test]
    fn full_blocks_make_full_spans() {
        let mut arena = Arena::new();
        let (_, spans) = fill(&mut arena, 3 * BLOCK_ENTRIES + 5);
        assert_eq!(spans.iter().map(Span::len).collect::<Vec<_>>(), [BLOCK_ENTRIES, BLOCK_ENTRIES, BLOCK_ENTRIES, 5]);
    }

    #[test]
    fn spans_of_one_block_follow_each_other() {
        let mut arena = Arena::new();
        let (_, one) = fill(&mut arena, 3);
        let (_, two) = fill(&mut arena, BLOCK_ENTRIES - 3);
        let joined = one.into_iter().chain(two).reduce(|a, b| a.join(b).unwrap()).unwrap();
        assert_eq!(joined.len(), BLOCK_ENTRIES);
    }

    #[test]
    fn freed_entries_are_used_again() {
        let mut arena = Arena::new();
        for round in 0..1000 {
            let (mut entries, _) = fill(&mut arena, 1 + round % 100 % BLOCK_ENTRIES);
            if round % 2 == 0 {
                entries.reverse();
            }
            free(&mut arena, entries);
        }
        assert!(arena.blocks <= 2, "two blocks are enough when everything is freed each time");
        assert_eq!(arena.held(), 0);
    }

    #[test]
    fn freeing_twice_changes_nothing() {
        let mut arena = Arena::new();
        let (entries, _) = fill(&mut arena, 2);
        free(&mut arena, [entries[0], entries[0]]);
        assert_eq!(arena.held(), 1);
    }

    /// One entry of each block is held, and later others: memory follows what is held.
    #[test]
    fn entries_that_are_held_pin_little() {
        let mut arena = Arena::new();
        let (mut held, mut all) = (vec![], HashSet::new());
        let mut most = 0;
        for round in 0..2000 {
            let (entries, _) = fill(&mut arena, BLOCK_ENTRIES);
            assert!(entries.iter().all(|entry| !held.contains(entry)), "an entry is handed out while it is held");
            all.extend(entries.iter().copied());
            most = most.max(arena.held());
            let keep = round % BLOCK_ENTRIES;
            held.push(entries[keep]);
            free(&mut arena, entries.into_iter().enumerate().filter(|&(i, _)| i != keep).map(|(_, entry)| entry));
            let entries = arena.blocks * BLOCK_ENTRIES;
            assert!(entries <= 2 * most + BLOCK_ENTRIES, "{entries} entries, at most {most} held");
        }
        free(&mut arena, held);
        assert_eq!(arena.held(), 0);
        // And all of it is in use again without more, but for the block of the last gap.
        let blocks = arena.blocks;
        let (entries, _) = fill(&mut arena, (blocks - 1) * BLOCK_ENTRIES);
        assert_eq!(entries.into_iter().collect::<HashSet<_>>().len(), (blocks - 1) * BLOCK_ENTRIES);
        assert_eq!(arena.blocks, blocks);
    }

    #[test]
    fn gaps_end_at_what_is_held() {
        let mut arena = Arena::new();
        let (entries, _) = fill(&mut arena, BLOCK_ENTRIES);
        let held = [0, 4, BLOCK_ENTRIES - 1];
        free(&mut arena, entries.iter().enumerate().filter(|(i, _)| !held.contains(i)).map(|(_, &entry)| entry));
        let (_, spans) = fill(&mut arena, 5);
        assert_eq!(spans.iter().map(|span| (span.first(), span.len())).collect::<Vec<_>>(), [(1, 3), (5, 2)]);
        let (_, spans) = fill(&mut arena, 1);
        assert_eq!(spans.iter().map(|span| (span.first(), span.len())).collect::<Vec<_>>(), [(7, 1)]);
        assert_eq!(arena.blocks, 1);
    }
}
