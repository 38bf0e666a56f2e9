//! Whole queues, from create to destroy, in many random interleavings (make check-shuttle).
//!
//! Each model is a program that uses a queue as chance has it, on a machine of chance (`machine.rs`), and holds the queue
//! to what `ioq.h` promises: whatever was accepted comes back once, having run once or not at all, with the right result;
//! the capacity is kept; nothing hangs; `destroy` leaves nothing undone that must be done. A deadlock fails the model as
//! well, and so does one that goes round in circles.
//!
//! Workers have rings of chance (`worker/model_uring.rs`) where the backend is one that uses them.
//!
//! Each is run under two schedulers. One draws the next thread at random at every step. The other (PCT) gives the threads
//! priorities, and changes them at few places only: it finds what needs few but certain switches of threads. loom, in the
//! modules, takes the small pieces, with all that the memory model allows; here memory is as one expects it.
//!
//! What fails is printed as a schedule. `IOQ_SCHEDULE` in the environment, and the test's name, run that again.
//! `IOQ_ITERATIONS` says how many interleavings to run of each model under each scheduler, and `SHUTTLE_RANDOM_SEED` makes
//! them the same every time.

use crate::backend::Backend;
use crate::block::BLOCK_ENTRIES;
use crate::entry::{ioq_ent, ioq_nop_type, ioq_op};
use crate::errno::Errno;
use crate::machine::{self, Chance, Machine, one_of};
use crate::queue::{Ioq, Request};
use crate::stat::bfs_stat;
use crate::worker::Submission;
use libc::{c_char, c_int, c_void};
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
    Machine {
        processors: 1 + one_of(3),
        lacks_threads: [Chance::Never, Chance::Even][one_of(2)],
        time_passes: [Chance::Never, Chance::Even, Chance::Always][one_of(3)],
        limits_end: [Chance::Never, Chance::Even][one_of(2)],
        request: |ent| run_once(ent.ptr.addr()),
        lacks_rings: [Chance::Never, Chance::Even][one_of(2)],
        ring_entries: [1, 2, 64][one_of(3)],
        ring_balks: [Chance::Never, Chance::Even][one_of(2)],
        ring_refuses: [Chance::Never, Chance::Even][one_of(2)],
        holds: |_| false,
        in_ring: |submission| _ = number_of(submission).map(run_once),
    }
}

/// The backends whose workers have rings.
fn with_rings() -> Backend {
    [Backend::Auto, Backend::Uring, Backend::Uring][one_of(3)]
}

