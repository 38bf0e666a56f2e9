//! The ring of a queue, and its driver: a thread that keeps many requests waiting in the kernel at once.
//!
//! There is one ring for each queue, made when it first pays (`pace`), or for the first request if it is insisted on.
//! While it pays, the driver takes what is pending, and sends it off; what comes back it delivers. What needs a thread it
//! passes on to the workers: requests that a ring cannot do or refuses, directories that it has opened and somebody must
//! read, and one request in so many to find out whether plain calls would do. So it waits for nothing but the ring.
//!
//! What must hold, whatever the kernel answers:
//!
//! ```text
//!     in flight  ≤  entries of the submission queue  <  those of the completion queue
//! ```
//!
//! so no completion is dropped. Requests are sent off only while less is in flight than the limit, which leaves some
//! entries to probes and cancels. A submission that the kernel has not taken is sent again; if the kernel takes none at
//! all, the ring is given up, and what it has not seen goes to the workers.
//!
//! While something is in flight, the driver looks what is pending whenever something completes, and every so often if
//! nothing does. If nothing completes for long although the ring is full, the workers get what is pending.

mod driver;
mod limit;
mod session;
mod tag;
#[cfg(not(any(ioq_loom, ioq_shuttle)))]
mod uring;

#[cfg(any(ioq_loom, ioq_shuttle))]
use crate::models::uring;

pub use driver::Driver;
pub use uring::check_available;

use crate::ops::{self, StatxPool};
use crate::platform::alloc;
use crate::platform::errno::Errno;
use crate::platform::processors;
use crate::platform::table::Table;
use limit::Limit;
use uring::Uring;

/// A ring, and what the driver knows of it from one session to the next.
struct Ring {
    uring: Uring,
    statx: StatxPool,
    limit: Limit,
    /// How many submissions were not completed yet, those not sent included.
    in_flight: usize,
    /// The stats of lists that are in flight: by their user data, the words of the spans of their requests.
    parts: Table<u64, usize>,
    /// How many requests went through the ring since one was run by a plain call.
    unsampled: usize,
    broken: bool,
}

impl Ring {
    fn new(bound: usize, descriptors: bool) -> Result<Self, Errno> {
        let bound = u32::try_from(bound).unwrap_or(u32::MAX);
        let uring = Uring::new(bound.saturating_add(BESIDE as u32), bound, descriptors)?;
        let threads = if uring.limits_workers() { usize::MAX } else { KERNELS_OWN * processors::count() };
        let bound = uring.entries().saturating_sub(BESIDE).min(bound as usize).min(threads).max(1);
        let mut parts = Table::default();
        // Twice as many never need more: beyond half of its capacity, a table that things are taken from all the time grows.
        parts.try_reserve(2 * bound).map_err(|_| alloc::NO_MEMORY)?;
        Ok(Self {
            uring,
            statx: StatxPool::new(bound)?,
            limit: Limit::new(bound),
            in_flight: 0,
            parts,
            unsampled: 0,
            broken: false,
        })
    }
}

/// How many threads the kernel has for each processor to run what waits, unless it is told another limit
/// (`io_uring_register(2)`, `IORING_REGISTER_IOWQ_MAX_WORKERS`). What is sent beyond that would wait behind what hangs.
const KERNELS_OWN: usize = 4;

/// How many entries are left to others than requests: a probe of each operation, and one that interrupts all.
const BESIDE: usize = ops::COUNT + 1;
