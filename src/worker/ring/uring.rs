//! An io_uring: making it, its memory, and the system calls that it takes.
//!
//! # The descriptor
//!
//! A descriptor is a number, and a program that closes what it did not open, as some do on their way into a sandbox, may
//! have another ring or file under this number at any moment. Whoever used that then would write over another's
//! submissions, or wait for its completions for ever. So the thread that makes a ring
//!
//! - makes it *disabled* (`IORING_SETUP_R_DISABLED`, for a single issuer since Linux 6.0);
//! - *registers* it (`io_uring_register(2)`, `IORING_REGISTER_RING_FDS`, Linux 5.18), and enters it by that from then on;
//! - enables it. Only one can enable a ring, once: if that works, what was mapped and registered under this number is ours,
//!   and its memory can be touched;
//! - closes the descriptor as soon as it can, since nothing needs it any more. The ring goes when the thread ends.
//!
//! On older kernels the descriptor stays open, out of the way of the standard streams.
//!
//! The io-uring crate's own rings keep their descriptor open, so its types for submissions are used here, and the memory
//! is mapped here. Its layout is that of `io_uring_setup(2)`.

use crate::platform::descriptors::out_of_the_way;
use crate::platform::errno::Errno;
use io_uring::squeue;
use libc::{c_int, c_uint, c_void};
use std::mem;
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// `IORING_SETUP_*` flags.
mod setup {
    pub const CLAMP: u32 = 1 << 4;
    pub const R_DISABLED: u32 = 1 << 6;
    pub const SUBMIT_ALL: u32 = 1 << 7;
    pub const COOP_TASKRUN: u32 = 1 << 8;
    pub const SINGLE_ISSUER: u32 = 1 << 12;
}

/// `IORING_FEAT_*` flags.
const FEAT_SINGLE_MMAP: u32 = 1 << 0;
const FEAT_EXT_ARG: u32 = 1 << 8;

/// `IORING_ENTER_*` flags.
mod enter {
    pub const GETEVENTS: u32 = 1 << 0;
    pub const EXT_ARG: u32 = 1 << 3;
    pub const REGISTERED_RING: u32 = 1 << 4;
}

/// `IORING_REGISTER_*` operations.
mod register {
    pub const ENABLE_RINGS: u32 = 12;
    pub const IOWQ_MAX_WORKERS: u32 = 19;
    pub const RING_FDS: u32 = 20;
    pub const UNREGISTER_RING_FDS: u32 = 21;
}

/// The setups to try, the best first. Each is one that some kernel was the first to know: 6.0, 5.19, 5.18, 5.11. The first
/// makes rings that are disabled.
///
/// Not `DEFER_TASKRUN`, which spares no time that could be measured here: completions would come through
/// `io_uring_enter()` alone, and a program that takes that call from itself, with a filter for its system calls, would
/// wait for ever for what is in flight.
const SETUPS: [u32; 4] = [
    setup::SUBMIT_ALL | setup::COOP_TASKRUN | setup::SINGLE_ISSUER | setup::R_DISABLED,
    setup::SUBMIT_ALL | setup::COOP_TASKRUN,
    setup::SUBMIT_ALL,
    0,
];

/// The kernel's `struct io_uring_params`, and what it consists of.
#[repr(C)]
#[derive(Default)]
struct Params {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    sq_thread_cpu: u32,
    sq_thread_idle: u32,
    features: u32,
    wq_fd: u32,
    resv: [u32; 3],
    sq_off: SqOffsets,
    cq_off: CqOffsets,
}

#[repr(C)]
#[derive(Default)]
struct SqOffsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    flags: u32,
    dropped: u32,
    array: u32,
    resv1: u32,
    user_addr: u64,
}

#[repr(C)]
#[derive(Default)]
struct CqOffsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    overflow: u32,
    cqes: u32,
    flags: u32,
    resv1: u32,
    user_addr: u64,
}

