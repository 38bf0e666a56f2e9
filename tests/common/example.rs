//! The README's example, for tests of the ways in which programs find and link the library.

use crate::common::output;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Writes the example into `directory`, and returns the file's path.
pub fn write_source(directory: &Path) -> PathBuf {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```c\n").expect("an example in C");
    let (example, _) = rest.split_once("```").expect("the end of the example");
    let source = directory.join("sizes.c");
    fs::write(&source, example).unwrap();
    source
}

/// Runs the program where there is one file. The shared library is in `libraries`, if it has any use for that.
pub fn run(program: &Path, libraries: &Path) -> Result<(), String> {
    let directory = program.with_extension("d");
    fs::create_dir(&directory).map_err(|e| e.to_string())?;
    fs::write(directory.join("file"), "12345").map_err(|e| e.to_string())?;
    let sizes = output(Command::new(program).current_dir(directory).env("LD_LIBRARY_PATH", libraries))?;
    if sizes == "5\tfile\n" { Ok(()) } else { Err(format!("{}: {sizes}", program.display())) }
}
