//! What the pool knows of its workers, behind its lock: who is parked, and whether to wake or start another.

#![forbid(unsafe_code)]

use crate::alloc;
use crate::errno::Errno;

pub struct Idle {
    /// The workers that are parked, the last one on top.
    parked: Vec<usize>,
    /// The one of them that wakes up now and then by itself.
    watcher: Option<usize>,
    /// Whether somebody is looking for work, or was woken or started to do so.
    searching: bool,
    /// How many workers were started.
    started: usize,
    /// How many of them have not left.
    present: usize,
    /// How many to start at most: what the user asked for, or less once starting failed.
    limit: usize,
    /// How many may be at work at once while nobody's requests wait.
    room: usize,
    /// How many more, because requests seemed to be held up since the pool last rested.
    extra: usize,
    /// How many workers have requests that wait.
    waiting: usize,
    /// Whether the stop message was sent: nobody is started any more.
    stopped: bool,
}

impl Idle {
    pub fn new(limit: usize, room: usize) -> Result<Self, Errno> {
        Ok(Self {
            parked: alloc::with_capacity(limit)?,
            watcher: None,
            searching: false,
            started: 0,
            present: 0,
            limit,
            room,
            extra: 0,
            waiting: 0,
            stopped: false,
        })
    }

    fn at_work(&self) -> usize {
        self.present - self.parked.len() - usize::from(self.searching)
    }

    /// Whether one more worker may go to work.
    pub fn has_room(&self) -> bool {
        self.waiting > 0 || self.at_work() < self.room.saturating_add(self.extra)
    }

    /// Whether there is something to do for one more: to work, or at least to watch.
    fn is_wanting(&self) -> bool {
        !self.searching && (self.has_room() || self.watcher.is_none())
    }

    /// Whether a worker should be woken when work comes.
    pub fn is_wakeable(&self) -> bool {
        !self.parked.is_empty() && self.is_wanting()
    }

    /// Whether a worker should be started when work comes.
    pub fn is_startable(&self) -> bool {
        !self.stopped && self.parked.is_empty() && self.started < self.limit && self.is_wanting()
    }

    /// Takes the worker that parked last off the stack, to search.
    pub fn wake(&mut self) -> Option<usize> {
        if !self.is_wakeable() {
            return None;
        }
        let index = self.parked.pop()?;
        self.unwatch(index);
        self.searching = true;
        Some(index)
    }

    /// Adds a worker, to search.
    pub fn start(&mut self) -> Option<usize> {
        if !self.is_startable() {
            return None;
        }
        self.searching = true;
        Some(self.add())
    }

    fn add(&mut self) -> usize {
        let index = self.started;
        self.started += 1;
        self.present += 1;
        index
    }

    /// How many workers have no work: those that are parked, and whoever searches.
    pub fn without_work(&self) -> usize {
        self.parked.len() + usize::from(self.searching)
    }

    /// Adds a worker beside those without work, if there is room. Returns its number, and whether it is to search.
    pub fn start_beside(&mut self) -> Option<(usize, bool)> {
        if self.stopped || self.started == self.limit || !self.has_room() {
            return None;
        }
        Some((self.add(), self.search()))
    }

    /// The worker that was added last could not be started, whether it was `searching` or not.
    pub fn start_failed(&mut self, searching: bool) {
        self.started -= 1;
        self.present -= 1;
        self.limit = self.started;
        self.searching &= !searching;
    }

    pub fn present(&self) -> usize {
        self.present
    }

    pub fn stop(&mut self) -> bool {
        let first = !std::mem::replace(&mut self.stopped, true);
        first && self.present > 0
    }

    pub fn leave(&mut self) -> bool {
        self.present -= 1;
        self.present > 0
    }

    /// Lets one more worker work than there is room for.
    pub fn make_room(&mut self) {
        self.extra = (self.extra + 1).min(self.limit);
    }

    /// A worker's requests wait for something, or do not any more.
    pub fn set_waiting(&mut self, waiting: bool) {
        if waiting {
            self.waiting += 1;
        } else {
            self.waiting -= 1;
        }
    }

    /// A worker without work becomes the searcher, unless somebody else is.
    pub fn search(&mut self) -> bool {
        !std::mem::replace(&mut self.searching, true)
    }

    /// The searcher goes to work, if there is room.
    pub fn go_to_work(&mut self) -> bool {
        // The searcher is not counted among those at work.
        if self.has_room() {
            self.searching = false;
        }
        !self.searching
    }

    /// A worker, perhaps the searcher, goes to sleep.
    pub fn park(&mut self, index: usize, searching: bool) {
        self.searching &= !searching;
        self.parked.push(index);
        if self.parked.len() == self.present {
            self.extra = 0;
        }
    }

    /// A parked worker goes to work, if nobody has woken it and there is room.
    pub fn unpark(&mut self, index: usize) -> bool {
        let at = self.parked.iter().rposition(|&parked| parked == index).filter(|_| self.has_room());
        if let Some(at) = at {
            self.parked.remove(at);
            self.unwatch(index);
        }
        at.is_some()
    }

    /// A parked worker becomes the watcher, if nobody has woken it or is the watcher.
    pub fn watch(&mut self, index: usize) -> bool {
        if self.watcher.is_none() && self.parked.contains(&index) {
            self.watcher = Some(index);
        }
        self.watcher == Some(index)
    }

    /// This worker is the watcher no more, if it was.
    pub fn unwatch(&mut self, index: usize) {
        if self.watcher == Some(index) {
            self.watcher = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One worker at work, for which there is room, and another that is parked and watches it.
    fn watched() -> Idle {
        let mut idle = Idle::new(3, 1).unwrap();
        assert_eq!(idle.start(), Some(0));
        assert!(idle.go_to_work());
        assert_eq!(idle.start(), Some(1));
        assert!(!idle.go_to_work());
        idle.park(1, true);
        assert!(idle.is_wakeable());
        assert!(idle.watch(1));
        idle
    }

    #[test]
    fn nobody_is_woken_without_room_while_somebody_watches() {
        let mut idle = watched();
        assert!(!idle.is_wakeable());
        assert_eq!(idle.wake(), None);
        idle.make_room();
        assert!(idle.is_wakeable());
    }

    #[test]
    fn a_watcher_that_is_woken_leaves_the_watch_to_another() {
        let mut idle = watched();
        idle.set_waiting(true);
        assert_eq!(idle.wake(), Some(1));
        idle.set_waiting(false);
        assert!(!idle.go_to_work());
        idle.park(1, true);
        assert!(idle.is_wakeable());
    }

    #[test]
    fn a_watcher_that_goes_to_work_leaves_the_watch_to_another() {
        let mut idle = watched();
        assert!(!idle.unpark(1));
        idle.make_room();
        assert!(idle.unpark(1));
        assert_eq!(idle.start(), Some(2));
        idle.park(2, true);
        assert!(idle.is_wakeable());
    }
}
