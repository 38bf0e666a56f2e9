//! The programs under `c-tests/kernel/`, each linked with a scripted kernel that stands in place of io_uring.
//!
//! So the ring's failure paths run everywhere, whether or not this machine has io_uring. A program lists its cases if it
//! is given none; each of them is a process of its own here. `IOQ_KERNEL_SEEDS` is how many random scripts there are, and
//! `IOQ_KERNEL_FIRST` the first one's seed.

mod common;
#[path = "common/compiler.rs"]
mod compiler;

use common::{output, pkg_config};
use libtest_mimic::{Arguments, Failed, Trial};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

const PROGRAMS: [&str; 4] = ["scripts", "regressions", "hosts", "random"];

/// The kernel, which is part of each program.
const KERNEL: &str = "kernel";

fn main() -> ExitCode {
    let args = Arguments::from_args();
    match PROGRAMS.iter().map(|name| trials(name)).collect::<Result<Vec<_>, _>>() {
        Ok(trials) => libtest_mimic::run(&args, trials.into_iter().flatten().collect()).exit_code(),
        Err(e) => {
            eprintln!("c-tests/kernel: {e}");
            ExitCode::FAILURE
        }
    }
}

/// A directory for the files of these tests alone.
fn scratch() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernel")
}

/// Compiles a program, and makes a trial of each of its cases.
fn trials(name: &str) -> Result<Vec<Trial>, String> {
    let program = compile(name)?;
    let cases = output(&mut Command::new(&program))?;
    let trial = |case: &str| {
        let (program, case, title) = (program.clone(), case.to_string(), format!("{name}::{case}"));
        Trial::test(title.clone(), move || run(&program, &case, &scratch().join(title)))
    };
    Ok(cases.lines().map(trial).collect())
}

fn compile(name: &str) -> Result<PathBuf, String> {
    let program = scratch().join(name);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("c-tests/kernel");
    let sources = [name, KERNEL].map(|name| directory.join(name).with_extension("c"));
    // Some C libraries have dlsym() in a library of its own.
    compiler::compile(&sources, &program, &(pkg_config(&["--cflags", "--libs"]) + " -ldl"))?;
    Ok(program)
}

/// Runs a case, with `directory` for its files.
fn run(program: &Path, case: &str, directory: &Path) -> Result<(), Failed> {
    let mut command = Command::new(program);
    command.arg(case).stdin(Stdio::null()).env("TMPDIR", directory);
    fs::create_dir_all(directory)?;
    let result = output(&mut command);
    // A program that fails leaves its files.
    fs::remove_dir_all(directory)?;
    Ok(result.map(drop)?)
}
