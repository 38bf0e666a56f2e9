//! `include/` is what cbindgen makes of the source, and compilers of C and C++ accept it.
//!
//! With `IOQ_BLESS=1` in the environment, as in `make headers`, the headers are written rather than compared.

use cbindgen::{Builder, Config};
use libtest_mimic::{Arguments, Failed, Trial};
use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, fs};

/// A file under `include/`.
struct Header {
    name: &'static str,
    /// The Rust files that say what is in it.
    sources: &'static [&'static str],
    /// The types that only its template declares.
    opaque: &'static [&'static str],
}

const HEADERS: [Header; 4] = [
    Header {
        name: "ioq.h",
        sources: &[
            "src/entry.rs",
            "src/abi/types.rs",
            "src/abi/queue.rs",
            "src/abi/requests.rs",
            "src/abi/changes.rs",
            "src/abi/list.rs",
        ],
        opaque: &["bfs_dir", "bfs_stat"],
    },
    Header { name: "ioq/dir.h", sources: &["src/fs/dir/mod.rs"], opaque: &["bfs_dir"] },
    Header { name: "ioq/stat.h", sources: &["src/fs/stat/mod.rs"], opaque: &["bfs_timespec"] },
    Header { name: "ioq/walk.h", sources: &["src/walk/abi.rs"], opaque: &[] },
];

struct Compiler {
    command: &'static str,
    required: bool,
    language: &'static str,
    standards: &'static [&'static str],
}

const COMPILERS: [Compiler; 4] = [
    Compiler { command: "gcc", required: true, language: "c", standards: &["c11", "c17", "c2x"] },
    Compiler { command: "clang", required: false, language: "c", standards: &["c11", "c17", "c2x"] },
    Compiler { command: "g++", required: false, language: "c++", standards: &["c++17", "c++20"] },
    Compiler { command: "clang++", required: false, language: "c++", standards: &["c++17", "c++20"] },
];

/// Programs that must compile without a warning.
const PROGRAMS: [(&str, &str); 6] = [
    ("ioq.h", "#include <ioq.h>\n#include <ioq.h>\n"),
    ("dir.h", "#include <ioq/dir.h>\n#include <ioq/dir.h>\n"),
    ("stat.h", "#include <ioq/stat.h>\n#include <ioq/stat.h>\n"),
    ("walk.h", "#include <ioq/walk.h>\n#include <ioq/walk.h>\n"),
    ("together", include_str!("headers/together.c")),
    ("host", include_str!("headers/host.c")),
];

