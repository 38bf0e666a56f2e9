//! A list, in memory: one allocation that has all of it.
//!
//! ```text
//!     Listing | the directory's stat, if asked for | an entry for each file | an item for each, if it is to be statted | the names
//! ```

use super::stats::Item;
use super::{PART, SELF, SORT_INODE, SORT_NAME, STAT};
use crate::abi::list::{ioq_list, ioq_list_ent};
use crate::fs::dir::{Records, calls};
use crate::fs::stat;
use crate::ops::opened;
use crate::platform::alloc;
use crate::platform::errno::Errno;
use crate::platform::sync::{AtomicBool, AtomicUsize};
use crate::queue::batch::Batch;
use libc::{c_char, c_int, c_uint, statx};
use std::alloc::{Layout, LayoutError};
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::slice;

/// A list, and what is known of its stats while they are under way (`stats.rs`). It begins with what the program sees.
#[repr(C)]
pub struct Listing {
    list: ioq_list,
    /// The size of all, in words.
    words: usize,
    /// A descriptor of the directory, which is the list's own, or the caller's; and where that was before this was read.
    pub(super) fd: c_int,
    start: Option<i64>,
    /// The entries and items, to be written.
    pub(super) ents: *mut ioq_list_ent,
    pub(super) items: *mut Item,
    /// What the stats are asked for.
    pub(super) mask: c_uint,
    pub(super) batch: Batch,
    /// No entry before this is left to be claimed. Belongs to whoever has the request's span, like the batch.
    pub(super) next: AtomicUsize,
    /// How many stats the ring was of no use for.
    pub(super) again: AtomicUsize,
    /// Whether the ring is not to be used for what is left.
    pub(super) is_plain: AtomicBool,
    /// The `errno` that says why some stats were given up, or 0.
    pub(super) given_up: AtomicUsize,
}

/// What memory is counted in here.
type Word = u64;

const _: () = assert!(align_of::<Listing>() <= align_of::<Word>() && align_of::<Item>() <= align_of::<Word>());

/// How a list lies in memory: its size in words, and where entries, items and names are in it.
struct Map {
    words: usize,
    stat: usize,
    ents: usize,
    items: usize,
    names: usize,
}

impl Map {
    fn new(stats: usize, count: usize, items: usize, names_size: usize) -> Result<Self, LayoutError> {
        let (layout, stat) = Layout::new::<Listing>().extend(Layout::array::<statx>(stats)?)?;
        let (layout, ents) = layout.extend(Layout::array::<ioq_list_ent>(count)?)?;
        let (layout, items) = layout.extend(Layout::array::<Item>(items)?)?;
        let (layout, names) = layout.extend(Layout::array::<c_char>(names_size)?)?;
        Ok(Self { words: layout.size().div_ceil(size_of::<Word>()), stat, ents, items, names })
    }
}

impl Listing {
    /// Reads a directory by a descriptor, from where that is. `own` is the same, if it is to be the list's, or -1. If it
    /// fails, the caller's descriptor is where it was.
    pub fn read(fd: c_int, own: c_int, flags: c_uint, mask: c_uint) -> Result<NonNull<Self>, Errno> {
        let start = if own < 0 { calls::position(fd) } else { None };
        Self::read_on(fd, own, start, flags, mask).inspect_err(|_| go_back(fd, start))
    }

