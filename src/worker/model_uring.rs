//! An io_uring, as the models have it: one of chance.
//!
//! It takes all submissions, or a part of them, or none, or fails; what it has taken it does late and in any order, by the
//! same system calls as the kernel, or it refuses or cancels that. What a kernel would suffer from or never forgive fails
//! the model: more in flight than fits, a wait that nothing ends, a ring dropped or used by another thread with
//! requests in flight.

use crate::errno::{self, Errno};
use crate::machine::{self, Chance, Machine};
use io_uring::{opcode, squeue};
use libc::{c_char, c_int, c_uint};
use std::collections::VecDeque;

#[cfg(ioq_loom)]
use loom::thread;
#[cfg(ioq_shuttle)]
use shuttle::thread;

/// Whether a ring with so many entries can be had. It can when the queue is created, whatever the workers find later.
pub fn check_available(_: u32) -> Result<(), Errno> {
    Ok(())
}

/// A ring of this thread's.
pub struct Uring {
    entries: u32,
    owner: thread::ThreadId,
    /// What was pushed and not taken.
    pushed: VecDeque<Submission>,
    /// What was taken and is not done.
    flying: Vec<Submission>,
    /// The user data of what is done, and the results.
    completed: VecDeque<(u64, c_int)>,
    /// What it answers to each operation that it refuses.
    refused: Vec<(u8, c_int)>,
}

impl Uring {
    pub fn new(entries: u32) -> Result<Self, Errno> {
        let Machine { lacks_rings, ring_entries, ring_balks, ring_refuses, .. } = machine::get();
        if lacks_rings.comes() {
            return Err(Errno(libc::ENOMEM));
        }
        // If a ring is given up before it tells whether it refuses closes, nobody knows what became of a descriptor that
        // was not open.
        let closes = !matches!(ring_balks, Chance::Never);
        let refused = |op: u8| {
            let errnos = [libc::EPERM, libc::EINVAL, libc::EOPNOTSUPP];
            let refuses = ring_refuses.comes() && !(op == opcode::Close::CODE && closes);
            refuses.then(|| (op, -errnos[machine::one_of(errnos.len())]))
        };
        Ok(Self {
            entries: ring_entries.min(entries),
            owner: thread::current().id(),
            pushed: VecDeque::new(),
            flying: vec![],
            completed: VecDeque::new(),
            // A ring refuses an operation always or never.
            refused: [opcode::Nop::CODE, opcode::Close::CODE, opcode::Statx::CODE]
                .into_iter()
                .filter_map(refused)
                .collect(),
        })
    }

    /// How many submissions it has room for.
    pub fn entries(&self) -> u32 {
        self.entries
    }

    pub fn limit_workers(&self, _: u32) {}

    /// Adds a submission.
    ///
    /// # Safety
    ///
    /// What it points to must stay valid until its completion was seen.
    pub unsafe fn push(&mut self, submission: &squeue::Entry) {
        assert!(self.pushed.len() < self.entries as usize, "there are as many submission queue entries as flights");
        self.pushed.push_back(Submission::of(submission));
    }

    /// How many submissions the kernel has not taken.
    pub fn unsent(&mut self) -> usize {
        self.pushed.len()
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

    /// Sends so many submissions, waits for so many completions, and returns how many submissions the kernel took.
    pub fn enter(&mut self, submissions: usize, completions: usize) -> Result<usize, Errno> {
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
        self.flying.extend(self.pushed.drain(..taken));
        assert!(
            self.flying.len() + self.completed.len() <= 2 * self.entries as usize,
            "more than there is room for completions"
        );
        // The kernel does not wait if it has not taken all.
        if taken < submissions {
            return Ok(taken);
        }
        while self.completed.len() < completions {
            assert!(!self.flying.is_empty(), "nothing is in flight that could end this wait");
            // Sooner or later, so that what it did not take is sent again though something in it hangs.
            if taken == 0 && machine::get().ring_balks.comes() {
                return Err(Errno(libc::EINTR));
            }
            thread::yield_now();
            self.go_on();
        }
        Ok(taken)
    }

    /// The kernel does something, or nothing.
    fn go_on(&mut self) {
        let Machine { holds, ring_balks, ring_refuses, in_ring, .. } = machine::get();
        if self.flying.is_empty() || machine::one_of(3) == 0 {
            return;
        }
        let next = machine::one_of(self.flying.len());
        if holds(&self.flying[next]) {
            return;
        }
        let submission = self.flying.swap_remove(next);
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
        let idle = self.flying.is_empty() && self.completed.is_empty();
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
    user_data: u64,
    rest: [u64; 3],
}

impl Submission {
    fn of(entry: &squeue::Entry) -> Self {
        // SAFETY: both are that structure of the kernel's, of integers and pointers.
        unsafe { std::mem::transmute_copy(entry) }
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
                opcode::Nop::CODE => 0,
                opcode::Close::CODE => libc::close(self.fd),
                opcode::Statx::CODE => libc::statx(self.fd, self.path, self.statx_flags, self.mask, self.buf),
                op => panic!("no model submits operation {op}"),
            }
        };
        errno::negated(ret)
    }
}
