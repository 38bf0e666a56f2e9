//! What is in the hands of a ring: translating requests into submissions, and completions into results.

use crate::alloc;
use crate::block::Span;
use crate::entry::{ioq_ent, ioq_nop_type, ioq_op};
use crate::errno::{self, Errno};
use crate::exec;
use crate::shared::Shared;
use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use libc::c_int;
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// The requests in the hands of a ring, each in a place of its own, whose number is the submission's user data.
pub struct Flights {
    places: Vec<Flight>,
    /// The numbers of the places that are free.
    free: Vec<u8>,
    /// Operations that the kernel refuses to do through this ring, as bits.
    refused: u32,
    /// How many submissions were made.
    made: u64,
}

struct Flight {
    /// The request, until it is done.
    span: Option<Span>,
    /// The descriptor that an unwrapped directory left.
    fd: c_int,
    /// The number of its submission, counted from 0.
    number: u64,
    /// Whether that was to find out why the request itself failed.
    on_trial: bool,
    /// Where the kernel puts the result of a stat. It stays here, however late the completion.
    statx: UnsafeCell<MaybeUninit<libc::statx>>,
}

impl Flights {
    /// Room for `count` requests, at most 256.
    pub fn new(count: usize) -> Result<Self, Errno> {
        let statx = || UnsafeCell::new(MaybeUninit::zeroed());
        Ok(Self {
            places: alloc::vec(count, |_| Flight { span: None, fd: -1, number: 0, on_trial: false, statx: statx() })?,
            free: alloc::vec(count, |i| (count - 1 - i) as u8)?,
            refused: 0,
            made: 0,
        })
    }

    /// How many requests are in the hands of the ring.
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// Makes a submission for a span of one request, or gives it back if it must be run by plain calls. There must be
    /// room.
    pub fn prepare(&mut self, shared: &Shared, span: Span) -> Result<squeue::Entry, Span> {
        // SAFETY: this thread owns the span.
        let ent = unsafe { span.entry(0).as_ref() };
        if self.refused & bit(ent.op) != 0 {
            return Err(span);
        }
        let Some(&place) = self.free.last() else {
            return Err(span);
        };
        let flight = &mut self.places[usize::from(place)];
        // SAFETY: what the request points to is as the caller of `ioq.h` vouched for.
        let Some(submission) = (unsafe { flight.submission(shared, ent) }) else {
            return Err(span);
        };
        flight.span = Some(span);
        flight.number = self.made;
        self.made += 1;
        self.free.pop();
        Ok(submission.user_data(place.into()))
    }

    /// Whether finishing this request, with this result, may take long.
    pub fn is_long(&self, place: u64, result: c_int) -> bool {
        self.places[place as usize].span.as_ref().is_some_and(|span| {
            // SAFETY: this thread owns the span.
            let ent = unsafe { span.entry(0).as_ref() };
            if result < 0 { is_worth_a_retry(ent, -result) } else { ent.op == ioq_op::IOQ_OPENDIR }
        })
    }

    /// Finishes the request that `place` stands for, whose submission ended with `result`; or makes another submission
    /// for it.
    pub fn complete(&mut self, shared: &Shared, place: u64, result: c_int) -> Result<Span, squeue::Entry> {
        let flight = &mut self.places[place as usize];
        let span = flight.span.take().expect("the kernel completes what was submitted, once");
        // SAFETY: this thread owns the span.
        let ent = unsafe { span.entry(0).as_mut() };
        // SAFETY: the completion was just seen, so the kernel is done with everything that the flight points to.
        match unsafe { flight.land(shared, ent, result) } {
            Landing::Done => {}
            Landing::Refused => self.refused |= bit(ent.op),
            Landing::Doubtful => {
                flight.span = Some(span);
                flight.number = self.made;
                flight.on_trial = true;
                self.made += 1;
                return Err(opcode::Close::new(Fd(-1)).build().user_data(place));
            }
        }
        self.free.push(place as u8);
        Ok(span)
    }

