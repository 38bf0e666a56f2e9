//! Whole queues in which requests hang: nothing else waits for them.
//!
//! What must hold is that while k requests hang, and more than k workers were asked for, every other one is run and comes
//! back, whatever the caller does: blocks in a pop, polls, or is gone. A request hangs here until the model sees that.

use super::eventfd;
use super::machine::{Chance, Machine, one_of};
use super::program::{Caller, Kind, back, has_run, number_of, options, run_request, some_machine, with_rings};
use super::runner::{check, check_long};
use super::uring::Submission;
use crate::entry::ioq_ent;
use crate::queue::options::{Backend, Options};
use shuttle::thread;
use std::cell::Cell;
use std::ops::Range;

thread_local! {
    /// The requests that hang, from the first to before the last.
    static HANGING: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    /// Whether they do not hang any more.
    static RELEASED: Cell<bool> = const { Cell::new(false) };
    /// The thread that uses the queue.
    static CALLER: Cell<Option<thread::ThreadId>> = const { Cell::new(None) };
}

/// Lets these requests hang from now on.
fn hang(requests: Range<usize>) {
    HANGING.set((requests.start, requests.end));
    RELEASED.set(false);
    CALLER.set(Some(thread::current().id()));
}

fn is_hanging(number: usize) -> bool {
    let (start, end) = HANGING.get();
    (start..end).contains(&number) && !RELEASED.get()
}

/// Runs a request.
fn run_or_hang(ent: &ioq_ent) {
    run_request(ent);
    while is_hanging(ent.ptr.addr()) {
        thread::yield_now();
    }
}

/// Runs a request, which hangs on no thread but a worker's.
fn run_or_hang_there(ent: &ioq_ent) {
    if CALLER.get() == Some(thread::current().id()) { run_request(ent) } else { run_or_hang(ent) }
}

fn hangs_in_ring(submission: &Submission) -> bool {
    number_of(submission).is_some_and(is_hanging)
}

/// A machine on which requests hang, and have others wait for them until somebody comes back after some time.
fn machine() -> Machine {
    Machine {
        lacks_threads: Chance::Never,
        limits_end: Chance::Always,
        request: run_or_hang,
        holds: hangs_in_ring,
        ..some_machine()
    }
}

/// A queue of which the caller does not help.
fn create(depth: usize, nthreads: usize, backend: Backend) -> Caller {
    hang(0..0);
    Caller::create(Options { caller_runs: false, ..options(depth, nthreads, backend) })
}

/// Sends some requests, in spans of chance, of which so many hang. Returns all those that do not.
fn send(caller: &mut Caller, count: usize, hanging: usize) -> Vec<usize> {
    let first = caller.accepted() + one_of(count + 1);
    let hanging = first..first + hanging;
    hang(hanging.clone());
    for _ in 0..count + hanging.len() {
        assert!(caller.request([Kind::Stat, Kind::Stat, Kind::Opendir][one_of(3)]));
        if Chance::Even.comes() {
            caller.submit();
            pause();
        }
    }
    caller.submit();
    (0..caller.accepted()).filter(|number| !hanging.contains(number)).collect()
}

/// Lets others go on, or not.
fn pause() {
    (0..[0, 0, 5, 50][one_of(4)]).for_each(|_| thread::yield_now());
}

/// Pops until these are back.
fn block(caller: &mut Caller, requests: &[usize]) {
    while !requests.iter().all(|&number| caller.has(number)) {
        caller.pop(true);
    }
}

/// The same, without a wait.
fn poll(caller: &mut Caller, requests: &[usize]) {
    while !requests.iter().all(|&number| caller.has(number)) {
        caller.poll();
    }
}

/// Does nothing until these were run.
fn be_gone(_: &mut Caller, requests: &[usize]) {
    while !requests.iter().all(|&number| has_run(number)) {
        thread::yield_now();
    }
}

