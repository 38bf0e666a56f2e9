//! The installed manual pages: one for each function, all well-formed, with examples that compile and run.

mod common;
#[path = "common/compiler.rs"]
mod compiler;

use common::{PREFIX, output, pkg_config};
use compiler::compile;
use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let missing = Command::new("mandoc").output().is_err();
    let reason = if missing { " (no mandoc)" } else { "" };
    let trials = vec![
        Trial::test("each_function_has_a_page", each_function_has_a_page),
        Trial::test(format!("lint{reason}"), lint).with_ignored_flag(missing),
        Trial::test("examples", examples),
        Trial::test("options_of_ioq_du", || options("ioq-du")),
        Trial::test("options_of_ioq_rm", || options("ioq-rm")),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn pages(section: u8) -> Result<Vec<PathBuf>, Failed> {
    let directory = PREFIX.join(format!("share/man/man{section}"));
    let mut pages = vec![];
    for entry in fs::read_dir(directory)? {
        pages.push(entry?.path());
    }
    pages.sort();
    Ok(pages)
}

/// And each is about what it is called after.
fn each_function_has_a_page() -> Result<(), Failed> {
    let pages = pages(3)?;
    let names = BTreeSet::from_iter(pages.iter().filter_map(|page| page.file_stem()?.to_str()));
    // Those of the same functions under other names have none.
    assert_eq!(names, include_str!("../exports.txt").lines().filter(|name| !name.ends_with("_time64")).collect());
    for (page, function) in pages.iter().zip(names) {
        let text = fs::read_to_string(page)?;
        for part in [format!(".TH {} 3 ", function.to_uppercase()), format!("\n.SH NAME\n{function} \\- ")] {
            assert!(text.contains(&part), "{} lacks {part:?}", page.display());
        }
        let (_, synopsis) = text.split_once("\n.SH SYNOPSIS\n").ok_or("no synopsis")?;
        assert!(synopsis.lines().take(4).any(|line| line.contains(&format!("{function}("))), "{}", page.display());
    }
    Ok(())
}

fn lint() -> Result<(), Failed> {
    let pages = [1, 3, 7].map(pages).into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    let complaints = output(Command::new("mandoc").args(["-T", "lint"]).args(pages))?;
    if complaints.is_empty() { Ok(()) } else { Err(complaints.into()) }
}

/// Each example is a program, or becomes one as the body of `main()`.
fn examples() -> Result<(), Failed> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("man");
    fs::create_dir_all(&directory)?;
    let mut count = 0;
    for page in [3, 7].map(pages).into_iter().collect::<Result<Vec<_>, _>>()?.concat() {
        for example in examples_in(&fs::read_to_string(&page)?) {
            let program = directory.join(format!("example-{count}"));
            let is_program = example.contains("int main(");
            let code = if is_program { example } else { as_program(&example) };
            run(&code, &program).map_err(|e| format!("{}: {e}\n{code}", page.display()))?;
            count += 1;
        }
    }
    // The library's page has a program, and what each header begins with.
    assert!(count >= 5, "{count}");
    Ok(())
}

/// The blocks of code in a page, except for definitions of types.
fn examples_in(page: &str) -> Vec<String> {
    let (before, after) = page.split_once("\n.SH TYPES\n").unwrap_or((page, ""));
    let after = after.split_once("\n.SH ").map_or("", |(_, after)| after);
    let mut examples = vec![];
    for part in [before, after] {
        for block in part.split("\n.EX\n").skip(1) {
            let mut code = block.split_once(".EE\n").map_or(block, |(code, _)| code).to_string();
            for (written, meant) in [("\\-", "-"), ("\\&", ""), ("\\(aq", "'"), ("\\(ga", "`"), ("\\(ha", "^")] {
                code = code.replace(written, meant);
            }
            examples.push(code.replace("\\(ti", "~").replace("\\e", "\\"));
        }
    }
    examples
}

fn as_program(body: &str) -> String {
    let headers = [
        "ioq.h",
        "ioq/dir.h",
        "ioq/stat.h",
        "ioq/walk.h",
        "errno.h",
        "fcntl.h",
        "stdio.h",
        "stdlib.h",
        "string.h",
        "sys/stat.h",
    ];
    let includes = headers.map(|header| format!("#include <{header}>\n")).concat();
    format!("#define _GNU_SOURCE\n{includes}\nint main(void)\n{{\n{body}}}\n")
}

fn run(code: &str, program: &Path) -> Result<String, String> {
    let source = program.with_extension("c");
    fs::write(&source, code).map_err(|e| e.to_string())?;
    compile(&[source], program, &pkg_config(&["--cflags", "--libs"]))?;
    output(&mut Command::new(program))
}

/// The page, written by hand, has every option that the program itself tells of.
fn options(program: &str) -> Result<(), Failed> {
    let help = output(Command::new(PREFIX.join("bin").join(program)).arg("--help"))?;
    let page = PREFIX.join(format!("share/man/man1/{program}.1"));
    let page = fs::read_to_string(page)?.replace("\\-", "-");
    let options = help.split([' ', '=', ',', '\n']).filter(|word| word.starts_with("--"));
    let missing: Vec<_> = options.filter(|option| !page.contains(option)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    Ok(())
}
