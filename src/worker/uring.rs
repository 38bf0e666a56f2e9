//! An io_uring: making it, and the system calls that it takes.
//!
//! A descriptor is a number, and a program that closes what it did not open, as some do on their way into a sandbox, may
//! have another ring or file under this number at any moment. A worker that used that would write over the other's
//! submissions, or wait for its completions for ever. So the thread that makes a ring does two things:
//!
//! - It *registers* the ring (`io_uring_register(2)`, `IORING_REGISTER_RING_FDS`, Linux 5.18), and enters it by that from
//!   then on. This also spares the kernel looking the descriptor up, two atomic operations where there are threads.
//! - It makes the ring *disabled* (`IORING_SETUP_R_DISABLED`, for a single issuer since Linux 6.0) and enables it last. Only
//!   one can enable a ring, once: if that works, what was registered under this number is in use by nobody else.
//!
//! The number may still have changed hands between mapping and registering. Then this thread's submissions are in the
//! memory of the ring that it made, and the one that it enters has none; so that takes none, and is given up.

use crate::errno::Errno;
use io_uring::{Builder, IoUring, cqueue, squeue};
use libc::{c_int, c_uint};
use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

type Setup = fn(&mut Builder) -> &mut Builder;

/// The setups to try, the best first. Each is one that some kernel was the first to know: 6.0, 5.19, 5.18, 5.1. The first
/// makes rings that are disabled.
///
/// Not `DEFER_TASKRUN`, which spares no time that could be measured here: completions would come through
/// `io_uring_enter()` alone, and a program that takes that call from itself, with a filter for its system calls, would
/// wait for ever for what is in flight.
const SETUPS: [Setup; 4] = [
    |b| b.setup_submit_all().setup_coop_taskrun().setup_single_issuer().setup_r_disabled(),
    |b| b.setup_submit_all().setup_coop_taskrun(),
    |b| b.setup_submit_all(),
    |b| b,
];

/// Makes a ring by the first setup for which neither the kernel nor `finish` says `EINVAL`.
fn make<T>(entries: u32, finish: impl Fn(IoUring) -> Result<T, Errno>) -> Result<T, Errno> {
    for setup in SETUPS {
        let ring = setup(&mut IoUring::<squeue::Entry, cqueue::Entry>::builder()).build(entries).map_err(errno);
        match ring.and_then(&finish) {
            Err(Errno(libc::EINVAL)) => {}
            result => return result,
        }
    }
    Err(Errno(libc::EINVAL))
}

fn errno(error: io::Error) -> Errno {
    Errno(error.raw_os_error().unwrap_or(libc::ENOSYS))
}

/// Whether a ring with so many entries can be had.
pub fn check_available(entries: u32) -> Result<(), Errno> {
    make(entries, |_| Ok(()))
}

/// A ring of this thread's.
pub struct Uring {
    ring: IoUring,
    /// Its number among the thread's registered rings, if it is one. That ends with the thread.
    registered: Option<c_uint>,
}

impl Uring {
    /// Makes a ring for this thread: `EBADF` if its descriptor was closed meanwhile.
    pub fn new(entries: u32) -> Result<Self, Errno> {
        make(entries, Self::claim)
    }

    /// Registers and enables a ring.
    fn claim(ring: IoUring) -> Result<Self, Errno> {
        let registered = register(&ring);
        let disabled = ring.params().is_setup_single_issuer();
        let enabled = if disabled { ring.submitter().register_enable_rings().map_err(errno) } else { Ok(()) };
        match (&registered, enabled) {
            // The number is free, or of another ring.
            (Err(Errno(libc::EBADF | libc::EEXIST)), _)
            | (_, Err(Errno(libc::EBADF | libc::EBADFD | libc::EEXIST))) => Err(Errno(libc::EBADF)),
            // A filter allows no `io_uring_register()`.
            (_, Err(_)) => Err(Errno(libc::EINVAL)),
            // There is no registering on an older kernel, or out of memory.
            (_, Ok(())) => Ok(Self { ring, registered: registered.ok() }),
        }
    }

    /// How many submissions it has room for.
    pub fn entries(&self) -> u32 {
        self.ring.params().sq_entries()
    }

    /// Limits how many threads of the kernel's own work for this ring. Older kernels have their own ideas.
    pub fn limit_workers(&self, count: u32) {
        let _ = self.ring.submitter().register_iowq_max_workers(&mut [count, 0]);
    }

    /// Adds a submission.
    ///
    /// # Safety
    ///
    /// What it points to must stay valid until its completion was seen.
    pub unsafe fn push(&mut self, submission: &squeue::Entry) {
        // SAFETY: passed on to the caller.
        let pushed = unsafe { self.ring.submission().push(submission) };
        pushed.expect("there are as many submission queue entries as flights");
    }

    /// How many submissions the kernel has not taken.
    pub fn unsent(&mut self) -> usize {
        self.ring.submission().len()
    }

    /// Whether there is a completion to be seen.
    pub fn has_completion(&mut self) -> bool {
        !self.ring.completion().is_empty()
    }

    /// The user data of a submission that is done, and its result.
    pub fn next_completion(&mut self) -> Option<(u64, c_int)> {
        self.ring.completion().next().map(|completion| (completion.user_data(), completion.result()))
    }

    /// Sends so many submissions, waits for so many completions, and returns how many submissions the kernel took.
    pub fn enter(&mut self, submissions: usize, completions: usize) -> Result<usize, Errno> {
        const GETEVENTS: c_uint = 1 << 0;
        const REGISTERED_RING: c_uint = 1 << 4;
        let (ring, by) = match self.registered {
            Some(index) => (index, REGISTERED_RING),
            None => (self.ring.as_raw_fd() as c_uint, 0),
        };
        let flags = by | if completions > 0 { GETEVENTS } else { 0 };
        // SAFETY: no signal mask is passed. The submissions are as `push` was promised.
        let ret = unsafe {
            libc::syscall(libc::SYS_io_uring_enter, ring, submissions, completions, flags, ptr::null::<u8>(), 0_usize)
        };
        usize::try_from(ret).map_err(|_| Errno::last())
    }
}

/// Registers a ring with this thread, and returns its number there.
fn register(ring: &IoUring) -> Result<c_uint, Errno> {
    /// The kernel's `struct io_uring_rsrc_update`.
    #[repr(C)]
    struct Update {
        offset: u32,
        resv: u32,
        data: u64,
    }
    const REGISTER_RING_FDS: c_uint = 20;
    const ANY: u32 = u32::MAX;
    let fd = ring.as_raw_fd();
    let mut update = Update { offset: ANY, resv: 0, data: fd as u64 };
    // SAFETY: the kernel writes the number that it chose to `offset`.
    let ret = unsafe { libc::syscall(libc::SYS_io_uring_register, fd, REGISTER_RING_FDS, &raw mut update, 1) };
    if ret == 1 { Ok(update.offset) } else { Err(Errno::last()) }
}
