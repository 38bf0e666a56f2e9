//! How shuttle's models are run: in many random interleavings, which are the same every time.
//!
//! Each model is run under two schedulers. One draws the next thread at random at every step. The other (PCT) gives the
//! threads priorities, and changes them at few places only: it finds what needs few but certain switches of threads.
//!
//! What they draw depends on a seed, which `SHUTTLE_RANDOM_SEED` in the environment chooses anew. `IOQ_ITERATIONS` says how
//! many interleavings to run of each model under each scheduler.
//!
//! What fails is printed as a schedule. `IOQ_SCHEDULE`, and the test's name, run that again, as long as not a step of the
//! code is changed. So what is kept of a failure, beside a model of what went wrong, is its seed (`check_again`).

use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner, thread};
use std::env;

/// How many interleavings to run, unless the environment says otherwise.
const ITERATIONS: usize = 2_000;

/// What they are drawn by, unless the environment says otherwise.
const SEED: u64 = 1;

/// How many others a long model takes as long as.
const LONG: usize = 50;

/// In how many places the second scheduler changes the threads' priorities.
const CHANGES: usize = 4;

/// After how many steps a model goes round in circles.
const MAX_STEPS: usize = 50_000;

/// Runs a model.
pub fn check(model: fn()) {
    explore(&[SEED], iterations(), model);
}

/// Runs a model, and by the seeds as well by which it has failed once.
pub fn check_again(failed: &[u64], model: fn()) {
    explore(&[&[SEED], failed].concat(), iterations(), model);
}

/// Runs a model of which every interleaving is long.
pub fn check_long(model: fn()) {
    explore(&[SEED], iterations().div_ceil(LONG), model);
}

fn iterations() -> usize {
    env::var("IOQ_ITERATIONS").map_or(ITERATIONS, |n| n.parse().expect("a number"))
}

/// Runs a model in the interleaving that the environment names, or in as many as this for each seed.
fn explore(seeds: &[u64], iterations: usize, model: fn()) {
    if let Ok(schedule) = env::var("IOQ_SCHEDULE") {
        return run(ReplayScheduler::new_from_encoded(&schedule), model);
    }
    // The schedulers take the environment's seed in place of any other.
    let seeds = if env::var_os("SHUTTLE_RANDOM_SEED").is_some() { &seeds[..1] } else { seeds };
    for &seed in seeds {
        run(RandomScheduler::new_from_seed(seed, iterations), model);
        run(PctScheduler::new_from_seed(seed, CHANGES, iterations), model);
    }
}

fn run(scheduler: impl Scheduler + 'static, model: fn()) {
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    config.silence_warnings = true;
    config.max_steps = MaxSteps::FailAfter(MAX_STEPS);
    Runner::new(scheduler, config).run(move || {
        // PCT insists on a second thread, and not every model has one.
        let other = thread::spawn(|| ());
        model();
        other.join().unwrap();
    });
}
