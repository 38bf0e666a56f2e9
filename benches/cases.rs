//! What is measured.

use crate::Result;
use crate::compile::Programs;
use crate::config::{Config, LIBUV, PLAIN};
use crate::slow::{self, SlowFs};
use std::fs;
use std::io::{BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Group {
    pub name: &'static str,
    pub title: &'static str,
}

const fn group(name: &'static str, title: &'static str) -> Group {
    Group { name, title }
}

pub const GROUPS: [Group; 10] = [
    group("nop/flood", "no-ops, as many at once as fit; cpu is for one"),
    group("nop/latency", "no-ops one at a time, at once after the last one or 200 us later"),
    group("lstat", "a flood of lstats, 1024 in flight; cpu is for one"),
    group("walk/warm", "every directory opened, read and closed, and every entry looked up or not"),
    group("walk/cold", "the same with nothing cached"),
    group("walk/calls", "system calls per thousand requests of the same, counted by strace"),
    group("slow/lstat", "a flood of lstats where every answer takes 0.2, 1 or 5 ms, 1024 in flight"),
    group("slow/walk", "every directory opened, read and closed, and every entry looked up or not, there"),
    group(
        "slow/threads",
        "a long flood there; the most threads that the kernel had for it, at its start and at its end",
    ),
    group("life", "create and destroy; memory after create and after 4096 no-ops; cpu in 200 ms with nothing to do"),
];

/// What has to be done for a run.
#[derive(Clone, Copy, PartialEq)]
pub enum Way {
    Warm,
    /// Empty the caches first.
    Cold,
    /// Each run takes long.
    Slow,
    /// Count system calls rather than time.
    Traced,
    /// Count the kernel's threads meanwhile.
    Watched,
}

/// Someone who does the work of a case.
pub struct Variant {
    pub who: String,
    pub program: PathBuf,
    pub args: Vec<String>,
}

pub struct Case {
    pub group: &'static str,
    pub series: String,
    pub workers: Option<usize>,
    pub way: Way,
    /// They take turns in this order.
    pub variants: Vec<Variant>,
}

/// Files for the lstats, at most.
const MAX_FILES: usize = 200_000;

/// How long a flood of lstats lasts, in milliseconds.
const FLOOD: &str = "200";

/// The cases of a group, and the file systems that must be there for them; or the reason why it cannot be measured here.
pub fn of(group: &'static str, config: &Config, programs: &Programs, paths: &Path) -> Result<(Vec<Case>, Vec<SlowFs>)> {
    if group.starts_with("slow") {
        return slow::cases(group, programs);
    }
    let dir = config.dir.display().to_string();
    let way = match group {
        "walk/cold" => Way::Cold,
        "walk/calls" => Way::Traced,
        _ => Way::Warm,
    };
    let case = |series: &str, workers: usize, program: &str, args: &[&str]| Case {
        group,
        series: series.into(),
        workers: Some(workers),
        way,
        variants: programs.queues.iter().map(|who| variant(who, program, args)).collect(),
    };
    let plain = |series: &str, program: &str, args: &[&str]| Case {
        group,
        series: series.into(),
        workers: None,
        way,
        variants: vec![variant(PLAIN, program, args)],
    };

    let mut cases = vec![];
    match group {
        "nop/flood" => {
            for (kind, depth) in [("light", "64"), ("light", "4096"), ("heavy", "64"), ("heavy", "4096")] {
                for workers in [1, 2, 4, 8] {
                    let args = ["flood", kind, &workers.to_string(), depth];
                    cases.push(case(&format!("{kind}, {depth} deep"), workers, "nop", &args));
                }
            }
        }
        "nop/latency" => {
            for (kind, pause) in [("light", "0"), ("light", "200"), ("heavy", "0"), ("heavy", "200")] {
                for workers in [1, 2, 4, 8] {
                    let args = ["latency", kind, &workers.to_string(), pause];
                    let series = format!("{kind}, {}", if pause == "0" { "at once" } else { "200 us later" });
                    cases.push(case(&series, workers, "nop", &args));
                }
            }
        }
        "lstat" => {
            let paths = paths.display().to_string();
            for workers in [1, 2, 3, 4, 8] {
                let args = [paths.as_str(), &workers.to_string(), FLOOD];
                let mut case = case("flood", workers, "lstat", &args);
                if programs.has_libuv {
                    case.variants.push(variant(LIBUV, "lstat-uv", &args));
                }
                cases.push(case);
            }
            let mut threads = vec![1, config.cpus];
            threads.dedup();
            for n in threads {
                let series = format!("plain calls, {n} thread{}", if n == 1 { "" } else { "s" });
                cases.push(plain(&series, "lstat-plain", &[&paths, &n.to_string(), FLOOD]));
            }
        }
        "walk/warm" | "walk/cold" | "walk/calls" => {
            if way == Way::Cold {
                drop_caches().map_err(|e| format!("caches cannot be emptied: {e}"))?;
            }
            if way == Way::Traced {
                Command::new("strace").arg("-V").output().map_err(|e| format!("no strace: {e}"))?;
            }
            for mode in ["names", "stats"] {
                for workers in [1, 3, 8] {
                    cases.push(case(mode, workers, "walk", &[mode, &dir, &workers.to_string()]));
                }
                if way != Way::Traced {
                    cases.push(plain(&format!("{mode}, no queue"), "walk-plain", &[mode, &dir]));
                }
            }
        }
        _ => {
            for (series, mode) in [("create, destroy", "cycle"), ("create, ten no-ops, destroy", "ten")] {
                for workers in [1, 4, 8] {
                    cases.push(case(series, workers, "life", &[mode, &workers.to_string()]));
                }
            }
            for mode in ["memory", "idle"] {
                cases.push(case(mode, 8, "life", &[mode, "8"]));
            }
        }
    }
    Ok((cases, vec![]))
}

pub fn variant(who: &str, program: &str, args: &[&str]) -> Variant {
    Variant {
        who: who.into(),
        program: Programs::path(who, program),
        args: args.iter().map(|&arg| arg.into()).collect(),
    }
}

/// Forgets everything that the kernel has cached of file systems.
pub fn drop_caches() -> Result<()> {
    Command::new("sync").status().map_err(|e| format!("sync: {e}"))?;
    fs::write("/proc/sys/vm/drop_caches", "3").map_err(|e| e.to_string())
}

/// Writes the list of files for the lstats, in the order in which a walk finds them. Returns how many there are.
pub fn list_files(dir: &Path, list: &Path) -> Result<usize> {
    let write = || {
        let mut out = BufWriter::new(fs::File::create(list)?);
        let mut left = MAX_FILES;
        list_directory(dir, &mut out, &mut left)?;
        out.flush()?;
        Ok(MAX_FILES - left)
    };
    write().map_err(|e: std::io::Error| format!("{}: {e}", list.display()))
}

fn list_directory(dir: &Path, out: &mut impl Write, left: &mut usize) -> std::io::Result<()> {
    // One that cannot be read is passed over.
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if *left == 0 {
            break;
        }
        *left -= 1;
        let path = entry.path();
        out.write_all(path.as_os_str().as_bytes())?;
        out.write_all(b"\0")?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            list_directory(&path, out, left)?;
        }
    }
    Ok(())
}
