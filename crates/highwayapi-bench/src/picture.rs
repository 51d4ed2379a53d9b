//! The picture for the README: bars on logarithmic scales, in plain SVG that fits a light and a dark page.

use std::fmt::Write;

use crate::benchmarks::{CPU, DOWNLOAD, MEMORY, START, SUBMIT};
use crate::player::{LIMIT_NAME, OURS};
use crate::report::{Report, Row, Table, Unit};

const WIDTH: f64 = 860.0;
const COLUMN: f64 = 430.0;
const LINE: f64 = 19.0;
/// Where bars begin and how long the longest is.
const LEFT: f64 = 168.0;
const LONGEST: f64 = 195.0;
const MOST_BARS: usize = 18;

const STYLE: &str = "\
text{font:12px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#24292f}\
.title{font-weight:600;font-size:13px}.note{fill:#57606a;font-size:11px}\
.ours text{font-weight:600}.bar{fill:#8c959f}.ours .bar{fill:#cf4a0c}.limit .bar{fill:#1a7f37}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.note{fill:#9198a1}.bar{fill:#656c76}\
.ours .bar{fill:#ff8a4c}.limit .bar{fill:#3fb950}}";

/// The picture of those tables that the report has.
pub(crate) fn svg(report: &Report) -> String {
    let panels = [
        ("B1, B2", SUBMIT, MEMORY, "Memory of one submit of 2 × 20 MB"),
        ("B1, B2", SUBMIT, CPU, "CPU of that submit"),
        ("B5", DOWNLOAD, MEMORY, "Memory of a download of 100 MiB"),
        ("B6", START, 0, "Program start to first byte"),
    ];
    let panel_of = |(bench, what, column, title): (&str, &str, usize, &'static str)| {
        let table = report.table(bench, what)?;
        Some((title, table.columns[column].unit, bars(table, column)))
    };
    let panels: Vec<(&str, Unit, Vec<Bar>)> = panels.into_iter().filter_map(panel_of).collect();
    let mut body = String::new();
    let mut top = 0.0;
    for row in panels.chunks(2) {
        for (index, (title, unit, bars)) in row.iter().enumerate() {
            panel(&mut body, index as f64 * COLUMN, top, title, *unit, bars);
        }
        top += 48.0 + LINE * row.iter().map(|(.., bars)| bars.len()).max().unwrap_or(0) as f64;
    }
    let note = format!(
        "Medians of {} runs, {}; logarithmic scales; peers with their own APIs, at their defaults; all of it in docs/benchmarks.md.",
        report.runs, report.date
    );
    let _ = write!(body, r#"<text class="note" x="8" y="{:.0}">{}</text>"#, top + 14.0, escaped(&note));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
         height=\"{height:.0}\" role=\"img\" aria-label=\"Benchmarks beside other clients\">\
         <style>{STYLE}</style>{body}</svg>\n",
        height = top + 24.0
    )
}

struct Bar {
    name: String,
    class: &'static str,
    value: f64,
}

/// The limit and ours first, the others from the smallest on.
fn bars(table: &Table, column: usize) -> Vec<Bar> {
    let bar = |row: &Row| {
        let ours = row.client == OURS || row.client.starts_with("highway ");
        let class = if row.client == LIMIT_NAME {
            "limit"
        } else if ours {
            "ours"
        } else {
            "other"
        };
        Some(Bar { name: row.client.clone(), class, value: row.median(column)? })
    };
    // Other ways to use the same client stand in the tables alone.
    let mut bars: Vec<Bar> = table.rows.iter().filter_map(bar).collect();
    bars.retain(|bar| bar.class == "ours" || !bar.name.contains(", ") && bar.name != "curl -d");
    let place = |bar: &Bar| ["limit", "ours", "other"].iter().position(|class| *class == bar.class);
    bars.sort_by(|a, b| place(a).cmp(&place(b)).then(a.value.total_cmp(&b.value)));
    bars.truncate(MOST_BARS);
    bars
}

fn panel(body: &mut String, left: f64, top: f64, title: &str, unit: Unit, bars: &[Bar]) {
    // From the decade of the smallest that is not nothing.
    let values = || bars.iter().map(|bar| bar.value).filter(|&value| value > 0.01);
    let lowest = values().fold(f64::INFINITY, f64::min).log10().floor();
    let highest = values().fold(f64::NEG_INFINITY, f64::max).log10();
    let _ = write!(
        body,
        r#"<text class="title" x="{:.0}" y="{:.0}">{}, {}</text>"#,
        left + 8.0,
        top + 20.0,
        escaped(title),
        unit.name()
    );
    for (index, Bar { name, class, value }) in bars.iter().enumerate() {
        let y = top + 32.0 + LINE * index as f64;
        let part = (value.max(0.01).log10() - lowest) / (highest - lowest).max(0.1);
        let length = (part * LONGEST).clamp(2.0, LONGEST);
        let _ = write!(
            body,
            r#"<g class="{class}"><text x="{:.0}" y="{:.0}" text-anchor="end">{}</text><rect class="bar" x="{:.0}" y="{y:.0}" width="{length:.1}" height="14" rx="2"/><text x="{:.0}" y="{:.0}">{}</text></g>"#,
            left + LEFT - 6.0,
            y + 11.5,
            escaped(&short(name)),
            left + LEFT,
            left + LEFT + length + 5.0,
            y + 11.5,
            unit.number(*value)
        );
    }
}

/// As much of a name as there is room for.
fn short(name: &str) -> String {
    const ROOM: usize = 25;
    if name.chars().count() <= ROOM { name.to_owned() } else { name.chars().take(ROOM - 1).chain(['…']).collect() }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Column;

    #[test]
    fn ours_stands_behind_the_limit_and_bars_grow_with_the_logarithm() {
        let row = |client, value| Row::new(client, vec![vec![0.0], vec![value]]);
        let rows = vec![row("a <b>", 100.0), row(OURS, 1.0), row(LIMIT_NAME, 0.1), row("c", 10.0)];
        let columns = ["memory", "CPU"].map(|name| Column::new(name, Unit::MiB)).into();
        let table = Table::new("B1, B2", SUBMIT, columns, rows, "");
        let names: Vec<String> = bars(&table, CPU).into_iter().map(|bar| bar.name).collect();
        assert_eq!(names, [LIMIT_NAME, OURS, "c", "a <b>"]);
        let svg = svg(&Report { tables: vec![table], ..Report::default() });
        assert!(svg.contains("a &lt;b&gt;"), "{svg}");
        for length in [2.0, 65.0, 130.0, 195.0] {
            assert!(svg.contains(&format!("width=\"{length:.1}\" height=\"14\"")), "{length} in {svg}");
        }
    }
}
