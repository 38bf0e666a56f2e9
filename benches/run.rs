//! A group of cases, measured, after one round that does not count where that makes a difference.
//!
//! A round is a run of everyone in every case, so that whatever else the machine does comes to all of them.

use crate::Result;
use crate::cases::{Case, Variant, Way, drop_caches};
use crate::compile::Programs;
use crate::config::{Config, PLAIN, scratch};
use crate::stats::{Row, Samples};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

/// A line of a program's output.
struct Figure {
    name: String,
    value: f64,
    unit: String,
}

/// The figures of a round, by case and variant.
type Round = Vec<Vec<Vec<Figure>>>;

/// The unit of figures that are no measurements, but for the driver to check and to use.
const COUNT: &str = "count";

/// The system calls that are counted.
const CALLS: [&str; 2] = ["futex", "io_uring_enter"];

/// How often the kernel's threads are counted.
const COUNT_EVERY: Duration = Duration::from_millis(100);

pub struct Runner<'a> {
    config: &'a Config,
    /// How many entries every walk must find.
    entries: Option<f64>,
    /// A directory that is empty.
    empty: PathBuf,
}

impl<'a> Runner<'a> {
    pub fn new(config: &'a Config) -> Result<Self> {
        let empty = scratch().join("empty");
        fs::create_dir_all(&empty).map_err(|e| format!("{}: {e}", empty.display()))?;
        Ok(Self { config, entries: None, empty })
    }

    /// Measures the cases of a group.
    pub fn run(&mut self, cases: &[Case]) -> Result<Vec<Row>> {
        let first = &cases[0].variants[0];
        self.entries = if first.program.ends_with("walk") { Some(reference(&first.args[1])?) } else { None };
        if cases[0].way == Way::Warm {
            self.round(cases)?;
        }
        let rounds: Result<Vec<_>> = (0..self.runs(&cases[0])).map(|_| self.round(cases)).collect();
        let rounds = rounds?;
        Ok(cases.iter().enumerate().flat_map(|(nth, case)| rows(case, nth, &rounds)).collect())
    }

    /// One run of everyone in every case.
    fn round(&self, cases: &[Case]) -> Result<Round> {
        let case = |case: &Case| case.variants.iter().map(|variant| self.once(case, variant)).collect();
        cases.iter().map(case).collect()
    }

    /// How many runs count.
    pub fn runs(&self, case: &Case) -> usize {
        match case.way {
            Way::Warm => self.config.runs,
            Way::Cold => self.config.cold_runs,
            Way::Slow => self.config.slow_runs,
            Way::Traced | Way::Watched => 1,
        }
    }

    /// One run. Returns what it measured.
    fn once(&self, case: &Case, variant: &Variant) -> Result<Vec<Figure>> {
        let figures = match case.way {
            Way::Warm | Way::Slow => output(Command::new(&variant.program).args(&variant.args))?,
            Way::Cold => self.cold(variant)?,
            Way::Traced => traced(variant)?,
            Way::Watched => watched(variant)?,
        };
        if let (Ok(entries), Some(expected)) = (find(&figures, "entries"), self.entries) {
            if entries != expected {
                let args = variant.args.join(" ");
                return Err(format!("{}: walk {args}: {entries} entries, not {expected}", variant.who));
            }
        }
        Ok(figures.into_iter().filter(|figure| figure.unit != COUNT).collect())
    }

    fn cold(&self, variant: &Variant) -> Result<Vec<Figure>> {
        drop_caches()?;
        // Only the tree is to be cold, not the program and its libraries.
        let mut warm_up = Command::new(&variant.program);
        output(warm_up.arg(&variant.args[0]).arg(&self.empty).args(&variant.args[2..]))?;
        output(Command::new(&variant.program).args(&variant.args))
    }
}

/// The number of entries that a walk by plain system calls finds.
fn reference(dir: &str) -> Result<f64> {
    let figures = output(Command::new(Programs::path(PLAIN, "walk-plain")).args(["names", dir]))?;
    find(&figures, "entries")
}

