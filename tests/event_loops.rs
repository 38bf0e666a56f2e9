//! Programs whose event loop is another library's wait for the queue's descriptor, beside all else that they wait for.

mod common;
#[path = "common/compiler.rs"]
mod compiler;

use common::{output, pkg_config};
use compiler::compile;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::path::Path;
use std::process::{Command, ExitCode};

/// A program, and what pkg-config calls its library.
const LOOPS: [(&str, &str); 2] = [("uv", "libuv"), ("glib", "glib-2.0")];

const BACKENDS: [&str; 3] = ["auto", "uring", "sync"];

fn main() -> ExitCode {
    let mut trials = vec![];
    for (name, library) in LOOPS {
        let flags = output(Command::new("pkg-config").args(["--cflags", "--libs", library]));
        let missing = flags.is_err();
        let flags = flags.unwrap_or_default();
        for backend in BACKENDS {
            let reason = if missing { format!(" (no {library})") } else { String::new() };
            let flags = flags.clone();
            let trial =
                Trial::ignorable_test(format!("{name}::{backend}{reason}"), move || check(name, &flags, backend));
            trials.push(trial.with_ignored_flag(missing));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn check(name: &str, flags: &str, backend: &str) -> Result<Completion, Failed> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/event_loops").join(name).with_extension("c");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("event_loops").join(format!("{name}-{backend}"));
    // Its headers are not held to this project's standard.
    let flags = flags.replace("-I", "-isystem ");
    compile(&[source], &program, &format!("{} {flags}", pkg_config(&["--cflags", "--libs"])))?;
    match output(Command::new(&program).env("IOQ_BACKEND", backend)) {
        Ok(said) if said == "1000 answers, 0 failed, and the loop went on\n" => Ok(Completion::Completed),
        Ok(said) => Err(said.into()),
        Err(said) if backend == "uring" && has_no_rings(&said) => Ok(Completion::ignored_with(said)),
        Err(said) => Err(said.into()),
    }
}

/// Whether the program ended because there are no rings, and so no queue that insists on them.
fn has_no_rings(said: &str) -> bool {
    let errors = ["Function not implemented", "Operation not permitted", "Permission denied"];
    errors.iter().any(|error| said == format!("exit status: 1\nbegin: {error}\n"))
}
