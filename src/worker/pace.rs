//! Plain system calls or the ring: how that is chosen where the program does not.
//!
//! A plain call is cheaper than a trip through a ring, and far cheaper where the ring must hand the request to one of the
//! kernel's own threads, as it does with every `statx()`. What the ring has to offer is that many requests wait at once.
//! So it pays when requests wait: for a disk, or for a server. The workers measure how long their plain calls take, and
//! while two of an operation's last eight were slow, or one very slow, that operation goes through the ring; there, now
//! and then, one is run by a plain call all the same, to see whether they still are.

#![forbid(unsafe_code)]

use crate::entry::ioq_op;
use crate::ops;
use crate::platform::errno::Errno;
use crate::platform::sync::{AtomicUsize, CoarseInstant, Mutex, Ordering};
use crate::queue::options::Backend;
use libc::c_int;
use std::time::Duration;

/// A request that takes this long, and has waited this long, has waited for a disk or a server: a warm `stat()` takes a
/// microsecond, reading a warm directory ten or twenty, and the fastest disk about a hundred.
const SLOW: Duration = Duration::from_micros(80);

/// How many measurements are remembered of each operation.
const REMEMBERED: u32 = 8;

/// Of those, how many must be slow for the ring to pay. One that was interrupted, or that had to wait for a processor,
/// is not to decide.
const RING_PAYS: u32 = 2;

/// What is so slow that the first is enough: to wait for one more costs as much as some hundred in the ring.
const VERY_SLOW: Duration = Duration::from_millis(1);

/// How long after a ring could not be had another one is tried.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// What the workers have measured, and what follows from it.
pub struct Pace {
    backend: Backend,
    /// The last measurements of each operation, a bit each, set where the requests were slow.
    histories: [AtomicUsize; ops::COUNT],
    /// The operations that go through the ring, a bit each; or `LOST`.
    in_ring: AtomicUsize,
    /// The operations that the ring refuses to do, and those that it may.
    refused: AtomicUsize,
    doubtful: AtomicUsize,
    /// When a ring could not be had, and why.
    failed: Mutex<Option<(CoarseInstant, Errno)>>,
}

/// There was a ring, and the kernel does not take anything for it any more. That is for good: nothing is added to it.
const LOST: usize = 1 << (usize::BITS - 1);

/// What a measurement has changed.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    Nothing,
    /// Requests block now, so there is room for more workers.
    Blocks,
    /// The ring is needed now.
    RingOn,
    /// The ring is not needed any more.
    RingOff,
}

fn bit(op: ioq_op) -> usize {
    1 << op as usize
}

impl Pace {
    pub fn new(backend: Backend) -> Self {
        let pace = Self {
            backend,
            histories: [(); ops::COUNT].map(|()| AtomicUsize::new(0)),
            in_ring: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            doubtful: AtomicUsize::new(0),
            failed: Mutex::new(None),
        };
        if backend == Backend::Uring {
            let eligible = ops::ALL.into_iter().filter(|&op| pace.is_eligible(op));
            pace.in_ring.store(eligible.fold(0, |bits, op| bits | bit(op)), Ordering::Relaxed);
        }
        pace
    }

    /// Whether a ring can do this operation, as far as is known.
    fn is_eligible(&self, op: ioq_op) -> bool {
        ops::of(op).in_ring().is_some() && self.refused.load(Ordering::Relaxed) & bit(op) == 0
    }

    /// Whether anything goes through the ring.
    pub fn wants_ring(&self) -> bool {
        self.in_ring.load(Ordering::Relaxed) & !LOST != 0
    }

    /// Whether this operation goes through the ring.
    pub fn suits_ring(&self, op: ioq_op) -> bool {
        self.in_ring.load(Ordering::Relaxed) & bit(op) != 0
    }

    /// Whether to find out by plain calls now and then if the ring still pays.
    pub fn samples(&self) -> bool {
        self.backend == Backend::Auto
    }

    /// Whether this operation was slow when it was last measured.
    pub fn was_slow(&self, op: ioq_op) -> bool {
        self.histories[op as usize].load(Ordering::Relaxed) & 1 != 0
    }

    /// Whether requests of this operation waited for something lately.
    pub fn has_waited(&self, op: ioq_op) -> bool {
        self.histories[op as usize].load(Ordering::Relaxed) != 0
    }

    /// Whether requests waited for something lately.
    pub fn blocks(&self) -> bool {
        self.histories.iter().any(|history| history.load(Ordering::Relaxed) != 0)
    }

