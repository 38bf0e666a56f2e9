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
    let mut trials = vec![Trial::test("corpus/calls", move || check_corpus(&root.join("corpus/calls")))];
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

/// There are inputs, and nearly all of them make calls: they would not if bytes meant something else than when they were
/// found.
fn check_corpus(directory: &Path) -> Result<(), Failed> {
    let (mut count, mut with_calls) = (0, 0);
    for entry in fs::read_dir(directory)? {
        let bytes = fs::read(entry?.path())?;
        count += 1;
        with_calls += usize::from(!decode(&bytes)?.steps.is_empty());
    }
    if with_calls == 0 || with_calls < count - count / 10 {
        return Err(format!("{count} inputs, of which {with_calls} make calls").into());
    }
    Ok(())
}

fn decode(bytes: &[u8]) -> arbitrary::Result<Input> {
    Input::arbitrary_take_rest(Unstructured::new(bytes))
}

fn replay(path: PathBuf) -> Result<(), Failed> {
    let bytes = fs::read(path)?;
    // SAFETY: always safe. Without a handler, the signal ends the process.
    unsafe { libc::alarm(HANG) };
    run(&decode(&bytes)?);
    Ok(())
}
