//! A program that uses a queue as chance has it, on a machine of chance, and holds the queue to what `ioq.h` promises.

use super::machine::{Chance, Machine, one_of};
use super::uring::Submission;
use crate::entry::{bfs_dir, ioq_ent, ioq_op};
use crate::fs::dir::{bfs_allocdir, bfs_closedir};
use crate::fs::stat::bfs_stat;
use crate::ops::{self, Close, Nop, Opendir, Stat};
use crate::platform::errno::Errno;
use crate::platform::sync::Deadline;
use crate::queue::options::{Backend, Options};
use crate::queue::{Ioq, Wait};
use crate::worker::ThreadOptions;
use libc::{c_char, c_int, c_uint, c_void};
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::thread;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::mem::MaybeUninit;
use std::ptr::{NonNull, without_provenance_mut};

/// A machine as chance has it.
pub fn some_machine() -> Machine {
    // Where threads are lacking, somebody comes back after some time.
    let (lacks_threads, limits_end) =
        [(Chance::Never, Chance::Never), (Chance::Never, Chance::Even), (Chance::Even, Chance::Always)][one_of(3)];
    Machine {
        processors: 1 + one_of(3),
        lacks_threads,
        time_passes: [Chance::Never, Chance::Even, Chance::Always][one_of(3)],
        limits_end,
        request: run_request,
        lacks_rings: [Chance::Never, Chance::Even][one_of(2)],
        ring_balks: [Chance::Never, Chance::Even][one_of(2)],
        ring_refuses: [Chance::Never, Chance::Even][one_of(2)],
        in_ring: |submission| _ = number_of(submission).map(run_once),
        ..Machine::IDEAL
    }
}

/// The backends that use rings.
pub fn with_rings() -> Backend {
    [Backend::Auto, Backend::Uring, Backend::Uring][one_of(3)]
}

/// A queue that is like this, and for the rest as chance has it.
pub fn options(depth: usize, nthreads: usize, backend: Backend) -> Options {
    let (caller_runs, inflight) = (Chance::Even.comes(), [1, 2, 64][one_of(3)]);
    Options { depth, nthreads, backend, caller_runs, inflight, descriptors: true, threads: ThreadOptions::default() }
}

// All threads of a model are one to the system.
thread_local! {
    /// The numbers of the requests that were run.
    static RUNS: RefCell<HashSet<usize>> = RefCell::default();
    /// How many came back.
    static BACK: Cell<usize> = const { Cell::new(0) };
    /// Whether the queue was cancelled, and which of the requests.
    static CANCELLED: Cell<bool> = const { Cell::new(false) };
    static CANCELLED_ONES: RefCell<HashSet<usize>> = RefCell::default();
}

/// Nothing has been noted yet.
pub fn begin() {
    RUNS.take();
    BACK.set(0);
    CANCELLED.set(false);
    CANCELLED_ONES.take();
}

/// Takes note that a request is run by a plain call. No-ops are none, and a directory that a ring has opened is opened.
pub fn run_request(ent: &ioq_ent) {
    if ent.op == ioq_op::IOQ_NOP || (ent.op == ioq_op::IOQ_OPENDIR && ent.result > 0) {
        return;
    }
    let number = ent.ptr.addr();
    let is_cancelled = CANCELLED.get() || is_cancelled(number);
    assert!(!is_cancelled || ops::of(ent.op).survives_cancel(ent), "request {number} runs though cancelled");
    run_once(number);
}

/// Takes note that a request is run. Others may come before, and after.
fn run_once(number: usize) {
    let step = AtomicUsize::new(0);
    step.load(Ordering::SeqCst);
    assert!(RUNS.with_borrow_mut(|runs| runs.insert(number)), "request {number} runs twice");
    step.load(Ordering::SeqCst);
}

pub fn has_run(number: usize) -> bool {
    RUNS.with_borrow(|runs| runs.contains(&number))
}

/// Whether this request alone was cancelled.
fn is_cancelled(number: usize) -> bool {
    CANCELLED_ONES.with_borrow(|ones| ones.contains(&number))
}

/// How many requests came back.
pub fn back() -> usize {
    BACK.get()
}

/// Spellings of the root, as many as there may be requests: by them a ring of the models knows what it does.
static ROOTS: [u8; MOST + 1] = {
    let mut roots = [b'/'; MOST + 1];
    roots[MOST] = 0;
    roots
};
const MOST: usize = 1024;

/// The path of a request.
fn path_of(number: usize) -> *const c_char {
    ROOTS[MOST - 1 - number..].as_ptr().cast()
}

/// The descriptor of a close. None of these is open; -1 is what the library tries itself.
fn fd_of(number: usize) -> c_int {
    -2 - number as c_int
}

/// The number of the request that a submission was made for, if it was made for one.
pub fn number_of(submission: &Submission) -> Option<usize> {
    if submission.user_data > ops::COUNT as u64 && !submission.path.is_null() {
        return Some(path_of(0).addr() - submission.path.addr());
    }
    None
}

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// Never waits.
    Nop,
    /// Might wait, and is not run any more once the queue was cancelled.
    Stat,
    /// The same, in two steps where there is a ring.
    Opendir,
    /// Must be run.
    Close,
}

