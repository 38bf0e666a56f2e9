//! Lists of which nothing is left but to close their directories, which a driver must not do, for that may wait.
//!
//! Workers take these before anything else: if they came to them in turn, they would have opened as many other directories
//! before as were pending.

use super::span::Span;
use crate::platform::sync::{AtomicUsize, Mutex, Ordering};
use std::collections::VecDeque;

pub struct Finished {
    spans: Mutex<VecDeque<Span>>,
    /// How many there are.
    count: AtomicUsize,
}

impl Finished {
    pub fn new() -> Self {
        Self { spans: Mutex::new(VecDeque::new()), count: AtomicUsize::new(0) }
    }

    /// Returns the span if there is no memory for it.
    pub fn push(&self, span: Span) -> Result<(), Span> {
        let mut spans = self.spans.lock();
        if spans.try_reserve(1).is_err() {
            return Err(span);
        }
        spans.push_back(span);
        self.count.store(spans.len(), Ordering::Relaxed);
        Ok(())
    }

    pub fn pop(&self) -> Option<Span> {
        if self.is_empty() {
            return None;
        }
        let mut spans = self.spans.lock();
        let span = spans.pop_front()?;
        self.count.store(spans.len(), Ordering::Relaxed);
        Some(span)
    }

    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }
}