/// Pops when the queue's descriptor says that there is something, until these are back.
fn listen(caller: &mut Caller, requests: &[usize]) {
    caller.listen();
    while !requests.iter().all(|&number| caller.has(number)) {
        if eventfd::is_readable() {
            assert!(caller.pop(false), "the descriptor is readable, and there is nothing");
        }
        thread::yield_now();
    }
}

/// Some requests of several hang, and there are more workers than those are.
fn some_hang(backend: Backend, wait: fn(&mut Caller, &[usize])) {
    machine().set();
    let nthreads = 2 + one_of(3);
    let mut caller = create(16, nthreads, backend);
    // Then workers are at work, parked, or about to be.
    for _ in 0..one_of(4) {
        caller.send(Kind::Stat);
        pause();
        if Chance::Even.comes() {
            caller.pop(true);
        }
    }
    let others = send(&mut caller, 1 + one_of(6), 1 + one_of(nthreads - 1));
    wait(&mut caller, &others);
    RELEASED.set(true);
    caller.drain();
    caller.destroy();
}

/// All else comes back to a caller that blocks. That one is never held up itself.
#[test]
fn nothing_waits_for_what_hangs_while_the_caller_blocks() {
    check(|| some_hang(Backend::Sync, block));
}

/// So it does to one that polls.
#[test]
fn nothing_waits_for_what_hangs_while_the_caller_polls() {
    check(|| some_hang(Backend::Sync, poll));
}

/// So it does to one that waits until its descriptor is readable.
#[test]
fn nothing_waits_for_what_hangs_while_the_caller_listens() {
    check(|| some_hang([Backend::Sync, with_rings()][one_of(2)], listen));
}

/// All else is run while the caller is gone.
#[test]
fn nothing_waits_for_what_hangs_while_the_caller_is_gone() {
    check(|| some_hang(Backend::Sync, be_gone));
}

/// So it is where requests hang in a ring, or a ring cannot be had, or is given up with some in it.
#[test]
fn nothing_waits_for_what_hangs_in_a_ring_while_the_caller_blocks() {
    check(|| some_hang(with_rings(), block));
}

/// So it is with one that polls.
#[test]
fn nothing_waits_for_what_hangs_in_a_ring_while_the_caller_polls() {
    check(|| some_hang(with_rings(), poll));
}

/// So it is with one that is gone.
#[test]
fn nothing_waits_for_what_hangs_in_a_ring_while_the_caller_is_gone() {
    check(|| some_hang(with_rings(), be_gone));
}

/// A request hangs, and threads cannot be had, at first or at all.
fn threads_are_lacking(lacks_threads: Chance, machine: Machine, wait: fn(&mut Caller, &[usize])) {
    Machine { lacks_threads, ..machine }.set();
    let mut caller = create(16, 2 + one_of(2), [Backend::Sync, with_rings()][one_of(2)]);
    let others = send(&mut caller, 4, 1);
    wait(&mut caller, &others);
    RELEASED.set(true);
    caller.drain();
    caller.destroy();
}

/// Threads that cannot be started at first are started later, as long as the caller polls.
#[test]
fn threads_that_come_late_are_not_too_late() {
    check(|| threads_are_lacking(Chance::Even, Machine { time_passes: Chance::Always, ..machine() }, poll));
}

/// Nor does it take a caller that polls: one that waits until its descriptor is readable will do.
#[test]
fn threads_that_come_late_come_to_a_caller_that_listens() {
    check(|| threads_are_lacking(Chance::Even, Machine { time_passes: Chance::Always, ..machine() }, listen));
}

/// A caller that blocks takes the place of threads that cannot be had, and what hangs on another thread it does not wait
/// for.
#[test]
fn a_caller_that_blocks_stands_in_for_threads_that_are_lacking() {
    check(|| {
        let lacks_threads = [Chance::Even, Chance::Always][one_of(2)];
        threads_are_lacking(lacks_threads, Machine { request: run_or_hang_there, ..machine() }, block);
    });
}

