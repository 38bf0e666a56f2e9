//! What the scheduler knows of its workers, behind its lock: who is parked, and whether to wake or start another.

#![forbid(unsafe_code)]

use crate::platform::alloc;
use crate::platform::errno::Errno;
use crate::platform::sync::CoarseInstant;
use libc::c_int;
use std::time::Duration;

/// How long after a thread could not be started another one is tried.
const RETRY_AFTER: Duration = Duration::from_millis(10);

/// What else decides how many workers are to be at work.
#[derive(Clone, Copy)]
pub struct Load {
    /// Requests wait for something, such as a disk, so that more workers than processors have something to do.
    pub blocks: bool,
    /// The caller is in need of a processor.
    pub caller_is_awake: bool,
}

pub struct State {
    /// The workers that are parked, the last one on top.
    parked: Vec<usize>,
    /// The one of them that looks for stalls.
    detector: Option<usize>,
    /// The worker that looks for work, or was woken or started to do so.
    searcher: Option<usize>,
    /// How many workers were started.
    started: usize,
    /// How many may be.
    limit: usize,
    processors: usize,
    /// How many workers may be at work beyond the processors, because the others seemed to be stuck.
    overcommit: usize,
    /// When a thread could not be started, and why.
    failed: Option<(CoarseInstant, Errno)>,
    /// Whether the workers are to leave.
    stopping: bool,
}

/// How many workers there are.
pub struct Census {
    pub started: usize,
    pub at_work: usize,
}

/// How to get another worker.
#[derive(Debug, PartialEq, Eq)]
pub enum Recruit {
    /// Wake this one.
    Wake(usize),
    /// Start this one, and say `started` or `start_failed`.
    Start(usize),
}