    /// Takes note that plain calls of this operation took so long for each request, and how long the thread has waited
    /// meanwhile. A large directory takes long to read from memory, and a busy machine takes long over everything, but
    /// neither would be any quicker in a ring.
    pub fn measured(&self, op: ioq_op, time: Duration, waited: impl FnOnce() -> Duration) -> Change {
        let waited = if time >= SLOW { waited() } else { Duration::ZERO };
        let slow = waited >= SLOW;
        let history = &self.histories[op as usize];
        let mut seen = history.load(Ordering::Relaxed);
        if seen == 0 && !slow && self.backend != Backend::Uring {
            return Change::Nothing;
        }
        let next = loop {
            let bits = if time.min(waited) >= VERY_SLOW { RING_PAYS } else { 1 };
            let slow_bits = if slow { (1 << bits) - 1 } else { 0 };
            let next = (seen << bits | slow_bits) & ((1 << REMEMBERED) - 1);
            match history.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => break next,
                Err(now) => seen = now,
            }
        };
        let pays = match self.backend {
            Backend::Auto => next.count_ones() >= RING_PAYS,
            Backend::Uring => true,
            Backend::Sync => false,
        };
        match self.set_in_ring(op, pays && self.is_available(op)) {
            Change::Nothing if seen == 0 && slow => Change::Blocks,
            change => change,
        }
    }

    fn is_available(&self, op: ioq_op) -> bool {
        self.is_eligible(op) && self.failed.lock().is_none_or(|(failed, _)| failed.elapsed() >= RETRY_AFTER)
    }

    fn set_in_ring(&self, op: ioq_op, pays: bool) -> Change {
        let mut before = self.in_ring.load(Ordering::Relaxed);
        loop {
            let after = if pays { before | bit(op) } else { before & !bit(op) };
            if after == before || before == LOST {
                return Change::Nothing;
            }
            // Of several threads that do this at once, each sees what it has changed itself.
            match self.in_ring.compare_exchange_weak(before, after, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(0) => return Change::RingOn,
                Ok(_) if after == 0 => return Change::RingOff,
                Ok(_) => return Change::Nothing,
                Err(now) => before = now,
            }
        }
    }

    /// No ring can be had for now.
    pub fn ring_failed(&self, e: Errno) {
        *self.failed.lock() = Some((CoarseInstant::now(), e));
        self.in_ring.fetch_and(LOST, Ordering::Relaxed);
    }

    /// No ring can be had any more.
    pub fn ring_lost(&self, e: Errno) {
        *self.failed.lock() = Some((CoarseInstant::now(), e));
        self.in_ring.store(LOST, Ordering::Relaxed);
    }

    /// Why no ring could be had when one was last wanted; 0 if it could.
    pub fn ring_error(&self) -> c_int {
        self.failed.lock().map_or(0, |(_, Errno(e))| e)
    }

    /// There is a ring.
    pub fn ring_made(&self) {
        *self.failed.lock() = None;
    }

    /// The ring refuses this operation.
    pub fn refuse(&self, op: ioq_op) -> Change {
        self.refused.fetch_or(bit(op), Ordering::Relaxed);
        self.set_in_ring(op, false)
    }

    /// A plain call has answered after a ring. If that may have refused the operation, it is to be asked about that.
    pub fn compare(&self, op: ioq_op, in_ring: c_int, plain: c_int) {
        if in_ring != plain && ops::may_be_refusal(in_ring) {
            self.doubtful.fetch_or(bit(op), Ordering::Relaxed);
        }
    }

    /// Takes an operation that the ring is to be asked about.
    pub fn take_doubt(&self) -> Option<ioq_op> {
        let doubtful = self.doubtful.load(Ordering::Relaxed);
        let op = ops::ALL.into_iter().find(|&op| doubtful & bit(op) != 0)?;
        self.doubtful.fetch_and(!bit(op), Ordering::Relaxed);
        Some(op)
    }
}

#[cfg(all(test, not(any(ioq_loom, ioq_shuttle))))]
mod tests {
    use super::*;
    use Change::*;
    use ioq_op::*;

    const QUICK: Duration = Duration::from_micros(2);

    fn measured(pace: &Pace, op: ioq_op, time: Duration) -> Change {
        pace.measured(op, time, || time)
    }

    #[test]
    fn quick_requests_need_no_ring() {
        let pace = Pace::new(Backend::Auto);
        for _ in 0..100 {
            assert_eq!(measured(&pace, IOQ_STAT, QUICK), Nothing);
        }
        assert!(!pace.wants_ring() && !pace.blocks());
    }

