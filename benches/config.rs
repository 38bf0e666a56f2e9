//! What the environment asks for.

use crate::Result;
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

/// The name of the library in tables and plots.
pub const OURS: &str = "libioq";
/// The names of what is no queue, but shown beside the queues.
pub const PLAIN: &str = "plain";
pub const LIBUV: &str = "libuv";
pub const RING: &str = "ring";

/// Another implementation of the library's headers.
pub struct Other {
    pub name: String,
    /// To compile and link with.
    pub flags: Vec<String>,
}

pub struct Config {
    pub runs: usize,
    /// A run with nothing cached takes seconds, a round of runs on slow file systems minutes, so there are fewer.
    pub cold_runs: usize,
    pub slow_runs: usize,
    pub dir: PathBuf,
    pub svg: PathBuf,
    /// What was recorded before, to be shown in place of anything new.
    pub recorded: Vec<PathBuf>,
    pub others: Vec<Other>,
    pub cpus: usize,
    cold: bool,
    only: Vec<String>,
}

impl Config {
    pub fn from_env() -> Result<Self> {
        let runs = match get("BENCH_RUNS") {
            None => 15,
            Some(n) => n.parse().ok().filter(|&n| n > 0).ok_or(format!("BENCH_RUNS={n} is no number of runs"))?,
        };
        let dir = PathBuf::from(get("BENCH_DIR").unwrap_or("/usr".into()));
        Ok(Self {
            runs,
            cold_runs: runs.min(5),
            slow_runs: runs.min(3),
            dir: dir.canonicalize().map_err(|e| format!("{}: {e}", dir.display()))?,
            svg: get("BENCH_SVG").map_or(scratch().join("results.svg"), PathBuf::from),
            recorded: get("BENCH_FROM").unwrap_or_default().split_whitespace().map(PathBuf::from).collect(),
            others: parse_others(&get("IOQ_OTHER").unwrap_or_default())?,
            cpus: available_parallelism().map_or(1, |n| n.get()),
            cold: get("BENCH_COLD").is_none_or(|cold| cold != "0"),
            only: get("BENCH_ONLY").unwrap_or_default().split(',').map(String::from).collect(),
        })
    }

    /// Whether to measure a group: all that begin with one of the names asked for are.
    pub fn wants(&self, group: &str) -> bool {
        (self.cold || group != "walk/cold") && self.only.iter().any(|prefix| group.starts_with(prefix.trim()))
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} CPUs, {} runs each, {}", self.cpus, self.runs, self.dir.display())?;
        if let Some(backend) = get("IOQ_BACKEND") {
            write!(f, ", IOQ_BACKEND={backend}")?;
        }
        Ok(())
    }
}

/// A variable that is not empty.
fn get(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The directory for everything that the benchmarks write.
pub fn scratch() -> PathBuf {
    root().join("build/bench")
}

/// Takes `NAME: FLAGS; NAME: FLAGS` apart. The names can be left out.
fn parse_others(text: &str) -> Result<Vec<Other>> {
    let mut others: Vec<Other> = vec![];
    for text in text.split(';') {
        let mut flags: Vec<_> = text.split_whitespace().map(String::from).collect();
        if flags.is_empty() {
            continue;
        }
        let name = match flags[0].strip_suffix(':') {
            Some(name) => name.to_string(),
            None => format!("other{}", others.len() + 1),
        };
        if flags[0].ends_with(':') {
            flags.remove(0);
        }
        let taken =
            [OURS, PLAIN, LIBUV, RING].contains(&name.as_str()) || others.iter().any(|other| other.name == name);
        // It names a directory, too.
        if taken || name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
            return Err(format!("IOQ_OTHER: '{name}' is taken, or no name of letters, digits, - and _"));
        }
        others.push(Other { name, flags });
    }
    Ok(others)
}
