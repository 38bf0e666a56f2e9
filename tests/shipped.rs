//! The installed files, as linkers, packagers and C programs meet them.

mod common;
#[path = "common/example.rs"]
mod example;

use common::{PREFIX, libraries, make, pkg_config};
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

const SO: &str = concat!("libioq.so.", env!("CARGO_PKG_VERSION"));
const SONAME: &str = concat!("libioq.so.", env!("CARGO_PKG_VERSION_MAJOR"));

#[test]
fn soname_is_the_abi_version() {
    assert_eq!(dynamic("SONAME"), [SONAME]);
    for link in ["libioq.so", SONAME] {
        assert_eq!(fs::read_link(lib(link)).unwrap(), Path::new(SO), "{link}");
    }
}

#[test]
fn shared_library_exports_the_list() {
    let exported = symbols("libioq.so", "--dyn-syms").into_iter();
    // The versions are symbols as well.
    let functions = exported.filter(|symbol| symbol.version.is_some()).map(|symbol| symbol.name);
    assert_listed("libioq.so exports", functions.collect());
}

#[test]
fn symbols_have_the_version_that_they_came_with() {
    for Symbol { name, version, .. } in symbols("libioq.so", "--dyn-syms") {
        assert_eq!(version.as_deref().unwrap_or(&name), "IOQ_0.1", "{name}");
    }
}

#[test]
fn static_library_defines_the_list() {
    let defined = symbols("libioq.a", "--syms");
    for Symbol { name, binding, .. } in &defined {
        // Weak, so that a program with bfs_* functions of its own links, and they win.
        assert_eq!(binding, if name.starts_with("bfs_") { "WEAK" } else { "GLOBAL" }, "{name}");
    }
    assert_listed("libioq.a defines", defined.into_iter().map(|symbol| symbol.name).collect());
}

#[test]
fn headers_declare_the_list() {
    let headers = ["ioq.h", "ioq/dir.h", "ioq/stat.h", "ioq/walk.h"]
        .map(|h| fs::read_to_string(PREFIX.join("include").join(h)).unwrap());
    // By another name, where programs may take one for several.
    let renamed =
        headers.iter().flat_map(|text| text.split("__asm__(\"").skip(1)).filter_map(|rest| rest.split('"').next());
    let declared = headers.iter().flat_map(|text| functions(text)).chain(renamed.map(String::from));
    assert_listed("The headers declare", declared.collect());
}

#[test]
fn only_system_libraries_are_needed() {
    for library in dynamic("NEEDED") {
        let known = ["libc.so", "ld-linux"];
        assert!(known.iter().any(|prefix| library.starts_with(prefix)), "{library}");
    }
}

#[test]
fn no_memory_is_both_writable_and_executable() {
    assert!(dynamic("TEXTREL").is_empty());
    let segments = output(Command::new("readelf").args(["--program-headers", "--wide"]).arg(lib("libioq.so")));
    let flags = |line: &str| line.split_whitespace().rev().nth(1).map(String::from);
    let stack = segments.lines().find(|line| line.contains("GNU_STACK")).expect(&segments);
    assert_eq!(flags(stack).as_deref(), Some("RW"), "{segments}");
    assert!(!segments.contains("RWE"), "{segments}");
}

#[test]
fn unchanged_sources_build_nothing() {
    LazyLock::force(&PREFIX);
    make(&["all"]);
    make(&["--question", "all"]);
}

#[test]
fn uninstall_removes_what_install_made() {
    LazyLock::force(&PREFIX);
    let root = scratch("destdir");
    let destdir = format!("DESTDIR={}", root.display());
    let run = |target| make(&[target, &destdir, "PREFIX=/opt/ioq", "LIBDIR=/opt/ioq/lib/multiarch"]);
    let prefix = root.join("opt/ioq");

    run("install");
    let installed = [
        "bin/",
        "bin/ioq-du",
        "bin/ioq-rm",
        "include/",
        "include/ioq.h",
        "include/ioq/",
        "include/ioq/dir.h",
        "include/ioq/stat.h",
        "include/ioq/walk.h",
        "lib/",
        "lib/multiarch/",
        "lib/multiarch/cmake/",
        "lib/multiarch/cmake/ioq/",
        "lib/multiarch/cmake/ioq/ioqConfig.cmake",
        "lib/multiarch/cmake/ioq/ioqConfigVersion.cmake",
        "lib/multiarch/libioq.a",
        "lib/multiarch/libioq.so",
        &format!("lib/multiarch/{SONAME}"),
        &format!("lib/multiarch/{SO}"),
        "lib/multiarch/pkgconfig/",
        "lib/multiarch/pkgconfig/ioq.pc",
        "share/",
        "share/man/",
        "share/man/man1/",
        "share/man/man1/ioq-du.1",
        "share/man/man1/ioq-rm.1",
        "share/man/man3/",
        "share/man/man7/",
        "share/man/man7/ioq.7",
    ];
    let pages = exports()
        .into_iter()
        .filter(|name| !name.ends_with("_time64"))
        .map(|function| format!("share/man/man3/{function}.3"));
    let installed = BTreeSet::from_iter(installed.map(String::from).into_iter().chain(pages));
    assert_eq!(tree(&prefix), installed);

    let other = prefix.join("lib/multiarch/pkgconfig/other.pc");
    fs::write(&other, "").unwrap();
    run("uninstall");
    let left = ["lib/", "lib/multiarch/", "lib/multiarch/pkgconfig/", "lib/multiarch/pkgconfig/other.pc"];
    assert_eq!(tree(&prefix), BTreeSet::from(left.map(String::from)));

    fs::remove_file(&other).unwrap();
    run("uninstall");
    assert!(tree(&prefix).is_empty());
}

