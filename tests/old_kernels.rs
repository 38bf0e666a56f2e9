//! The C tests on the kernels of Debian's releases, the older ones and the newest, in a virtual machine without disk or
//! network.
//!
//! What differs there: the oldest has no ring that the library can use, which it is told in so many words if it insists on
//! one; flags of `io_uring_setup()` are unknown, `statx()` knows fewer fields, and a ring runs its operations in other
//! ways. And there are settings, such as `kernel.io_uring_disabled`, that a test cannot change but on a machine of its own.
//!
//! A machine boots once for each kernel, from a file system in memory that holds nothing but busybox, the programs, and
//! the libraries that they need (`old_kernels/init.sh`). The processor is emulated, and time passes slowly there.
//!
//! The machine is what `CC` compiles for. If that is another than this one, `IOQ_PREFIX` must have a library for it, and
//! `IOQ_BUSYBOX` name a busybox.

mod common;
#[path = "common/programs.rs"]
mod programs;

use common::{libraries, output, pkg_config};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use programs::program_names;
use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{LazyLock, OnceLock};

/// A kind of machine.
struct Machine {
    /// What compilers call it.
    name: &'static str,
    /// What Debian calls it.
    architecture: &'static str,
    qemu: &'static str,
    /// What QEMU is told to make one, of which the second serial port is connected to `results`.
    options: &'static [&'static str],
    /// What the kernel calls the two ports.
    ports: [&'static str; 2],
    kernels: &'static [Kernel],
}

static X86_64_KERNELS: [Kernel; 4] = [
    Kernel::new("5.10", "bullseye", &["auto"]),
    Kernel::new("6.1", "bookworm", &["auto", "uring", "sync"]),
    Kernel::new("6.12", "trixie", &["auto", "uring", "sync", "unprivileged", "disabled"]),
    Kernel::new("newest", "sid", &["auto", "uring", "sync"]),
];

static AARCH64_KERNELS: [Kernel; 2] =
    [Kernel::new("6.12", "trixie", &["uring", "sync"]), Kernel::new("newest", "sid", &["uring", "sync"])];

static MACHINES: [Machine; 2] = [
    Machine {
        name: "x86_64",
        architecture: "amd64",
        qemu: "qemu-system-x86_64",
        options: &["-cpu", "max", "-device", "isa-serial,chardev=results"],
        ports: ["ttyS0", "ttyS1"],
        kernels: &X86_64_KERNELS,
    },
    Machine {
        name: "aarch64",
        architecture: "arm64",
        qemu: "qemu-system-aarch64",
        // The newest processors sign return addresses, and imitating that takes long.
        options: &["-machine", "virt", "-cpu", "cortex-a72", "-device", "pci-serial,chardev=results"],
        ports: ["ttyAMA0", "ttyS0"],
        kernels: &AARCH64_KERNELS,
    },
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
    match trials() {
        Ok(trials) => libtest_mimic::run(&args, trials).exit_code(),
        Err(e) => {
            eprintln!("old kernels: {e}");
            ExitCode::FAILURE
        }
    }
}

fn trials() -> Result<Vec<Trial>, String> {
    let target = output(compiler().arg("-dumpmachine"))?;
    let machine = MACHINES.iter().find(|machine| target.starts_with(machine.name));
    let machine = machine.ok_or_else(|| format!("no kernels for {target}"))?;
    let names = program_names().map_err(|e| e.to_string())?;
    let mut trials = vec![];
    for kernel in machine.kernels {
        for condition in kernel.conditions {
            for name in &names {
                let case = format!("{name} {condition}");
                let title = format!("{}::{name}::{condition}", kernel.version);
                trials.push(Trial::ignorable_test(title, move || kernel.result(machine, &case)));
            }
        }
    }
    Ok(trials)
}

