//! Figures: what was measured, and how the implementations compare.

use crate::config::{LIBUV, OURS, PLAIN, RING};

/// The values of one figure in all runs.
#[derive(Clone)]
pub struct Samples {
    runs: Vec<f64>,
    sorted: Vec<f64>,
}

impl Samples {
    pub fn new(runs: Vec<f64>) -> Self {
        let mut sorted = runs.clone();
        sorted.sort_by(f64::total_cmp);
        Self { runs, sorted }
    }

    /// The values in the order of the runs.
    pub fn runs(&self) -> &[f64] {
        &self.runs
    }

    /// The value that a share of the others is below, between two of them if need be.
    pub fn quantile(&self, share: f64) -> f64 {
        let position = share * (self.sorted.len() - 1) as f64;
        let (low, high) = (self.sorted[position.floor() as usize], self.sorted[position.ceil() as usize]);
        low + (high - low) * position.fract()
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Half the distance of the quartiles, as a share of the median.
    pub fn spread(&self) -> f64 {
        if self.median() == 0.0 {
            return 0.0;
        }
        (self.quantile(0.75) - self.quantile(0.25)) / 2.0 / self.median()
    }
}

/// One figure of one case, for everyone who was measured.
#[derive(Clone)]
pub struct Row {
    pub group: &'static str,
    pub series: String,
    pub workers: Option<usize>,
    pub figure: String,
    pub unit: String,
    pub columns: Vec<(String, Samples)>,
}

impl Row {
    pub fn case(&self) -> String {
        match self.workers {
            None => self.series.clone(),
            Some(1) => format!("{}, 1 worker", self.series),
            Some(n) => format!("{}, {n} workers", self.series),
        }
    }

    pub fn get(&self, who: &str) -> Option<&Samples> {
        self.columns.iter().find(|(name, _)| name == who).map(|(_, samples)| samples)
    }

    pub fn more_is_better(&self) -> bool {
        self.unit.ends_with("/s")
    }

    /// How many times better the library is than someone else. None if there is nothing of it on either side.
    pub fn ratio(&self, who: &str) -> Option<f64> {
        let (ours, theirs) = (self.get(OURS)?.median(), self.get(who)?.median());
        let (better, worse) = if self.more_is_better() { (ours, theirs) } else { (theirs, ours) };
        (ours != 0.0 && theirs != 0.0).then(|| better / worse)
    }

    /// The same against the best of all other implementations.
    pub fn best_ratio(&self, others: &[&str]) -> Option<f64> {
        let ratios: Option<Vec<_>> = others.iter().map(|other| self.ratio(other)).collect();
        ratios?.into_iter().reduce(f64::min)
    }
}

/// Everyone in some rows but the library, in the order of the columns.
pub fn competitors(rows: &[Row]) -> Vec<&str> {
    let mut names: Vec<&str> = vec![];
    for (name, _) in rows.iter().flat_map(|row| &row.columns) {
        if name != OURS && !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

/// Of those, the other implementations of the queue.
pub fn others(rows: &[Row]) -> Vec<&str> {
    let mut names = competitors(rows);
    names.retain(|name| ![PLAIN, LIBUV, RING].contains(name));
    names
}
