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
    /// Why it does not hold, as far as that is known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) note: String,
}

impl Goal {
    /// Says why, should it not hold.
    pub(crate) fn or_else(self, why_not: impl Into<String>) -> Self {
        if self.holds { self } else { Self { note: why_not.into(), ..self } }
    }
}

#[derive(Clone, Copy, Serialize)]
pub(crate) enum Unit {
    MiB,
    Seconds,
    Milliseconds,
    Microseconds,
    Count,
}

/// What was measured of many clients by the same calls.
#[derive(Serialize)]
pub(crate) struct Table {
    pub(crate) bench: &'static str,
    pub(crate) what: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
    /// How it was measured, and what the limit is.
    pub(crate) note: String,
    /// Whether the page shows how far runs are apart.
    #[serde(skip)]
    pub(crate) spread: bool,
}

#[derive(Serialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) unit: Unit,
}

#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) client: String,
    pub(crate) version: String,
    /// For each column one of each run; none where that was not asked.
    pub(crate) values: Vec<Vec<f64>>,
    /// Why there is none at all.
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

impl Column {
    pub(crate) fn new(name: impl Into<String>, unit: Unit) -> Self {
        Self { name: name.into(), unit }
    }

    fn heading(&self) -> String {
        match self.unit.name() {
            "" => self.name.clone(),
            unit => format!("{}, {unit}", self.name),
        }
    }
}

impl Row {
    pub(crate) fn new(client: &str, values: Vec<Vec<f64>>) -> Self {
        Self { client: client.to_owned(), version: String::new(), values, absent: None }
    }

    /// A column for each of these.
    pub(crate) fn of(runs: &Runs, columns: &[&dyn Fn(&Cost) -> f64]) -> Self {
        let costs = runs.costs.as_deref().unwrap_or_default();
        Self {
            client: runs.player.name.clone(),
            version: costs.first().map(|cost| cost.version.clone()).unwrap_or_default(),
            values: columns.iter().map(|value| costs.iter().map(value).collect()).collect(),
            absent: runs.costs.as_ref().err().cloned(),
        }
    }

    pub(crate) fn median(&self, column: usize) -> Option<f64> {
        stats::median(self.values.get(column)?)
    }

    /// Such as `| a | 1.25 (0.50–200) | – |`.
    fn markdown(&self, table: &Table) -> String {
        let mut text = format!("| {} |", self.client);
        if let Some(why) = &self.absent {
            return format!("{text} absent: {} |{}\n", cell(why), " |".repeat(table.columns.len() - 1));
        }
        for (index, column) in table.columns.iter().enumerate() {
            let values = self.values.get(index).map(Vec::as_slice).unwrap_or_default();
            let number = |value| column.unit.number(value);
            let (low, high) = stats::spread(values);
            text += &match stats::median(values) {
                None => " – |".to_owned(),
                Some(median) if values.len() > 1 && table.spread => {
                    format!(" {} ({}–{}) |", number(median), number(low), number(high))
                }
                Some(median) => format!(" {} |", number(median)),
            };
        }
        text + "\n"
    }
}

impl Table {
    pub(crate) fn new(
        bench: &'static str,
        what: impl Into<String>,
        columns: Vec<Column>,
        rows: Vec<Row>,
        note: impl Into<String>,
    ) -> Self {
        Self { bench, what: what.into(), columns, rows, note: note.into(), spread: true }
    }

