//! The figures as a table on the terminal, one for each group.

use crate::config::OURS;
use crate::stats::{self, Row};

/// Prints rows of one group: the library's median and spread; for everyone else the median, and how many times better
/// the library is.
pub fn print(rows: &[Row]) {
    let names = stats::competitors(rows);
    let others = stats::others(rows);
    // With one other there is no choice.
    let best = others.len() > 1;

    // The ratio only of those who are measured together with the library
    let compared: Vec<_> = names.iter().map(|name| rows.iter().any(|row| row.ratio(name).is_some())).collect();

    let mut head = vec!["".into(), "".into(), "".into(), OURS.into(), "+-".into()];
    for (name, compared) in names.iter().zip(&compared) {
        head.push(name.to_string());
        head.extend(compared.then(|| "ratio".into()));
    }
    if best {
        head.push("best".into());
    }
    let mut lines = vec![head];
    let mut last_case = String::new();
    for row in rows {
        let ours = row.get(OURS);
        let case = if row.case() == last_case { String::new() } else { row.case() };
        last_case = row.case();
        let mut line = vec![case, row.figure.clone(), row.unit.clone()];
        line.push(ours.map_or("".into(), |samples| number(samples.median())));
        line.push(ours.map_or("".into(), |samples| format!("{:.0}%", samples.spread() * 100.0)));
        for (name, compared) in names.iter().zip(&compared) {
            line.push(row.get(name).map_or("".into(), |samples| number(samples.median())));
            line.extend(compared.then(|| row.ratio(name).map_or("".into(), ratio)));
        }
        if best {
            line.push(row.best_ratio(&others).map_or("".into(), ratio));
        }
        lines.push(line);
    }
    print_aligned(&lines);
}

fn print_aligned(lines: &[Vec<String>]) {
    const LEFT: usize = 3;
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..lines[0].len()).map(width).collect();
    for line in lines {
        let mut text = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            text += &if column < LEFT { format!("  {cell:<width$}") } else { format!("  {cell:>width$}") };
        }
        println!("{}", text.trim_end());
    }
}

fn ratio(ratio: f64) -> String {
    if ratio < 1.0 { format!("{ratio:.2}x") } else { number(ratio) + "x" }
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        v if v < 1.0 => format!("{value:.3}"),
        v if v < 10.0 => format!("{value:.2}"),
        v if v < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