    /// Takes back one of the last `unsent` submissions, which the kernel never saw.
    pub fn recall(&mut self, shared: &Shared, unsent: u64) -> Option<Recalled> {
        let sent = self.made - unsent;
        let place = self.places.iter().position(|f| f.span.is_some() && f.number >= sent)?;
        let flight = &mut self.places[place];
        let span = flight.span.take()?;
        self.free.push(place as u8);
        // SAFETY: this thread owns the span, and the kernel knows nothing of it.
        unsafe {
            let ent = span.entry(0).as_mut();
            if std::mem::take(&mut flight.on_trial) {
                // That cannot be tried any more. If the descriptor is still open, most likely it was not closed.
                let open = flight.closes(ent).is_some_and(is_open);
                flight.judge(shared, ent, if open { ent.result } else { -libc::EBADF });
            } else if ent.op == ioq_op::IOQ_CLOSEDIR {
                flight.run_plain(shared, ent);
            } else {
                return Some(Recalled::Untouched(span));
            }
        }
        Some(Recalled::Done(span))
    }
}

/// A request whose submission was taken back.
pub enum Recalled {
    /// It is as if it had never been in the ring's hands.
    Untouched(Span),
    /// It was half done, and has been finished.
    Done(Span),
}

fn bit(op: ioq_op) -> u32 {
    1 << op as u32
}

/// What became of a request whose submission ended.
enum Landing {
    /// It has its result.
    Done,
    /// The same, though the ring refused what plain calls can do.
    Refused,
    /// The ring may have refused it, or not. A trial will tell.
    Doubtful,
}

/// Whether a ring may answer this because it is not allowed or not able to do such a request at all: filters and
/// restrictions, security modules, kernels without the operation, workers that were taken away.
fn may_be_refusal(errno: c_int) -> bool {
    matches!(errno, libc::EACCES | libc::EPERM | libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP | libc::ECANCELED)
}

/// Whether a request that failed so in the ring may have another answer from plain calls.
fn is_worth_a_retry(ent: &ioq_ent, errno: c_int) -> bool {
    may_be_refusal(errno)
        || match ent.op {
            // A ring closes no ring, nor what a directory took for one.
            ioq_op::IOQ_CLOSE | ioq_op::IOQ_CLOSEDIR => errno == libc::EBADF,
            // It was a thread of the kernel's that was interrupted. To the caller, this would mean cancelled.
            ioq_op::IOQ_OPENDIR | ioq_op::IOQ_STAT if errno == libc::EINTR => true,
            // Only the provider knows which flags make it try the link itself.
            // SAFETY: the arguments of this operation.
            ioq_op::IOQ_STAT => matches!(errno, libc::ENOENT | libc::ENOTDIR) && unsafe { ent.args.stat.flags } != 0,
            _ => false,
        }
}