fn compiler() -> Command {
    Command::new(env::var_os("CC").unwrap_or("cc".into()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A directory for the files of these tests alone.
fn scratch() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("old_kernels")
}

impl Kernel {
    const fn new(version: &'static str, suite: &'static str, conditions: &'static [&'static str]) -> Self {
        Self { version, suite, conditions, runs: OnceLock::new() }
    }

    fn result(&self, machine: &Machine, case: &str) -> Result<Completion, Failed> {
        let runs = match self.runs.get_or_init(|| self.boot(machine)) {
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
    fn boot(&self, machine: &Machine) -> Result<HashMap<String, Run>, Problem> {
        static IMAGE: LazyLock<Result<PathBuf, Problem>> = LazyLock::new(make_image);
        for tool in [machine.qemu, "cpio", "apt-get"] {
            let found = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            found.map_err(|e| Problem::Missing(format!("{tool}: {e}")))?;
        }
        let image = IMAGE.as_ref().map_err(Clone::clone)?;

        let directory = scratch().join(format!("{}-{}", self.suite, machine.architecture));
        let fetch = root().join("tests/old_kernels/fetch.sh");
        output(Command::new(fetch).args([self.suite, machine.architecture]).arg(&directory))
            .map_err(|e| Problem::Missing(format!("Linux {}: {}", self.version, e.lines().last().unwrap_or(""))))?;

        // What the kernel says goes to the first serial port, and what the programs say to the second.
        let (console, results) = (directory.join("console"), directory.join("results"));
        let mut qemu = Command::new("timeout");
        qemu.args(["7200", machine.qemu, "-accel", "tcg", "-smp", "2", "-m", "1024"]);
        qemu.args(["-nodefaults", "-display", "none", "-no-reboot"]);
        qemu.arg("-serial").arg(format!("file:{}", console.display()));
        qemu.arg("-chardev").arg(format!("file,id=results,path={}", results.display())).args(machine.options);
        qemu.arg("-kernel").arg(directory.join("vmlinuz")).arg("-initrd").arg(image);
        let ([first, second], conditions) = (machine.ports, self.conditions.join(","));
        qemu.arg("-append").arg(format!("console={first} quiet panic=-1 results={second} conditions={conditions}"));
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
    let busybox = output(Command::new("sh").args(["-c", "command -v \"${IOQ_BUSYBOX:-busybox}\""]))
        .map_err(|_| Problem::Missing("there is no busybox".into()))?;
    fs::copy(busybox.trim_end(), top.join("bin/busybox"))?;
    symlink("busybox", top.join("bin/sh"))?;
    fs::copy(root().join("tests/old_kernels/init.sh"), top.join("init"))?;
    fs::write(top.join("etc/passwd"), "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")?;

    let soname = "libioq.so.0";
    fs::copy(libraries().join(soname), top.join("lib").join(soname))?;
    copy_libraries(&libraries().join(soname), &top)?;
    for name in program_names()? {
        let program = top.join("tests").join(&name);
        let mut cc = compiler();
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

/// Copies what a program or library needs to where the dynamic linker looks for it, and the dynamic linker.
fn copy_libraries(of: &Path, top: &Path) -> Result<(), Problem> {
    let headers = output(Command::new("readelf").args(["--program-headers", "--dynamic", "--wide"]).arg(of))?;
    for line in headers.lines().filter(|line| line.contains("program interpreter") || line.contains("(NEEDED)")) {
        let name = line.split(['[', ']']).nth(1).and_then(|name| name.split_whitespace().last()).unwrap_or_default();
        // The dynamic linker's name is a path.
        let to = top.join("lib").join(name);
        let to = name.strip_prefix('/').map_or(to, |path| top.join(path));
        if !to.exists() && !name.starts_with("libioq") {
            let file = Path::new(name).file_name().unwrap_or_default();
            let mut option = OsString::from("-print-file-name=");
            option.push(file);
            let from = output(compiler().arg(option))?;
            fs::copy(from.trim_end(), &to)?;
            copy_libraries(&to, top)?;
        }
    }
    Ok(())
}