/// The kernel's `struct io_uring_cqe`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Completion {
    user_data: u64,
    result: i32,
    flags: u32,
}

const _: () = assert!(size_of::<Params>() == 120 && size_of::<Completion>() == 16 && size_of::<squeue::Entry>() == 64);

fn io_uring_setup(entries: u32, params: &mut Params) -> Result<OwnedFd, Errno> {
    // SAFETY: the kernel writes nothing but the parameters, and the descriptor is new.
    unsafe {
        let fd = libc::syscall(libc::SYS_io_uring_setup, entries, ptr::from_mut(params));
        if fd < 0 { Err(Errno::last()) } else { Ok(OwnedFd::from_raw_fd(fd as c_int)) }
    }
}

/// # Safety
///
/// `arg` must be what the operation takes, `count` of it.
unsafe fn io_uring_register<T>(fd: RawFd, operation: u32, arg: *mut T, count: u32) -> Result<c_int, Errno> {
    // SAFETY: passed on to the caller.
    let ret = unsafe { libc::syscall(libc::SYS_io_uring_register, fd, operation, arg, count) };
    if ret < 0 { Err(Errno::last()) } else { Ok(ret as c_int) }
}

/// A part of the memory that a ring shares with the kernel.
struct Mapping {
    start: NonNull<c_void>,
    len: usize,
}

impl Mapping {
    const OFF_RINGS: i64 = 0;
    const OFF_SQES: i64 = 0x10000000;

    fn new(fd: &OwnedFd, offset: i64, len: usize) -> Result<Self, Errno> {
        // SAFETY: a new mapping, which replaces none.
        let start = unsafe {
            let prot = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(ptr::null_mut(), len, prot, libc::MAP_SHARED | libc::MAP_POPULATE, fd.as_raw_fd(), offset as _)
        };
        if start == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        NonNull::new(start).map(|start| Self { start, len }).ok_or(Errno(libc::ENOMEM))
    }

    /// What is at this offset.
    fn at<T>(&self, offset: u32) -> NonNull<T> {
        debug_assert!(offset as usize + size_of::<T>() <= self.len);
        // SAFETY: the kernel's offsets lie within the mapping.
        unsafe { self.start.byte_add(offset as usize).cast() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this one's, and nobody uses it any more.
        unsafe { libc::munmap(self.start.as_ptr(), self.len) };
    }
}

/// The kernel must be able to wait for some time, and not for ever: Linux 5.11.
fn check_features(params: &Params) -> Result<(), Errno> {
    let needed = FEAT_SINGLE_MMAP | FEAT_EXT_ARG;
    if params.features & needed == needed { Ok(()) } else { Err(Errno(libc::ENOSYS)) }
}

/// Whether there are rings that the library can use, as far as can be told without making one: when a ring goes, the
/// kernel interrupts the thread that has made it, as a signal would, and that is here the program's.
pub fn check_available() -> Result<(), Errno> {
    // One without entries cannot be had, and that is said after everything else. The same goes for waits in no ring.
    match io_uring_setup(0, &mut Params::default()) {
        Err(Errno(libc::EINVAL)) => {}
        result => return result.map(drop),
    }
    // SAFETY: there is no such descriptor, so nothing is waited for.
    let ret =
        unsafe { libc::syscall(libc::SYS_io_uring_enter, -1, 0, 0, enter::EXT_ARG, ptr::null::<c_void>(), 0usize) };
    match Errno::last() {
        Errno(libc::EINVAL) if ret < 0 => Err(Errno(libc::ENOSYS)),
        _ => Ok(()),
    }
}

/// A ring of this thread's.
pub struct Uring {
    rings: Mapping,
    sqes: Mapping,
    params: Params,
    /// Where the next submission goes. The kernel sees it at `enter`.
    sq_tail: u32,
    by: By,
    limits_workers: bool,
}

/// What a ring is entered by.
enum By {
    /// Its number among those that this thread has registered.
    Registered(c_uint),
    Descriptor(OwnedFd),
}

impl Uring {
    /// Makes a ring for this thread, with room for so many submissions, or as many as the kernel allows. At most `workers`
    /// of the kernel's threads run them. `EBADF` if the descriptor was closed meanwhile, `ENOSYS` if it would have to stay
    /// open and may not.
    pub fn new(entries: u32, workers: u32, descriptors: bool) -> Result<Self, Errno> {
        for setup in SETUPS {
            let mut params = Params { flags: setup | setup::CLAMP, ..Params::default() };
            match io_uring_setup(entries, &mut params).and_then(|fd| Self::claim(fd, params, workers, descriptors)) {
                Err(Errno(libc::EINVAL)) => {}
                result => return result,
            }
        }
        Err(Errno(libc::EINVAL))
    }

