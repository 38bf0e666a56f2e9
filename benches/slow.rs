//! Slow file systems: mounting them (`slow-fs.c`), and what is measured there.
//!
//! They are unmounted whatever happens: by `Drop`, and by the server itself when its standard input ends, as it does with
//! the process that started it.

use crate::Result;
use crate::cases::{Case, Variant, Way, list_files, variant};
use crate::compile::Programs;
use crate::config::{LIBUV, PLAIN, RING, scratch};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What they are called, and the microseconds for each answer.
const DELAYS: [(&str, u64); 3] = [("0.2 ms", 200), ("1 ms", 1000), ("5 ms", 5000)];

const WORKERS: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// How many lstats are in flight in a bare ring.
const IN_RING: [usize; 4] = [16, 64, 256, 1024];

/// How long a flood lasts, in milliseconds; and one that is watched, in which the kernel's threads can come and go: it
/// keeps those that have nothing to do for five seconds.
const FLOOD: &str = "1000";
const LONG_FLOOD: &str = "20000";

/// A server that does so many requests at a time is kept busy by as many workers.
const AT_ONCE: usize = 8;

/// The answers that a walk asks for one after the other if it goes by plain calls, roughly; and the seconds that this
/// may take.
const WALKS: [(&str, u64); 2] = [("names", 1500), ("stats", 13_500)];
const LONGEST_WALK: u64 = 20;

/// A file system, while it is mounted.
pub struct SlowFs {
    dir: PathBuf,
    server: Child,
}

impl SlowFs {
    fn mount(name: &str, delay: u64, at_once: usize) -> Result<Self> {
        let dir = scratch().join(name);
        // A server that was killed leaves it behind.
        unmount(&dir);
        fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        let mut command = Command::new(Programs::path(PLAIN, "slow-fs"));
        command.arg(&dir).args([delay.to_string(), at_once.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut fs = Self { dir, server: command.spawn().map_err(|e| format!("slow-fs: {e}"))? };

        let mut said = String::new();
        let mounted = fs.server.stdout.take().map(|out| BufReader::new(out).read_line(&mut said));
        if !matches!(mounted, Some(Ok(1..))) {
            let _ = fs.server.stderr.take().map(|mut err| err.read_to_string(&mut said));
            return Err(format!("slow-fs cannot be mounted: {}", said.trim()));
        }
        Ok(fs)
    }

    /// With a list of its files, which was made while it was quick.
    fn mount_listed(name: &str, delay: u64, at_once: usize) -> Result<(Self, String)> {
        let list = scratch().join(format!("{name}.paths"));
        list_files(&Self::mount(name, 0, 0)?.dir, &list)?;
        Ok((Self::mount(name, delay, at_once)?, list.display().to_string()))
    }
}

impl Drop for SlowFs {
    fn drop(&mut self) {
        drop(self.server.stdin.take());
        let _ = self.server.wait();
        unmount(&self.dir);
    }
}

/// Unmounts what is mounted there, if anything is.
fn unmount(dir: &Path) {
    let _ = Command::new("umount").arg("-l").arg(dir).output();
}

/// The cases of a group, and the file systems that must be there for them; or the reason why it cannot be measured here.
pub fn cases(group: &'static str, programs: &Programs) -> Result<(Vec<Case>, Vec<SlowFs>)> {
    if !programs.has_slow_fs {
        return Err("libfuse 3 and its headers are missing".into());
    }
    if !Path::new("/dev/fuse").exists() {
        return Err("there is no /dev/fuse".into());
    }
    if fs::metadata("/proc/self").map_or(0, |process| process.uid()) != 0 {
        return Err("only root can mount file systems".into());
    }
    match group {
        "slow/lstat" => lstats(group, programs),
        "slow/walk" => walks(group, programs),
        _ => threads(group, programs),
    }
}

fn queues(programs: &Programs, program: &str, args: &[&str]) -> Vec<Variant> {
    programs.queues.iter().map(|who| variant(who, program, args)).collect()
}

fn lstats(group: &'static str, programs: &Programs) -> Result<(Vec<Case>, Vec<SlowFs>)> {
    let (mut cases, mut mounts) = (vec![], vec![]);
    for (name, delay) in DELAYS {
        let (fs, list) = SlowFs::mount_listed(&format!("slow-{delay}"), delay, 0)?;
        mounts.push(fs);
        for workers in WORKERS {
            let args = [&list, &workers.to_string(), FLOOD];
            let mut variants = queues(programs, "lstat", &args);
            if programs.has_libuv {
                variants.push(variant(LIBUV, "lstat-uv", &args));
            }
            variants.push(variant(PLAIN, "lstat-plain", &args));
            cases.push(Case { group, series: name.into(), workers: Some(workers), way: Way::Slow, variants });
        }
        for at_once in IN_RING.into_iter().filter(|_| programs.has_ring) {
            let series = format!("{name}, one ring, {at_once} at once");
            let variants = vec![variant(RING, "ring-limit", &[&list, &at_once.to_string(), FLOOD])];
            cases.push(Case { group, series, workers: None, way: Way::Slow, variants });
        }
    }
    Ok((cases, mounts))
}

fn walks(group: &'static str, programs: &Programs) -> Result<(Vec<Case>, Vec<SlowFs>)> {
    let (mut cases, mut mounts) = (vec![], vec![]);
    for (name, delay) in DELAYS {
        let fs = SlowFs::mount(&format!("slow-{delay}"), delay, 0)?;
        let dir = fs.dir.display().to_string();
        mounts.push(fs);
        for (mode, answers) in WALKS {
            let takes_too_long = |threads: usize| delay * answers / threads as u64 > LONGEST_WALK * 1_000_000;
            for workers in WORKERS.into_iter().filter(|&workers| !takes_too_long(workers)) {
                let series = format!("{name}, {mode}");
                let variants = queues(programs, "walk", &[mode, &dir, &workers.to_string()]);
                cases.push(Case { group, series, workers: Some(workers), way: Way::Slow, variants });
            }
            if !takes_too_long(1) {
                let series = format!("{name}, {mode}, no queue");
                let variants = vec![variant(PLAIN, "walk-plain", &[mode, &dir])];
                cases.push(Case { group, series, workers: None, way: Way::Slow, variants });
            }
        }
    }
    Ok((cases, mounts))
}

fn threads(group: &'static str, programs: &Programs) -> Result<(Vec<Case>, Vec<SlowFs>)> {
    let (fs, list) = SlowFs::mount_listed("slow-limited", 1000, AT_ONCE)?;
    let variants = queues(programs, "lstat", &[&list, &AT_ONCE.to_string(), LONG_FLOOD]);
    let series = format!("1 ms, {AT_ONCE} at once");
    Ok((vec![Case { group, series, workers: Some(AT_ONCE), way: Way::Watched, variants }], vec![fs]))
}