    #[test]
    fn a_single_slow_request_makes_room_for_a_while_and_no_more() {
        let pace = Pace::new(Backend::Auto);
        assert_eq!(measured(&pace, IOQ_STAT, SLOW), Blocks);
        for _ in 0..REMEMBERED {
            assert!(pace.blocks());
            assert_eq!(measured(&pace, IOQ_STAT, QUICK), Nothing);
        }
        assert!(!pace.blocks());
    }

    #[test]
    fn an_operation_goes_through_the_ring_while_some_of_its_requests_are_slow() {
        let pace = Pace::new(Backend::Auto);
        let changes: Vec<_> = (0..5).map(|_| measured(&pace, IOQ_STAT, SLOW)).collect();
        assert_eq!(changes, [Blocks, RingOn, Nothing, Nothing, Nothing]);
        assert!(pace.suits_ring(IOQ_STAT) && !pace.suits_ring(IOQ_OPENDIR));
        let changes: Vec<_> = (0..8).map(|_| measured(&pace, IOQ_STAT, QUICK)).collect();
        assert_eq!(changes.iter().filter(|&change| *change == RingOff).count(), 1);
        assert!(!pace.wants_ring());
    }

    #[test]
    fn a_single_very_slow_one_is_enough() {
        let pace = Pace::new(Backend::Auto);
        assert_eq!(measured(&pace, IOQ_STAT, VERY_SLOW), RingOn);
        let changes: Vec<_> = (0..8).map(|_| measured(&pace, IOQ_STAT, QUICK)).collect();
        assert_eq!(changes.last(), Some(&Nothing));
        assert!(!pace.wants_ring());
    }

    #[test]
    fn operations_without_a_form_for_a_ring_do_not_want_one() {
        let pace = Pace::new(Backend::Auto);
        for _ in 0..REMEMBERED {
            assert_ne!(measured(&pace, IOQ_CLOSEDIR, SLOW), RingOn);
        }
        assert!(pace.blocks() && !pace.wants_ring());
    }

    #[test]
    fn requests_that_keep_the_processor_busy_are_not_slow() {
        let pace = Pace::new(Backend::Auto);
        for _ in 0..100 {
            assert_eq!(pace.measured(IOQ_STAT, 10 * SLOW, || SLOW / 2), Nothing);
        }
        assert!(!pace.blocks());
    }

    #[test]
    fn the_programs_choice_stands() {
        let (uring, sync) = (Pace::new(Backend::Uring), Pace::new(Backend::Sync));
        for time in [QUICK, SLOW] {
            for _ in 0..REMEMBERED {
                measured(&uring, IOQ_STAT, time);
                measured(&sync, IOQ_STAT, time);
            }
            assert!(uring.suits_ring(IOQ_STAT) && uring.suits_ring(IOQ_OPENDIR) && !uring.suits_ring(IOQ_CLOSE));
            assert!(!sync.wants_ring());
        }
    }

    #[test]
    fn what_a_ring_refuses_it_is_not_asked_again() {
        let pace = Pace::new(Backend::Uring);
        assert_eq!(pace.refuse(IOQ_STAT), Nothing);
        measured(&pace, IOQ_STAT, SLOW);
        assert!(!pace.suits_ring(IOQ_STAT) && pace.suits_ring(IOQ_OPENDIR));
        let others: Vec<_> = ops::ALL.into_iter().filter(|&op| pace.suits_ring(op)).collect();
        let changes: Vec<_> = others.into_iter().map(|op| pace.refuse(op)).collect();
        assert_eq!(changes.iter().position(|change| *change == RingOff), Some(changes.len() - 1));
        assert!(!pace.wants_ring());
    }

    #[test]
    fn a_ring_that_could_not_be_had_is_tried_again_later() {
        let pace = Pace::new(Backend::Uring);
        pace.ring_failed(Errno(libc::EMFILE));
        assert_eq!(measured(&pace, IOQ_STAT, QUICK), Nothing);
        assert!(!pace.wants_ring());
        std::thread::sleep(2 * RETRY_AFTER);
        assert_eq!(measured(&pace, IOQ_STAT, QUICK), RingOn);
    }

    #[test]
    fn doubts_are_taken_one_by_one() {
        let pace = Pace::new(Backend::Uring);
        pace.compare(IOQ_STATX, -libc::EPERM, -libc::EPERM);
        pace.compare(IOQ_STATX, -libc::ENOENT, 0);
        for op in [IOQ_STAT, IOQ_OPENDIR, IOQ_STAT] {
            pace.compare(op, -libc::EPERM, 0);
        }
        assert_eq!([(); 3].map(|()| pace.take_doubt()), [Some(IOQ_OPENDIR), Some(IOQ_STAT), None]);
    }
}