    /// Makes a new ring this thread's. `EINVAL` if another setup may do.
    fn claim(fd: OwnedFd, params: Params, workers: u32, descriptors: bool) -> Result<Self, Errno> {
        check_features(&params)?;
        let rings_len = (params.sq_off.array as usize + params.sq_entries as usize * size_of::<u32>())
            .max(params.cq_off.cqes as usize + params.cq_entries as usize * size_of::<Completion>());
        let sqes_len = params.sq_entries as usize * size_of::<squeue::Entry>();
        let mapped = Mapping::new(&fd, Mapping::OFF_RINGS, rings_len)
            .and_then(|rings| Ok((rings, Mapping::new(&fd, Mapping::OFF_SQES, sqes_len)?)));

        let registered = register(&fd);
        let disabled = params.flags & setup::R_DISABLED != 0;
        let enabled = if disabled { enable(fd.as_raw_fd()) } else { Ok(0) };
        let is_lost = registered.is_err_and(is_of_another) || enabled.is_err_and(is_of_another);
        let usable = match enabled {
            _ if is_lost => Err(Errno(libc::EBADF)),
            // A filter allows no `io_uring_register()`.
            Err(_) => Err(Errno(libc::EINVAL)),
            // Whether it is registered or not: there is no registering on an older kernel, or out of memory.
            Ok(_) => mapped,
        };
        let (rings, sqes) = match usable {
            Ok(mapped) => mapped,
            Err(e) => {
                if let Ok(index) = registered {
                    unregister(&fd, index);
                }
                if is_lost {
                    // It is not ours to close any more.
                    mem::forget(fd);
                }
                return Err(e);
            }
        };
        let limits = limit_workers(&fd, workers);
        let by = match registered {
            // The number may be another's soon.
            Ok(index) => {
                drop(fd);
                By::Registered(index)
            }
            Err(_) if descriptors => By::Descriptor(out_of_the_way(fd)?),
            Err(_) => return Err(Errno(libc::ENOSYS)),
        };
        // Not before: until it was enabled, this could be another file's memory, and end where a ring's does not.
        for i in 0..params.sq_entries {
            // Entry i of the queue is always submission i.
            // SAFETY: within the array, of which the kernel reads what it is told of.
            unsafe { rings.at::<u32>(params.sq_off.array).add(i as usize).write(i) };
        }
        Ok(Self { rings, sqes, params, sq_tail: 0, by, limits_workers: limits.is_ok() })
    }

    /// Whether the kernel has taken the limit of its threads: not before Linux 5.15, nor through a filter.
    pub fn limits_workers(&self) -> bool {
        self.limits_workers
    }

    fn shared(&self, offset: u32) -> &AtomicU32 {
        // SAFETY: one of the kernel's counters, in memory that is mapped as long as this lives.
        unsafe { AtomicU32::from_ptr(self.rings.at::<u32>(offset).as_ptr()) }
    }

    /// How many submissions the kernel has not taken.
    pub fn unsent(&self) -> usize {
        // Acquire: the kernel has read those before.
        self.sq_tail.wrapping_sub(self.shared(self.params.sq_off.head).load(Ordering::Acquire)) as usize
    }

