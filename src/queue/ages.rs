//! How long requests have been on their way: what tells a program that a server does not answer.
//!
//! It is kept from the first time that somebody asks, since it costs more than many a request.

#![forbid(unsafe_code)]

use crate::entry::ioq_ent;
use crate::platform::sync::CoarseInstant;
use crate::platform::table::Table;
use std::ptr::NonNull;
use std::time::Duration;

/// When each entry's request was accepted.
#[derive(Default)]
pub struct Ages(Table<usize, CoarseInstant>);

impl Ages {
    /// A request was accepted. Without memory, its age is not known.
    pub fn begin(&mut self, entry: NonNull<ioq_ent>) {
        if self.0.try_reserve(1).is_ok() {
            self.0.insert(entry.addr().get(), CoarseInstant::now());
        }
    }

    /// Its response was received.
    pub fn end(&mut self, entry: NonNull<ioq_ent>) {
        self.0.remove(&entry.addr().get());
    }

    /// The age of the oldest.
    pub fn oldest(&self) -> Option<Duration> {
        self.0.values().map(CoarseInstant::elapsed).max()
    }
}