/// Once threads can be started again, the caller leaves everything to them.
#[test]
fn a_start_that_failed_once_is_forgotten() {
    check(|| {
        let machine = Machine { time_passes: Chance::Always, ..machine() };
        Machine { lacks_threads: Chance::Always, ..machine }.set();
        let nthreads = 2 + one_of(2);
        let mut caller = create(16, nthreads, Backend::Sync);
        caller.send(Kind::Stat);
        machine.set();
        poll(&mut caller, &[0]);
        let others = send(&mut caller, 4, 1 + one_of(nthreads - 1));
        block(&mut caller, &others);
        RELEASED.set(true);
        caller.drain();
        caller.destroy();
    });
}

/// All workers hang while others wait behind that: what was done before comes to a caller that naps.
#[test]
fn a_nap_ends_whatever_hangs() {
    check(|| {
        machine().set();
        let nthreads = 1 + one_of(3);
        let mut caller = create(32, nthreads, Backend::Sync);
        let done = 8;
        hang(done..done + nthreads);
        for _ in 0..done + nthreads + 2 {
            caller.send([Kind::Stat, Kind::Stat, Kind::Close][one_of(3)]);
        }
        while back() < done {
            caller.pop(true);
        }
        RELEASED.set(true);
        caller.drain();
        caller.destroy();
    });
}

/// Whatever else comes, without an end, what a worker that hangs has not come to is not left behind. No wait ends by
/// itself here.
#[test]
fn nothing_is_left_behind_where_there_is_always_more() {
    thread_local! {
        static SENT: Cell<usize> = const { Cell::new(0) };
    }
    const HANGS: usize = 1;
    const LEFT: usize = 2;

    /// Runs a request, which is not done before there is more to take.
    fn run(ent: &ioq_ent) {
        run_or_hang(ent);
        let number = ent.ptr.addr();
        while ![HANGS, LEFT].contains(&number) && SENT.get() <= number.max(LEFT) + 1 && !RELEASED.get() {
            thread::yield_now();
        }
    }

    check_long(|| {
        Machine { processors: 3, request: run, ..Machine::IDEAL }.set();
        SENT.set(0);
        let mut caller = create(5, 2, Backend::Sync);
        hang(HANGS..HANGS + 1);
        // The first worker has the first one, and the second has the next two.
        caller.send(Kind::Stat);
        be_gone(&mut caller, &[0]);
        assert!(caller.request(Kind::Stat));
        caller.send(Kind::Stat);
        be_gone(&mut caller, &[HANGS]);
        while !has_run(LEFT) {
            if caller.room() > 0 {
                caller.send(Kind::Stat);
                SENT.set(caller.accepted());
            }
            caller.poll();
            caller.free();
        }
        RELEASED.set(true);
        caller.drain();
        caller.destroy();
    });
}

/// A request that was cancelled is interrupted in the ring if it hangs there.
#[test]
fn a_request_that_hangs_in_a_ring_is_cancelled() {
    check(|| {
        Machine { request: run_request, ring_balks: Chance::Never, ..machine() }.set();
        let mut caller = create(16, 1 + one_of(3), with_rings());
        hang(0..2);
        for _ in 0..2 {
            caller.send(Kind::Stat);
            pause();
            caller.cancel_last();
        }
        while caller.pop(true) {}
        caller.drain();
        caller.destroy();
    });
}

/// A cancelled queue waits for nothing that can be talked out of it: what hangs in a ring is interrupted.
#[test]
fn a_cancel_ends_what_hangs_in_a_ring() {
    check(|| {
        Machine { request: run_request, ring_balks: Chance::Never, ..machine() }.set();
        let mut caller = create(16, 1 + one_of(3), with_rings());
        send(&mut caller, one_of(4), 1 + one_of(3));
        (0..one_of(4)).for_each(|_| caller.poll());
        let canceller = caller.cancel();
        while caller.pop(true) {}
        canceller.join().unwrap();
        caller.drain();
        caller.destroy();
    });
}
