//! A CMake project finds the installed library, with the version that it asks for, and links either form of it.
//!
//! The installation is moved first: the paths in the CMake package must all be relative to it.

#[path = "common/command.rs"]
mod common;
#[path = "common/example.rs"]
mod example;

use common::{make, output};
use libtest_mimic::{Arguments, Failed, Trial};
use std::env::consts::ARCH;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Once;

/// An arrangement of directories below a prefix.
struct Layout {
    name: &'static str,
    libraries: &'static str,
    headers: &'static str,
}

const LAYOUTS: [Layout; 3] = [
    Layout { name: "usual", libraries: "lib", headers: "include" },
    Layout { name: "multiarch", libraries: "lib/ARCH-linux-gnu", headers: "include" },
    Layout { name: "apart", libraries: "lib", headers: "share/ioq/include" },
];

fn main() -> ExitCode {
    let missing = output(Command::new("cmake").arg("--version")).is_err();
    let trials = LAYOUTS.iter().map(|layout| {
        let reason = if missing { " (no cmake)" } else { "" };
        Trial::test(format!("{}{reason}", layout.name), || check(layout)).with_ignored_flag(missing)
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn check(layout: &Layout) -> Result<(), Failed> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cmake").join(layout.name);
    let _ = fs::remove_dir_all(&directory);
    let prefix = directory.join("moved");
    let libraries = layout.libraries.replace("ARCH", ARCH);
    fs::create_dir_all(&directory)?;
    // One make at a time builds what is to be installed.
    static BUILT: Once = Once::new();
    BUILT.call_once(|| make(&["all"]));
    make(&[
        "install",
        &format!("DESTDIR={}", directory.display()),
        "PREFIX=/opt/ioq",
        &format!("LIBDIR=/opt/ioq/{libraries}"),
        &format!("INCLUDEDIR=/opt/ioq/{}", layout.headers),
    ]);
    fs::rename(directory.join("opt/ioq"), &prefix)?;

    let build = directory.join("build");
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cmake");
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(project).arg("-B").arg(&build);
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
    // For systems without such directories of their own.
    configure.arg(format!("-DCMAKE_LIBRARY_ARCHITECTURE={ARCH}-linux-gnu"));
    configure.arg(format!("-DSOURCE={}", example::write_source(&directory).display()));
    output(&mut configure)?;
    output(Command::new("cmake").arg("--build").arg(&build))?;

    for program in ["sizes-ioq", "sizes-static"] {
        example::run(&build.join(program), &prefix.join(&libraries))?;
    }
    Ok(())
}