thread_local! {
    /// The numbers of the requests that were run.
    static RUNS: RefCell<HashSet<usize>> = RefCell::default();
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

/// The number of the request that a submission was made for. No-ops have none.
fn number_of(submission: &Submission) -> Option<usize> {
    if !submission.path.is_null() {
        return Some(path_of(0).addr() - submission.path.addr());
    }
    usize::try_from(-2 - submission.fd).ok()
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
    fn create(depth: usize, nthreads: usize, backend: Backend) -> Self {
        let ioq = Ioq::with_backend(depth, nthreads, backend).unwrap();
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
            Kind::Nop if Chance::Even.comes() => Request::nop(ioq_nop_type::IOQ_NOP_HEAVY),
            Kind::Nop => Request::nop(ioq_nop_type::IOQ_NOP_LIGHT),
            Kind::Close => Request::close(fd_of(number)),
            Kind::Stat => {
                self.buffers.push(Box::new(MaybeUninit::zeroed()));
                let buffer: *mut _ = &mut **self.buffers.last_mut().unwrap();
                Request::stat(libc::AT_FDCWD, path_of(number), 0, buffer.cast())
            }
        };
        let room = self.room();
        let ptr: *mut c_void = without_provenance_mut(number);
        // SAFETY: see above.
        match unsafe { self.ioq().request(request, ptr) } {
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
        let Some(entry) = (unsafe { self.ioq().pop(block) }) else {
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
            // As often as it takes until the caller looks what holds the workers up.
            5 => _ = (0..one_of(33)).any(|_| self.pop(false)),
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
        // SAFETY: see above.
        let counts = unsafe { self.ioq().counts() };
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
    let mut caller = Caller::create([1, 2, 3, 8][one_of(4)], one_of(4), backend);
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
    let mut caller = Caller::create(64, 1 + one_of(3), backend);
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
    let mut caller = Caller::create([1, 2, 8][one_of(3)], one_of(4), backend);
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
        let mut caller = Caller::create(4, one_of(4), Backend::Sync);
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
    let mut caller = Caller::create([1, 2, 8, 40][one_of(4)], one_of(4), backend);
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

/// A worker may give a part of what it has to another that has just taken the stop message. The last to leave sees to it
/// that this does not stay behind with nobody but a caller that sleeps.
#[test]
fn workers_that_leave_leave_nothing_behind() {
    check(|| {
        Machine { lacks_threads: Chance::Never, time_passes: Chance::Always, ..some_machine() }.set();
        let mut caller = Caller::create(8, 2, Backend::Sync);
        for _ in 0..2 {
            caller.request(Kind::Stat);
            caller.submit();
        }
        while caller.back.contains(&false) {
            caller.pop(false);
            thread::yield_now();
        }
        for _ in 0..4 {
            caller.request(Kind::Stat);
        }
        caller.submit();
        let canceller = cancel(&mut caller);
        caller.drain();
        canceller.join().unwrap();
        caller.destroy();
    });
}

thread_local! {
    /// The number of the request that hangs.
    static HANGING: Cell<usize> = const { Cell::new(0) };
    /// How many there are beside it, and how many of them came back.
    static OTHERS: Cell<usize> = const { Cell::new(0) };
    static BACK: Cell<usize> = const { Cell::new(0) };
}

/// Runs a request. One of them ends only when all others are back, unless it is the caller who runs it: what it runs, it
/// waits for.
fn hang(ent: &ioq_ent) {
    let number = ent.ptr.addr();
    run_once(number);
    let is_caller = usize::from(thread::current().id()) == 0;
    while !is_caller && hangs(number) {
        thread::yield_now();
    }
}

fn hangs(number: usize) -> bool {
    number == HANGING.get() && BACK.get() < OTHERS.get()
}

/// Sets up a machine where there is time, and where this request of so many hangs.
fn set_hanging(number: usize, requests: usize) {
    Machine {
        lacks_threads: Chance::Never,
        time_passes: [Chance::Even, Chance::Always][one_of(2)],
        limits_end: Chance::Always,
        request: hang,
        // While a worker makes a plain call, what is in its ring waits.
        ring_refuses: Chance::Never,
        holds: |submission| number_of(submission).is_some_and(hangs),
        ..some_machine()
    }
    .set();
    HANGING.set(number);
    OTHERS.set(requests - 1);
    BACK.set(0);
}

/// One request of several hangs. The caller goes on with `pop` until all are back.
fn one_hangs(nthreads: usize, backend: Backend, pop: fn(&mut Caller)) {
    set_hanging(one_of(6), 6);
    let mut caller = Caller::create(8, nthreads, backend);
    for _ in 0..6 {
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

/// What is in the hand of a worker whose request hangs is run by others while the caller sleeps in a pop.
#[test]
fn nothing_waits_behind_a_request_that_hangs_while_the_caller_sleeps() {
    check(|| one_hangs(1 + one_of(3), Backend::Sync, |caller| _ = caller.pop(true)));
}

/// So it is while the caller polls, if there is another worker to do it.
#[test]
fn nothing_waits_behind_a_request_that_hangs_while_the_caller_polls() {
    check(|| one_hangs(2 + one_of(2), Backend::Sync, poll));
}

/// A caller that insists on io_uring runs nothing itself while there are workers. So there must be two of them, where a
/// ring may be wanting: of one that hangs in a plain call nobody takes what it has not come to.
#[test]
fn nothing_waits_behind_a_request_that_hangs_while_the_caller_leaves_all_to_rings() {
    check(|| one_hangs(2 + one_of(2), with_rings(), |caller| _ = caller.pop(true)));
}

/// A caller that helps falls asleep when a worker has everything in its ring. If that breaks then, the caller takes its
/// part of what is left. The first requests are there to have been slow, so that the worker turns to its ring.
#[test]
fn nothing_waits_behind_a_request_that_hangs_when_a_ring_has_broken() {
    check(|| {
        let slow = 4;
        set_hanging(slow + one_of(3), slow + 3);
        let machine = machine::get();
        Machine { time_passes: Chance::Always, ring_balks: Chance::Even, ..machine }.set();
        let mut caller = Caller::create(8, 1, Backend::Auto);
        for number in 0..slow {
            caller.request(Kind::Stat);
            while !caller.back[number] {
                poll(&mut caller);
            }
        }
        for _ in 0..3 {
            caller.request(Kind::Stat);
        }
        caller.submit();
        caller.drain();
        caller.destroy();
    });
}

/// What a caller that leaves all to rings sent last does not wait for the worker that comes to what it sent before: the
/// last request of a block may be alone in its span, so that nobody tells the caller when that worker takes it, and hangs.
#[test]
fn nothing_waits_behind_a_request_that_hangs_at_the_end_of_a_block() {
    check(|| {
        let last = BLOCK_ENTRIES - 1;
        set_hanging(last, last + 2);
        let mut caller = Caller::create(2 * BLOCK_ENTRIES, 2 + one_of(2), Backend::Uring);
        for _ in 0..last {
            caller.request(Kind::Nop);
        }
        while caller.back.contains(&false) {
            caller.pop(true);
        }
        for _ in 0..2 {
            caller.request(Kind::Stat);
        }
        caller.drain();
        caller.destroy();
    });
}

/// So it is while the caller polls.
#[test]
fn nothing_waits_behind_a_request_that_hangs_in_a_ring_while_the_caller_polls() {
    check(|| one_hangs(2 + one_of(2), with_rings(), poll));
}

/// So it is while the caller is away, if there is another worker: one that watches, for there is no room for two, and that
/// may be about to cease to.
#[test]
fn nothing_waits_behind_a_request_that_hangs_while_the_caller_is_away() {
    check(|| {
        set_hanging(0, 3);
        let mut caller = Caller::create(8, 2, Backend::Sync);
        caller.request(Kind::Stat);
        caller.submit();
        caller.request(Kind::Stat);
        while !caller.back[1] {
            // What the caller runs itself leaves a watcher with nothing to watch over.
            caller.pop(Chance::Even.comes());
            thread::yield_now();
        }
        (0..one_of(64)).for_each(|_| thread::yield_now());
        caller.request(Kind::Stat);
        caller.submit();
        while !has_run(2) {
            thread::yield_now();
        }
        caller.drain();
        caller.destroy();
    });
}
