//! Whole queues, from create to destroy, in many random interleavings (make check-shuttle).
//!
//! Each model is a program that uses a queue as chance has it (`program.rs`), on a machine of chance (`machine.rs`), with
//! rings of chance (`uring.rs`) where the backend is one that uses them. Whatever was accepted comes back once, having run
//! once or not at all, with the right result; the capacity is kept; nothing hangs; `destroy` leaves nothing undone that
//! must be done. A deadlock fails the model as well, and so does one that goes round in circles.
//!
//! loom, in the modules, takes the small pieces, with all that the memory model allows; here memory is as one expects it.

use super::machine::{Chance, Machine, one_of};
use super::program::{Caller, Kind, options, some_machine, with_rings};
use super::runner::{check, check_again};
use crate::queue::options::Backend;

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

/// So it is with a ring that cannot be had, or takes what chance has it, in whatever order.
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

/// So it is with rings. (Once, a ring that was lost was wanted again when a thread could not be started.)
#[test]
fn every_request_of_a_full_block_through_a_ring_comes_back_once() {
    check_again(&[3], || full_blocks(with_rings()));
}

fn cancelled(backend: Backend) {
    some_machine().set();
    let mut caller = Caller::create(options([1, 2, 8][one_of(3)], one_of(4), backend));
    (0..one_of(8)).for_each(|_| caller.play());
    let canceller = caller.cancel();
    caller.play_for_some_time();
    caller.drain();
    canceller.join().unwrap();
    assert!(!caller.request(Kind::Nop));
    caller.drain();
    caller.destroy();
}

/// A cancel from another thread, at any time: what was accepted comes back, what must run has run and nothing else runs
/// any more, and all workers leave.
#[test]
fn every_request_of_a_cancelled_queue_comes_back_once() {
    check(|| cancelled(Backend::Sync));
}

/// So it is with rings. (Once, a caller slept that was not told that no worker could be started.)
#[test]
fn every_request_of_a_cancelled_queue_with_rings_comes_back_once() {
    check_again(&[3], || cancelled(with_rings()));
}

/// A cancel that meets a worker which is being started and then cannot be: the caller runs what is left, and does not sleep
/// until it is woken.
#[test]
fn a_cancel_that_meets_a_failed_start_leaves_nobody_asleep() {
    check(|| {
        let lacks_threads = [Chance::Even, Chance::Always][one_of(2)];
        Machine { lacks_threads, limits_end: Chance::Always, ..some_machine() }.set();
        let backend = [Backend::Sync, with_rings()][one_of(2)];
        let mut caller = Caller::create(options([1, 2, 8][one_of(3)], 1 + one_of(3), backend));
        let canceller = caller.cancel();
        for _ in 0..1 + one_of(4) {
            caller.request([Kind::Stat, Kind::Opendir, Kind::Close][one_of(3)]);
            if Chance::Even.comes() {
                caller.submit();
            }
        }
        while caller.pop(true) {}
        canceller.join().unwrap();
        caller.drain();
        caller.destroy();
    });
}

/// Where no thread can be had at all, the caller runs everything itself, and at once: no wait ends here.
#[test]
fn a_caller_that_is_left_alone_waits_for_nobody() {
    check(|| {
        Machine { lacks_threads: Chance::Always, limits_end: Chance::Never, ..some_machine() }.set();
        let mut caller = Caller::create(options([1, 2, 8][one_of(3)], one_of(3), Backend::Sync));
        for _ in 0..1 + one_of(16) {
            caller.request([Kind::Nop, Kind::Stat, Kind::Opendir, Kind::Close][one_of(4)]);
            if one_of(4) == 0 {
                caller.pop(true);
                caller.free();
            }
        }
        caller.drain();
        caller.destroy();
    });
}

/// Two cancel at once.
#[test]
fn cancelling_twice_is_cancelling_once() {
    check(|| {
        some_machine().set();
        let mut caller = Caller::create(options(4, one_of(4), Backend::Sync));
        (0..one_of(8)).for_each(|_| caller.play());
        let cancellers = [caller.cancel(), caller.cancel()];
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
