//! The walk's queue: what it needs of `ioq.h`, in safe words. This is all that the walk knows of the library's queues.
//!
//! Whatever a request points to is in its slot, from when it is submitted until its response is popped: the name, how to
//! open it, and where the answer goes. A slot that is in use belongs to the queue, and nobody here looks into it.

use crate::abi::list::{ioq_list, ioq_list_free};
use crate::abi::queue::{ioq_create_with, ioq_destroy, ioq_fd, ioq_free, ioq_pop, ioq_submit};
use crate::abi::requests::ioq_openat;
use crate::abi::types::ioq_options;
use crate::entry::ioq_op;
use crate::platform::alloc;
use crate::platform::errno::Errno;
use crate::queue::Ioq;
use libc::{c_char, c_int, c_uint, open_how, statx};
use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::mem::{self, MaybeUninit};
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};

/// A queue whose requests are told by a token each.
pub struct Queue<T> {
    ioq: NonNull<Ioq>,
    slots: Vec<UnsafeCell<Slot<T>>>,
    /// The slots that are not in use.
    free: Vec<usize>,
}

struct Slot<T> {
    token: Option<T>,
    /// With its NUL.
    name: Vec<u8>,
    how: open_how,
    list: *mut ioq_list,
    stat: MaybeUninit<statx>,
}

/// What has come back.
#[allow(clippy::large_enum_variant, reason = "it is taken apart at once")]
pub enum Answer {
    List(Result<List, Errno>),
    /// An open file, and its stat.
    File(Result<(OwnedFd, statx), Errno>),
}

impl<T: Copy> Queue<T> {
    pub fn new(options: &ioq_options) -> Result<Self, Errno> {
        let (mut slots, mut free) = (Vec::new(), Vec::new());
        alloc::reserve(&mut slots, options.depth)?;
        alloc::reserve(&mut free, options.depth)?;
        slots.extend((0..options.depth).map(|_| UnsafeCell::new(Slot::new())));
        free.extend(0..options.depth);
        // SAFETY: the options are what they say.
        let ioq = NonNull::new(unsafe { ioq_create_with(options) }).ok_or_else(Errno::last)?;
        Ok(Self { ioq, slots, free })
    }

    pub fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// Lists the directory of this name in another, or, without a name, the next part of that one.
    pub fn list(
        &mut self,
        dfd: c_int,
        name: Option<&[u8]>,
        flags: c_uint,
        mask: c_uint,
        token: T,
    ) -> Result<(), Errno> {
        self.submit(name, token, |ioq, slot, index| {
            // SAFETY: the queue is live, and this thread's; the name, if any, and the place for the list stay in the slot.
            unsafe {
                let path = name.map_or(ptr::null(), |_| (*slot).name.as_ptr().cast::<c_char>());
                let (list, ptr) = (&raw mut (*slot).list, ptr::without_provenance_mut(index));
                crate::abi::list::ioq_list(ioq, dfd, path, flags, mask, list, ptr)
            }
        })
    }

    /// Opens a file, and stats it.
    pub fn open(&mut self, dfd: c_int, name: &[u8], flags: c_int, mask: c_uint, token: T) -> Result<(), Errno> {
        self.submit(Some(name), token, |ioq, slot, index| {
            // SAFETY: the queue is live, and this thread's; name, `how` and buffer stay in the slot.
            unsafe {
                (*slot).how.flags = (flags | libc::O_CLOEXEC) as u64;
                let (path, ptr) = ((*slot).name.as_ptr().cast(), ptr::without_provenance_mut(index));
                ioq_openat(ioq, dfd, path, &raw const (*slot).how, mask, (*slot).stat.as_mut_ptr(), ptr)
            }
        })
    }

    /// Takes a slot, and gives it to a function that submits a request. `EAGAIN` if there is no slot.
    fn submit(
        &mut self,
        name: Option<&[u8]>,
        token: T,
        request: impl FnOnce(*mut Ioq, *mut Slot<T>, usize) -> c_int,
    ) -> Result<(), Errno> {
        let &index = self.free.last().ok_or(Errno(libc::EAGAIN))?;
        let slot = self.slots[index].get();
        // SAFETY: nobody uses a free slot but this thread.
        let words = unsafe { &mut *slot };
        let name = name.unwrap_or_default();
        words.name.clear();
        alloc::reserve(&mut words.name, name.len() + 1)?;
        words.name.extend_from_slice(name);
        words.name.push(0);
        words.token = Some(token);
        if request(self.ioq.as_ptr(), slot, index) != 0 {
            return Err(Errno::last());
        }
        self.free.pop();
        Ok(())
    }

