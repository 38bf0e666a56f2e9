//! What several threads find out at once about the ring. It is all in one word, of which they see the changes in the same
//! order whatever the memory is like.

use super::machine::{Chance, Machine};
use super::runner::check;
use crate::entry::ioq_op::{self, IOQ_OPENDIR, IOQ_STAT};
use crate::platform::errno::Errno;
use crate::queue::options::Backend;
use crate::worker::{Change, Pace};
use shuttle::sync::Arc;
use shuttle::thread;
use std::time::Duration;

/// A pace for which the operation has been slow once.
fn pace(op: ioq_op) -> Arc<Pace> {
    Machine { time_passes: Chance::Always, ..Machine::IDEAL }.set();
    let pace = Arc::new(Pace::new(Backend::Auto));
    assert_eq!(slow(&pace, op), Change::Blocks);
    pace
}

/// Takes note that an operation was slow. After the second time, it goes through the ring.
fn slow(pace: &Pace, op: ioq_op) -> Change {
    pace.measured(op, Duration::from_micros(100), || Duration::from_micros(100))
}

/// Of several who change what goes through the ring, one tells that it is needed, or that it is not any more.
#[test]
fn turning_the_ring_on_and_off_is_told_once() {
    check(|| {
        let pace = pace(IOQ_OPENDIR);
        assert_eq!(slow(&pace, IOQ_OPENDIR), Change::RingOn);
        let other = {
            let pace = pace.clone();
            thread::spawn(move || [slow(&pace, IOQ_STAT), slow(&pace, IOQ_STAT)])
        };
        let off = pace.refuse(IOQ_OPENDIR);
        let [_, on] = other.join().unwrap();
        assert!(pace.wants_ring());
        assert!([(Change::Nothing, Change::Nothing), (Change::RingOff, Change::RingOn)].contains(&(off, on)));
    });
}

/// A ring that is lost is never wanted again, whatever others find at the same time.
#[test]
fn a_lost_ring_stays_lost() {
    check(|| {
        let pace = pace(IOQ_STAT);
        let failed = |pace: &Pace| pace.ring_failed(Errno(libc::ENOMEM));
        let others = [|pace: &Pace| _ = slow(pace, IOQ_STAT), failed].map(|other| {
            let pace = pace.clone();
            thread::spawn(move || other(&pace))
        });
        pace.ring_lost(Errno(libc::EPERM));
        others.into_iter().for_each(|other| other.join().unwrap());
        assert!(!pace.wants_ring());
        slow(&pace, IOQ_STAT);
        assert!(!pace.wants_ring());
    });
}