/// A program that uses a queue, and what it knows of it.
pub struct Caller {
    ioq: NonNull<Ioq>,
    depth: usize,
    /// The requests that were accepted, by their numbers.
    accepted: Vec<Kind>,
    /// Whether they came back.
    back: Vec<bool>,
    /// The entries that were popped and not freed.
    held: Vec<NonNull<ioq_ent>>,
    /// Where stats go.
    buffers: Vec<Box<MaybeUninit<bfs_stat>>>,
    /// Where directories are opened.
    dirs: Vec<*mut bfs_dir>,
    /// Whether the queue may have been cancelled.
    cancelled: bool,
}

/// Starts a thread that cancels a queue.
///
/// # Safety
///
/// The queue must be live until the thread was joined.
pub unsafe fn cancel(ioq: NonNull<Ioq>) -> thread::JoinHandle<()> {
    struct Canceller(NonNull<Ioq>);
    // SAFETY: any thread may cancel a queue.
    unsafe impl Send for Canceller {}

    let canceller = Canceller(ioq);
    thread::spawn(move || {
        let Canceller(ioq) = { canceller };
        // SAFETY: by this function's contract.
        unsafe { ioq.as_ref() }.cancel();
        CANCELLED.set(true);
    })
}

// SAFETY, in all of these: the queue is live until `destroy`, which takes the caller, and only the model's first thread
// uses it. The requests' pointers are those of buffers and directories that live as long.
impl Caller {
    pub fn create(options: Options) -> Self {
        begin();
        let depth = options.depth;
        let ioq = Ioq::create(options).unwrap();
        let (accepted, back, held, buffers, dirs) = Default::default();
        Self { ioq, depth, accepted, back, held, buffers, dirs, cancelled: false }
    }

    fn ioq(&self) -> &Ioq {
        // SAFETY: see above.
        unsafe { self.ioq.as_ref() }
    }

    /// How many requests fit.
    pub fn room(&self) -> usize {
        let freed = self.back.iter().filter(|&&back| back).count() - self.held.len();
        let room = self.depth - (self.accepted.len() - freed);
        // SAFETY: see above.
        assert_eq!(unsafe { self.ioq().capacity() }, room, "the capacity");
        room
    }

    /// Tries to submit a request. Returns whether it was accepted.
    pub fn request(&mut self, kind: Kind) -> bool {
        let number = self.accepted.len();
        let request = match kind {
            Kind::Nop => Nop::request(one_of(2) as c_uint),
            Kind::Close => Ok(Close::request(fd_of(number))),
            Kind::Stat => {
                self.buffers.push(Box::new(MaybeUninit::zeroed()));
                let buffer: *mut _ = &mut **self.buffers.last_mut().unwrap();
                Stat::request(libc::AT_FDCWD, path_of(number), 0, buffer.cast())
            }
            Kind::Opendir => {
                self.dirs.push(bfs_allocdir());
                Opendir::request(*self.dirs.last().unwrap(), libc::AT_FDCWD, path_of(number), 0)
            }
        };
        let room = self.room();
        let ptr: *mut c_void = without_provenance_mut(number);
        // SAFETY: see above.
        match unsafe { self.ioq().request(request.unwrap(), ptr) } {
            Ok(()) => {
                assert!(room > 0, "more than fits");
                self.accepted.push(kind);
                self.back.push(false);
                true
            }
            Err(Errno(libc::EAGAIN)) if room == 0 => false,
            Err(Errno(libc::EINTR)) if self.cancelled => false,
            Err(e) => panic!("{e:?} with room for {room}"),
        }
    }

    pub fn submit(&self) {
        // SAFETY: see above.
        unsafe { self.ioq().submit() };
    }

    /// Submits a request as one of its own.
    pub fn send(&mut self, kind: Kind) {
        assert!(self.request(kind));
        self.submit();
    }

    /// Pops, and looks at what it gets. Returns whether that was something.
    pub fn pop(&mut self, block: bool) -> bool {
        // SAFETY: see above.
        let entry = unsafe { self.ioq().pop(if block { Wait::Forever } else { Wait::No }) };
        assert!(entry.is_some() || !block || self.has_all(), "something is in flight, but a pop does not wait");
        entry.map(|entry| self.receive(entry)).is_some()
    }

    /// The same with a wait that may end before something comes.
    pub fn pop_until_some_time(&mut self) -> bool {
        // SAFETY: see above.
        let result = unsafe { self.ioq().pop_until(Deadline::NEVER) };
        match result {
            Ok(None) => assert!(self.has_all(), "something is in flight, but a pop does not wait"),
            Ok(Some(entry)) => self.receive(entry),
            Err(e) => assert!(e == Errno(libc::ETIMEDOUT) && !self.has_all()),
        }
        matches!(result, Ok(Some(_)))
    }

