//! The stats of a list's entries: the parts of the request.

use super::listing::Listing;
use crate::abi::list::ioq_list_ent;
use crate::entry::ioq_op;
use crate::fs::stat;
use crate::ops::is_inconclusive;
use crate::platform::errno::Errno;
use crate::platform::sync::Ordering;
use crate::queue::span::Span;
use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use libc::{c_int, c_uint, statx};
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

/// The operation that these are like, as far as their pace goes and whether a ring does them.
pub const OP: ioq_op = ioq_op::IOQ_STATX;

const FLAGS: c_int = libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT;

/// What an entry's stat needs.
#[repr(C)]
pub struct Item {
    /// The list that it is of. Written when the part is claimed.
    listing: MaybeUninit<NonNull<Listing>>,
    statx: MaybeUninit<statx>,
}

impl Listing {
    /// Whether all stats are finished. For whoever has the span.
    pub fn is_finished(&self) -> bool {
        self.batch.unclaimed() == 0
    }

    /// Whether a ring may do what is left.
    pub fn suits_ring(&self) -> bool {
        !self.is_plain.load(Ordering::Relaxed) && !stat::does_without_statx()
    }

    /// The ring is not to be used for what is left. For whoever has the span.
    pub fn leave_ring(&self) {
        self.is_plain.store(true, Ordering::Relaxed);
    }

    /// Claims the next stat. Returns the request's span, which this is given, if there are others.
    pub fn claim(&self, span: Span) -> (Part, Option<Span>) {
        let mut index = self.next.load(Ordering::Relaxed);
        // SAFETY: there are as many items as entries, and one is left to be claimed. Nobody else is at that, nor at any
        // that come after.
        let item = unsafe {
            while !is_open(self.ents.add(index)) {
                index += 1;
            }
            let item = self.items.add(index);
            (*item).listing.write(NonNull::from(self));
            NonNull::new_unchecked(item)
        };
        self.next.store(index + 1, Ordering::Relaxed);
        (Part(item), self.batch.claim(span, 1))
    }

    /// Gives up what nobody has claimed, for this reason. Returns the request's span, which this is given, if nothing else
    /// was left. If it was, the list may be gone.
    ///
    /// # Safety
    ///
    /// `this` must be the list of the span's request.
    pub unsafe fn give_up(this: *const Self, span: Span, why: Errno) -> Option<Span> {
        // SAFETY: the list stays until the last part is finished; so this makes no reference to all of it, which would
        // say that it stays until this returns.
        unsafe {
            let left = (*this).batch.unclaimed();
            if left == 0 {
                return Some(span);
            }
            (*this).given_up.store(why.0 as usize, Ordering::Relaxed);
            (*this).batch.claim(span, left);
            (*this).batch.finish(left)
        }
    }

    /// Why some were given up, if they were. For whoever has the span.
    pub fn why_given_up(&self) -> Option<Errno> {
        match self.given_up.load(Ordering::Relaxed) {
            0 => None,
            e => Some(Errno(e as c_int)),
        }
    }

    /// Takes what the ring was of no use for up again, unless all was given up. For whoever has finished the last part.
    fn take_up_again(&self) {
        let again = self.again.load(Ordering::Relaxed);
        if again > 0 && self.why_given_up().is_none() {
            self.again.store(0, Ordering::Relaxed);
            self.next.store(0, Ordering::Relaxed);
            self.batch.restart(again);
            self.leave_ring();
        }
    }
}

/// Whether an entry's stat is still to be done: it has no result, or one of a ring's that says nothing.
///
/// # Safety
///
/// The entry must be there, and nobody may be changing it.
unsafe fn is_open(ent: *const ioq_list_ent) -> bool {
    // SAFETY: passed on to the caller.
    unsafe { (*ent).stat.is_null() && (*ent).error <= 0 }
}

/// A stat that this thread has claimed, and must finish. As long as it has not, the list stays.
#[must_use = "the request waits for it"]
pub struct Part(NonNull<Item>);

impl Part {
    /// What stands for it. Its lowest bit is 0.
    pub fn as_ptr(&self) -> *mut () {
        self.0.as_ptr().cast()
    }

