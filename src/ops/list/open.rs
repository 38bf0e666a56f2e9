//! How many lists have their directories open: of the 1,024 descriptors that a program may have, few are theirs.
//!
//! ```text
//!     not open ──▶ opened ──▶ read, and the stats are under way ──▶ complete
//!         └──────────────────────▲
//!           a worker opens it, and reads it at once
//! ```
//!
//! A ring could open all that are pending at once, and the workers read them quicker than the stats are done. So while
//! many are opened the ring opens none, which is left to the workers; and while many were read, a worker does the stats of
//! what it reads itself before it goes on.

#![forbid(unsafe_code)]

use super::List;
use crate::entry::{ioq_ent, ioq_op};
use crate::ops::opened;
use crate::platform::sync::{AtomicUsize, Ordering};

/// How many are many, beside those for each worker: as many are opened as the workers come to next, and twice as many may wait
/// for their stats.
const MANY: usize = 8;

#[derive(Clone, Copy, PartialEq)]
pub enum Stage {
    /// Not opened yet, or complete; or no list.
    Closed,
    Opened,
    Read,
}

impl Stage {
    /// Where a request is while it is in a ring.
    pub fn in_ring(op: ioq_op) -> Self {
        if op == ioq_op::IOQ_LIST { Self::Opened } else { Self::Closed }
    }

    pub fn of(ent: &ioq_ent) -> Self {
        match ent.op {
            ioq_op::IOQ_LIST if List::stats(ent).is_some() => Self::Read,
            ioq_op::IOQ_LIST if opened::get(ent).is_some() => Self::Opened,
            _ => Self::Closed,
        }
    }
}

pub struct OpenLists {
    opened: AtomicUsize,
    read: AtomicUsize,
    many_opened: usize,
    many_read: usize,
}

impl OpenLists {
    pub fn new(workers: usize) -> Self {
        let many = |each: usize| workers.saturating_mul(each).saturating_add(MANY);
        Self { opened: AtomicUsize::new(0), read: AtomicUsize::new(0), many_opened: many(1), many_read: many(2) }
    }

    fn count(&self, stage: Stage) -> Option<&AtomicUsize> {
        match stage {
            Stage::Closed => None,
            Stage::Opened => Some(&self.opened),
            Stage::Read => Some(&self.read),
        }
    }

    /// A list has come from one stage to another.
    pub fn moved(&self, from: Stage, to: Stage) {
        if from != to {
            self.count(from).inspect(|count| _ = count.fetch_sub(1, Ordering::Relaxed));
            self.count(to).inspect(|count| _ = count.fetch_add(1, Ordering::Relaxed));
        }
    }

    /// Whether as many were opened, and not read yet, as should be.
    pub fn has_many_opened(&self) -> bool {
        self.opened.load(Ordering::Relaxed) >= self.many_opened
    }

    /// Whether more were read than should be before their stats are done.
    pub fn has_many_read(&self) -> bool {
        self.read.load(Ordering::Relaxed) >= self.many_read
    }
}
