//! The benchmarks (`make bench`): the C programs beside this file, built against the library and against any others
//! that `IOQ_OTHER` names, run by turns, and summarised as a table, as CSV and as a plot.
//!
//! - `config.rs`: what the environment asks for
//! - `compile.rs`: the programs, one build for each implementation
//! - `cases.rs`: what is measured
//! - `slow.rs`: what is measured on slow file systems, and those
//! - `run.rs`: the runs
//! - `stats.rs`: the figures that come of it
//! - `table.rs`, `record.rs`, `plot.rs`: where they go

mod cases;
mod compile;
mod config;
mod plot;
mod record;
mod run;
mod slow;
mod stats;
mod table;

use cases::GROUPS;
use compile::Programs;
use config::{Config, scratch};
use run::Runner;
use stats::Row;
use std::path::Path;
use std::process::ExitCode;

/// Errors are for the reader alone.
type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("bench: {e}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<()> {
    let config = Config::from_env()?;
    if !config.recorded.is_empty() {
        return show(&config);
    }
    if !GROUPS.iter().any(|group| config.wants(group.name)) {
        return Err("nothing to measure: BENCH_ONLY has names of groups, such as nop,lstat,walk/warm".into());
    }
    let programs = compile::all(&config)?;
    let paths = scratch().join("paths");
    println!("{} files for the lstats", cases::list_files(&config.dir, &paths)?);
    println!("{config}");

    let mut rows = vec![];
    // What was measured before something failed took its time too.
    let measured = measure(&config, &programs, &paths, &mut rows);
    record::write(&rows)?;
    measured?;
    plot::draw(&rows, &config.svg)
}

/// Shows what was measured before.
fn show(config: &Config) -> Result<()> {
    let rows = record::read(&config.recorded)?;
    for group in &GROUPS {
        let rows: Vec<_> = rows.iter().filter(|row| row.group == group.name).cloned().collect();
        if !rows.is_empty() {
            println!("\n{}: {}", group.name, group.title);
            table::print(&rows);
        }
    }
    plot::draw(&rows, &config.svg)
}

fn measure(config: &Config, programs: &Programs, paths: &Path, rows: &mut Vec<Row>) -> Result<()> {
    let mut runner = Runner::new(config)?;
    for group in GROUPS.iter().filter(|group| config.wants(group.name)) {
        // Mounted until the group is measured.
        let (cases, _mounts) = match cases::of(group.name, config, programs, paths) {
            Ok(measurable) => measurable,
            Err(reason) => {
                println!("\n{}: skipped, {reason}", group.name);
                continue;
            }
        };
        println!("\n{}: {} (runs: {})", group.name, group.title, runner.runs(&cases[0]));
        let start = rows.len();
        rows.extend(runner.run(&cases)?);
        table::print(&rows[start..]);
    }
    Ok(())
}