    fn sqe(&self, position: u32) -> NonNull<squeue::Entry> {
        let index = position & (self.params.sq_entries - 1);
        // SAFETY: within the mapping.
        unsafe { self.sqes.at::<squeue::Entry>(0).add(index as usize) }
    }

    /// Adds a submission. There must be room.
    ///
    /// # Safety
    ///
    /// What it points to must stay valid until its completion was seen, or it was taken back.
    pub unsafe fn push(&mut self, submission: squeue::Entry) {
        assert!(self.unsent() < self.entries());
        // SAFETY: a place of the queue that the kernel is done with.
        unsafe { self.sqe(self.sq_tail).write(submission) };
        self.sq_tail = self.sq_tail.wrapping_add(1);
        // Release: the kernel sees the submission.
        self.shared(self.params.sq_off.tail).store(self.sq_tail, Ordering::Release);
    }

    /// Takes the last submission back that the kernel has not taken. Returns its user data.
    pub fn take_back(&mut self) -> Option<u64> {
        if self.unsent() == 0 {
            return None;
        }
        self.sq_tail = self.sq_tail.wrapping_sub(1);
        self.shared(self.params.sq_off.tail).store(self.sq_tail, Ordering::Release);
        // SAFETY: `push` wrote it, and only this thread has the kernel read it.
        Some(unsafe { self.sqe(self.sq_tail).as_ref() }.get_user_data())
    }

    /// How many submissions it has room for, and so completions at least.
    pub fn entries(&self) -> usize {
        self.params.sq_entries as usize
    }

    fn completed(&self) -> u32 {
        let head = self.shared(self.params.cq_off.head).load(Ordering::Relaxed);
        // Acquire: see the completions.
        self.shared(self.params.cq_off.tail).load(Ordering::Acquire).wrapping_sub(head)
    }

    /// Whether there is a completion to be seen.
    pub fn has_completion(&self) -> bool {
        self.completed() > 0
    }

    /// The user data of a submission that is done, and its result.
    pub fn next_completion(&mut self) -> Option<(u64, c_int)> {
        if !self.has_completion() {
            return None;
        }
        let head = self.shared(self.params.cq_off.head).load(Ordering::Relaxed);
        let index = head & (self.params.cq_entries - 1);
        // SAFETY: within the mapping, and the kernel wrote it before it moved the tail.
        let completion = unsafe { self.rings.at::<Completion>(self.params.cq_off.cqes).add(index as usize).read() };
        // Release: it was read, and may be written over.
        self.shared(self.params.cq_off.head).store(head.wrapping_add(1), Ordering::Release);
        Some((completion.user_data, without_restarts(completion.result)))
    }

