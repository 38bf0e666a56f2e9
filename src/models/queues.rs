//! Whole queues, from create to destroy, in many random interleavings (make check-shuttle).
//!
//! Each model is a program that uses a queue as chance has it, on a machine of chance (`machine.rs`), and holds the queue
//! to what `ioq.h` promises: whatever was accepted comes back once, having run once or not at all, with the right result;
//! the capacity is kept; nothing hangs; `destroy` leaves nothing undone that must be done. A deadlock fails the model as
//! well, and so does one that goes round in circles.
//!
//! Queues have rings of chance (`uring.rs`) where the backend is one that uses them.
//!
//! Each is run under two schedulers. One draws the next thread at random at every step. The other (PCT) gives the threads
//! priorities, and changes them at few places only: it finds what needs few but certain switches of threads. loom, in the
//! modules, takes the small pieces, with all that the memory model allows; here memory is as one expects it.
//!
//! What fails is printed as a schedule. `IOQ_SCHEDULE` in the environment, and the test's name, run that again.
//! `IOQ_ITERATIONS` says how many interleavings to run of each model under each scheduler, and `SHUTTLE_RANDOM_SEED` makes
//! them the same every time.

mod lists;

use super::machine::{Chance, Machine, one_of};
use super::uring::Submission;
use crate::entry::{ioq_ent, ioq_op};
use crate::fs::stat::bfs_stat;
use crate::ops::{self, Close, Nop, Stat};
use crate::platform::errno::Errno;
use crate::queue::options::{Backend, Options};
use crate::queue::{Ioq, Wait};
use crate::worker::ThreadOptions;
use libc::{c_char, c_int, c_uint, c_void};
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::{Config, MaxSteps, Runner, thread};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::env;
use std::mem::MaybeUninit;
use std::ptr::{NonNull, without_provenance_mut};

/// How many interleavings to run, unless the environment says otherwise.
const ITERATIONS: usize = 10_000;

/// In how many places the second scheduler changes the threads' priorities.
const CHANGES: usize = 4;

/// Runs a model in many interleavings, or in the one that the environment names.
fn check(model: fn()) {
    fn run(scheduler: impl Scheduler + 'static, model: fn()) {
        let mut config = Config::new();
        config.stack_size = 1 << 18;
        config.silence_warnings = true;
        config.max_steps = MaxSteps::FailAfter(50_000);
        Runner::new(scheduler, config).run(move || {
            RUNS.take();
            // PCT insists on a second thread, and not every play has one.
            let other = thread::spawn(|| ());
            model();
            other.join().unwrap();
        });
    }
    if let Ok(schedule) = env::var("IOQ_SCHEDULE") {
        return run(ReplayScheduler::new_from_encoded(&schedule), model);
    }
    let iterations = env::var("IOQ_ITERATIONS").map_or(ITERATIONS, |n| n.parse().expect("a number"));
    run(RandomScheduler::new(iterations), model);
    run(PctScheduler::new(CHANGES, iterations), model);
}

/// A machine as chance has it.
fn some_machine() -> Machine {
    // Where threads are lacking, somebody comes back after some time.
    let (lacks_threads, limits_end) =
        [(Chance::Never, Chance::Never), (Chance::Never, Chance::Even), (Chance::Even, Chance::Always)][one_of(3)];
    Machine {
        processors: 1 + one_of(3),
        lacks_threads,
        time_passes: [Chance::Never, Chance::Even, Chance::Always][one_of(3)],
        limits_end,
        request: run_request,
        entry: |_| (),
        lacks_rings: [Chance::Never, Chance::Even][one_of(2)],
        ring_balks: [Chance::Never, Chance::Even][one_of(2)],
        ring_refuses: [Chance::Never, Chance::Even][one_of(2)],
        holds: |_| false,
        in_ring: |submission| _ = number_of(submission).map(run_once),
    }
}

/// The backends that use rings.
fn with_rings() -> Backend {
    [Backend::Auto, Backend::Uring, Backend::Uring][one_of(3)]
}

