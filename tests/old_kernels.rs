//! The C tests on the kernels of older Debian releases, in a virtual machine without disk or network.
//!
//! What differs there: the oldest has no ring that the library can use, which it is told in so many words if it insists on
//! one; flags of `io_uring_setup()` are unknown, `statx()` knows fewer fields, and a ring runs its operations in other
//! ways. The newest of them is there for `kernel.io_uring_disabled`, which a test cannot set but on a machine of its own.
//!
//! A machine boots once for each kernel, from a file system in memory that holds nothing but busybox, the programs, and
//! the libraries that they need (`old_kernels/init.sh`). The processor is emulated, and time passes slowly there.

mod common;

use common::{libraries, output, pkg_config};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::collections::HashMap;
use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{LazyLock, OnceLock};

const QEMU: &str = "qemu-system-x86_64";

/// No test: `c_programs` starts others with it.
const LAUNCHER: &str = "refuse";

static KERNELS: [Kernel; 3] = [
    Kernel::new("5.10", "bullseye", &["auto"]),
    Kernel::new("6.1", "bookworm", &["auto", "uring", "sync"]),
    Kernel::new("6.12", "trixie", &["unprivileged", "disabled"]),
];

/// A kernel, and how the programs fared on it, which is found out when the first is asked for.
struct Kernel {
    version: &'static str,
    /// The Debian release that has it.
    suite: &'static str,
    /// What the programs run under; `old_kernels/init.sh` says what these mean.
    conditions: &'static [&'static str],
    runs: OnceLock<Result<HashMap<String, Run>, Problem>>,
}

/// How a program ended, and what it said.
struct Run {
    status: i32,
    text: String,
}

/// Why there are no runs.
#[derive(Clone)]
enum Problem {
    /// This machine lacks something.
    Missing(String),
    Failure(String),
}

impl From<String> for Problem {
    fn from(message: String) -> Self {
        Self::Failure(message)
    }
}

impl From<io::Error> for Problem {
    fn from(e: io::Error) -> Self {
        Self::Failure(e.to_string())
    }
}

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    // They all wait for the same machine.
    args.test_threads = Some(1);
    let names = match program_names() {
        Ok(names) => names,
        Err(e) => {
            eprintln!("c-tests: {e}");
            return ExitCode::FAILURE;
        }
    };
    let mut trials = vec![];
    for kernel in &KERNELS {
        for condition in kernel.conditions {
            for name in &names {
                let case = format!("{name} {condition}");
                let title = format!("{}::{name}::{condition}", kernel.version);
                trials.push(Trial::ignorable_test(title, move || kernel.result(&case)));
            }
        }
    }
    libtest_mimic::run(&args, trials).exit_code()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A directory for the files of these tests alone.
fn scratch() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("old_kernels")
}

