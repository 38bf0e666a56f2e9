//! The program's own `bfs_*` functions win, the library's serve where it has none, and no family is mixed, however the
//! two are linked.
//!
//! Each combination of a library, a compiler and a linker is a test. It links `host_link/main.c` as one sort of code
//! and another, with one set of functions and another, and runs it on every backend.

mod common;

use common::{libraries, output, pkg_config};
use io_uring::IoUring;
use libtest_mimic::{Arguments, Failed, Trial};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::OnceLock;

struct Library {
    name: &'static str,
    forms: &'static [Form],
}

const LIBRARIES: [Library; 2] = [
    Library { name: "shared", forms: &[Form::Objects, Form::Archive, Form::LateArchive] },
    // Here an archive must come first (README.md, "Linking").
    Library { name: "static", forms: &[Form::Objects, Form::Archive] },
];

struct Compiler {
    /// The command, with the flags that make it this one.
    name: &'static str,
    archiver: &'static str,
    /// Where its objects are, or why there are none.
    objects: OnceLock<Result<PathBuf, String>>,
}

static COMPILERS: [Compiler; 3] = [
    Compiler { name: "gcc", archiver: "ar", objects: OnceLock::new() },
    Compiler { name: "gcc -flto", archiver: "gcc-ar", objects: OnceLock::new() },
    Compiler { name: "clang", archiver: "ar", objects: OnceLock::new() },
];

const LINKERS: [&str; 3] = ["bfd", "gold", "mold"];

struct Code {
    name: &'static str,
    compile: &'static str,
    link: &'static str,
}

const CODES: [Code; 2] = [
    Code { name: "PIE", compile: "-fPIE", link: "-pie" },
    Code { name: "non-PIE", compile: "-fno-pie", link: "-no-pie" },
];

/// What a program has of its own.
struct Host {
    name: &'static str,
    /// The files under `host_link/` that define it.
    files: &'static [&'static str],
}

const HOSTS: [Host; 6] = [
    Host { name: "none", files: &[] },
    Host { name: "all", files: &["dir", "polldir", "stat", "statx_mask"] },
    Host { name: "directories", files: &["dir", "polldir"] },
    Host { name: "stats", files: &["stat", "statx_mask"] },
    Host { name: "all but bfs_statx_mask()", files: &["dir", "polldir", "stat"] },
    Host { name: "bfs_polldir() alone", files: &["polldir"] },
];

/// How the host's functions come to the program.
#[derive(Clone, Copy, Debug)]
enum Form {
    Objects,
    /// An archive before the library.
    Archive,
    /// The library before an archive, as where bfs is built with nothing but a linker flag.
    LateArchive,
}

