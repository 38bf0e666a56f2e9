//! An io_uring, as the models have it: one of chance.
//!
//! It takes all submissions, or a part of them, or none, or fails; what it has taken it does late and in any order, by the
//! same system calls as the kernel, or it refuses or cancels that. What a kernel would suffer from or never forgive fails
//! the model: more in flight than fits, a wait that nothing ends, a ring dropped or used by another thread with
//! requests in flight.

use super::machine::{self, Machine};
use crate::platform::errno::{self, Errno};
use io_uring::{opcode, squeue};
use libc::{c_char, c_int, c_uint};
use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

#[cfg(ioq_loom)]
use loom::thread;
#[cfg(ioq_shuttle)]
use shuttle::thread;

/// Whether a ring can be had. It can when the queue is created, whatever the driver finds later.
pub fn check_available() -> Result<(), Errno> {
    Ok(())
}

/// A ring of this thread's.
pub struct Uring {
    entries: u32,
    owner: thread::ThreadId,
    /// What was pushed and not taken.
    pushed: VecDeque<Submission>,
    /// What was taken and is not done.
    in_flight: Vec<Submission>,
    /// The user data of what is done, and the results.
    completed: VecDeque<(u64, c_int)>,
    /// What it answers to each operation that it refuses.
    refused: Vec<(u8, c_int)>,
}

impl Uring {
    pub fn new(entries: u32, _: u32, _: bool) -> Result<Self, Errno> {
        let Machine { lacks_rings, ring_refuses, .. } = machine::get();
        if lacks_rings.comes() {
            return Err(Errno(libc::ENOMEM));
        }
        let refused = |op: u8| {
            let errnos = [libc::EPERM, libc::EINVAL, libc::EOPNOTSUPP];
            ring_refuses.comes().then(|| (op, -errnos[machine::one_of(errnos.len())]))
        };
        Ok(Self {
            entries,
            owner: thread::current().id(),
            pushed: VecDeque::new(),
            in_flight: vec![],
            completed: VecDeque::new(),
            // A ring refuses an operation always or never.
            refused: [opcode::Statx::CODE, opcode::OpenAt::CODE].into_iter().filter_map(refused).collect(),
        })
    }

    pub fn limits_workers(&self) -> bool {
        true
    }

    /// How many submissions it has room for.
    pub fn entries(&self) -> usize {
        self.entries as usize
    }

    /// Adds a submission.
    ///
    /// # Safety
    ///
    /// What it points to must stay valid until its completion was seen, or it was taken back.
    pub unsafe fn push(&mut self, submission: squeue::Entry) {
        assert!(self.pushed.len() < self.entries as usize, "there is no room for another submission");
        self.pushed.push_back(Submission::of(&submission));
    }

    /// How many submissions the kernel has not taken.
    pub fn unsent(&self) -> usize {
        self.pushed.len()
    }

    /// Takes the last submission back that the kernel has not taken. Returns its user data.
    pub fn take_back(&mut self) -> Option<u64> {
        self.pushed.pop_back().map(|submission| submission.user_data)
    }

    /// Whether there is a completion to be seen.
    pub fn has_completion(&mut self) -> bool {
        self.go_on();
        !self.completed.is_empty()
    }

    pub fn next_completion(&mut self) -> Option<(u64, c_int)> {
        self.go_on();
        self.completed.pop_front()
    }