impl State {
    pub fn new(limit: usize, processors: usize) -> Self {
        Self {
            parked: Vec::new(),
            detector: None,
            searcher: None,
            started: 0,
            limit,
            processors,
            overcommit: 0,
            failed: None,
            stopping: false,
        }
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether threads could not be started when they were last wanted.
    pub fn is_failing(&self) -> bool {
        self.failed.is_some()
    }

    /// Whether there is no worker, and none can be started for now.
    pub fn is_deserted(&self) -> bool {
        self.started == 0 && (self.limit == 0 || self.is_failing())
    }

    /// Why threads could not be started; 0 if they could.
    pub fn error(&self) -> c_int {
        self.failed.map_or(0, |(_, Errno(e))| e)
    }

    pub fn census(&self) -> Census {
        Census { started: self.started, at_work: self.at_work() }
    }

    fn at_work(&self) -> usize {
        self.started - self.parked.len() - usize::from(self.searcher.is_some())
    }

    /// Whether one more worker may go to work:
    ///
    /// ```text
    ///     at work  <  max(1, processors - [caller is awake]) + overcommit
    /// ```
    pub fn has_room(&self, load: Load) -> bool {
        let processors = self.processors.saturating_sub(load.caller_is_awake.into()).max(1);
        load.blocks || self.stopping || self.at_work() < processors.saturating_add(self.overcommit)
    }

    /// Whether somebody should come when there is work: to work, or at least to look for stalls.
    pub fn wants_another(&self, load: Load) -> bool {
        let available = !self.parked.is_empty() || (self.started < self.limit && !self.stopping);
        available && self.searcher.is_none() && (self.has_room(load) || self.detector.is_none())
    }

    /// Gets another worker to search, if one is wanted.
    pub fn recruit(&mut self, load: Load) -> Option<Recruit> {
        if !self.wants_another(load) {
            return None;
        }
        if let Some(index) = self.parked.pop() {
            self.relieve(index);
            self.searcher = Some(index);
            return Some(Recruit::Wake(index));
        }
        if self.failed.is_some_and(|(failed, _)| failed.elapsed() < RETRY_AFTER) {
            return None;
        }
        Some(Recruit::Start(self.started))
    }

    /// Makes sure that one more worker can park: parking must not fail.
    pub fn reserve(&mut self) -> Result<(), Errno> {
        alloc::reserve(&mut self.parked, self.started + 1)
    }

    /// The worker with the next number was started, to search.
    pub fn started(&mut self) {
        self.searcher = Some(self.started);
        self.started += 1;
        self.failed = None;
    }

    /// It could not be started.
    pub fn start_failed(&mut self, e: Errno) {
        self.failed = Some((CoarseInstant::now(), e));
    }

    /// A worker without work becomes the searcher, unless somebody else is.
    pub fn search(&mut self, index: usize) -> bool {
        *self.searcher.get_or_insert(index) == index
    }

    /// Whether this worker is the searcher.
    pub fn is_searcher(&self, index: usize) -> bool {
        self.searcher == Some(index)
    }

    /// The searcher goes to work, if there is room.
    pub fn go_to_work(&mut self, load: Load) -> bool {
        // The searcher is not counted among those at work.
        let has_room = self.has_room(load);
        if has_room {
            self.searcher = None;
        }
        has_room
    }

    /// A worker, perhaps the searcher, goes to sleep.
    pub fn park(&mut self, index: usize) {
        if self.is_searcher(index) {
            self.searcher = None;
        }
        self.parked.push(index);
        if self.parked.len() == self.started {
            self.overcommit = 0;
        }
    }

    /// A parked worker goes to work, if nobody has woken it and there is room.
    pub fn unpark(&mut self, index: usize, load: Load) -> bool {
        let at = self.parked.iter().rposition(|&parked| parked == index).filter(|_| self.has_room(load));
        if let Some(at) = at {
            self.parked.remove(at);
            self.relieve(index);
        }
        at.is_some()
    }

    /// A parked worker looks for stalls from now on, if nobody has woken it and nobody else does.
    pub fn detect(&mut self, index: usize) -> bool {
        if self.detector.is_none() && self.parked.contains(&index) {
            self.detector = Some(index);
        }
        self.detector == Some(index)
    }

    /// This worker does not look for stalls any more, if it did.
    pub fn relieve(&mut self, index: usize) {
        if self.detector == Some(index) {
            self.detector = None;
        }
    }

    /// The workers at work seem to be stuck: lets one more work.
    pub fn overcommit(&mut self) {
        self.overcommit = (self.overcommit + 1).min(self.limit);
    }

    /// Nobody is started any more. Returns the workers that are to be woken, in order to leave.
    pub fn stop(&mut self) -> Vec<usize> {
        self.stopping = true;
        self.detector = None;
        std::mem::take(&mut self.parked)
    }

    /// A worker leaves.
    pub fn leave(&mut self, index: usize) {
        if self.is_searcher(index) {
            self.searcher = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: Load = Load { blocks: false, caller_is_awake: true };
    const ALONE: Load = Load { blocks: false, caller_is_awake: false };
    const BLOCKING: Load = Load { blocks: true, caller_is_awake: true };

    /// Two processors, three workers at most, of which the first is at work.
    fn one_at_work() -> State {
        let mut state = State::new(3, 2);
        start(&mut state, 0);
        assert!(state.go_to_work(BUSY));
        state
    }

    fn start(state: &mut State, index: usize) {
        assert_eq!(state.recruit(BLOCKING), Some(Recruit::Start(index)));
        state.reserve().unwrap();
        state.started();
    }

    /// The same, and the second looks for stalls.
    fn detected() -> State {
        let mut state = one_at_work();
        start(&mut state, 1);
        assert!(!state.go_to_work(BUSY));
        state.park(1);
        assert!(state.wants_another(BUSY));
        assert!(state.detect(1));
        state
    }

    #[test]
    fn nobody_is_woken_without_room_while_somebody_looks_for_stalls() {
        let mut state = detected();
        assert_eq!(state.recruit(BUSY), None);
        state.overcommit();
        assert_eq!(state.recruit(BUSY), Some(Recruit::Wake(1)));
    }

    #[test]
    fn a_caller_that_sleeps_leaves_its_processor_to_a_worker() {
        let mut state = detected();
        assert_eq!(state.recruit(ALONE), Some(Recruit::Wake(1)));
        assert!(state.go_to_work(ALONE));
        assert!(!state.has_room(ALONE));
    }

    #[test]
    fn while_requests_block_there_is_room_for_all() {
        let mut state = detected();
        assert_eq!(state.recruit(BLOCKING), Some(Recruit::Wake(1)));
        assert!(state.go_to_work(BLOCKING));
        start(&mut state, 2);
        assert!(state.go_to_work(BLOCKING));
        assert!(!state.wants_another(BLOCKING), "no more than were asked for");
    }

    #[test]
    fn one_searches_at_a_time() {
        let mut state = one_at_work();
        start(&mut state, 1);
        assert_eq!(state.recruit(BLOCKING), None);
        assert!(!state.search(0));
        assert!(state.search(1));
    }

    #[test]
    fn a_detector_that_is_woken_leaves_its_watch_to_another() {
        let mut state = detected();
        assert_eq!(state.recruit(ALONE), Some(Recruit::Wake(1)));
        assert!(!state.go_to_work(BUSY));
        state.park(1);
        assert!(state.wants_another(BUSY));
    }

    #[test]
    fn a_detector_that_goes_to_work_leaves_its_watch_to_another() {
        let mut state = detected();
        assert!(!state.unpark(1, BUSY));
        state.overcommit();
        assert!(state.unpark(1, BUSY));
        assert_eq!(state.recruit(BUSY), Some(Recruit::Start(2)));
    }

    #[test]
    fn overcommitment_ends_when_all_are_parked() {
        let mut state = one_at_work();
        state.overcommit();
        start(&mut state, 1);
        assert!(state.go_to_work(BUSY));
        state.park(0);
        state.park(1);
        assert_eq!(state.recruit(BUSY), Some(Recruit::Wake(1)));
        assert!(state.go_to_work(BUSY));
        assert!(!state.has_room(BUSY));
    }

    #[test]
    fn a_start_that_failed_is_tried_again_later() {
        let mut state = State::new(2, 2);
        assert_eq!(state.recruit(BUSY), Some(Recruit::Start(0)));
        state.start_failed(alloc::NO_MEMORY);
        assert!(state.is_failing() && state.wants_another(BUSY));
        #[cfg(not(any(ioq_loom, ioq_shuttle)))]
        {
            assert_eq!(state.recruit(BUSY), None);
            std::thread::sleep(2 * RETRY_AFTER);
            assert_eq!(state.recruit(BUSY), Some(Recruit::Start(0)));
        }
    }

    #[test]
    fn once_stopped_nobody_is_started_and_all_may_work() {
        let mut state = detected();
        assert_eq!(state.stop(), [1]);
        assert!(!state.wants_another(BLOCKING));
        assert!(state.has_room(BUSY));
    }
}