fn main() -> ExitCode {
    let mut trials = vec![];
    if let Err(e) = find_ring() {
        trials.push(Trial::test(format!("uring ({e})"), || Ok(find_ring()?)).with_ignored_flag(true));
    }
    for library in &LIBRARIES {
        for compiler in &COMPILERS {
            trials.extend(LINKERS.map(|linker| trial(library, compiler, linker)));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Whether the library can have a ring here.
fn find_ring() -> io::Result<()> {
    let is_enough = IoUring::new(1)?.params().is_feature_ext_arg();
    if is_enough { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
}

fn trial(library: &'static Library, compiler: &'static Compiler, linker: &'static str) -> Trial {
    let name = format!("{} library, {}, {linker}", library.name, compiler.name);
    let missing = missing(compiler, linker);
    let reason = missing.map(|what| format!(" (no {what})"));
    Trial::test(name + reason.as_deref().unwrap_or_default(), move || check(library, compiler, linker))
        .with_ignored_flag(reason.is_some())
}

/// What a machine lacks to link that way. Every one must have gcc and bfd.
fn missing(compiler: &Compiler, linker: &'static str) -> Option<&'static str> {
    if compiler.name == "clang" && output(compiler.command().arg("--version")).is_err() {
        return Some("clang");
    }
    let version = [&fuse(linker), "-Wl,--version"];
    (linker != "bfd" && output(compiler.command().args(version)).is_err()).then_some(linker)
}

fn fuse(linker: &str) -> String {
    format!("-fuse-ld={linker}")
}

/// Links and runs every program of a combination, and reports all that fail.
fn check(library: &Library, compiler: &'static Compiler, linker: &str) -> Result<(), Failed> {
    let objects = compiler.objects.get_or_init(|| compiler.compile()).as_ref()?;
    let program = objects.join(format!("{}-{linker}", library.name));
    let backends = if find_ring().is_ok() { &["auto", "sync", "uring"][..] } else { &["auto", "sync"] };

    let mut failures = vec![];
    for (code, host, form) in programs(library) {
        let name = format!("{}, host functions: {}, as {form:?}", code.name, host.name);
        let mut link = compiler.command();
        link.args([code.link, &fuse(linker), "-o"]).arg(&program);
        form.add(&mut link, &objects.join(code.name), host, &library.flags());
        if let Err(e) = output(&mut link) {
            failures.push(format!("{name}: {e}"));
            continue;
        }
        for backend in backends {
            let mut run = Command::new(&program);
            run.current_dir(objects).env("IOQ_BACKEND", backend).env("LD_LIBRARY_PATH", libraries());
            if let Err(e) = output(&mut run) {
                failures.push(format!("{name}, {backend}: {e}"));
            }
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

/// The programs of a combination.
fn programs(library: &Library) -> impl Iterator<Item = (&'static Code, &'static Host, Form)> {
    let forms = library.forms;
    let hosts = HOSTS.iter().flat_map(move |host| {
        // Without functions, there is nothing to link in one form or another.
        let forms = if host.files.is_empty() { &forms[..1] } else { forms };
        forms.iter().map(move |form| (host, *form))
    });
    CODES.iter().flat_map(move |code| hosts.clone().map(move |(host, form)| (code, host, form)))
}

impl Library {
    /// What links a program with it.
    fn flags(&self) -> String {
        match self.name {
            "static" => pkg_config(&["--static", "--libs"]).replace("-lioq", "-l:libioq.a"),
            _ => pkg_config(&["--libs"]),
        }
    }
}

impl Compiler {
    fn command(&self) -> Command {
        let mut words = self.name.split(' ');
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).arg("-O2");
        command
    }

    /// Compiles everything once, in a directory for each sort of code.
    fn compile(&self) -> Result<PathBuf, String> {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("host_link").join(self.name.replace(' ', ""));
        let _ = fs::remove_dir_all(&directory);
        for code in &CODES {
            let directory = directory.join(code.name);
            fs::create_dir_all(&directory).map_err(|e| e.to_string())?;
            for host in &HOSTS {
                self.compile_host(code, host, &directory)?;
            }
        }
        symlink("nowhere", directory.join("link")).map_err(|e| e.to_string())?;
        Ok(directory)
    }

    fn compile_host(&self, code: &Code, host: &Host, directory: &Path) -> Result<(), String> {
        let macros: Vec<_> = host.files.iter().map(|file| format!("-DHOST_{}", file.to_uppercase())).collect();
        self.compile_file(code, "main", &macros, &directory.join(host.main()))?;
        for file in host.files {
            let object = directory.join(file).with_extension("o");
            if !object.exists() {
                self.compile_file(code, file, &[], &object)?;
            }
        }
        if !host.files.is_empty() {
            let mut archive = Command::new(self.archiver);
            output(archive.arg("rc").arg(directory.join(host.archive())).args(host.objects(directory)))?;
        }
        Ok(())
    }

    fn compile_file(&self, code: &Code, file: &str, macros: &[String], object: &Path) -> Result<(), String> {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut compile = self.command();
        compile
            .args(["-std=c11", "-Wall", "-Wextra", "-Werror", code.compile, "-I"])
            .arg(tests.join("c-tests"))
            .args(pkg_config(&["--cflags"]).split_whitespace())
            .args(macros)
            .arg("-c")
            .arg(tests.join("tests/host_link").join(file).with_extension("c"))
            .arg("-o")
            .arg(object);
        output(&mut compile).map(drop)
    }
}

impl Host {
    /// Its program without its functions.
    fn main(&self) -> String {
        format!("main-{}.o", self.files.join("-"))
    }

    fn archive(&self) -> String {
        format!("{}.a", self.files.join("-"))
    }

    fn objects(&self, directory: &Path) -> impl Iterator<Item = PathBuf> {
        self.files.iter().map(move |file| directory.join(file).with_extension("o"))
    }
}

impl Form {
    /// Names what a program consists of, in this form's order.
    fn add(self, link: &mut Command, directory: &Path, host: &Host, library: &str) {
        let library = library.split_whitespace();
        let main = directory.join(host.main());
        let archive = directory.join(host.archive());
        match self {
            Self::Objects => link.arg(main).args(host.objects(directory)).args(library),
            Self::Archive => link.args([main, archive]).args(library),
            Self::LateArchive => link.arg("-Wl,--no-as-needed").args(library).args([main, archive]),
        };
    }
}
