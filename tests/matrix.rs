//! Every condition times every number of threads times every depth: random requests in random order on a random tree,
//! checked against plain system calls (`c-tests/matrix/`). Where the kernel has to misbehave, it is a scripted one.
//!
//! A cell runs some seeds, which are the same in every run. `IOQ_MATRIX_SEEDS` is how many, and `IOQ_MATRIX_BASE` the number
//! that they come from, or `random`. A failure says how to repeat it. The seeds in `seeds.txt` failed once.

mod common;
#[path = "common/compiler.rs"]
mod compiler;
#[path = "common/run.rs"]
mod run;

use common::{output, pkg_config};
use compiler::{STRICT, compile};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::env;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::LazyLock;

/// See `condition.h`.
const REAL: [&str; 4] = ["auto", "uring", "sync", "refused"];
const SCRIPTED: [&str; 7] = ["ring", "no-statx", "no-openat", "hangs", "broken", "slow", "hostile"];
const THREADS: [usize; 4] = [0, 1, 2, 4];
const DEPTHS: [usize; 5] = [1, 2, 3, 64, 4096];

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let (seeds, base) = match (number("IOQ_MATRIX_SEEDS", 4), number("IOQ_MATRIX_BASE", 0)) {
        (Ok(seeds), Ok(base)) => (seeds, base),
        (Err(e), _) | (_, Err(e)) => {
            eprintln!("matrix: {e}");
            return ExitCode::FAILURE;
        }
    };
    println!("IOQ_MATRIX_BASE={base} IOQ_MATRIX_SEEDS={seeds}");

    let mut trials = vec![other_compiler(&REAL_KERNEL), other_compiler(&SCRIPTED_KERNEL)];
    trials.extend(again());
    let mut next = base;
    for condition in REAL.into_iter().chain(SCRIPTED) {
        for threads in THREADS {
            for depth in DEPTHS {
                let name = format!("{condition}::threads-{threads}::depth-{depth}");
                let cell = [condition.into(), threads.to_string(), depth.to_string()];
                let end = next.wrapping_add(seeds);
                let seeds: Vec<_> = (0..seeds).map(|i| next.wrapping_add(i).to_string()).collect();
                next = end;
                trials.push(trial(name, [cell.to_vec(), seeds].concat()));
            }
        }
    }
    libtest_mimic::run(&args, trials).exit_code()
}

/// A number from the environment.
fn number(variable: &str, default: u64) -> Result<u64, String> {
    match env::var(variable) {
        Err(_) => Ok(default),
        Ok(value) if value == "random" => Ok(RandomState::new().hash_one(variable) >> 16),
        Ok(value) => value.parse().map_err(|e| format!("{variable}={value}: {e}")),
    }
}

/// What failed once.
fn again() -> Vec<Trial> {
    let lines = include_str!("../c-tests/matrix/seeds.txt").lines();
    let words = lines.map(|line| line.split_whitespace().map(String::from).collect::<Vec<_>>());
    let cells = words.filter(|words| words.first().is_some_and(|word| !word.starts_with('#')));
    cells.map(|cell| trial(format!("again::{}", cell.join("-")), cell)).collect()
}

fn trial(name: String, arguments: Vec<String>) -> Trial {
    Trial::ignorable_test(name.clone(), move || try_out(&arguments, &scratch().join(name)))
}

/// A directory for the files of these tests alone.
fn scratch() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("matrix")
}

/// A way to link the program.
struct Kernel {
    name: &'static str,
    sources: &'static [&'static str],
    program: LazyLock<Result<PathBuf, String>>,
}

static REAL_KERNEL: Kernel = Kernel {
    name: "real",
    sources: &["matrix/matrix.c", "matrix/real.c"],
    program: LazyLock::new(|| REAL_KERNEL.compile()),
};
static SCRIPTED_KERNEL: Kernel = Kernel {
    name: "scripted",
    sources: &["matrix/matrix.c", "matrix/scripted.c", "kernel/kernel.c"],
    program: LazyLock::new(|| SCRIPTED_KERNEL.compile()),
};

impl Kernel {
    fn of(condition: &str) -> &'static Self {
        if REAL.contains(&condition) { &REAL_KERNEL } else { &SCRIPTED_KERNEL }
    }

    fn paths(&self) -> impl Iterator<Item = PathBuf> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("c-tests");
        self.sources.iter().map(move |name| directory.join(name))
    }

    fn compile(&self) -> Result<PathBuf, String> {
        let program = scratch().join(self.name);
        let sources: Vec<_> = self.paths().collect();
        compile(&sources, &program, &pkg_config(&["--cflags", "--libs"]))?;
        Ok(program)
    }
}

/// Another compiler has other warnings.
fn other_compiler(kernel: &'static Kernel) -> Trial {
    let missing = output(Command::new("clang").arg("--version")).is_err();
    let check = || {
        let mut clang = Command::new("clang");
        clang.args(STRICT).arg("-fsyntax-only").args(kernel.paths());
        Ok(output(clang.args(pkg_config(&["--cflags"]).split_whitespace())).map(drop)?)
    };
    Trial::test(format!("clang::{}", kernel.name), check).with_ignored_flag(missing)
}

/// Runs the program, with `directory` for its files.
fn try_out(arguments: &[String], directory: &Path) -> Result<Completion, Failed> {
    let program = Kernel::of(&arguments[0]).program.as_ref()?;
    run::run(Command::new(program).args(arguments), directory).map(|(completion, _)| completion)
}
