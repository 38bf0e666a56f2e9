//! The compiler of programs that are linked with the installed library, as their users would, or with a sanitizer in both.

use crate::common::{libraries, output};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

pub const STRICT: [&str; 5] = ["-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror"];

/// The compiler that `CC` names, or the system's, with the flags for any of the programs and those of `CFLAGS`.
fn compiler() -> Result<Command, String> {
    static TOOL: LazyLock<Result<cc::Tool, String>> = LazyLock::new(|| {
        // What Cargo would tell a build script. The names of other C libraries lead to the same compiler.
        let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
        let mut build = cc::Build::new();
        build.target(&target).host(&target).out_dir(env!("CARGO_TARGET_TMPDIR"));
        build.opt_level(1).debug(true).cargo_metadata(false);
        build.try_get_compiler().map_err(|e| e.to_string())
    });
    let mut command = TOOL.as_ref()?.to_command();
    command.args(STRICT);
    Ok(command)
}

/// Makes a program, and the directory for it. `flags` are pkg-config's, to find the library.
pub fn compile(sources: &[PathBuf], program: &Path, flags: &str) -> Result<(), String> {
    fs::create_dir_all(program.parent().expect("a file in a directory")).map_err(|e| e.to_string())?;
    let mut rpath = OsString::from("-Wl,-rpath,");
    rpath.push(libraries());
    let mut compiler = compiler()?;
    // A program that loads the library by itself is not linked to it.
    compiler.args(sources).arg("-o").arg(program).args(["-Wl,--as-needed", "-pthread"]).arg(rpath);
    output(compiler.args(flags.split_whitespace())).map(drop)
}