    /// Sends so many submissions, and waits for so many completions, or for some time. Returns how many submissions the
    /// kernel took; `ETIME` if it took none and the time is over.
    pub fn enter(&mut self, submissions: usize, completions: usize, limit: Duration) -> Result<usize, Errno> {
        /// The kernel's `struct io_uring_getevents_arg`.
        #[repr(C)]
        struct Arg {
            sigmask: u64,
            sigmask_size: u32,
            min_wait: u32,
            time: u64,
        }
        let (ring, by) = match &self.by {
            By::Registered(index) => (*index, enter::REGISTERED_RING),
            By::Descriptor(fd) => (fd.as_raw_fd() as c_uint, 0),
        };
        // The kernel's own, of 64 bits on every machine.
        let time = [limit.as_secs() as i64, limit.subsec_nanos().into()];
        let arg = Arg { sigmask: 0, sigmask_size: 0, min_wait: 0, time: time.as_ptr().addr() as u64 };
        let flags = by | if completions > 0 { enter::GETEVENTS | enter::EXT_ARG } else { 0 };
        let (arg, size) = if completions > 0 { (&raw const arg, size_of::<Arg>()) } else { (ptr::null(), 0) };
        // SAFETY: no signal mask is passed, and the time is there until the call returns. The submissions are as `push`
        // was promised.
        let ret = unsafe { libc::syscall(libc::SYS_io_uring_enter, ring, submissions, completions, flags, arg, size) };
        // The compiler must not take the time for unused, whose address alone is passed.
        std::hint::black_box(&time);
        usize::try_from(ret).map_err(|_| Errno::last())
    }
}

/// A call that is interrupted may end with an error of the kernel's own, which says how to make it again, and never reaches a
/// program but through a ring (opening a FIFO, or a file with a lease).
fn without_restarts(result: c_int) -> c_int {
    /// `ERESTARTSYS` to `ERESTART_RESTARTBLOCK`.
    const RESTARTS: RangeInclusive<c_int> = 512..=516;
    if RESTARTS.contains(&-result) { -libc::EINTR } else { result }
}

/// The kernel's `struct io_uring_rsrc_update`.
#[repr(C)]
struct Update {
    offset: u32,
    resv: u32,
    data: u64,
}

/// Registers a ring with this thread, and returns its number there.
fn register(fd: &OwnedFd) -> Result<c_uint, Errno> {
    const ANY: u32 = u32::MAX;
    let mut update = Update { offset: ANY, resv: 0, data: fd.as_raw_fd() as u64 };
    // SAFETY: it takes and writes such an update.
    match unsafe { io_uring_register(fd.as_raw_fd(), register::RING_FDS, &raw mut update, 1) } {
        Ok(1) => Ok(update.offset),
        Ok(_) => Err(Errno(libc::EINVAL)),
        Err(e) => Err(e),
    }
}

/// Enables a ring that was made disabled.
fn enable(fd: RawFd) -> Result<c_int, Errno> {
    // SAFETY: it takes nothing.
    unsafe { io_uring_register(fd, register::ENABLE_RINGS, ptr::null_mut::<c_void>(), 0) }
}

/// Limits the kernel's threads for requests that wait.
fn limit_workers(fd: &OwnedFd, count: u32) -> Result<c_int, Errno> {
    // The kernel takes no more than this. 0 leaves the other kind as it is.
    let mut limits = [count.min(c_int::MAX as u32), 0];
    // SAFETY: it takes and writes two numbers.
    unsafe { io_uring_register(fd.as_raw_fd(), register::IOWQ_MAX_WORKERS, limits.as_mut_ptr(), 2) }
}

/// Whether this says, of a call about a new ring, that its number is free by now, or of another ring or file.
fn is_of_another(Errno(e): Errno) -> bool {
    match e {
        libc::EBADF | libc::EBADFD | libc::EEXIST => true,
        // So does a filter, whatever the number.
        libc::EOPNOTSUPP => enable(-1) == Err(Errno(libc::EBADF)),
        _ => false,
    }
}

fn unregister(fd: &OwnedFd, index: c_uint) {
    let mut update = Update { offset: index, resv: 0, data: 0 };
    // SAFETY: it takes such an update.
    let _ = unsafe { io_uring_register(fd.as_raw_fd(), register::UNREGISTER_RING_FDS, &raw mut update, 1) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops;

    /// On Linux 5.15, which can do all of them, and later.
    #[test]
    fn a_ring_that_may_do_an_operation_says_so() {
        let Ok(mut ring) = Uring::new(1, 1, true) else { return };
        for op in ops::ALL {
            let Some(in_ring) = ops::of(op).in_ring() else { continue };
            // SAFETY: what a probe points to is there for ever.
            unsafe { ring.push(in_ring.probe()) };
            while ring.unsent() > 0 || !ring.has_completion() {
                let _ = ring.enter(ring.unsent(), 1, Duration::from_millis(10));
            }
            assert_eq!(ring.next_completion().map(|(_, result)| result), Some(-libc::EBADF), "{op:?}");
        }
    }
}