fn main() -> ExitCode {
    let headers = HEADERS.iter().map(|header| Trial::test(header.name, || check(header)));
    let compilers = COMPILERS.iter().flat_map(compile_trials);
    libtest_mimic::run(&Arguments::from_args(), headers.chain(compilers).collect()).exit_code()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Compares a header with what it should be, or makes it so.
fn check(header: &Header) -> Result<(), Failed> {
    let path = root().join("include").join(header.name);
    let expected = generate(header)?;
    if env::var_os("IOQ_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap_or(root()))?;
        fs::write(&path, expected)?;
    } else if fs::read_to_string(&path).ok() != Some(expected) {
        return Err(format!("include/{} is not what the source says; write it anew: make headers", header.name).into());
    }
    Ok(())
}

/// Fills in the template of a header.
fn generate(header: &Header) -> Result<String, Box<dyn Error>> {
    let mut builder = Builder::new().with_config(Config::from_file(root().join("cbindgen.toml"))?);
    for name in header.opaque {
        builder = builder.exclude_item(*name).rename_item(*name, &format!("struct {name}"));
    }
    let mut layout = String::new();
    for source in header.sources {
        let rust = fs::read_to_string(root().join(source))?;
        layout += &layout_assertions(&rust)?;
        // cbindgen reads nothing but files.
        let copy = scratch().join(source.replace('/', "-"));
        fs::write(&copy, for_cbindgen(&rust))?;
        builder = builder.with_src(copy);
    }
    let mut declarations = vec![];
    builder.generate()?.write(&mut declarations);
    let declarations = from_cbindgen(&String::from_utf8(declarations)?).ok_or("cbindgen's output has another form")?;

    let template = format!("tests/headers/{}.in", header.name.trim_start_matches("ioq/"));
    Ok(fs::read_to_string(root().join(template))?
        .replace("@MAJOR@", env!("CARGO_PKG_VERSION_MAJOR"))
        .replace("@MINOR@", env!("CARGO_PKG_VERSION_MINOR"))
        .replace("@PATCH@", env!("CARGO_PKG_VERSION_PATCH"))
        .replace("@DECLARATIONS@", declarations.trim())
        .replace("@LAYOUT@", layout.trim()))
}

/// Source that cbindgen understands, with comments for C programmers.
fn for_cbindgen(rust: &str) -> String {
    let mut out = String::new();
    let mut is_for_rust = false;
    for line in rust.lines() {
        if let Some(title) = line.strip_prefix("/// # ") {
            is_for_rust = title == "Safety";
            if !is_for_rust {
                out += &format!("/// {title}:\n");
            }
        } else if !line.starts_with("///") {
            is_for_rust = false;
            // Only in the static library does something else export the functions.
            out += &line.replace("cfg_attr(not(feature = \"static\"), unsafe(no_mangle))", "unsafe(no_mangle)");
            out.push('\n');
        } else if !is_for_rust {
            out += line;
            out.push('\n');
        }
    }
    // No blank lines after headings, before lists, and where a section was.
    out.replace(":\n///\n", ":\n").replace("///\n#", "#")
}

/// Declarations in words that cbindgen does not have.
fn from_cbindgen(c: &str) -> Option<String> {
    let mut c =
        c.replace('`', "").replace(" ALIGNED(64) ", " ").replace("enum ioq_op op;", "alignas(64) enum ioq_op op;");
    // The arguments of an entry are an anonymous union: take the definition away, and put it where its name is used.
    if let Some((before, rest)) = c.split_once("union ioq_args {\n") {
        let (members, after) = rest.split_once("};\n")?;
        let before = &before[..before.rfind("/**")?];
        let union = format!("union {{\n{members}}};").replace('\n', "\n    ");
        c = format!("{before}{}", after.trim_start().replace("union ioq_args args;", &union));
    }
    Some(one_line_comments(&c))
}

/// Comments that have one line take one.
fn one_line_comments(c: &str) -> String {
    let mut out = String::new();
    let mut rest: Vec<_> = c.lines().collect();
    while !rest.is_empty() {
        let taken = match rest[..] {
            [start, text, end, ..] if (start.trim(), end.trim()) == ("/**", "*/") => {
                out += &format!("{start}{} */", text.trim_start().trim_start_matches('*'));
                3
            }
            _ => {
                out += rest[0];
                1
            }
        };
        out.push('\n');
        rest.drain(..taken);
    }
    out
}

/// What the source asserts of the layout of its types, as C does.
fn layout_assertions(rust: &str) -> Result<String, Box<dyn Error>> {
    let Some((_, rest)) = rust.split_once("\nconst _: () = {\n") else {
        return Ok(String::new());
    };
    let (block, _) = rest.split_once("\n};\n").ok_or("assertions without an end")?;
    let mut out = String::new();
    let is_assertion = |line: &&str| !line.trim().starts_with("use ") && !line.trim().starts_with("const ");
    for line in block.lines().filter(is_assertion) {
        let asserted = line.trim().strip_prefix("assert!(").and_then(|line| line.strip_suffix(");"));
        for condition in asserted.ok_or_else(|| format!("no assertion: {line}"))?.split(" && ") {
            let (what, value) = condition.split_once(" == ").ok_or_else(|| format!("no equation: {condition}"))?;
            let value = value.replace("POINTER", "sizeof(void *)");
            let (function, arguments) =
                what.trim_end_matches([')', '(']).split_once(['!', ':']).ok_or("no function")?;
            let arguments = arguments.trim_matches([':', '<', '>', '(']).replace("r#", "");
            // C has no name for the union.
            if arguments == "ioq_args" {
                continue;
            }
            let arguments = arguments.replace(", args", ", nop");
            let kind = if rust.contains(&format!("enum {arguments} {{")) { "enum" } else { "struct" };
            let operator = match function {
                "size_of" => "sizeof",
                "align_of" => "alignof",
                "offset_of" => "offsetof",
                _ => return Err(format!("no layout: {condition}").into()),
            };
            out += &format!("static_assert({operator}({kind} {arguments}) == {value}, \"ABI\");\n");
        }
    }
    Ok(out)
}

/// A test for each standard that a compiler knows; ignored, and so listed, if it is not here.
fn compile_trials(compiler: &'static Compiler) -> impl Iterator<Item = Trial> {
    let missing = Command::new(compiler.command).arg("--version").output().is_err();
    compiler.standards.iter().map(move |standard| {
        Trial::test(format!("{} -std={standard}", compiler.command), || compile(compiler, standard))
            .with_ignored_flag(missing && !compiler.required)
    })
}

fn compile(compiler: &Compiler, standard: &str) -> Result<(), Failed> {
    for (name, program) in PROGRAMS {
        let path = scratch().join(format!("{name}-{}-{standard}", compiler.command));
        fs::write(&path, program)?;
        let output = Command::new(compiler.command)
            .arg(format!("-std={standard}"))
            .args(["-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", compiler.language, "-I"])
            .args([root().join("include"), path])
            .output()
            .map_err(|e| format!("{}: {e}", compiler.command))?;
        if !output.status.success() {
            return Err(format!("{name}:\n{}", String::from_utf8_lossy(&output.stderr)).into());
        }
    }
    Ok(())
}