/// A queue that is like this, and for the rest as chance has it.
fn options(depth: usize, nthreads: usize, backend: Backend) -> Options {
    let (caller_runs, inflight) = (Chance::Even.comes(), [1, 2, 64][one_of(3)]);
    Options { depth, nthreads, backend, caller_runs, inflight, descriptors: true, threads: ThreadOptions::default() }
}

thread_local! {
    /// The numbers of the requests that were run.
    static RUNS: RefCell<HashSet<usize>> = RefCell::default();
}

/// Takes note that a request is run by a plain call. No-ops are none.
fn run_request(ent: &ioq_ent) {
    if ent.op != ioq_op::IOQ_NOP {
        run_once(ent.ptr.addr());
    }
}

/// Takes note that a request is run. Others may come before, and after.
fn run_once(number: usize) {
    let step = AtomicUsize::new(0);
    step.load(Ordering::SeqCst);
    assert!(RUNS.with_borrow_mut(|runs| runs.insert(number)), "request {number} runs twice");
    step.load(Ordering::SeqCst);
}

fn has_run(number: usize) -> bool {
    RUNS.with_borrow(|runs| runs.contains(&number))
}

/// Spellings of the root, as many as there may be requests: by them a ring of the models knows what it does.
static ROOTS: [u8; 257] = {
    let mut roots = [b'/'; 257];
    roots[256] = 0;
    roots
};

/// The path of a stat.
fn path_of(number: usize) -> *const c_char {
    ROOTS[255 - number..].as_ptr().cast()
}

/// The descriptor of a close. None of these is open; -1 is what the library tries itself.
fn fd_of(number: usize) -> c_int {
    -2 - number as c_int
}

/// The number of the request that a submission was made for, if it was made for one.
fn number_of(submission: &Submission) -> Option<usize> {
    if submission.user_data > ops::COUNT as u64 && !submission.path.is_null() {
        return Some(path_of(0).addr() - submission.path.addr());
    }
    None
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Never waits.
    Nop,
    /// Might wait, and is not run any more once the queue was cancelled.
    Stat,
    /// Must be run.
    Close,
}

/// A program that uses a queue, and what it knows of it.
struct Caller {
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
    /// Whether the queue may have been cancelled.
    cancelled: bool,
}

/// What the thread that cancels a queue knows of it.
struct Canceller(NonNull<Ioq>);
// SAFETY: any thread may cancel a queue.
unsafe impl Send for Canceller {}

// SAFETY, in all of these: the queue is live until `destroy`, which takes the caller, and only the model's first thread
// uses it. The requests' pointers are those of buffers that live as long.
impl Caller {
    fn create(options: Options) -> Self {
        let depth = options.depth;
        let ioq = Ioq::create(options).unwrap();
        let (accepted, back, held, buffers) = Default::default();
        Self { ioq, depth, accepted, back, held, buffers, cancelled: false }
    }

    fn ioq(&self) -> &Ioq {
        // SAFETY: see above.
        unsafe { self.ioq.as_ref() }
    }

    fn room(&self) -> usize {
        let freed = self.back.iter().filter(|&&back| back).count() - self.held.len();
        let room = self.depth - (self.accepted.len() - freed);
        // SAFETY: see above.
        assert_eq!(unsafe { self.ioq().capacity() }, room, "the capacity");
        room
    }

