//! The figures as CSV: a summary, and every run, which can be read again.

use crate::Result;
use crate::cases::GROUPS;
use crate::config::scratch;
use crate::stats::{Row, Samples};
use std::error::Error;
use std::path::{Path, PathBuf};

pub fn write(rows: &[Row]) -> Result<()> {
    summary(rows).and_then(|()| runs(rows)).map_err(|e| e.to_string())
}

fn summary(rows: &[Row]) -> std::result::Result<(), Box<dyn Error>> {
    let mut out = csv::Writer::from_path(scratch().join("results.csv"))?;
    out.write_record(["group", "case", "figure", "unit", "who", "runs", "median", "min", "max", "ratio"])?;
    for row in rows {
        for (who, samples) in &row.columns {
            out.serialize((
                (row.group, row.case(), &row.figure, &row.unit, who),
                (samples.runs().len(), samples.median(), samples.quantile(0.0), samples.quantile(1.0)),
                row.ratio(who),
            ))?;
        }
    }
    Ok(out.flush()?)
}

fn runs(rows: &[Row]) -> std::result::Result<(), Box<dyn Error>> {
    let mut out = csv::Writer::from_path(scratch().join("runs.csv"))?;
    out.write_record(["group", "series", "workers", "figure", "unit", "who", "run", "value"])?;
    for row in rows {
        for (who, samples) in &row.columns {
            for (run, value) in samples.runs().iter().enumerate() {
                let case = (row.group, &row.series, row.workers);
                out.serialize((case, &row.figure, &row.unit, who, run + 1, value))?;
            }
        }
    }
    Ok(out.flush()?)
}

/// Reads what `runs` wrote. Where several files have a group, it is the last one's.
pub fn read(files: &[PathBuf]) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = vec![];
    for file in files {
        let new = read_runs(file).map_err(|e| format!("{}: {e}", file.display()))?;
        rows.retain(|row| new.iter().all(|new| new.group != row.group));
        rows.extend(new);
    }
    Ok(rows)
}

/// A line of the file.
type Run = ((String, String, Option<usize>), String, String, String, usize, f64);

fn read_runs(file: &Path) -> std::result::Result<Vec<Row>, Box<dyn Error>> {
    let lines: Vec<Run> = csv::Reader::from_path(file)?.into_deserialize().collect::<std::result::Result<_, _>>()?;
    let mut rows = vec![];
    for lines in lines.chunk_by(|a, b| (&a.0, &a.1) == (&b.0, &b.1)) {
        let ((group, series, workers), figure, unit, ..) = lines[0].clone();
        let group = GROUPS.iter().find(|known| known.name == group).ok_or(format!("unknown group {group}"))?.name;
        let by_who = lines.chunk_by(|a, b| a.3 == b.3);
        let columns = by_who.map(|runs| (runs[0].3.clone(), Samples::new(runs.iter().map(|run| run.5).collect())));
        rows.push(Row { group, series, workers, figure, unit, columns: columns.collect() });
    }
    Ok(rows)
}