    pub(crate) fn row(&self, client: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.client == client)
    }

    /// The median of the client of this name.
    pub(crate) fn median(&self, client: &str, column: usize) -> Option<f64> {
        self.row(client)?.median(column)
    }

    fn markdown(&self, without: &[(&str, &str)]) -> String {
        let headings: Vec<String> = self.columns.iter().map(Column::heading).collect();
        let mut text = format!("### {}: {}\n\n| | {} |\n", self.bench, self.what, headings.join(" | "));
        text += &format!("| --- |{}\n", " ---: |".repeat(headings.len()));
        let mut rows: Vec<&Row> =
            self.rows.iter().filter(|row| !without.iter().any(|(client, _)| *client == row.client)).collect();
        // Absent ones last; the order of the others says what is better, by the first column.
        rows.sort_by(|a, b| {
            let key = |row: &Row| (row.absent.is_some(), row.median(0).unwrap_or(f64::INFINITY));
            key(a).0.cmp(&key(b).0).then(key(a).1.total_cmp(&key(b).1))
        });
        rows.iter().for_each(|row| text += &row.markdown(self));
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
        for Goal { bench, what, wanted, ours, beside, holds, note } in &self.goals {
            let holds = match (holds, note.as_str()) {
                (true, _) => "holds".to_owned(),
                (false, "") => "**not yet**".to_owned(),
                (false, note) => format!("**not yet**: {note}"),
            };
            text += &format!("| {bench} | {what} | {wanted} | {ours} | {beside} | {holds} |\n");
        }
        for failure in &self.failures {
            text += &format!("\n**{failure}**\n");
        }
        let absent = self.absent();
        if !absent.is_empty() {
            text += "\nAbsent:\n\n";
            absent.iter().for_each(|(client, why)| text += &format!("- {client}: {}\n", cell(why)));
        }
        for table in &self.tables {
            text += &format!("\n{}", table.markdown(&absent));
        }
        text += "\n### The clients\n\n| | version | how it does it |\n| --- | --- | --- |\n";
        for (client, how) in &self.clients {
            let version = self.rows(client).map(|row| row.version.as_str()).find(|version| !version.is_empty());
            text += &format!("| {client} | {} | {how} |\n", cell(version.unwrap_or_default()));
        }
        text
    }

    fn rows<'a>(&'a self, client: &'a str) -> impl Iterator<Item = &'a Row> {
        self.tables.iter().filter_map(move |table| table.row(client))
    }

    /// The clients that never came to anything, each once, with why.
    fn absent(&self) -> Vec<(&str, &str)> {
        let mut absent: Vec<(&str, &str)> = Vec::new();
        for row in self.tables.iter().flat_map(|table| &table.rows) {
            if let Some(why) = &row.absent
                && self.rows(&row.client).all(|row| row.absent.is_some())
                && !absent.iter().any(|(client, _)| *client == row.client)
            {
                absent.push((&row.client, why));
            }
        }
        absent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let gone = |client: &str, why: &str| Row { absent: Some(why.to_owned()), ..Row::new(client, Vec::new()) };
        let columns = || vec![Column::new("memory", Unit::MiB), Column::new("polls", Unit::Count)];
        let first = vec![
            gone("never", "not | there"),
            Row::new("b", vec![vec![2.0], vec![7.0]]),
            Row { version: "a 1".to_owned(), ..Row::new("a", vec![vec![0.5, 1.25, 200.0], Vec::new()]) },
        ];
        let second = vec![gone("never", "not there either"), gone("a", "failed: here")];
        let table = |bench, rows, note| Table::new(bench, "peak", columns(), rows, note);
        let clients = vec![("a".to_owned(), "as it does".to_owned())];
        Report { clients, tables: vec![table("B1", first, "A note."), table("B2", second, "")], ..Report::default() }
    }

    #[test]
    fn a_table_has_a_column_for_each_measure() {
        let mut report = report();
        let text = report.markdown();
        let table = "### B1: peak\n\n| | memory, MiB | polls |\n| --- | ---: | ---: |\n\
                     | a | 1.25 (0.50–200) | – |\n| b | 2.00 | 7.00 |\n\nA note.\n";
        assert!(text.contains(table), "{text}");
        assert!(text.contains("| a | a 1 | as it does |"), "{text}");
        assert_eq!(report.table("B1", "peak").and_then(|table| table.median("b", 1)), Some(7.0));
        report.tables[0].spread = false;
        assert!(report.markdown().contains("| a | 1.25 | – |"));
    }

    #[test]
    fn who_is_absent_everywhere_is_listed_once_and_others_where_they_failed() {
        let text = report().markdown();
        assert!(text.contains("\nAbsent:\n\n- never: not   there\n\n"), "{text}");
        assert_eq!(text.matches("never").count(), 1, "{text}");
        assert!(text.contains("| a | absent: failed: here | |\n"), "{text}");
    }

    #[test]
    fn a_goal_that_does_not_hold_says_why() {
        let goal = |holds, note: &str| Goal {
            bench: "B4",
            what: "it".to_owned(),
            wanted: "1".to_owned(),
            ours: "2".to_owned(),
            beside: String::new(),
            holds,
            note: note.to_owned(),
        };
        let goals = vec![goal(false, "the bus is slow"), goal(false, ""), goal(true, "unsaid")];
        let text = Report { goals, ..Report::default() }.markdown();
        for end in ["|  | **not yet**: the bus is slow |\n", "|  | **not yet** |\n", "|  | holds |\n"] {
            assert!(text.contains(end), "no {end} in {text}");
        }
    }
}
