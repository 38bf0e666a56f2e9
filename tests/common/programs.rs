//! The programs under `c-tests/`.

use std::fs;
use std::io;
use std::path::Path;

/// The launcher of programs to which something is refused, which is no test itself.
pub const LAUNCHER: &str = "refuse";

/// The names of all the others.
pub fn program_names() -> io::Result<Vec<String>> {
    let mut names = vec![];
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("c-tests"))? {
        let path = entry?.path();
        if let (Some(name), Some("c")) = (path.file_stem(), path.extension().and_then(|e| e.to_str())) {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.retain(|name| name != LAUNCHER);
    names.sort();
    Ok(names)
}
