//! An eventfd, as the models have it.

use crate::platform::errno::Errno;
use crate::platform::sync::{AtomicBool, Ordering};
use libc::c_int;
use std::cell::Cell;

pub struct EventFd(AtomicBool);

thread_local! {
    // All threads of a model are one to the system, and there is one queue.
    static READABLE: Cell<bool> = const { Cell::new(false) };
}

/// Whether the program's poll finds it readable.
#[cfg(all(test, ioq_shuttle))]
pub fn is_readable() -> bool {
    READABLE.get()
}

impl EventFd {
    pub fn new() -> Result<Self, Errno> {
        READABLE.set(false);
        Ok(Self(AtomicBool::new(false)))
    }

    pub fn number(&self) -> c_int {
        0
    }

    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
        READABLE.set(true);
    }

    pub fn lower(&self) {
        self.0.store(false, Ordering::Relaxed);
        READABLE.set(false);
    }

    /// Whether a poll would find it readable.
    #[cfg(test)]
    pub fn is_readable(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