/// Whether this is an open descriptor.
fn is_open(fd: c_int) -> bool {
    // SAFETY: this touches no memory.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// Whether a descriptor is that of an io_uring.
fn is_ring(fd: c_int) -> bool {
    // SAFETY: this neither submits nor waits, and passes no pointer.
    // syscall() reads words, and of the last, which is on the stack, an int would leave one half to chance.
    let ret = unsafe { libc::syscall(libc::SYS_io_uring_enter, fd, 0, 0, 0, 0_usize, 0_usize) };
    ret >= 0 || !matches!(Errno::last(), Errno(libc::EBADF | libc::EOPNOTSUPP))
}

impl Flight {
    /// The submission for a request, or None if a ring cannot do it.
    ///
    /// # Safety
    ///
    /// The request's pointers must be as `ioq.h` asks.
    unsafe fn submission(&mut self, shared: &Shared, ent: &ioq_ent) -> Option<squeue::Entry> {
        // SAFETY: `op` says which arguments were written; the rest is as the caller vouches for.
        unsafe {
            match ent.op {
                ioq_op::IOQ_NOP => {
                    (ent.args.nop.r#type == ioq_nop_type::IOQ_NOP_HEAVY).then(|| opcode::Nop::new().build())
                }
                ioq_op::IOQ_CLOSE => Some(opcode::Close::new(Fd(ent.args.close.fd)).build()),
                ioq_op::IOQ_OPENDIR => {
                    let args = &ent.args.opendir;
                    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
                    // Without a path there is nothing to open.
                    (!args.path.is_null()).then(|| opcode::OpenAt::new(Fd(args.dfd), args.path).flags(flags).build())
                }
                ioq_op::IOQ_CLOSEDIR => {
                    self.fd = shared.host.dir.unwrapdir(ent.args.closedir.dir)?;
                    Some(opcode::Close::new(Fd(self.fd)).build())
                }
                ioq_op::IOQ_STAT => {
                    let args = &ent.args.stat;
                    if args.path.is_null() {
                        // The provider knows best how to stat a descriptor, and that never waits for a look-up.
                        return None;
                    }
                    let (flags, mask) = shared.host.stat.statx_args(args.flags)?;
                    let buf = self.statx.get().cast();
                    Some(opcode::Statx::new(Fd(args.dfd), args.path, buf).flags(flags).mask(mask).build())
                }
            }
        }
    }

    /// The descriptor that a request closes, if it does.
    fn closes(&self, ent: &ioq_ent) -> Option<c_int> {
        match ent.op {
            // SAFETY: the arguments of this operation.
            ioq_op::IOQ_CLOSE => Some(unsafe { ent.args.close.fd }),
            ioq_op::IOQ_CLOSEDIR => Some(self.fd),
            _ => None,
        }
    }

    /// Turns the submission's result into the request's.
    ///
    /// # Safety
    ///
    /// The kernel must be done with the submission, which was made for `ent`.
    unsafe fn land(&mut self, shared: &Shared, ent: &mut ioq_ent, result: c_int) -> Landing {
        if std::mem::take(&mut self.on_trial) {
            // SAFETY: passed on to the caller.
            return unsafe { self.judge(shared, ent, result) };
        }
        ent.result = result;
        if result < 0 {
            // SAFETY: passed on to the caller.
            return unsafe { self.retry(shared, ent) };
        }
        // SAFETY: as above.
        unsafe {
            match ent.op {
                ioq_op::IOQ_OPENDIR => {
                    if shared.check_cancel(ent) {
                        libc::close(result);
                        return Landing::Done;
                    }
                    let args = ent.args.opendir;
                    ent.result = shared.host.dir.opendir(args.dir, result, std::ptr::null(), args.flags);
                    if ent.result < 0 {
                        libc::close(result);
                    } else {
                        shared.host.dir.polldir(args.dir);
                    }
                }
                ioq_op::IOQ_STAT => {
                    let buf = NonNull::new(self.statx.get().cast::<libc::statx>()).expect("a field");
                    ent.result = shared.host.stat.statx_convert(ent.args.stat.buf, buf.as_ref());
                }
                _ => ent.result = 0,
            }
        }
        Landing::Done
    }

    /// Runs a failed request again where plain calls may have another answer.
    ///
    /// # Safety
    ///
    /// As for `land`.
    unsafe fn retry(&mut self, shared: &Shared, ent: &mut ioq_ent) -> Landing {
        let failed = ent.result;
        if !is_worth_a_retry(ent, -failed) {
            return Landing::Done;
        }
        let refused = may_be_refusal(-failed);
        if let Some(fd) = self.closes(ent) {
            // This descriptor may be closed all the same, if that is the file system's answer (NFS and FUSE have any), and
            // its number somebody else's by now. What was cancelled did not run.
            if refused && failed != -libc::ECANCELED {
                return Landing::Doubtful;
            }
            if !refused && !is_ring(fd) {
                return Landing::Done;
            }
        }
        if shared.check_cancel(ent) {
            return Landing::Done;
        }
        // SAFETY: passed on to the caller.
        unsafe { self.run_plain(shared, ent) };
        // The same answer again means that the request was at fault, not the ring.
        if refused && ent.result != failed && failed != -libc::ECANCELED { Landing::Refused } else { Landing::Done }
    }

    /// Finishes a close that failed, after the ring was told to close -1: whether it does so or refuses, the descriptor is
    /// gone or still there.
    ///
    /// # Safety
    ///
    /// As for `land`.
    unsafe fn judge(&mut self, shared: &Shared, ent: &mut ioq_ent, result: c_int) -> Landing {
        if !may_be_refusal(-result) {
            return Landing::Done;
        }
        // SAFETY: passed on to the caller.
        unsafe { self.run_plain(shared, ent) };
        Landing::Refused
    }

    /// Runs a request by plain calls, of which `submission` may have undone the first half.
    ///
    /// # Safety
    ///
    /// The request's pointers must be as `ioq.h` asks, and the kernel must have nothing to do with it.
    unsafe fn run_plain(&mut self, shared: &Shared, ent: &mut ioq_ent) {
        // SAFETY: passed on to the caller; an unwrapped directory's descriptor is ours.
        unsafe {
            if ent.op == ioq_op::IOQ_CLOSEDIR {
                ent.result = errno::negated(libc::close(self.fd));
            } else {
                exec::run(&shared.host, ent);
            }
        }
    }
}
