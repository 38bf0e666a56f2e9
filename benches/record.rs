//! The figures as CSV: a summary, and every run.

use crate::Result;
use crate::config::scratch;
use crate::stats::Row;
use std::error::Error;

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
    out.write_record(["group", "case", "figure", "unit", "who", "run", "value"])?;
    for row in rows {
        for (who, samples) in &row.columns {
            for (run, value) in samples.runs().iter().enumerate() {
                out.serialize((row.group, row.case(), &row.figure, &row.unit, who, run + 1, value))?;
            }
        }
    }
    Ok(out.flush()?)
}
