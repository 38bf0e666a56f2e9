//! The installed library, for tests that link programs with it.

mod command;

pub use command::{make, output};
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