/// Runs a program under strace, and counts system calls in place of its own figures.
fn traced(variant: &Variant) -> Result<Vec<Figure>> {
    let log = scratch().join("strace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-q", "-e", &format!("trace={}", CALLS.join(",")), "-o"]).arg(&log);
    let mut figures = output(strace.arg(&variant.program).args(&variant.args))?;
    let requests = find(&figures, "requests")?;

    let log = fs::read_to_string(&log).map_err(|e| format!("{}: {e}", log.display()))?;
    figures.retain(|figure| figure.unit == COUNT);
    for name in CALLS {
        // % time, seconds, usecs/call, calls, errors if any, syscall
        let line = log.lines().find(|line| line.split_whitespace().next_back() == Some(name));
        let calls = line.and_then(|line| line.split_whitespace().nth(3)).map_or(Ok(0.0), |calls| calls.parse::<f64>());
        let calls = calls.map_err(|_| format!("strace says: {log}"))?;
        figures.push(Figure { name: name.into(), value: calls / requests * 1e3, unit: "calls".into() });
    }
    Ok(figures)
}

/// Runs a program, and counts the kernel's threads for its rings meanwhile: the most that there are in the first fifth
/// of the time and in the last.
fn watched(variant: &Variant) -> Result<Vec<Figure>> {
    let mut command = Command::new(&variant.program);
    command.args(&variant.args).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut counts = vec![];
    let output = command.spawn().and_then(|mut child| {
        while child.try_wait()?.is_none() {
            counts.push(kernel_threads(child.id()));
            thread::sleep(COUNT_EVERY);
        }
        child.wait_with_output()
    });
    let mut figures = figures(&command, output)?;
    let fifth = counts.len().div_ceil(5);
    for (name, counts) in [("at its start", &counts[..fifth]), ("at its end", &counts[counts.len() - fifth..])] {
        let most = counts.iter().max().map_or(0.0, |&most| most as f64);
        figures.push(Figure { name: name.into(), value: most, unit: "threads".into() });
    }
    Ok(figures)
}

/// How many threads the kernel has for the rings of a process.
fn kernel_threads(process: u32) -> usize {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let names = threads.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
    names.filter(|name| name.starts_with("iou-wrk")).count()
}

/// Runs a program, and reads its figures.
fn output(command: &mut Command) -> Result<Vec<Figure>> {
    let output = command.output();
    figures(command, output)
}

/// The figures that a program has printed.
fn figures(command: &Command, output: std::io::Result<Output>) -> Result<Vec<Figure>> {
    let output = output.map_err(|e| format!("{command:?}: {e}"))?;
    if !output.status.success() {
        let hung = if output.status.signal() == Some(libc::SIGALRM) { " (it hung)" } else { "" };
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}{hung}\n{said}", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| parse(line).ok_or(format!("{command:?}: no figure: {line}"))).collect()
}

fn parse(line: &str) -> Option<Figure> {
    let mut words = line.split_whitespace().map(String::from);
    let (name, value, unit) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
    Some(Figure { name, value, unit })
}

fn find(figures: &[Figure], name: &str) -> Result<f64> {
    figures.iter().find(|figure| figure.name == name).map(|figure| figure.value).ok_or(format!("no figure for {name}"))
}

/// Turns what the rounds brought for a case around: a row for each figure. All its variants have the same figures.
fn rows(case: &Case, nth: usize, rounds: &[Round]) -> Vec<Row> {
    let row = |(figure, first): (usize, &Figure)| {
        let samples = |variant: usize| Samples::new(rounds.iter().map(|r| r[nth][variant][figure].value).collect());
        let column = |(i, variant): (usize, &Variant)| (variant.who.clone(), samples(i));
        Row {
            group: case.group,
            series: case.series.clone(),
            workers: case.workers,
            figure: first.name.clone(),
            unit: first.unit.clone(),
            columns: case.variants.iter().enumerate().map(column).collect(),
        }
    };
    rounds[0][nth][0].iter().enumerate().map(row).collect()
}
