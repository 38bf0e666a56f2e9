//! Commands that tests run to their end.

use std::process::Command;

/// Runs make with defaults, whatever the environment of the tests says.
pub fn make(args: &[&str]) {
    let mut make = Command::new("make");
    for variable in ["MAKEFLAGS", "PREFIX", "BINDIR", "LIBDIR", "INCLUDEDIR", "MANDIR", "DESTDIR"] {
        make.env_remove(variable);
    }
    output(make.arg("--silent").args(args).current_dir(env!("CARGO_MANIFEST_DIR"))).unwrap();
}

/// Runs a command, and returns what it printed; if it fails, what it said about that.
pub fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!("{}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr)))
}
