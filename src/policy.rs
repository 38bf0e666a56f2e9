//! Plain system calls or the ring: the choice of a worker whose user has none.
//!
//! A plain call is cheaper than a trip through a ring, and far cheaper where the ring must hand the request to one of
//! the kernel's own threads, as it does with every `statx()`. What the ring has to offer is that many requests wait at
//! once. So it pays when requests wait: for a disk, or for a server. Each worker looks at how long its plain calls take,
//! and goes through the ring while most of them are slow; and there, now and then, it runs one by a plain call, to see
//! whether they still are.

#![forbid(unsafe_code)]

use crate::backend::Backend;
use std::time::Duration;

/// A request that takes this long has waited for something: a warm `stat()` takes a microsecond, reading a warm
/// directory ten or twenty, and the fastest disk about a hundred.
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
}

impl Policy {
    pub fn new(backend: Backend) -> Self {
        Self { backend, slow: 0, unmeasured: 0 }
    }

    /// Whether the next requests should go through a ring.
    pub fn wants_ring(&self) -> bool {
        match self.backend {
            Backend::Auto => self.slow.count_ones() >= 4 && self.unmeasured < PROBE_EVERY,
            Backend::Uring => true,
            Backend::Sync => false,
        }
    }

    /// Takes note that `count` requests went through the ring.
    pub fn ran_in_ring(&mut self, count: usize) {
        self.unmeasured += count;
    }

    /// Takes note that `count` plain calls took `time`.
    pub fn measured(&mut self, count: usize, time: Duration) {
        let slow = time >= SLOW * count as u32;
        self.slow = self.slow << 1 | u8::from(slow);
        self.unmeasured = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_micros(2);

    #[test]
    fn quick_requests_need_no_ring() {
        let mut policy = Policy::new(Backend::Auto);
        for _ in 0..100 {
            assert!(!policy.wants_ring());
            policy.measured(31, 31 * QUICK);
        }
    }

    #[test]
    fn a_single_slow_request_changes_nothing() {
        let mut policy = Policy::new(Backend::Auto);
        for i in 0..100 {
            policy.measured(1, if i % 8 == 0 { Duration::from_secs(1) } else { QUICK });
            assert!(!policy.wants_ring());
        }
    }

    #[test]
    fn slow_requests_go_through_the_ring_until_they_are_quick_again() {
        let mut policy = Policy::new(Backend::Auto);
        for _ in 0..8 {
            policy.measured(1, SLOW);
        }
        let mut probes = 0;
        while probes < 8 {
            if policy.wants_ring() {
                policy.ran_in_ring(1);
            } else {
                probes += 1;
                policy.measured(1, QUICK);
            }
        }
        assert!(!policy.wants_ring());
    }

    #[test]
    fn the_users_choice_stands() {
        for backend in [Backend::Uring, Backend::Sync] {
            let mut policy = Policy::new(backend);
            for time in [QUICK, Duration::from_secs(1)] {
                for _ in 0..8 {
                    policy.measured(1, time);
                }
                assert_eq!(policy.wants_ring(), backend == Backend::Uring);
            }
        }
    }
}