    /// Sends so many submissions, and waits for so many completions, or for some time. Returns how many submissions the
    /// kernel took.
    pub fn enter(&mut self, submissions: usize, completions: usize, _: Duration) -> Result<usize, Errno> {
        assert_eq!(thread::current().id(), self.owner, "a ring has a single issuer");
        let mut taken = submissions.min(self.pushed.len());
        if submissions > 0 && machine::get().ring_balks.comes() {
            match machine::one_of(5) {
                0 => return Err(Errno(libc::EINTR)),
                1 => return Err(Errno(libc::EAGAIN)),
                2 => return Err(Errno(libc::EPERM)),
                _ => taken = machine::one_of(taken + 1),
            }
        }
        self.in_flight.extend(self.pushed.drain(..taken));
        assert!(
            self.in_flight.len() + self.completed.len() <= 2 * self.entries as usize,
            "more than there is room for completions"
        );
        // The kernel does not wait if it has not taken all.
        if taken < submissions {
            return Ok(taken);
        }
        while self.completed.len() < completions {
            assert!(!self.in_flight.is_empty(), "nothing is in flight that could end this wait");
            // Sooner or later, though something in it hangs.
            if machine::one_of(8) == 0 {
                return if taken > 0 { Ok(taken) } else { Err(Errno(libc::ETIME)) };
            }
            thread::yield_now();
            self.go_on();
        }
        Ok(taken)
    }

    /// The kernel does something, or nothing.
    fn go_on(&mut self) {
        let Machine { holds, ring_balks, ring_refuses, in_ring, .. } = machine::get();
        if self.in_flight.is_empty() || machine::one_of(3) == 0 {
            return;
        }
        let next = machine::one_of(self.in_flight.len());
        if holds(&self.in_flight[next]) {
            return;
        }
        let submission = self.in_flight.swap_remove(next);
        // What hangs is interrupted, and so may be what is about to be done.
        let is_cancelled = |other: &_| submission.cancels(other) && (holds(other) || machine::one_of(2) == 0);
        let (cancelled, in_flight): (Vec<_>, _) = mem::take(&mut self.in_flight).into_iter().partition(is_cancelled);
        self.in_flight = in_flight;
        self.completed.extend(cancelled.iter().map(|other| (other.user_data, -libc::ECANCELED)));
        let refused = self.refused.iter().find(|&&(op, _)| op == submission.op).map(|&(_, result)| result);
        let result = match refused {
            Some(result) => result,
            // The kernel's own threads may be taken away.
            None if ring_refuses.comes() && ring_balks.comes() => -libc::ECANCELED,
            None => {
                in_ring(&submission);
                // SAFETY: what it points to is valid until its completion was seen, as `push` was promised.
                unsafe { submission.run() }
            }
        };
        self.completed.push_back((submission.user_data, result));
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        let idle = self.in_flight.is_empty() && self.completed.is_empty();
        assert!(idle || std::thread::panicking(), "a ring is dropped with requests in flight");
    }
}

/// What a ring is to do: the kernel's `struct io_uring_sqe`, as far as the library uses it.
#[repr(C)]
pub struct Submission {
    op: u8,
    flags: u8,
    ioprio: u16,
    /// The descriptor.
    pub fd: c_int,
    /// Where the result of a statx goes.
    buf: *mut libc::statx,
    /// The path.
    pub path: *const c_char,
    mask: c_uint,
    statx_flags: c_int,
    pub user_data: u64,
    rest: [u64; 3],
}

impl Submission {
    fn of(entry: &squeue::Entry) -> Self {
        // SAFETY: both are that structure of the kernel's, of integers and pointers.
        unsafe { mem::transmute_copy(entry) }
    }

    /// Whether it is to cancel this one.
    fn cancels(&self, other: &Self) -> bool {
        // It has that one's user data where others have their path; without any, all are meant.
        self.op == opcode::AsyncCancel::CODE && [0, other.user_data].contains(&(self.path.addr() as u64))
    }

    /// Does it, as the kernel would.
    ///
    /// # Safety
    ///
    /// What it points to must be valid.
    unsafe fn run(&self) -> c_int {
        // SAFETY: passed on to the caller.
        let ret = unsafe {
            match self.op {
                opcode::AsyncCancel::CODE => 0,
                // The flags are where those of a statx are.
                opcode::OpenAt::CODE => libc::openat(self.fd, self.path, self.statx_flags),
                opcode::Statx::CODE => libc::statx(self.fd, self.path, self.statx_flags, self.mask, self.buf),
                op => panic!("no model submits operation {op}"),
            }
        };
        errno::negated(ret)
    }
}