    fn read_on(fd: c_int, own: c_int, start: Option<i64>, flags: c_uint, mask: c_uint) -> Result<NonNull<Self>, Errno> {
        let mut stat = None;
        if flags & SELF != 0 {
            let buf = stat.insert(MaybeUninit::uninit());
            // SAFETY: the path is a string, and the buffer this function's.
            match unsafe { stat::raw(fd, c"".as_ptr(), libc::AT_EMPTY_PATH, mask, buf.as_mut_ptr()) } {
                0 => {}
                e => return Err(Errno(-e)),
            }
        }
        let records = Records::read(fd, flags & PART != 0)?;
        let count = records.count;
        let parts = if flags & STAT != 0 { count } else { 0 };
        let map =
            Map::new(usize::from(stat.is_some()), count, parts, records.names_size).map_err(|_| alloc::NO_MEMORY)?;
        let memory = alloc::array::<Word>(map.words)?.cast::<u8>();
        // SAFETY: each is within the memory, and has its own part of it. Entries are written before they are read.
        unsafe {
            let ents = memory.add(map.ents).cast::<ioq_list_ent>().as_ptr();
            for (i, record) in records.iter().enumerate() {
                let (name, ino, r#type) = (record.name.as_ptr(), record.ino, record.d_type);
                ents.add(i).write(ioq_list_ent { name, ino, stat: ptr::null(), error: 0, r#type });
            }
            let entries = slice::from_raw_parts_mut(ents, count);
            sort(entries, flags);
            keep_names(entries, memory.add(map.names).cast().as_ptr());

            let stat = stat.map_or(ptr::null(), |stat| {
                let place = memory.add(map.stat).cast::<MaybeUninit<statx>>().as_ptr();
                place.write(stat);
                place.cast_const().cast()
            });
            let error = records.error.map_or(0, |e| e.0);
            let listing = memory.cast::<Self>();
            listing.write(Self {
                list: ioq_list { ents, count, error, fd: own, stat, more: records.more },
                words: map.words,
                fd,
                start,
                ents,
                items: memory.add(map.items).cast().as_ptr(),
                mask,
                batch: Batch::new(parts),
                next: AtomicUsize::new(0),
                again: AtomicUsize::new(0),
                is_plain: AtomicBool::new(false),
                given_up: AtomicUsize::new(0),
            });
            Ok(listing)
        }
    }

    /// What is behind the program's pointer.
    ///
    /// # Safety
    ///
    /// `list` must be NULL or come from `Listing::read`, and not be gone as long as this is used.
    pub unsafe fn of<'a>(list: *mut ioq_list) -> Option<&'a Self> {
        // SAFETY: passed on to the caller.
        unsafe { list.cast::<Self>().as_ref() }
    }

    /// Has the caller's descriptor where it was before this was read.
    pub fn unread(&self) {
        go_back(self.fd, self.start);
    }
}

fn go_back(fd: c_int, start: Option<i64>) {
    start.into_iter().for_each(|start| calls::go_back(fd, start));
}

/// Sorts entries as the flags say.
///
/// # Safety
///
/// Their names must be strings.
unsafe fn sort(entries: &mut [ioq_list_ent], flags: c_uint) {
    if flags & SORT_NAME != 0 {
        // SAFETY: passed on to the caller.
        entries.sort_unstable_by(|a, b| unsafe { libc::strcmp(a.name, b.name) }.cmp(&0));
    } else if flags & SORT_INODE != 0 {
        entries.sort_unstable_by_key(|entry| entry.ino);
    }
}

/// Copies the names of entries to where they are to stay.
///
/// # Safety
///
/// The names must be strings, and there must be room for all of them.
unsafe fn keep_names(entries: &mut [ioq_list_ent], mut place: *mut c_char) {
    for entry in entries {
        // SAFETY: passed on to the caller.
        unsafe {
            let size = libc::strlen(entry.name) + 1;
            place.copy_from_nonoverlapping(entry.name, size);
            entry.name = place;
            place = place.add(size);
        }
    }
}

/// Frees a list, but leaves its descriptor open, if it has any.
///
/// # Safety
///
/// `list` must be NULL or come from `Listing::read`, and not be used again.
pub unsafe fn free(list: *mut ioq_list) {
    if let Some(listing) = NonNull::new(list.cast::<Listing>()) {
        // SAFETY: by this function's contract.
        unsafe {
            let words = listing.as_ref().words;
            listing.drop_in_place();
            alloc::free_array(listing.cast::<Word>(), words);
        }
    }
}

/// Closes the descriptor of a list, if it has any.
///
/// # Safety
///
/// `list` must come from `Listing::read`, and nobody else may be using it.
pub unsafe fn close(list: *mut ioq_list) {
    // SAFETY: by this function's contract.
    let fd = unsafe { ptr::replace(&raw mut (*list).fd, -1) };
    if fd >= 0 {
        opened::close(fd);
    }
}

/// Frees a list that the program never saw.
///
/// # Safety
///
/// As for `free` and `close`.
pub unsafe fn discard(list: *mut ioq_list) {
    // SAFETY: passed on to the caller.
    unsafe {
        close(list);
        free(list);
    }
}
