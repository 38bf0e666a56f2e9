//! Each call of the library's that can fail fails, once or from then on, in every place; and at random, several in one
//! run: `c-tests/faults/`.
//!
//! A case is a kind of call, a mode, a workload with a way to use the queue, and a backend. It is a process of its own,
//! which starts a child for each call; so whatever happens there is seen as the failure of that case alone. A case in
//! which nothing could be made to fail is itself a failure: then the table here is wrong, or calls go unseen.
//!
//! `IOQ_FAULTS_EVERY=4` runs every fourth case.

mod common;
#[path = "common/compiler.rs"]
mod compiler;
#[path = "common/run.rs"]
mod run;

use Backend::*;
use Kind::*;
use Mode::*;
use common::{output, pkg_config};
use compiler::{STRICT, compile};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{LazyLock, Mutex};
use std::thread::available_parallelism;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Memory,
    Mmap,
    Thread,
    Setup,
    Enter,
    Register,
    Eventfd,
    Openat,
    Getdents,
    Statx,
    Fstatat,
    Change,
    Attribute,
    Close,
    Futex,
    Other,
    Completion,
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Once,
    On,
    Random,
}

const MODES: [(Mode, &[Kind]); 3] = [(Once, EACH), (On, EACH), (Random, &[Any])];

const EACH: &[Kind] = &[
    Memory, Mmap, Thread, Setup, Enter, Register, Eventfd, Openat, Getdents, Statx, Fstatat, Change, Attribute, Close,
    Futex, Other, Completion,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backend {
    Auto,
    Uring,
    Sync,
}

/// A lower-case name, for titles and for the command line.
fn name(value: impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

/// How responses are popped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pop {
    Poll,
    Block,
    /// Blocking, and running requests meanwhile.
    Help,
}

/// How the queue is used.
#[derive(Clone, Copy)]
struct Use {
    threads: usize,
    depth: usize,
    pop: Pop,
}

const fn poll(threads: usize, depth: usize) -> Use {
    Use { threads, depth, pop: Pop::Poll }
}

const fn block(threads: usize, depth: usize) -> Use {
    Use { threads, depth, pop: Pop::Block }
}

const fn help(threads: usize, depth: usize) -> Use {
    Use { threads, depth, pop: Pop::Help }
}

struct Workload {
    name: &'static str,
    backends: &'static [Backend],
    uses: &'static [Use],
    /// Nothing but stats, many of them.
    flood: bool,
}

const ALL: &[Backend] = &[Auto, Uring, Sync];

const WORKLOADS: [Workload; 10] = [
    Workload {
        name: "mixture",
        backends: ALL,
        uses: &[
            block(0, 1),
            block(0, 64),
            poll(1, 1),
            block(1, 4),
            poll(2, 4),
            block(2, 64),
            poll(8, 64),
            block(8, 4096),
            help(2, 64),
        ],
        flood: false,
    },
    Workload {
        name: "cancel",
        backends: ALL,
        uses: &[block(0, 64), block(1, 64), poll(2, 64), help(2, 64)],
        flood: false,
    },
    Workload { name: "destroy", backends: ALL, uses: &[block(0, 64), poll(1, 64), block(8, 4096)], flood: false },
    Workload { name: "cycles", backends: ALL, uses: &[block(2, 64)], flood: false },
    Workload { name: "events", backends: ALL, uses: &[poll(2, 64)], flood: false },
    Workload { name: "own", backends: ALL, uses: &[block(0, 64), block(1, 64), poll(2, 64)], flood: false },
    Workload { name: "changes", backends: ALL, uses: &[block(0, 64), block(1, 64), poll(2, 64)], flood: false },
    Workload { name: "walk", backends: ALL, uses: &[block(1, 64), poll(2, 4), block(8, 6), help(2, 64)], flood: false },
    // Through the ring, whether the user insists on it or stats take long.
    Workload { name: "flood", backends: &[Uring], uses: &[poll(1, 64), block(8, 4096)], flood: true },
    Workload { name: "slow", backends: &[Auto], uses: &[poll(1, 64), poll(2, 64)], flood: true },
];

/// A case.
#[derive(Clone, Copy)]
struct Case {
    kind: Kind,
    mode: Mode,
    workload: &'static Workload,
    way: Use,
    backend: Backend,
}

impl Case {
    fn all() -> Vec<Self> {
        let mut all = vec![];
        for (mode, kinds) in MODES {
            for workload in &WORKLOADS {
                for (&kind, &way) in product(kinds, workload.uses) {
                    all.extend(workload.backends.iter().map(|&backend| Self { kind, mode, workload, way, backend }));
                }
            }
        }
        all
    }

    fn has_ring(&self) -> bool {
        self.backend == Uring && self.way.threads > 0 || self.workload.name == "slow"
    }

    /// Whether it is chance if there are such calls: whether anybody sleeps; whether a worker was left something by a
    /// ring, and came to it before the queue was cancelled; and whether one does what the ring could do as well.
    fn is_chance(&self) -> bool {
        let (is_cancelled, is_own) = (["cancel", "destroy"].contains(&self.workload.name), self.workload.name == "own");
        match self.kind {
            Futex => true,
            Getdents => self.has_ring() && is_cancelled,
            Statx | Fstatat => self.has_ring() && (is_cancelled || is_own),
            _ => false,
        }
    }

    /// Whether there are such calls at all.
    fn is_possible(&self) -> bool {
        let has_ring = self.has_ring();
        let is_changes = self.workload.name == "changes";
        // Where the caller helps, little may be left for the ring.
        let uses_ring = has_ring && self.way.pop != Pop::Help;
        match self.kind {
            Memory | Other | Any => true,
            Thread | Futex => self.way.threads > 0,
            Setup => has_ring,
            Mmap | Enter | Register => uses_ring,
            Eventfd => self.workload.name == "events",
            // A flood has no more kinds of completions, only more of them.
            Completion => uses_ring && !self.workload.flood,
            // A ring opens directories.
            Openat => !self.workload.flood && !is_changes && !has_ring,
            Getdents => !self.workload.flood && !is_changes,
            // And it changes names.
            Change => is_changes && !has_ring,
            Attribute => is_changes,
            // A ring asks about everything that has a path.
            Statx => !is_changes && (!self.workload.flood || self.backend == Auto),
            // And about nothing where there is no statx().
            Fstatat => !is_changes && !self.workload.flood,
            Close => has_ring || !(self.workload.flood || is_changes),
        }
    }

    fn arguments(&self) -> [String; 6] {
        let Use { threads, depth, pop } = self.way;
        [name(self.kind), name(self.mode), self.workload.name.into(), threads.to_string(), depth.to_string(), name(pop)]
    }

    fn title(&self) -> String {
        let [kind, mode, workload, threads, depth, pop] = self.arguments();
        format!("{kind}::{mode}::{workload}_{threads}x{depth}_{pop}::{}", name(self.backend))
    }

    fn run(&self) -> Result<Completion, Failed> {
        let mut command = Command::new(program()?);
        command.args(self.arguments()).env("IOQ_BACKEND", name(self.backend));
        let (completion, text) = run::run(&mut command, &scratch().join(self.title()))?;
        if let Completion::Completed = completion {
            let [runs, faults] = numbers(&text).ok_or_else(|| format!("no summary in {text:?}"))?;
            let mut sums = SUMS.lock().unwrap();
            let sum = sums.entry(self.kind).or_default();
            *sum = Sum { cases: sum.cases + 1, runs: sum.runs + runs, faults: sum.faults + faults };
            if faults == 0 && !self.is_chance() {
                return Err("nothing could be made to fail".into());
            }
        }
        Ok(completion)
    }
}

fn product<'a, A, B>(a: &'a [A], b: &'a [B]) -> impl Iterator<Item = (&'a A, &'a B)> {
    a.iter().flat_map(move |a| b.iter().map(move |b| (a, b)))
}

