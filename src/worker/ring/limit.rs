//! The concurrency limit: how many requests to have in flight in the ring.
//!
//! On a slow file system nothing counts as much. Too few, and the server is idle; too many, and they only wait for each
//! other, in the kernel's threads. What is right depends on the server, so it is found by trying: the limit is doubled
//! while that brings throughput, then halved while that costs none, and tried again after a while. (Hill climbing, as
//! .NET's thread pool does; TCP's slow start is the first part.)

#![forbid(unsafe_code)]

use crate::platform::sync::Instant;

/// Where to start: enough for a network file system, little for the kernel.
const FIRST: usize = 128;

/// What doubling the limit must bring, and what halving it may cost.
const GAIN: f64 = 1.2;
const LOSS: f64 = 0.9;

/// The throughput is measured over so many completions for each that the limit allows: at the start, where every round
/// trip counts; to try another limit; and between two tries.
const AT_FIRST: usize = 1;
const TO_TRY: usize = 4;
const TO_STAY: usize = 32;

/// But no fewer than this.
const WINDOW: usize = 32;

pub struct Limit {
    bound: usize,
    current: usize,
    phase: Phase,
    /// The throughput before the limit was last changed, in completions a second.
    before: f64,
    window: Window,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Doubling for the first time.
    Start,
    /// Doubling.
    Up,
    /// Halving.
    Down,
    /// Staying.
    Stay,
}

struct Window {
    /// How many completions to let pass, of what was in flight when the limit was changed.
    settling: usize,
    /// How many to count, and how many of them are left.
    len: usize,
    left: usize,
    start: Option<Instant>,
}

impl Window {
    fn new(settling: usize, phase: Phase, limit: usize) -> Self {
        let times = match phase {
            Phase::Start => AT_FIRST,
            Phase::Up | Phase::Down => TO_TRY,
            Phase::Stay => TO_STAY,
        };
        let len = (times * limit).max(WINDOW);
        Self { settling, len, left: len, start: None }
    }
}

impl Limit {
    /// A limit that never exceeds `bound`.
    pub fn new(bound: usize) -> Self {
        let current = FIRST.min(bound);
        let phase = Phase::Start;
        Self { bound, current, phase, before: 0.0, window: Window::new(0, phase, current) }
    }

    /// How many may be in flight.
    pub fn get(&self) -> usize {
        self.current
    }

    /// Takes note that `count` requests have completed. What happens while fewer are wanted than the limit allows says
    /// nothing about it: then they are not `limited`.
    pub fn completed(&mut self, count: usize, limited: bool) {
        let window = &mut self.window;
        if !limited {
            *window = Window::new(window.settling, self.phase, self.current);
            return;
        }
        if window.start.is_none() {
            // Those that complete now are the last to settle.
            window.settling = window.settling.saturating_sub(count);
            if window.settling == 0 {
                window.start = Some(Instant::now());
            }
            return;
        }
        window.left = window.left.saturating_sub(count);
        if let (0, Some(start)) = (window.left, window.start) {
            let throughput = window.len as f64 / start.elapsed().as_secs_f64().max(1e-9);
            self.climb(throughput);
        }
    }

    fn climb(&mut self, throughput: f64) {
        let old = self.current;
        let (half, double) = ((old / 2).max(1), (2 * old).min(self.bound));
        let has_gained = throughput >= self.before * GAIN;
        let has_lost = throughput < self.before * LOSS;
        (self.phase, self.current) = match self.phase {
            phase @ (Phase::Start | Phase::Up) if has_gained && old < self.bound => (phase, double),
            // No further up. (What seems to be a gain may be but a server, or a machine, that gets going; if so, that is
            // found out after a while.)
            Phase::Start | Phase::Up if has_gained => (Phase::Stay, old),
            // The last step brought nothing: it is taken back, and so is the next, until that costs something.
            Phase::Start | Phase::Up => (Phase::Down, half),
            Phase::Down if has_lost => (Phase::Stay, double),
            Phase::Down if old > 1 => (Phase::Down, half),
            Phase::Down => (Phase::Stay, old),
            Phase::Stay if old < self.bound => (Phase::Up, double),
            Phase::Stay => (Phase::Down, half),
        };
        // On the way down, each step is held to the best before it, lest many small losses add up.
        self.before = if self.phase == Phase::Down { throughput.max(self.before) } else { throughput };
        self.window = Window::new(if self.current == old { 0 } else { old }, self.phase, self.current);
    }
}

#[cfg(all(test, not(any(ioq_loom, ioq_shuttle))))]
mod tests {
    use super::*;

    /// Runs windows on a server of which the throughput is known, and returns the limits that were tried.
    fn run(limit: &mut Limit, windows: usize, throughput: impl Fn(usize) -> f64) -> Vec<usize> {
        let window = |_| {
            limit.climb(throughput(limit.get()));
            limit.get()
        };
        (0..windows).map(window).collect()
    }

    /// The limit that it stays with.
    fn settle(limit: &mut Limit, throughput: impl Fn(usize) -> f64) -> usize {
        run(limit, 40, &throughput);
        while limit.phase != Phase::Stay {
            run(limit, 1, &throughput);
        }
        limit.get()
    }

    /// A server that works on so many requests at once.
    fn server(at_once: usize) -> impl Fn(usize) -> f64 {
        move |limit| limit.min(at_once) as f64
    }

    #[test]
    fn where_more_at_once_brings_more_the_limit_grows_to_the_bound() {
        let mut limit = Limit::new(256);
        assert_eq!(run(&mut limit, 4, server(10_000)), [256, 256, 128, 256]);
        assert_eq!(limit.phase, Phase::Stay);
        assert_eq!(settle(&mut limit, server(10_000)), 256);
    }

    #[test]
    fn where_it_brings_nothing_the_limit_falls_to_what_is_needed() {
        for at_once in [1_usize, 8, 100] {
            let mut limit = Limit::new(1024);
            let found = at_once.next_power_of_two();
            assert_eq!(settle(&mut limit, server(at_once)), found);
            // And there it stays, but for a try now and then.
            let tried = run(&mut limit, 100, server(at_once));
            assert!(tried.iter().all(|&limit| limit >= found / 2 && limit <= 2 * found));
            assert_eq!(settle(&mut limit, server(at_once)), found);
        }
    }

    #[test]
    fn a_server_that_changes_is_noticed() {
        let mut limit = Limit::new(256);
        assert_eq!(settle(&mut limit, server(8)), 8);
        assert_eq!(settle(&mut limit, server(10_000)), 256);
        assert_eq!(settle(&mut limit, server(8)), 8);
    }

    #[test]
    fn small_losses_do_not_add_up() {
        let mut limit = Limit::new(256);
        // Each halving costs 6 %.
        run(&mut limit, 40, |limit| (limit as f64).powf(0.09));
        assert!(limit.get() >= 16, "{}", limit.get());
    }

    #[test]
    fn the_bound_holds() {
        for bound in [1, 2, 3, 100] {
            let mut limit = Limit::new(bound);
            assert!(run(&mut limit, 300, server(10_000)).iter().all(|&limit| (1..=bound).contains(&limit)));
        }
    }

    #[test]
    fn nothing_is_concluded_while_less_is_wanted() {
        let mut limit = Limit::new(256);
        (0..10_000).for_each(|_| limit.completed(1, false));
        assert_eq!(limit.get(), FIRST);
    }
}