    /// Looks at what was popped.
    fn receive(&mut self, entry: NonNull<ioq_ent>) {
        self.held.push(entry);
        // SAFETY: a popped entry is the caller's.
        let ent = unsafe { entry.as_ref() };
        let number = ent.ptr.addr();
        assert!(!std::mem::replace(&mut self.back[number], true), "request {number} comes back twice");
        BACK.set(BACK.get() + 1);
        let (op, result, runs) = match self.accepted[number] {
            Kind::Nop => (ioq_op::IOQ_NOP, 0, false),
            Kind::Stat => (ioq_op::IOQ_STAT, 0, true),
            Kind::Opendir => (ioq_op::IOQ_OPENDIR, 0, true),
            Kind::Close => (ioq_op::IOQ_CLOSE, -libc::EBADF, true),
        };
        let cancelled =
            (self.cancelled && ent.result == -libc::EINTR) || (is_cancelled(number) && ent.result == -libc::ECANCELED);
        let interrupted = cancelled && op != ioq_op::IOQ_CLOSE;
        assert_eq!(ent.op, op);
        assert!(interrupted || ent.result == result, "request {number}: {}", ent.result);
        // A directory that was opened may have been closed again.
        let may_have_run = interrupted && op == ioq_op::IOQ_OPENDIR;
        assert!(may_have_run || has_run(number) == (runs && !interrupted), "request {number}");
        if op == ioq_op::IOQ_OPENDIR && !interrupted {
            // SAFETY: the arguments of this operation, and the directory is open.
            assert_eq!(unsafe { bfs_closedir(ent.args.opendir.dir) }, 0);
        }
    }

    /// Has a descriptor made that is readable while something is to be popped.
    pub fn listen(&mut self) {
        // SAFETY: see above.
        while let Err(e) = unsafe { self.ioq().fd() } {
            assert_eq!(e, Errno(libc::EAGAIN));
            thread::yield_now();
        }
    }

    /// Cancels the request that was accepted last, unless it is back.
    pub fn cancel_last(&mut self) {
        if self.back.last() == Some(&false) {
            // SAFETY: see above.
            unsafe { self.ioq().cancel_one(self.ioq().last().unwrap()) };
            CANCELLED_ONES.with_borrow_mut(|ones| ones.insert(self.accepted.len() - 1));
        }
    }

    /// Pops, without a wait, and lets others go on.
    pub fn poll(&mut self) {
        self.pop(false);
        thread::yield_now();
    }

    /// Whether all that was accepted came back.
    pub fn has_all(&self) -> bool {
        !self.back.contains(&false)
    }

    /// Whether this request came back.
    pub fn has(&self, number: usize) -> bool {
        self.back[number]
    }

    /// How many requests were accepted.
    pub fn accepted(&self) -> usize {
        self.accepted.len()
    }

    /// Frees one of the entries that were popped, if there are any.
    pub fn free(&mut self) {
        if !self.held.is_empty() {
            let entry = self.held.swap_remove(one_of(self.held.len()));
            // SAFETY: popped, and freed once.
            unsafe { self.ioq().free(entry) };
        }
    }

    /// Does something.
    pub fn play(&mut self) {
        match one_of(10) {
            0..4 => {
                let kind = [Kind::Nop, Kind::Stat, Kind::Stat, Kind::Opendir, Kind::Close][one_of(5)];
                self.request(kind);
                if one_of(6) == 0 {
                    self.cancel_last();
                }
            }
            4 => self.submit(),
            5 => _ = self.pop(true),
            6 => _ = (0..one_of(9)).any(|_| self.pop(false)),
            7 => _ = self.pop_until_some_time(),
            _ => self.free(),
        }
    }

    /// Does some things.
    pub fn play_for_some_time(&mut self) {
        (0..8 + one_of(24)).for_each(|_| self.play());
    }

    /// Pops what is left.
    pub fn drain(&mut self) {
        while self.pop(true) {
            if Chance::Even.comes() {
                self.free();
            }
        }
        assert!(!self.pop(false));
        assert!(self.has_all());
        while !self.held.is_empty() {
            self.free();
        }
        assert_eq!(self.room(), self.depth);
        let counts = self.ioq().counts();
        assert_eq!(counts.ring + counts.worker + counts.caller, self.accepted.len() as u64, "the counts");
    }

    /// Starts a thread that cancels the queue.
    pub fn cancel(&mut self) -> thread::JoinHandle<()> {
        self.cancelled = true;
        // SAFETY: the thread is joined before the queue is destroyed.
        unsafe { cancel(self.ioq) }
    }

    pub fn destroy(self) {
        // SAFETY: see above.
        unsafe { Ioq::destroy(self.ioq) };
        for (number, kind) in self.accepted.iter().enumerate() {
            assert!(*kind != Kind::Close || has_run(number), "request {number} was left undone");
        }
        for dir in self.dirs {
            // SAFETY: allocated for `free()`, and not open any more.
            unsafe { libc::free(dir.cast()) };
        }
    }
}
