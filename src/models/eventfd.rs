//! An eventfd, as the models have it.

use crate::platform::errno::Errno;
use crate::platform::sync::{AtomicBool, Ordering};
use libc::c_int;

pub struct EventFd(AtomicBool);

impl EventFd {
    pub fn new() -> Result<Self, Errno> {
        Ok(Self(AtomicBool::new(false)))
    }

    pub fn number(&self) -> c_int {
        0
    }

    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn lower(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether a poll would find it readable.
    #[cfg(test)]
    pub fn is_readable(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