    /// The part that this stands for.
    ///
    /// # Safety
    ///
    /// `pointer` must come from `as_ptr` of a part that nobody has any more.
    pub unsafe fn from_ptr(pointer: *mut ()) -> Self {
        // SAFETY: `as_ptr` never returns NULL.
        Self(unsafe { NonNull::new_unchecked(pointer.cast()) })
    }

    fn listing(&self) -> &Listing {
        // SAFETY: `claim` wrote it, and the list stays as long as this part is not finished.
        unsafe { self.0.as_ref().listing.assume_init().as_ref() }
    }

    fn ent(&self) -> *mut ioq_list_ent {
        let listing = self.listing();
        // SAFETY: the item is one of the list's, and has the number of its entry.
        unsafe { listing.ents.offset(self.0.as_ptr().offset_from(listing.items)) }
    }

    fn buf(&self) -> *mut statx {
        // SAFETY: within the item.
        unsafe { (&raw mut (*self.0.as_ptr()).statx).cast() }
    }

    /// What to ask for: the type too, where the directory does not tell.
    fn mask(&self) -> c_uint {
        // SAFETY: this thread has the entry.
        let is_unknown = unsafe { (*self.ent()).r#type } == libc::DT_UNKNOWN;
        self.listing().mask | if is_unknown { libc::STATX_TYPE } else { 0 }
    }

    /// The descriptor of the directory, and the name in it.
    fn file(&self) -> (c_int, *const libc::c_char) {
        // SAFETY: this thread has the entry.
        (self.listing().fd, unsafe { (*self.ent()).name })
    }

    /// What a ring has answered, if one did: a negated `errno` that says nothing.
    pub fn answered(&self) -> c_int {
        // SAFETY: this thread has the entry.
        unsafe { (*self.ent()).error }
    }

    /// Does it by a plain call. Returns the result.
    pub fn run(&self) -> c_int {
        let (fd, name) = self.file();
        #[cfg(any(ioq_loom, ioq_shuttle))]
        (crate::models::machine::get().entry)(name);
        // SAFETY: the name is a string, and the buffer this thread's.
        let result = unsafe { stat::raw(fd, name, FLAGS, self.mask(), self.buf()) };
        self.settle(result);
        result
    }

    /// The submission to a ring, of which `completed` must be told before the list is used for anything else.
    pub fn submission(&self) -> squeue::Entry {
        let (fd, name) = self.file();
        // Tools that watch memory do not see the kernel write.
        // SAFETY: the buffer is this thread's.
        unsafe { self.buf().write_bytes(0, 1) };
        opcode::Statx::new(Fd(fd), name, self.buf().cast()).flags(FLAGS).mask(self.mask()).build()
    }

    /// Takes note of what the ring has answered.
    pub fn completed(&self, result: c_int) {
        if is_inconclusive(result) {
            // SAFETY: this thread has the entry.
            unsafe { (*self.ent()).error = result };
            self.listing().again.fetch_add(1, Ordering::Relaxed);
        } else {
            self.settle(result);
        }
    }

    /// Writes a result down.
    fn settle(&self, result: c_int) {
        let buf = self.buf();
        // SAFETY: this thread has the entry; the buffer is filled if the result says so.
        unsafe {
            let ent = self.ent();
            (*ent).error = if result < 0 { -result } else { 0 };
            if result >= 0 {
                (*ent).stat = buf;
                if (*ent).r#type == libc::DT_UNKNOWN && (*buf).stx_mask & libc::STATX_TYPE != 0 {
                    (*ent).r#type = type_of((*buf).stx_mode);
                }
            }
        }
    }

    /// Says that it is finished. Returns the request's span if it was the last.
    pub fn finish(self) -> Option<Span> {
        // Not as a reference to what may be gone when this returns, but for the last.
        let listing = ptr::from_ref(self.listing());
        // SAFETY: the list stays until then, and for whoever has finished the last, who has the span.
        unsafe {
            let span = (*listing).batch.finish(1)?;
            (*listing).take_up_again();
            Some(span)
        }
    }
}

/// The type of a directory entry for a file's mode: its uppermost bits, in all systems.
fn type_of(mode: u16) -> u8 {
    (mode >> 12) as u8
}
