//! The figures as a plot: a panel for each measure, with bars by number of workers.

use crate::Result;
use crate::config::{LIBUV, OURS, PLAIN, RING};
use crate::stats::{self, Row, Samples};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error;
use std::fs;
use std::path::Path;

struct Panel {
    group: &'static str,
    series: &'static str,
    figure: &'static str,
    title: &'static str,
    /// What the values are multiplied by for the unit in the title.
    scale: f64,
}

const PANELS: [Panel; 9] = [
    panel("nop/flood", "light, 4096 deep", "throughput", "No-ops, millions per second", 1.0),
    panel("nop/flood", "heavy, 4096 deep", "throughput", "One system call each, millions per second", 1.0),
    panel("lstat", "flood", "throughput", "lstats, thousands per second", 1.0),
    panel("nop/latency", "light, 200 us later", "p50", "One no-op while all sleep, median in µs", 1e-3),
    panel("walk/warm", "stats", "time", "Walk with a stat per file, warm, ms", 1.0),
    panel("walk/cold", "stats", "time", "Walk with a stat per file, cold, ms", 1.0),
    panel("slow/lstat", "1 ms", "throughput", "1 ms an answer: lstats, thousands per second", 1.0),
    panel("slow/walk", "1 ms, names", "time", "1 ms an answer: walk, seconds", 1e-3),
    panel("slow/walk", "1 ms, stats", "time", "1 ms an answer: walk with a stat per file, seconds", 1e-3),
];

const fn panel(
    group: &'static str,
    series: &'static str,
    figure: &'static str,
    title: &'static str,
    scale: f64,
) -> Panel {
    Panel { group, series, figure, title, scale }
}

/// A line that is so many times as high as the bars says nothing about them, and would leave them no room.
const TOO_HIGH: f64 = 3.0;

const COLUMNS: usize = 3;
const PANEL_SIZE: (u32, u32) = (380, 260);
const LEGEND_HEIGHT: u32 = 44;
const LABELS_HEIGHT: u32 = 34;

/// Colours that can be told apart by everybody: the library's, those of other implementations, libuv's, a bare ring's.
const OUR_COLOUR: RGBColor = RGBColor(0, 114, 178);
const OTHER_COLOURS: [RGBColor; 3] = [RGBColor(230, 159, 0), RGBColor(204, 121, 167), RGBColor(213, 94, 0)];
const LIBUV_COLOUR: RGBColor = RGBColor(160, 160, 160);
const RING_COLOUR: RGBColor = RGBColor(0, 158, 115);
const INK: RGBColor = RGBColor(51, 51, 51);
const GRID: RGBColor = RGBColor(225, 225, 225);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

struct Line<'a> {
    samples: &'a Samples,
    colour: RGBColor,
    name: &'a str,
}

impl<'a> Line<'a> {
    fn new(row: &'a Row) -> Option<Self> {
        let (samples, colour) = match (row.get(PLAIN), row.get(RING)) {
            (Some(samples), _) => (samples, BLACK),
            (_, samples) => (samples?, RING_COLOUR),
        };
        Some(Self { samples, colour, name: row.series.rsplit(", ").next().unwrap_or_default() })
    }
}

/// The part of the rows that a panel shows.
struct Content<'a> {
    panel: &'a Panel,
    /// By number of workers.
    bars: Vec<&'a Row>,
    /// What is done in place of the queue: by plain system calls, or by one bare ring.
    lines: Vec<Line<'a>>,
}