#[test]
fn example_links_to_the_shared_library() {
    let program = compile_example("shared", &pkg_config(&["--cflags", "--libs"]));
    assert!(dynamic_of(&program, "NEEDED").contains(&SONAME.into()));
    let needed = output(Command::new("readelf").args(["--version-info", "--wide"]).arg(&program));
    assert!(needed.contains("IOQ_0.1"), "{needed}");
    run_example(&program);
}

#[test]
fn example_links_to_the_static_library() {
    let program = compile_example("static", &static_flags());
    assert!(!dynamic_of(&program, "NEEDED").contains(&SONAME.into()));
    run_example(&program);
}

#[test]
fn example_links_to_nothing_but_static_libraries() {
    let program = compile_example("all-static", &(pkg_config(&["--cflags", "--static", "--libs"]) + " -static"));
    assert!(dynamic_of(&program, "NEEDED").is_empty());
    run_example(&program);
}

#[test]
fn static_library_links_beside_another_of_rust() {
    let directory = scratch("two-static");
    let (source, other) =
        (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shipped/other"), directory.join("libother.a"));
    let rustc = env::var("RUSTC").unwrap_or("rustc".into());
    let mut compiler = Command::new(rustc);
    compiler.args(["--edition=2024", "--crate-type=staticlib", "-o"]).args([&other, &source.with_extension("rs")]);
    output(&mut compiler);

    let flags = static_flags();
    let other = other.to_str().unwrap();
    for (name, flags) in [("first", format!("{other} {flags}")), ("last", format!("{flags} {other}"))] {
        let program = directory.join(name);
        compile(&source.with_extension("c"), &program, &flags);
        assert_eq!(output(&mut Command::new(program)), "0 5 -1\n");
    }
}

/// Compiles the README's example.
fn compile_example(name: &str, flags: &str) -> PathBuf {
    let directory = scratch(name);
    let (source, program) = (example::write_source(&directory), directory.join("sizes"));
    compile(&source, &program, flags);
    program
}

#[track_caller]
fn compile(source: &Path, program: &Path, flags: &str) {
    let cc = env::var("CC").unwrap_or("cc".into());
    let mut cc = cc.split_whitespace();
    let mut compiler = Command::new(cc.next().unwrap());
    compiler.args(cc).args(["-Wall", "-Wextra", "-Werror", "-o"]).args([program, source]);
    output(compiler.args(flags.split_whitespace()));
}

/// What links a program with the static library.
fn static_flags() -> String {
    pkg_config(&["--cflags", "--static", "--libs"]).replace("-lioq", "-l:libioq.a")
}

#[track_caller]
fn run_example(program: &Path) {
    example::run(program, &libraries()).unwrap();
}

/// The functions that a header declares.
fn functions(header: &str) -> BTreeSet<String> {
    let code = header.split("/*").map(|part| part.split_once("*/").map_or(part, |(_, code)| code)).collect::<String>();
    let words = code.split('(').filter_map(|before| before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next());
    words.filter(|word| word.starts_with("ioq_") || word.starts_with("bfs_")).map(String::from).collect()
}

struct Symbol {
    name: String,
    version: Option<String>,
    binding: String,
}

/// What a library defines for others.
fn symbols(library: &str, table: &str) -> Vec<Symbol> {
    let listing = output(Command::new("readelf").args([table, "--wide"]).arg(lib(library)));
    let symbol = |line: &str| match *line.split_whitespace().collect::<Vec<_>>() {
        [_, _, _, _, binding @ ("GLOBAL" | "WEAK"), _, section, name] if section != "UND" => {
            let (name, version) = name.split_once("@@").map_or((name, None), |(name, v)| (name, Some(v.into())));
            Some(Symbol { name: name.into(), version, binding: binding.into() })
        }
        _ => None,
    };
    listing.lines().filter_map(symbol).collect()
}

fn exports() -> BTreeSet<String> {
    include_str!("../exports.txt").lines().map(String::from).collect()
}

#[track_caller]
fn assert_listed(what: &str, names: BTreeSet<String>) {
    let list = exports();
    let (extra, missing) = (Vec::from_iter(&names - &list), Vec::from_iter(&list - &names));
    assert!(extra.is_empty() && missing.is_empty(), "{what} {extra:?} beyond exports.txt, and lacks {missing:?}");
}

fn dynamic(tag: &str) -> Vec<String> {
    dynamic_of(&lib("libioq.so"), tag)
}

/// What the dynamic section says about `tag`, such as `NEEDED`.
fn dynamic_of(file: &Path, tag: &str) -> Vec<String> {
    let section = output(Command::new("readelf").args(["--dynamic", "--wide"]).arg(file));
    let tag = format!("({tag})");
    let value = |line: &str| line.split(['[', ']']).nth(1).unwrap_or_default().to_owned();
    section.lines().filter(|line| line.contains(&tag)).map(value).collect()
}

fn lib(name: &str) -> PathBuf {
    libraries().join(name)
}

/// An empty directory.
fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shipped").join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// Everything below `directory`; directories end in `/`.
fn tree(directory: &Path) -> BTreeSet<String> {
    fn walk(directory: &Path, name: &str, names: &mut BTreeSet<String>) {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let name = format!("{name}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                let name = format!("{name}/");
                walk(&entry.path(), &name, names);
                names.insert(name);
            } else {
                names.insert(name);
            }
        }
    }
    let mut names = BTreeSet::new();
    walk(directory, "", &mut names);
    names
}

/// What a command prints, which must succeed.
#[track_caller]
fn output(command: &mut Command) -> String {
    common::output(command).unwrap_or_else(|e| panic!("{command:?}: {e}"))
}
