//! The programs under `c-tests/`, each compiled as any user of the installed library would, and run on every backend.
//!
//! `IOQ_TEST_WRAPPER` names a command to run each program with, such as valgrind. `IOQ_TEST_CONDITIONS=refusal` runs
//! them where system calls are refused and resources are scarce, `some-refusal` in fewer ways, and `few` with rings and
//! without, for what takes long.

mod common;
#[path = "common/compiler.rs"]
mod compiler;
#[path = "common/programs.rs"]
mod programs;
#[path = "common/run.rs"]
mod run;

use common::{output, pkg_config};
use compiler::{STRICT, compile};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use programs::{LAUNCHER, program_names};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, LazyLock, OnceLock};
use std::thread::available_parallelism;

/// Programs for which it matters how they are linked: those that have functions of their own, or find the library's.
const ALSO_STATIC: [&str; 9] =
    ["host_all", "host_dir", "host_errors", "host_least", "host_old", "host_stat", "opendir", "secure", "stat"];

/// What a program runs under.
struct Condition {
    name: &'static str,
    /// The value of `IOQ_BACKEND`, if there is any.
    backend: Option<&'static str>,
    /// What the launcher is to refuse.
    refused: &'static [&'static str],
}

const fn condition(name: &'static str, backend: Option<&'static str>, refused: &'static [&'static str]) -> Condition {
    Condition { name, backend, refused }
}

const USUAL: &[Condition] = &[
    condition("auto", Some("auto"), &[]),
    condition("uring", Some("uring"), &[]),
    condition("sync", Some("sync"), &[]),
    condition("refused", None, &["io_uring_setup=EPERM"]),
];

/// Plain calls until they prove slow, and rings. What is watched closely does not differ elsewhere.
const FEW: &[Condition] = &[condition("auto", Some("auto"), &[]), condition("uring", Some("uring"), &[])];

/// Everything that a container, an old kernel or a poor one may refuse. Where rings are refused in part, or not at all,
/// programs insist on them, because by default few requests of theirs would come near one.
const REFUSAL: &[Condition] = &[
    condition("enter-eperm", Some("uring"), &["io_uring_enter=EPERM"]),
    condition("register-enosys", Some("uring"), &["io_uring_register=ENOSYS"]),
    condition("statx-eopnotsupp", Some("uring"), &["statx=EOPNOTSUPP"]),
    condition("nothing-new", None, NOTHING_NEW),
    condition("few-fds", Some("uring"), &["fds=64"]),
    condition("little-memory-uring", Some("uring"), &["memory=32"]),
    // What was refused in another way already, or matters on old kernels alone.
    condition("little-memory", None, &["memory=32"]),
    condition("no-memlock", Some("uring"), &["memlock=0"]),
    condition("unknown-eperm", Some("sync"), &["openat2=EPERM", "getxattrat=EPERM"]),
    condition("setup-enosys", None, &["io_uring_setup=ENOSYS"]),
    condition("setup-eopnotsupp", None, &["io_uring_setup=EOPNOTSUPP"]),
    condition("enter-enosys", Some("uring"), &["io_uring_enter=ENOSYS"]),
    condition("enter-eopnotsupp", Some("uring"), &["io_uring_enter=EOPNOTSUPP"]),
    condition("register-eperm", Some("uring"), &["io_uring_register=EPERM"]),
    condition("register-eopnotsupp", Some("uring"), &["io_uring_register=EOPNOTSUPP"]),
    condition("statx-eperm", Some("uring"), &["statx=EPERM"]),
    condition("statx-enosys", Some("uring"), &["statx=ENOSYS"]),
];

/// How many of these differ in what is refused, and not only in how.
const SOME_REFUSAL: usize = 6;

/// What kernels before 4.11 do not have.
const NOTHING_NEW: &[&str] = &[
    "io_uring_setup=ENOSYS",
    "statx=ENOSYS",
    "openat2=ENOSYS",
    "faccessat2=ENOSYS",
    "fchmodat2=ENOSYS",
    "getxattrat=ENOSYS",
];

/// The set of conditions that `IOQ_TEST_CONDITIONS` names, whether it matters there how a program is linked, and whether
/// another compiler is to try it: neither has anything to do with what is refused, nor the latter with how it is watched.
fn conditions() -> Result<(&'static [Condition], bool, bool), String> {
    match env::var("IOQ_TEST_CONDITIONS").as_deref() {
        Err(_) => Ok((USUAL, true, true)),
        Ok("refusal") => Ok((REFUSAL, false, false)),
        Ok("some-refusal") => Ok((&REFUSAL[..SOME_REFUSAL], false, false)),
        Ok("few") => Ok((FEW, true, false)),
        Ok(other) => Err(format!("IOQ_TEST_CONDITIONS={other}: there are refusal, some-refusal and few")),
    }
}