impl<'a> Content<'a> {
    fn new(panel: &'a Panel, rows: &'a [Row]) -> Option<Self> {
        let rows = rows.iter().filter(|row| row.group == panel.group && row.figure == panel.figure);
        let (bars, lines): (Vec<_>, Vec<_>) = rows.partition(|row| row.workers.is_some());
        let bars: Vec<_> = bars.into_iter().filter(|row| row.series == panel.series).collect();
        // Those of the warm lstats go with any bars; others are named for theirs.
        let of_series = |row: &&Row| row.group == "lstat" || row.series.starts_with(panel.series);
        let mut lines: Vec<_> = lines.into_iter().filter(of_series).filter_map(Line::new).collect();
        let limit = TOO_HIGH * highest(bars.iter().flat_map(|row| &row.columns).map(|(_, samples)| samples));
        // Of the rings, only the best: the others are there to find it.
        let best_ring = highest(lines.iter().filter(|line| line.colour == RING_COLOUR).map(|line| line.samples));
        lines.retain(|line| {
            let median = line.samples.median();
            median < limit && (line.colour != RING_COLOUR || median == best_ring)
        });
        (!bars.is_empty()).then_some(Self { panel, bars, lines })
    }

    /// The end of the axis, above all bars and lines. A whisker may be cut off.
    fn top(&self) -> f64 {
        let bars = self.bars.iter().flat_map(|row| &row.columns).map(|(_, samples)| samples);
        highest(bars.chain(self.lines.iter().map(|line| line.samples))) * self.panel.scale * 1.2
    }

    /// The width of the plot, in groups of bars: beyond them there is room for what the lines are called.
    fn width(&self) -> f64 {
        let groups = self.bars.len() as f64;
        if self.lines.is_empty() { groups } else { groups * 1.22 }
    }
}

fn highest<'a>(samples: impl Iterator<Item = &'a Samples>) -> f64 {
    samples.map(Samples::median).fold(0.0, f64::max)
}

pub fn draw(rows: &[Row], svg: &Path) -> Result<()> {
    let contents: Vec<_> = PANELS.iter().filter_map(|panel| Content::new(panel, rows)).collect();
    if contents.is_empty() {
        return Ok(());
    }
    let whos = legend(&contents, rows);
    // What a viewer shows with the name of the file, and not half a plot.
    let new = svg.with_extension("svg.new");
    draw_to(&new, &contents, &whos).map_err(|e| e.to_string())?;
    fs::rename(&new, svg).map_err(|e| format!("{}: {e}", svg.display()))?;
    println!("\n{}", svg.display());
    Ok(())
}

/// Everyone who has bars, with their colours.
fn legend<'a>(contents: &[Content], rows: &'a [Row]) -> Vec<(&'a str, RGBColor)> {
    let mut whos = vec![(OURS, OUR_COLOUR)];
    whos.extend(stats::others(rows).into_iter().zip(OTHER_COLOURS.into_iter().cycle()));
    if contents.iter().any(|content| content.bars.iter().any(|row| row.get(LIBUV).is_some())) {
        whos.push((LIBUV, LIBUV_COLOUR));
    }
    whos
}

type Drawn = std::result::Result<(), Box<dyn Error>>;

fn draw_to(path: &Path, contents: &[Content], whos: &[(&str, RGBColor)]) -> Drawn {
    let columns = contents.len().min(COLUMNS);
    let lines = contents.len().div_ceil(columns);
    let size = (PANEL_SIZE.0 * columns as u32, PANEL_SIZE.1 * lines as u32 + LEGEND_HEIGHT);
    let root = SVGBackend::new(path, size).into_drawing_area();
    // Readers may have a dark page behind it.
    root.fill(&WHITE)?;
    let (top, panels) = root.split_vertically(LEGEND_HEIGHT);
    draw_legend(&top, whos, contents)?;
    for (content, area) in contents.iter().zip(panels.split_evenly((lines, columns))) {
        draw_panel(&area, content, whos)?;
    }
    root.present()?;
    Ok(())
}

fn text(size: u32, horizontal: HPos) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK).pos(Pos::new(horizontal, VPos::Center))
}

