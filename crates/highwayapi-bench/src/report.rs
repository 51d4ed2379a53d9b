//! What came out, as tables for people and as every single number.

use serde::Serialize;
use serde_json::Value;

use crate::Result;
use crate::client::Cost;
use crate::player::Runs;
use crate::stats;

/// All of one run of the benchmarks.
#[derive(Default, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) date: String,
    /// Programs that peers run on.
    pub(crate) programs: Vec<String>,
    pub(crate) runs: usize,
    /// Who was measured, and how each does it.
    pub(crate) clients: Vec<(String, String)>,
    /// Benchmarks that could not be run to their end.
    pub(crate) failures: Vec<String>,
    pub(crate) goals: Vec<Goal>,
    pub(crate) tables: Vec<Table>,
}

/// What this client is to reach, and whether it does.
#[derive(Serialize)]
pub(crate) struct Goal {
    pub(crate) bench: &'static str,
    pub(crate) what: String,
    pub(crate) wanted: String,
    pub(crate) ours: String,
    /// The limit or the best of the others.
    pub(crate) beside: String,
    pub(crate) holds: bool,
}

#[derive(Clone, Copy, Serialize)]
pub(crate) enum Unit {
    MiB,
    Seconds,
    Milliseconds,
    Microseconds,
    Count,
}

/// One thing measured of many clients.
#[derive(Serialize)]
pub(crate) struct Table {
    pub(crate) bench: &'static str,
    pub(crate) what: String,
    pub(crate) unit: Unit,
    pub(crate) rows: Vec<Row>,
    /// How it was measured, and what the limit is.
    pub(crate) note: String,
}

#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) client: String,
    pub(crate) version: String,
    /// One of each run.
    pub(crate) values: Vec<f64>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) absent: Option<String>,
}

impl Unit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MiB => "MiB",
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Microseconds => "µs",
            Self::Count => "",
        }
    }

    /// With as many digits as say something.
    pub(crate) fn number(self, value: f64) -> String {
        match value.abs() {
            size if size >= 100.0 => format!("{value:.0}"),
            size if size >= 10.0 => format!("{value:.1}"),
            size if size >= 0.1 => format!("{value:.2}"),
            _ => format!("{value:.3}"),
        }
    }
}

impl Row {
    pub(crate) fn of(runs: &Runs, value: impl Fn(&Cost) -> f64) -> Self {
        let costs = runs.costs.as_deref().unwrap_or_default();
        Self {
            client: runs.player.name.clone(),
            version: costs.first().map(|cost| cost.version.clone()).unwrap_or_default(),
            values: costs.iter().map(value).collect(),
            absent: runs.costs.as_ref().err().cloned(),
        }
    }

    pub(crate) fn median(&self) -> Option<f64> {
        stats::median(&self.values)
    }
}

impl Table {
    /// The median of the client of this name.
    pub(crate) fn median(&self, client: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.client == client)?.median()
    }

    fn markdown(&self) -> String {
        let unit = self.unit.name();
        let unit = if unit.is_empty() { String::new() } else { format!(", {unit}") };
        let mut text = format!("### {}: {}{unit}\n\n", self.bench, self.what);
        text += "| client | version | median | min–max | runs |\n| --- | --- | ---: | ---: | ---: |\n";
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        // Absent ones last; the order of the others says what is better.
        rows.sort_by(|a, b| {
            let key = |row: &Row| row.median().unwrap_or(f64::INFINITY);
            key(a).total_cmp(&key(b))
        });
        for row in rows {
            let (low, high) = stats::spread(&row.values);
            text += &match (row.median(), &row.absent) {
                (_, Some(why)) => format!("| {} | {} | absent: {} | | |\n", row.client, row.version, cell(why)),
                (None, None) => format!("| {} | {} | absent | | |\n", row.client, row.version),
                (Some(median), None) => {
                    let number = |value| self.unit.number(value);
                    let (client, version, runs) = (&row.client, cell(&row.version), row.values.len());
                    format!(
                        "| {client} | {version} | {} | {}–{} | {runs} |\n",
                        number(median),
                        number(low),
                        number(high)
                    )
                }
            };
        }
        if !self.note.is_empty() {
            text += &format!("\n{}\n", self.note);
        }
        text
    }
}

/// To five digits.
fn round(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let rounded = number.as_f64().and_then(|number| format!("{number:.4e}").parse::<f64>().ok());
            if let (false, Some(rounded)) = (number.is_u64(), rounded) {
                *value = rounded.into();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(round),
        Value::Object(fields) => fields.values_mut().for_each(round),
        _ => {}
    }
}

/// A line for each client, so that a change can be read.
fn lines(report: &Value) -> String {
    let text = report.to_string();
    text.replace("{\"absent\"", "\n{\"absent\"")
        .replace("{\"client\"", "\n{\"client\"")
        .replace("{\"bench\"", "\n{\"bench\"")
}

/// Text that cannot end a cell of a table.
fn cell(text: &str) -> String {
    text.replace(['|', '\n', '\r'], " ")
}

impl Report {
    pub(crate) fn table(&self, bench: &str, what: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.bench == bench && table.what == what)
    }

    /// Every number of every run, rounded to what was measured.
    pub(crate) fn numbers(&self) -> Result<String> {
        let mut all = serde_json::to_value(self)?;
        round(&mut all);
        Ok(format!("{}\n", lines(&all)))
    }

    /// The whole page.
    pub(crate) fn document(&self) -> String {
        let method = include_str!("document.md");
        let (machine, programs) = (&self.machine, self.programs.join(", "));
        let tables = self.markdown();
        format!("{method}\n## What came out\n\n{}: {machine}. {programs}. {} runs.\n\n{tables}", self.date, self.runs)
    }

    /// What is to be reached, and every table.
    pub(crate) fn markdown(&self) -> String {
        let mut text =
            String::from("| | benchmark | wanted | ours | beside | |\n| --- | --- | --- | --- | --- | --- |\n");
        for Goal { bench, what, wanted, ours, beside, holds } in &self.goals {
            let holds = if *holds { "holds" } else { "**not yet**" };
            text += &format!("| {bench} | {what} | {wanted} | {ours} | {beside} | {holds} |\n");
        }
        for failure in &self.failures {
            text += &format!("\n**{failure}**\n");
        }
        for table in &self.tables {
            text += &format!("\n{}", table.markdown());
        }
        text += "\n### The clients\n\n| client | how it does it |\n| --- | --- |\n";
        for (client, how) in &self.clients {
            text += &format!("| {client} | {how} |\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_who_is_absent_and_why() {
        let row = |client: &str, values: &[f64], absent: Option<&str>| Row {
            client: client.to_owned(),
            version: "1".to_owned(),
            values: values.to_vec(),
            absent: absent.map(str::to_owned),
        };
        let rows = vec![row("a", &[0.5, 1.25, 200.0], None), row("b", &[], Some("no | way"))];
        let table = Table { bench: "B1", what: "peak".to_owned(), unit: Unit::MiB, rows, note: "A note.".to_owned() };
        let report = Report { tables: vec![table], ..Report::default() };
        let text = report.markdown();
        assert!(text.contains("### B1: peak, MiB"), "{text}");
        assert!(text.contains("| a | 1 | 1.25 | 0.50–200 | 3 |"), "{text}");
        assert!(text.contains("| b | 1 | absent: no   way | | |"), "{text}");
        assert!(text.contains("\n\nA note.\n"), "{text}");
        assert_eq!(report.table("B1", "peak").and_then(|table| table.median("a")), Some(1.25));
    }
}