    /// Sends off what was submitted.
    pub fn send(&mut self) {
        // SAFETY: the queue is live, and this thread's.
        unsafe { ioq_submit(self.ioq.as_ptr()) };
    }

    /// Pops a response, if there is one, or waits for one, if any is to come.
    pub fn pop(&mut self, wait: bool) -> Option<(T, Answer)> {
        let ioq = self.ioq.as_ptr();
        // SAFETY: the queue is live, and this thread's. A popped entry stays until it is freed, and its slot is free of the
        // queue. What the response says is there is this thread's now: a list in the first kind, a descriptor and a filled
        // buffer in the other.
        unsafe {
            let ent = NonNull::new(ioq_pop(ioq, wait))?;
            let (op, result, index) = (ent.as_ref().op, ent.as_ref().result, ent.as_ref().ptr.addr());
            ioq_free(ioq, ent.as_ptr());
            let slot = &mut *self.slots[index].get();
            let error = Errno(-result);
            let answer = if op == ioq_op::IOQ_LIST {
                let list = mem::replace(&mut slot.list, ptr::null_mut());
                Answer::List(NonNull::new(list).map(List).ok_or(error))
            } else if result < 0 {
                Answer::File(Err(error))
            } else {
                Answer::File(Ok((OwnedFd::from_raw_fd(result), slot.stat.assume_init_read())))
            };
            // There is room: it was there before.
            self.free.push(index);
            slot.token.take().map(|token| (token, answer))
        }
    }

    /// A descriptor that is readable while a response is ready.
    pub fn fd(&self) -> Result<c_int, Errno> {
        // SAFETY: the queue is live, and this thread's.
        let fd = unsafe { ioq_fd(self.ioq.as_ptr()) };
        if fd < 0 { Err(Errno::last()) } else { Ok(fd) }
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        // SAFETY: the queue is live, and this thread's. The slots outlive it. What nobody has popped is let go of.
        unsafe { ioq_destroy(self.ioq.as_ptr()) };
    }
}

impl<T> Slot<T> {
    fn new() -> Self {
        // SAFETY: integers, for which 0 is a value.
        let how = unsafe { MaybeUninit::zeroed().assume_init() };
        // Tools that watch memory do not see the kernel write to the buffer.
        Self { token: None, name: Vec::new(), how, list: ptr::null_mut(), stat: MaybeUninit::zeroed() }
    }
}

/// A list that was popped.
pub struct List(NonNull<ioq_list>);

/// An entry of a list.
pub struct Item<'a> {
    pub name: &'a [u8],
    pub ino: u64,
    /// `DT_*`.
    pub kind: u8,
    /// The `errno` of the stat, or 0.
    pub error: c_int,
    pub stat: Option<&'a statx>,
}

impl List {
    fn get(&self) -> &ioq_list {
        // SAFETY: the list is this one's, until it is dropped.
        unsafe { self.0.as_ref() }
    }

    pub fn len(&self) -> usize {
        self.get().count
    }

    pub fn item(&self, index: usize) -> Item<'_> {
        assert!(index < self.len());
        // SAFETY: within the list, whose names are strings, and whose stats are NULL or filled.
        unsafe {
            let ent = &*self.get().ents.add(index);
            let name = CStr::from_ptr(ent.name).to_bytes();
            Item { name, ino: ent.ino, kind: ent.r#type, error: ent.error, stat: ent.stat.as_ref() }
        }
    }

    /// The `errno` of the read that broke off, or 0.
    pub fn error(&self) -> c_int {
        self.get().error
    }

    /// Whether there may be another part.
    pub fn more(&self) -> bool {
        self.get().more
    }

    /// The stat of the directory itself, if it was asked for.
    pub fn stat(&self) -> Option<&statx> {
        // SAFETY: NULL or filled, and there as long as the list.
        unsafe { self.get().stat.as_ref() }
    }

    /// The descriptor, for whoever asks first.
    pub fn take_fd(&mut self) -> Option<OwnedFd> {
        // SAFETY: the list is this one's; a descriptor in it is open, and nobody else's.
        unsafe {
            let fd = mem::replace(&mut self.0.as_mut().fd, -1);
            (fd >= 0).then(|| OwnedFd::from_raw_fd(fd))
        }
    }
}

impl Drop for List {
    fn drop(&mut self) {
        drop(self.take_fd());
        // SAFETY: the list is this one's, and not used again.
        unsafe { ioq_list_free(self.0.as_ptr()) };
    }
}
