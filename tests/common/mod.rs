//! The installed library, for tests that link programs with it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// Where the library is installed: the prefix that `IOQ_PREFIX` names, or one made for the tests.
pub static PREFIX: LazyLock<PathBuf> = LazyLock::new(|| match env::var_os("IOQ_PREFIX") {
    Some(prefix) => prefix.into(),
    None => {
        let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prefix");
        make(&["install", &format!("PREFIX={}", prefix.display())]);
        prefix
    }
});

/// The directory of the installed libraries.
pub fn libraries() -> PathBuf {
    PREFIX.join("lib")
}

/// What pkg-config says about the installed library.
pub fn pkg_config(options: &[&str]) -> String {
    let path = libraries().join("pkgconfig");
    output(Command::new("pkg-config").args(options).arg("ioq").env("PKG_CONFIG_PATH", path)).unwrap()
}

/// Runs make with defaults, whatever the environment of the tests says.
pub fn make(args: &[&str]) {
    let mut make = Command::new("make");
    for variable in ["MAKEFLAGS", "PREFIX", "BINDIR", "LIBDIR", "INCLUDEDIR", "DESTDIR"] {
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
