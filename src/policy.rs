//! Plain system calls or the ring: how a worker chooses where `IOQ_BACKEND` does not.
//!
//! A plain call is cheaper than a trip through a ring, and far cheaper where the ring must hand the request to one of
//! the kernel's own threads, as it does with every `statx()`. What the ring has to offer is that many requests wait at
//! once. So it pays when requests wait: for a disk, or for a server. Each worker looks at how long its plain calls take,
//! and goes through the ring while most of them are slow; and there, now and then, it runs one by a plain call, to see
//! whether they still are.

#![forbid(unsafe_code)]

use crate::backend::Backend;
use crate::entry::ioq_op;
use std::time::Duration;

/// A request that takes this long and has slept has waited for something: a warm `stat()` takes a microsecond, reading a
/// warm directory ten or twenty, and the fastest disk about a hundred.
const SLOW: Duration = Duration::from_micros(80);

/// How many requests to run through the ring before a plain call tells again whether they are slow.
const PROBE_EVERY: usize = 128;

/// A worker's experience with plain calls.
pub struct Policy {
    backend: Backend,
    /// The last eight measurements, a bit each, set where the requests were slow. One that was interrupted, or that
    /// had to wait for a processor, is not to change the verdict.
    slow: u8,
    /// How many requests went through the ring since the last measurement.
    unmeasured: usize,
    /// How often the worker's thread had slept when that was last looked at.
    sleeps: i64,
}

impl Policy {
    pub fn new(backend: Backend) -> Self {
        Self { backend, slow: 0, unmeasured: 0, sleeps: 0 }
    }

    /// Whether the next requests should go through a ring.
    pub fn wants_ring(&self) -> bool {
        match self.backend {
            Backend::Auto => self.slow.count_ones() >= 4 && self.unmeasured < PROBE_EVERY,
            Backend::Uring => true,
            Backend::Sync => false,
        }
    }

    /// Whether a ring is of use for such a request.
    ///
    /// A directory can be opened through a ring, but only read by a plain call: the worker would wait for one directory
    /// after the other, and all that is in its ring with it. To close something is too quick to gain by it.
    pub fn suits_ring(&self, op: ioq_op) -> bool {
        match self.backend {
            Backend::Auto => op == ioq_op::IOQ_STAT,
            Backend::Uring => true,
            Backend::Sync => false,
        }
    }

    /// Takes note that `count` requests went through the ring.
    pub fn ran_in_ring(&mut self, count: usize) {
        self.unmeasured += count;
    }

    /// Whether requests waited for something lately. Then more of them can be under way than there are processors.
    pub fn has_waited(&self) -> bool {
        self.slow != 0
    }

    /// Takes note that the thread may have slept for want of work or of completions: `sleeps` tells how often it slept so
    /// far, for whatever reason. Where the user insists on the ring nothing depends on that, and it is not asked.
    pub fn rested(&mut self, sleeps: impl FnOnce() -> i64) {
        if self.backend != Backend::Uring {
            self.sleeps = sleeps();
        }
    }

    /// Takes note that `count` plain calls took `time`. Slow are those that slept: a large directory takes long to read
    /// from memory, and a busy machine takes long over everything, but a ring would not make it any quicker.
    pub fn measured(&mut self, count: usize, time: Duration, sleeps: impl FnOnce() -> i64) {
        let slow = time >= SLOW * count as u32 && {
            let before = std::mem::replace(&mut self.sleeps, sleeps());
            self.sleeps != before
        };
        self.slow = self.slow << 1 | u8::from(slow);
        self.unmeasured = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_micros(2);

    /// A policy, and how often its thread slept.
    struct Worker(Policy, i64);

    impl Worker {
        fn measured(&mut self, count: usize, time: Duration) {
            self.1 += i64::from(time >= SLOW);
            self.0.measured(count, time, || self.1);
        }
    }

    fn worker(backend: Backend) -> Worker {
        Worker(Policy::new(backend), 0)
    }

    #[test]
    fn quick_requests_need_no_ring() {
        let mut worker = worker(Backend::Auto);
        for _ in 0..100 {
            assert!(!worker.0.wants_ring());
            worker.measured(31, 31 * QUICK);
        }
    }

    #[test]
    fn a_single_slow_request_changes_nothing() {
        let mut worker = worker(Backend::Auto);
        for i in 0..100 {
            worker.measured(1, if i % 8 == 0 { Duration::from_secs(1) } else { QUICK });
            assert!(!worker.0.wants_ring());
        }
    }

    #[test]
    fn slow_requests_go_through_the_ring_until_they_are_quick_again() {
        let mut worker = worker(Backend::Auto);
        for _ in 0..8 {
            worker.measured(1, SLOW);
        }
        let mut probes = 0;
        while probes < 8 {
            if worker.0.wants_ring() {
                worker.0.ran_in_ring(1);
            } else {
                probes += 1;
                worker.measured(1, QUICK);
            }
        }
        assert!(!worker.0.wants_ring());
    }

    #[test]
    fn requests_that_keep_the_processor_busy_are_not_slow() {
        let mut policy = Policy::new(Backend::Auto);
        policy.rested(|| 7);
        for _ in 0..100 {
            policy.measured(1, 10 * SLOW, || 7);
            assert!(!policy.wants_ring() && !policy.has_waited());
        }
    }

    #[test]
    fn one_wait_is_remembered_for_a_while() {
        let mut worker = worker(Backend::Auto);
        worker.measured(1, SLOW);
        for _ in 0..7 {
            assert!(worker.0.has_waited());
            worker.measured(1, QUICK);
        }
        worker.measured(1, QUICK);
        assert!(!worker.0.has_waited());
    }

    #[test]
    fn only_stats_have_a_use_for_the_ring_unless_the_user_insists() {
        for op in [ioq_op::IOQ_NOP, ioq_op::IOQ_CLOSE, ioq_op::IOQ_OPENDIR, ioq_op::IOQ_CLOSEDIR, ioq_op::IOQ_STAT] {
            assert_eq!(Policy::new(Backend::Auto).suits_ring(op), op == ioq_op::IOQ_STAT);
            assert!(Policy::new(Backend::Uring).suits_ring(op));
            assert!(!Policy::new(Backend::Sync).suits_ring(op));
        }
    }

    #[test]
    fn the_users_choice_stands() {
        for backend in [Backend::Uring, Backend::Sync] {
            let mut worker = worker(backend);
            for time in [QUICK, Duration::from_secs(1)] {
                for _ in 0..8 {
                    worker.measured(1, time);
                }
                assert_eq!(worker.0.wants_ring(), backend == Backend::Uring);
            }
        }
    }
}