#[derive(Clone, Copy)]
enum Link {
    Shared,
    Static,
}

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    // Most programs have many threads of their own.
    args.test_threads.get_or_insert_with(|| available_parallelism().map_or(1, |n| n.get().min(4)));

    let mut trials = match trials() {
        Ok(trials) => trials,
        Err(e) => {
            eprintln!("c-tests: {e}");
            return ExitCode::FAILURE;
        }
    };
    trials.sort_by(|a, b| a.name().cmp(b.name()));
    libtest_mimic::run(&args, trials).exit_code()
}

fn trials() -> Result<Vec<Trial>, String> {
    let (conditions, links, compiles) = conditions()?;
    let mut trials = vec![];
    for name in program_names().map_err(|e| e.to_string())? {
        if compiles {
            trials.push(other_compiler(&name));
        }
        if links && ALSO_STATIC.contains(&name.as_str()) {
            trials.extend(run_trials(Program::new(&name, Link::Static), conditions));
        }
        trials.extend(run_trials(Program::new(&name, Link::Shared), conditions));
    }
    Ok(trials)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A directory for the files of these tests alone.
fn scratch() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("c_programs")
}

fn source(name: &str) -> PathBuf {
    root().join("c-tests").join(name).with_extension("c")
}

/// A program, compiled when the first of its trials needs it.
struct Program {
    name: String,
    link: Link,
    path: OnceLock<Result<PathBuf, String>>,
}

impl Program {
    fn new(name: &str, link: Link) -> Self {
        Self { name: name.into(), link, path: OnceLock::new() }
    }

    /// What its trials and files are called.
    fn title(&self) -> String {
        match self.link {
            Link::Shared => self.name.clone(),
            Link::Static => format!("{}-static", self.name),
        }
    }

    fn path(&self) -> Result<&Path, String> {
        self.path.get_or_init(|| self.compile()).as_deref().map_err(Clone::clone)
    }

    fn compile(&self) -> Result<PathBuf, String> {
        let path = scratch().join(self.title());
        let flags = match self.link {
            Link::Shared => pkg_config(&["--cflags", "--libs"]),
            // With -lioq alone, the linker prefers the shared library.
            Link::Static => pkg_config(&["--cflags", "--static", "--libs"]).replace("-lioq", "-l:libioq.a"),
        };
        compile(&[source(&self.name)], &path, &flags)?;
        Ok(path)
    }
}

/// Another compiler has other warnings.
fn other_compiler(name: &str) -> Trial {
    static MISSING: LazyLock<bool> = LazyLock::new(|| output(Command::new("clang").arg("--version")).is_err());
    let source = source(name);
    Trial::test(format!("{name}::clang"), move || {
        let mut clang = Command::new("clang");
        clang.args(STRICT).arg("-fsyntax-only").arg(source).args(pkg_config(&["--cflags"]).split_whitespace());
        Ok(output(&mut clang).map(drop)?)
    })
    .with_ignored_flag(*MISSING)
}

fn run_trials(program: Program, conditions: &'static [Condition]) -> impl Iterator<Item = Trial> {
    let program = Arc::new(program);
    conditions.iter().map(move |condition| {
        let (title, program) = (format!("{}::{}", program.title(), condition.name), Arc::clone(&program));
        Trial::ignorable_test(title.clone(), move || try_out(&program, condition, &scratch().join(title)))
    })
}

/// Runs a program, with `directory` for its temporary files.
fn try_out(program: &Program, condition: &Condition, directory: &Path) -> Result<Completion, Failed> {
    let mut words: Vec<OsString> = vec![];
    if !condition.refused.is_empty() {
        words.push(launcher()?.into());
        words.extend(condition.refused.iter().map(OsString::from));
    }
    if let Ok(wrapper) = env::var("IOQ_TEST_WRAPPER") {
        words.extend(wrapper.split_whitespace().map(OsString::from));
    }
    words.push(program.path()?.into());

    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env_remove("IOQ_BACKEND");
    if let Some(backend) = condition.backend {
        command.env("IOQ_BACKEND", backend);
    }
    run::run(&mut command, directory).map(|(completion, _)| completion)
}

/// The program that runs another, to which something is refused.
fn launcher() -> Result<&'static Path, String> {
    static PATH: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
        let path = scratch().join(LAUNCHER);
        compile(&[source(LAUNCHER)], &path, "")?;
        Ok(path)
    });
    PATH.as_deref().map_err(Clone::clone)
}
