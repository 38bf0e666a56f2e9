//! Programs whose exit status says whether they passed (0), or could not be run here (77, with the reason in the last line).

use libtest_mimic::{Completion, Failed};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs such a program, with `directory` for its temporary files, and returns what it said as well.
pub fn run(command: &mut Command, directory: &Path) -> Result<(Completion, String), Failed> {
    fs::create_dir_all(directory)?;
    let result = command.stdin(Stdio::null()).env("TMPDIR", directory).output();
    // A program that fails leaves its files.
    fs::remove_dir_all(directory)?;

    let result = result.map_err(|e| format!("{command:?}: {e}"))?;
    let text = String::from_utf8_lossy(&[result.stdout, result.stderr].concat()).into_owned();
    match result.status.code() {
        Some(0) => Ok((Completion::Completed, text)),
        Some(77) => Ok((Completion::ignored_with(text.lines().last().unwrap_or("no reason given")), text)),
        _ => Err(format!("{}\n{text}{command:?}", result.status).into()),
    }
}
