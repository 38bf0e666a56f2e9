//! Runs the inputs that fuzzing found to be worth keeping, without a fuzzer.
//!
//! They are run one after the other: descriptors are counted.

use arbitrary::{Arbitrary, Unstructured};
use ioq_fuzz::{Input, run};
use libtest_mimic::{Arguments, Failed, Trial};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// For one input, in seconds. On the slowest machine an input takes some milliseconds.
const HANG: u32 = 120;

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    args.test_threads = Some(1);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut trials = vec![];
    for directory in ["corpus/calls", "regressions/calls"] {
        let mut paths: Vec<_> =
            fs::read_dir(root.join(directory)).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        trials.extend(paths.into_iter().map(|path| {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            Trial::test(name, move || replay(path))
        }));
    }
    libtest_mimic::run(&args, trials).exit_code()
}

fn replay(path: PathBuf) -> Result<(), Failed> {
    let bytes = fs::read(path)?;
    // SAFETY: always safe. Without a handler, the signal ends the process.
    unsafe { libc::alarm(HANG) };
    // The fuzzer passes over what is too short for an input, too.
    if let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(&bytes)) {
        run(&input);
    }
    Ok(())
}