    /// Tries to submit a request. Returns whether it was accepted.
    fn request(&mut self, kind: Kind) -> bool {
        let number = self.accepted.len();
        let request = match kind {
            Kind::Nop => Nop::request(one_of(2) as c_uint),
            Kind::Close => Ok(Close::request(fd_of(number))),
            Kind::Stat => {
                self.buffers.push(Box::new(MaybeUninit::zeroed()));
                let buffer: *mut _ = &mut **self.buffers.last_mut().unwrap();
                Stat::request(libc::AT_FDCWD, path_of(number), 0, buffer.cast())
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

    fn submit(&self) {
        // SAFETY: see above.
        unsafe { self.ioq().submit() };
    }

    /// Pops, and looks at what it gets. Returns whether that was something.
    fn pop(&mut self, block: bool) -> bool {
        // SAFETY: see above.
        let Some(entry) = (unsafe { self.ioq().pop(if block { Wait::Forever } else { Wait::No }) }) else {
            assert!(!block || self.back.iter().all(|&back| back), "something is in flight, but a pop does not wait");
            return false;
        };
        self.held.push(entry);
        // SAFETY: a popped entry is the caller's.
        let ent = unsafe { entry.as_ref() };
        let number = ent.ptr.addr();
        assert!(!std::mem::replace(&mut self.back[number], true), "request {number} comes back twice");
        BACK.set(BACK.get() + 1);
        let (op, result, runs) = match self.accepted[number] {
            Kind::Nop => (ioq_op::IOQ_NOP, 0, false),
            Kind::Stat => (ioq_op::IOQ_STAT, 0, true),
            Kind::Close => (ioq_op::IOQ_CLOSE, -libc::EBADF, true),
        };
        let interrupted = self.cancelled && op != ioq_op::IOQ_CLOSE && ent.result == -libc::EINTR;
        assert_eq!(ent.op, op);
        assert!(interrupted || ent.result == result, "request {number}: {}", ent.result);
        assert_eq!(has_run(number), runs && !interrupted, "request {number}");
        true
    }

    /// Frees one of the entries that were popped, if there are any.
    fn free(&mut self) {
        if !self.held.is_empty() {
            let entry = self.held.swap_remove(one_of(self.held.len()));
            // SAFETY: popped, and freed once.
            unsafe { self.ioq().free(entry) };
        }
    }

    /// Does something.
    fn play(&mut self) {
        match one_of(8) {
            0..3 => {
                let kind = [Kind::Nop, Kind::Stat, Kind::Stat, Kind::Close][one_of(4)];
                self.request(kind);
            }
            3 => self.submit(),
            4 => _ = self.pop(true),
            5 => _ = (0..one_of(9)).any(|_| self.pop(false)),
            _ => self.free(),
        }
    }

    /// Does some things.
    fn play_for_some_time(&mut self) {
        (0..8 + one_of(24)).for_each(|_| self.play());
    }

    /// Pops what is left.
    fn drain(&mut self) {
        while self.pop(true) {
            if Chance::Even.comes() {
                self.free();
            }
        }
        assert!(!self.pop(false));
        assert!(self.back.iter().all(|&back| back));
        while !self.held.is_empty() {
            self.free();
        }
        assert_eq!(self.room(), self.depth);
        let counts = self.ioq().counts();
        assert_eq!(counts.ring + counts.worker + counts.caller, self.accepted.len() as u64, "the counts");
    }

    fn destroy(self) {
        // SAFETY: see above.
        unsafe { Ioq::destroy(self.ioq) };
        for (number, kind) in self.accepted.iter().enumerate() {
            assert!(*kind != Kind::Close || has_run(number), "request {number} was left undone");
        }
    }
}

/// Starts a thread that cancels the queue.
fn cancel(caller: &mut Caller) -> thread::JoinHandle<()> {
    caller.cancelled = true;
    let canceller = Canceller(caller.ioq);
    thread::spawn(move || {
        let Canceller(ioq) = { canceller };
        // SAFETY: the thread is joined before the queue is destroyed.
        unsafe { ioq.as_ref() }.cancel();
    })
}

fn some_requests(backend: Backend) {
    some_machine().set();
    let mut caller = Caller::create(options([1, 2, 3, 8][one_of(4)], one_of(4), backend));
    caller.play_for_some_time();
    caller.drain();
    caller.play_for_some_time();
    caller.drain();
    caller.destroy();
}

/// Whatever is accepted comes back once, and the capacity is kept: with no workers and several, with queues of one slot
/// and of more, on machines that lack threads, and with timed waits that end and such that do not.
#[test]
fn every_request_comes_back_once() {
    check(|| some_requests(Backend::Sync));
}

/// So it is with rings that take what chance has it, in whatever order; some workers have none.
#[test]
fn every_request_through_a_ring_comes_back_once() {
    check(|| some_requests(with_rings()));
}

fn full_blocks(backend: Backend) {
    some_machine().set();
    let mut caller = Caller::create(options(64, 1 + one_of(3), backend));
    for _ in 0..30 + one_of(35) {
        caller.request(if one_of(8) == 0 { Kind::Nop } else { Kind::Stat });
    }
    caller.play_for_some_time();
    caller.drain();
    caller.destroy();
}

/// The same where requests fill whole blocks, and are shared out among the workers.
#[test]
fn every_request_of_a_full_block_comes_back_once() {
    check(|| full_blocks(Backend::Sync));
}

/// So it is with rings.
#[test]
fn every_request_of_a_full_block_through_a_ring_comes_back_once() {
    check(|| full_blocks(with_rings()));
}

fn cancelled(backend: Backend) {
    some_machine().set();
    let mut caller = Caller::create(options([1, 2, 8][one_of(3)], one_of(4), backend));
    (0..one_of(8)).for_each(|_| caller.play());
    let canceller = cancel(&mut caller);
    caller.play_for_some_time();
    caller.drain();
    canceller.join().unwrap();
    assert!(!caller.request(Kind::Nop));
    caller.drain();
    caller.destroy();
}

/// A cancel from another thread, at any time: what was accepted comes back, what must run has run, and all workers leave.
#[test]
fn every_request_of_a_cancelled_queue_comes_back_once() {
    check(|| cancelled(Backend::Sync));
}

/// So it is with rings: the stop message may come to a worker that has something in flight.
#[test]
fn every_request_of_a_cancelled_queue_with_rings_comes_back_once() {
    check(|| cancelled(with_rings()));
}

/// Two cancel at once.
#[test]
fn cancelling_twice_is_cancelling_once() {
    check(|| {
        some_machine().set();
        let mut caller = Caller::create(options(4, one_of(4), Backend::Sync));
        (0..one_of(8)).for_each(|_| caller.play());
        let cancellers = [cancel(&mut caller), cancel(&mut caller)];
        (0..one_of(8)).for_each(|_| caller.play());
        cancellers.into_iter().for_each(|canceller| canceller.join().unwrap());
        caller.drain();
        caller.destroy();
    });
}

fn destroyed(backend: Backend) {
    some_machine().set();
    let mut caller = Caller::create(options([1, 2, 8, 40][one_of(4)], one_of(4), backend));
    caller.play_for_some_time();
    caller.destroy();
}

/// A queue that is destroyed while requests are on their way runs those that must run, and no worker stays behind.
#[test]
fn destroying_leaves_nothing_undone() {
    check(|| destroyed(Backend::Sync));
}

/// So it is with rings.
#[test]
fn destroying_leaves_nothing_undone_in_rings() {
    check(|| destroyed(with_rings()));
}

/// How many requests of a queue hang, and how many there are beside them. Those have the highest numbers, or the lowest.
#[derive(Clone, Copy)]
struct Hanging {
    first: usize,
    count: usize,
    others: usize,
}

thread_local! {
    static HANGING: Cell<Hanging> = const { Cell::new(Hanging { first: 0, count: 0, others: 0 }) };
    /// How many requests came back, and how many that do not hang were run.
    static BACK: Cell<usize> = const { Cell::new(0) };
    static RAN: Cell<usize> = const { Cell::new(0) };
}

/// Whether a request hangs still: until all others are back, or were run where nobody takes them.
fn hangs(number: usize) -> bool {
    let Hanging { first, count, others } = HANGING.get();
    (first..first + count).contains(&number) && BACK.get() < others && RAN.get() < others
}

/// Runs a request.
fn run_or_hang(ent: &ioq_ent) {
    run_request(ent);
    while hangs(ent.ptr.addr()) {
        thread::yield_now();
    }
}

/// Sets up a machine where time goes by, and where these requests hang.
fn set_hanging(hanging: Hanging) {
    Machine {
        lacks_threads: Chance::Never,
        time_passes: [Chance::Even, Chance::Always][one_of(2)],
        limits_end: Chance::Always,
        request: run_or_hang,
        holds: |submission| number_of(submission).is_some_and(hangs),
        ..some_machine()
    }
    .set();
    HANGING.set(hanging);
    BACK.set(0);
    RAN.set(usize::MIN);
}

/// Some requests of several hang, and there are more workers than those are. The caller goes on with `pop` until all others
/// are back.
fn some_hang(backend: Backend, pop: fn(&mut Caller)) {
    let (nthreads, requests) = (2 + one_of(3), 6);
    let count = 1 + one_of(nthreads - 1);
    let hanging = Hanging { first: one_of(requests + 1), count, others: requests };
    set_hanging(hanging);
    let mut caller = Caller::create(Options { caller_runs: false, ..options(16, nthreads, backend) });
    for _ in 0..requests + count {
        caller.request(Kind::Stat);
        if Chance::Even.comes() {
            caller.submit();
        }
    }
    while caller.back.contains(&false) {
        pop(&mut caller);
    }
    caller.drain();
    caller.destroy();
}

fn poll(caller: &mut Caller) {
    caller.pop(false);
    thread::yield_now();
}

/// Whatever hangs, as long as there are more workers, all else comes back to a caller that blocks. That one is never held up
/// itself.
#[test]
fn nothing_waits_for_what_hangs_while_the_caller_blocks() {
    check(|| some_hang(Backend::Sync, |caller| _ = caller.pop(true)));
}

/// So it is to one that polls.
#[test]
fn nothing_waits_for_what_hangs_while_the_caller_polls() {
    check(|| some_hang(Backend::Sync, poll));
}

/// So it is where requests hang in a ring, or a ring is given up with some in it.
#[test]
fn nothing_waits_for_what_hangs_in_a_ring_while_the_caller_blocks() {
    check(|| some_hang(with_rings(), |caller| _ = caller.pop(true)));
}

/// So it is to one that polls.
#[test]
fn nothing_waits_for_what_hangs_in_a_ring_while_the_caller_polls() {
    check(|| some_hang(with_rings(), poll));
}

/// The caller submits, and is gone for good: all that does not hang is run.
fn gone(backend: Backend) {
    let (nthreads, requests) = (2 + one_of(3), 4);
    let count = 1 + one_of(nthreads - 1);
    let hanging = Hanging { first: one_of(requests + 1), count, others: requests };
    set_hanging(hanging);
    let mut caller = Caller::create(Options { caller_runs: false, ..options(16, nthreads, backend) });
    // At work before, as chance has it: workers that are parked, or about to be.
    for _ in 0..requests + count {
        caller.request(Kind::Stat);
        if Chance::Even.comes() {
            caller.submit();
        }
    }
    caller.submit();
    let others = (0..requests + count).filter(|number| !(hanging.first..hanging.first + count).contains(number));
    for number in others {
        while !has_run(number) {
            thread::yield_now();
        }
    }
    RAN.set(requests);
    caller.drain();
    caller.destroy();
}

/// All that does not hang is run while the caller is gone.
#[test]
fn nothing_waits_for_what_hangs_while_the_caller_is_gone() {
    check(|| gone(Backend::Sync));
}

/// So it is with rings.
#[test]
fn nothing_waits_for_what_hangs_in_a_ring_while_the_caller_is_gone() {
    check(|| gone(with_rings()));
}

/// Threads cannot be started at first, and later they can: then nothing waits any more.
#[test]
fn threads_that_come_late_are_not_too_late() {
    check(|| {
        let (nthreads, requests) = (2 + one_of(2), 4);
        set_hanging(Hanging { first: one_of(requests + 1), count: 1, others: requests });
        let machine = super::machine::get();
        Machine { lacks_threads: Chance::Even, time_passes: Chance::Always, ..machine }.set();
        let mut caller = Caller::create(Options { caller_runs: false, ..options(16, nthreads, Backend::Sync) });
        for _ in 0..requests + 1 {
            caller.request(Kind::Stat);
            caller.submit();
        }
        while caller.back.contains(&false) {
            poll(&mut caller);
        }
        caller.drain();
        caller.destroy();
    });
}

/// What is run before a request that hangs is seen by a caller that naps.
#[test]
fn a_nap_ends_whatever_hangs() {
    check(|| {
        let requests = 12;
        set_hanging(Hanging { first: requests - 1, count: 2, others: requests });
        let mut caller = Caller::create(Options { caller_runs: false, ..options(32, 3, Backend::Sync) });
        for _ in 0..requests + 2 {
            caller.request([Kind::Stat, Kind::Stat, Kind::Close][one_of(3)]);
            caller.submit();
        }
        while caller.back.contains(&false) {
            caller.pop(true);
        }
        caller.drain();
        caller.destroy();
    });
}