/// What was done for a kind of call.
#[derive(Clone, Copy, Default)]
struct Sum {
    cases: u64,
    runs: u64,
    faults: u64,
}

static SUMS: Mutex<BTreeMap<Kind, Sum>> = Mutex::new(BTreeMap::new());

/// The numbers of a case's summary, "54 runs, 48 faults".
fn numbers(text: &str) -> Option<[u64; 2]> {
    let (runs, faults) = text.trim_end().strip_suffix(" faults")?.split_once(" runs, ")?;
    Some([runs.parse().ok()?, faults.parse().ok()?])
}

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    args.test_threads.get_or_insert_with(|| available_parallelism().map_or(1, |n| n.get().min(8)));

    let every = env::var("IOQ_FAULTS_EVERY").map_or(1, |every| every.parse().expect("IOQ_FAULTS_EVERY: a number"));
    let cases = Case::all().into_iter().filter(Case::is_possible).step_by(every);
    let mut trials: Vec<_> = cases.map(|case| Trial::ignorable_test(case.title(), move || case.run())).collect();
    trials.push(other_compiler());
    let conclusion = libtest_mimic::run(&args, trials);

    let mut total = Sum::default();
    for (kind, sum) in SUMS.lock().unwrap().iter() {
        println!("{:10} {:5} cases {:7} runs {:9} faults", name(kind), sum.cases, sum.runs, sum.faults);
        total = Sum { cases: total.cases + sum.cases, runs: total.runs + sum.runs, faults: total.faults + sum.faults };
    }
    println!("{:10} {:5} cases {:7} runs {:9} faults", "injected", total.cases, total.runs, total.faults);
    conclusion.exit_code()
}

/// A directory for the files of these tests alone.
fn scratch() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults")
}

fn sources() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("c-tests/faults");
    ["inject", "ledger", "main", "patch", "request", "ring", "walk", "workload", "wrap"]
        .map(|name| directory.join(name).with_extension("c"))
        .into()
}

/// The program that runs the cases, linked with the installed library.
fn program() -> Result<&'static Path, String> {
    static PATH: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
        let path = scratch().join("program");
        compile(&sources(), &path, &pkg_config(&["--cflags", "--libs"]))?;
        Ok(path)
    });
    PATH.as_deref().map_err(Clone::clone)
}

/// Another compiler has other warnings.
fn other_compiler() -> Trial {
    let missing = output(Command::new("clang").arg("--version")).is_err();
    let check = || {
        let mut clang = Command::new("clang");
        clang.args(STRICT).arg("-fsyntax-only").args(sources());
        Ok(output(clang.args(pkg_config(&["--cflags"]).split_whitespace())).map(drop)?)
    };
    Trial::test("clang", check).with_ignored_flag(missing)
}