fn program_names() -> io::Result<Vec<String>> {
    let mut names = vec![];
    for entry in fs::read_dir(root().join("c-tests"))? {
        let path = entry?.path();
        if let (Some(name), Some("c")) = (path.file_stem(), path.extension().and_then(|e| e.to_str())) {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.retain(|name| name != LAUNCHER);
    names.sort();
    Ok(names)
}

impl Kernel {
    const fn new(version: &'static str, suite: &'static str, conditions: &'static [&'static str]) -> Self {
        Self { version, suite, conditions, runs: OnceLock::new() }
    }

    fn result(&self, case: &str) -> Result<Completion, Failed> {
        let runs = match self.runs.get_or_init(|| self.boot()) {
            Ok(runs) => runs,
            Err(Problem::Missing(what)) => return Ok(Completion::ignored_with(what.trim_end())),
            Err(Problem::Failure(what)) => return Err(what.into()),
        };
        let run = runs.get(case).ok_or("the machine stopped before")?;
        match run.status {
            0 => Ok(Completion::Completed),
            77 => Ok(Completion::ignored_with(run.text.lines().last().unwrap_or("no reason given"))),
            status => Err(format!("exit status {status}\n{}", run.text).into()),
        }
    }

    /// Runs the programs.
    fn boot(&self) -> Result<HashMap<String, Run>, Problem> {
        static IMAGE: LazyLock<Result<PathBuf, Problem>> = LazyLock::new(make_image);
        for tool in [QEMU, "busybox", "cpio", "apt-get"] {
            let found = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            found.map_err(|e| Problem::Missing(format!("{tool}: {e}")))?;
        }
        let image = IMAGE.as_ref().map_err(Clone::clone)?;

        let directory = scratch().join(self.suite);
        let fetch = root().join("tests/old_kernels/fetch.sh");
        output(Command::new(fetch).arg(self.suite).arg(&directory))
            .map_err(|e| Problem::Missing(format!("Linux {}: {}", self.version, e.lines().last().unwrap_or(""))))?;

        // What the kernel says goes to the first serial port, and what the programs say to the second.
        let (console, results) = (directory.join("console"), directory.join("results"));
        let mut qemu = Command::new("timeout");
        qemu.args(["7200", QEMU, "-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "1024"]);
        qemu.args(["-nodefaults", "-display", "none", "-no-reboot"]);
        for port in [&console, &results] {
            qemu.arg("-serial").arg(format!("file:{}", port.display()));
        }
        qemu.arg("-kernel").arg(directory.join("vmlinuz")).arg("-initrd").arg(image);
        let conditions = self.conditions.join(",");
        qemu.arg("-append").arg(format!("console=ttyS0 quiet panic=-1 conditions={conditions}"));
        let stopped = output(&mut qemu);

        let runs = parse(&String::from_utf8_lossy(&fs::read(results)?));
        if stopped.is_err() || runs.is_empty() {
            let console = fs::read(console)?;
            eprintln!("{:?}\n{}", stopped, String::from_utf8_lossy(&console));
        }
        Ok(runs)
    }
}

/// Reads what `old_kernels/init.sh` wrote.
fn parse(results: &str) -> HashMap<String, Run> {
    let mut runs = HashMap::new();
    let mut text = String::new();
    for line in results.lines() {
        if let Some(said) = line.strip_prefix("| ") {
            text += said;
            text += "\n";
        } else if let Some((case, status)) = line.strip_prefix("= ").and_then(|line| line.rsplit_once(' ')) {
            let status = status.parse().unwrap_or(-1);
            runs.insert(case.into(), Run { status, text: std::mem::take(&mut text) });
        }
    }
    runs
}

/// Makes the file system that the machines boot from.
fn make_image() -> Result<PathBuf, Problem> {
    let top = scratch().join("root");
    if top.exists() {
        fs::remove_dir_all(&top)?;
    }
    for directory in ["bin", "dev", "etc", "lib", "lib64", "proc", "sys", "tests", "tmp"] {
        fs::create_dir_all(top.join(directory))?;
    }
    let busybox = output(Command::new("sh").args(["-c", "command -v busybox"]))?;
    fs::copy(busybox.trim_end(), top.join("bin/busybox"))?;
    symlink("busybox", top.join("bin/sh"))?;
    fs::copy(root().join("tests/old_kernels/init.sh"), top.join("init"))?;
    fs::write(top.join("etc/passwd"), "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")?;

    let soname = "libioq.so.0";
    fs::copy(libraries().join(soname), top.join("lib").join(soname))?;
    copy_libraries(&libraries().join(soname), &top)?;
    for name in program_names()? {
        let program = top.join("tests").join(&name);
        let mut cc = Command::new(env::var_os("CC").unwrap_or("cc".into()));
        cc.args(["-std=c11", "-O1", "-pthread", "-Wl,--as-needed,-rpath,/lib", "-o"]).arg(&program);
        // Which the C library loads by itself, for threads that end before their time.
        cc.arg("-Wl,--push-state,--no-as-needed,-lgcc_s,--pop-state");
        cc.arg(root().join("c-tests").join(name).with_extension("c"));
        output(cc.args(pkg_config(&["--cflags", "--libs"]).split_whitespace()))?;
        copy_libraries(&program, &top)?;
    }

    let image = scratch().join("image");
    let files = output(Command::new("find").arg(".").current_dir(&top))?;
    fs::write(scratch().join("files"), files)?;
    let mut cpio = Command::new("cpio");
    cpio.args(["--create", "--quiet", "--format=newc", "--owner=0:0", "--file"]).arg(&image).current_dir(&top);
    output(cpio.stdin(File::open(scratch().join("files"))?))?;
    Ok(image)
}

/// Copies what a program or library needs to where the dynamic linker looks for it.
fn copy_libraries(of: &Path, top: &Path) -> Result<(), Problem> {
    for word in output(Command::new("ldd").arg(of))?.split_whitespace().filter(|word| word.starts_with('/')) {
        let from = Path::new(word);
        let directory = if word.contains("/ld-linux") { "lib64" } else { "lib" };
        let to = top.join(directory).join(from.file_name().expect("a file"));
        if !to.exists() {
            fs::copy(from, to)?;
        }
    }
    Ok(())
}
