//! Writes the manual pages: one for each function that the headers declare, and one for the library.
//!
//! What they say is in the headers. These lack only the backquotes of the Rust comments that they were made from, which
//! tell code and names from words; those come from the Rust source. Nothing is needed for this but a Rust compiler, so
//! that packages can build the pages without the crates that the tests use.

mod header;
mod page;
mod roff;

use header::Header;
use page::{Manual, Release};
use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HEADERS: [&str; 4] = ["ioq.h", "ioq/dir.h", "ioq/stat.h", "ioq/walk.h"];

fn main() -> ExitCode {
    let args: Vec<_> = env::args().skip(1).collect();
    let [source, out, version, date] = &args[..] else {
        eprintln!("usage: generate SOURCE_DIRECTORY OUTPUT_DIRECTORY VERSION DATE");
        return ExitCode::FAILURE;
    };
    match generate(Path::new(source), Path::new(out), &Release { version, date }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("manual pages: {e}");
            ExitCode::FAILURE
        }
    }
}

fn generate(source: &Path, out: &Path, release: &Release) -> Result<(), Box<dyn Error>> {
    let mut rust = String::new();
    read_rust(&source.join("src"), &mut rust)?;
    let mut headers = vec![];
    for name in HEADERS {
        let text = fs::read_to_string(source.join("include").join(name))?;
        headers.push(Header::parse(name, &text, &rust).map_err(|e| format!("{name}: {e}"))?);
    }

    let manual = Manual::new(&headers, release)?;
    fs::create_dir_all(out)?;
    for (name, page) in manual.functions() {
        fs::write(out.join(format!("{name}.3")), page)?;
    }
    let template = fs::read_to_string(source.join("man/ioq.7.in"))?;
    let readme = fs::read_to_string(source.join("README.md"))?;
    fs::write(out.join("ioq.7"), manual.library(&template, &readme)?)?;
    for program in ["ioq-du", "ioq-rm"] {
        let template = fs::read_to_string(source.join(format!("man/{program}.1.in")))?;
        fs::write(out.join(format!("{program}.1")), release.fill(&template))?;
    }
    Ok(())
}

/// Appends all Rust files of a directory, in any order.
fn read_rust(directory: &Path, text: &mut String) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path: PathBuf = entry?.path();
        if path.is_dir() {
            read_rust(&path, text)?;
        } else {
            *text += &fs::read_to_string(path)?;
        }
    }
    Ok(())
}