fn draw_legend(area: &Area, whos: &[(&str, RGBColor)], contents: &[Content]) -> Drawn {
    let middle = LEGEND_HEIGHT as i32 / 2;
    let mut x = 24;
    for (name, colour) in whos {
        area.draw(&Rectangle::new([(x, middle - 7), (x + 14, middle + 7)], colour.filled()))?;
        x = draw_legend_text(area, x, name)?;
    }
    for (name, colour) in [("plain system calls", BLACK), ("one ring alone", RING_COLOUR)] {
        if contents.iter().flat_map(|content| &content.lines).any(|line| line.colour == colour) {
            area.draw(&PathElement::new([(x, middle), (x + 14, middle)], colour.stroke_width(1)))?;
            x = draw_legend_text(area, x, name)?;
        }
    }
    Ok(())
}

/// Returns where the next one goes.
fn draw_legend_text(area: &Area, x: i32, name: &str) -> std::result::Result<i32, Box<dyn Error>> {
    area.draw(&Text::new(name.to_string(), (x + 22, LEGEND_HEIGHT as i32 / 2), text(15, HPos::Left)))?;
    // Whatever the font
    Ok(x + 52 + 9 * name.len() as i32)
}

fn draw_panel(area: &Area, content: &Content, whos: &[(&str, RGBColor)]) -> Drawn {
    let groups = content.bars.len();
    let scale = content.panel.scale;
    let mut chart = ChartBuilder::on(area)
        .margin_right(14)
        .y_label_area_size(46)
        .margin_bottom(LABELS_HEIGHT)
        .margin_top(30)
        .build_cartesian_2d(0.0..content.width(), 0.0..content.top())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .y_labels(6)
        .y_label_formatter(&|y| y.to_string())
        .label_style(text(12, HPos::Right))
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(GRID)
        .draw()?;

    let direction = if content.bars[0].more_is_better() { "more is better" } else { "less is better" };
    area.draw(&Text::new(content.panel.title, (24, 12), text(14, HPos::Left)))?;
    let bottom = chart.backend_coord(&(0.0, 0.0)).1 - area.get_base_pixel().1;

    for (i, row) in content.bars.iter().enumerate() {
        // As many as there are in this row, in the middle of its place
        let present: Vec<_> = whos.iter().filter_map(|(who, colour)| Some((row.get(who)?, *colour))).collect();
        let width = 0.8 / present.len() as f64;
        for (j, (samples, colour)) in present.into_iter().enumerate() {
            let left = i as f64 + 0.1 + j as f64 * width;
            chart.draw_series(bar(left, width, scale, samples, colour))?;
            chart.draw_series([whisker(left + width / 2.0, scale, content.top(), samples)])?;
        }
        let middle = chart.backend_coord(&(i as f64 + 0.5, 0.0)).0 - area.get_base_pixel().0;
        let workers = row.workers.unwrap_or_default().to_string();
        area.draw(&Text::new(workers, (middle, bottom + 10), text(12, HPos::Center)))?;
    }
    let middle = chart.backend_coord(&(groups as f64 / 2.0, 0.0)).0 - area.get_base_pixel().0;
    area.draw(&Text::new(format!("workers ({direction})"), (middle, bottom + 24), text(12, HPos::Center)))?;

    for line in &content.lines {
        let y = line.samples.median() * scale;
        chart.draw_series([PathElement::new([(0.0, y), (content.width(), y)], line.colour.stroke_width(1))])?;
        let (x, y) = chart.backend_coord(&(content.width(), y));
        let (left, top) = area.get_base_pixel();
        area.draw(&Text::new(line.name.to_string(), (x - left - 2, y - top - 8), text(11, HPos::Right)))?;
    }
    Ok(())
}

fn bar(left: f64, width: f64, scale: f64, samples: &Samples, colour: RGBColor) -> [Rectangle<(f64, f64)>; 1] {
    [Rectangle::new([(left, 0.0), (left + width * 0.92, samples.median() * scale)], colour.filled())]
}

/// From quartile to quartile.
fn whisker(x: f64, scale: f64, top: f64, samples: &Samples) -> PathElement<(f64, f64)> {
    let (low, high) = (samples.quantile(0.25) * scale, samples.quantile(0.75) * scale);
    PathElement::new([(x, low), (x, high.min(top))], INK.stroke_width(1))
}
