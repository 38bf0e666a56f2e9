//! The programs, one build for each implementation.

use crate::Result;
use crate::config::{Config, LIBUV, OURS, PLAIN, RING, root, scratch};
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The programs that are built against every implementation.
const QUEUE: [&str; 4] = ["nop", "lstat", "walk", "life"];

pub struct Programs {
    /// The implementations of the queue, the library first.
    pub queues: Vec<String>,
    pub has_libuv: bool,
    /// One bare ring (`ring-limit.c`).
    pub has_ring: bool,
    /// `slow-fs.c`.
    pub has_slow_fs: bool,
}

impl Programs {
    /// Where a program is that was built for an implementation.
    pub fn path(who: &str, program: &str) -> PathBuf {
        scratch().join(who).join(program)
    }
}

pub fn all(config: &Config) -> Result<Programs> {
    let build = root().join("build");
    if !build.join("libioq.so").exists() {
        return Err("build/libioq.so is missing: use `make bench`".into());
    }
    let ours = [
        "-std=c11".into(),
        format!("-I{}", root().join("include").display()),
        format!("-L{}", build.display()),
        format!("-Wl,-rpath,{}", build.display()),
        "-lioq".into(),
    ];
    let mut queues = vec![OURS.to_string()];
    for program in QUEUE {
        compile(OURS, program, &ours)?;
    }
    for other in &config.others {
        queues.push(other.name.clone());
        for program in QUEUE {
            compile(&other.name, program, &other.flags)?;
        }
    }

    for program in ["lstat-plain", "walk-plain"] {
        compile(PLAIN, program, &["-pthread".into()])?;
    }
    Ok(Programs {
        queues,
        has_libuv: compile_with("libuv", LIBUV, "lstat-uv")?,
        has_ring: compile_with("liburing >= 2.2", RING, "ring-limit")?,
        has_slow_fs: compile_with("fuse3 >= 3.4", PLAIN, "slow-fs")?,
    })
}

/// Compiles with a package that pkg-config knows. Returns false if it does not.
fn compile_with(package: &str, who: &str, program: &str) -> Result<bool> {
    let Some(mut flags) = package_flags(package) else {
        println!("{program}.c is left out: pkg-config does not find {package}");
        return Ok(false);
    };
    flags.push("-pthread".into());
    compile(who, program, &flags)?;
    Ok(true)
}

/// Compiles with the given flags alone: another implementation must not find the library's headers.
fn compile(who: &str, program: &str, flags: &[String]) -> Result<()> {
    let out = Programs::path(who, program);
    let source = root().join("benches").join(program).with_extension("c");
    let cflags = env::var("CFLAGS").unwrap_or("-O2".into());
    let cc = env::var("CC").unwrap_or("cc".into());
    let mut words = cc.split_whitespace();

    fs::create_dir_all(out.parent().unwrap()).map_err(|e| format!("{}: {e}", out.display()))?;
    let mut compiler = Command::new(words.next().unwrap_or("cc"));
    compiler.args(words).args(cflags.split_whitespace()).arg(source).arg("-o").arg(out).args(flags);
    match compiler.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!("{program} does not compile for {who}")),
        Err(e) => Err(format!("{compiler:?}: {e}")),
    }
}

fn package_flags(package: &str) -> Option<Vec<String>> {
    let output = Command::new("pkg-config").args(["--cflags", "--libs", package]).output().ok()?;
    let flags = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| flags.split_whitespace().map(String::from).collect())
}
