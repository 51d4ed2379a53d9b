//! The benchmarks B1 to B8.

mod build;
mod download;
mod many;
mod polls;
mod sandbox;
mod start;
mod submit;

pub(crate) use self::download::DOWNLOAD;
pub(crate) use self::start::START;
pub(crate) use self::submit::SUBMIT;
use crate::Result;
use crate::client::Cost;
use crate::ground::Ground;
use crate::player::Runs;
use crate::report::{Column, Goal, Report, Row, Table, Unit};

/// Columns of the tables of what calls cost.
pub(crate) const MEMORY: usize = 0;
pub(crate) const CPU: usize = 1;

const LIMIT_OF_TLS: &str = "The limit is that of the table above and the cipher: the bare loop speaks no TLS.";

type Benchmark = fn(&Ground, &mut Report) -> Result<()>;

/// Those that are measured by the same calls stand together.
pub(crate) const ALL: &[(&[&str], Benchmark)] = &[
    (&["B1", "B2"], submit::run),
    (&["B3"], many::run),
    (&["B4"], polls::run),
    (&["B5"], download::run),
    (&["B6"], start::run),
    (&["B7"], sandbox::run),
    (&["B8"], build::run),
];

/// A goal that is a number not to be exceeded. Nothing where it could not be measured.
fn at_most(
    bench: &'static str,
    what: &str,
    (ours, limit): (Option<f64>, f64),
    unit: &str,
    beside: impl Into<String>,
) -> Option<Goal> {
    let ours = ours?;
    let number = |value: f64| if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") };
    Some(Goal {
        bench,
        what: what.to_owned(),
        wanted: format!("≤ {}{unit}", if limit < 10.0 { limit.to_string() } else { number(limit) }),
        ours: format!("{}{unit}", number(ours)),
        beside: beside.into(),
        holds: ours <= limit,
        note: String::new(),
    })
}

/// Memory, CPU and wall time of these runs.
fn costs(bench: &'static str, what: String, runs: &[Runs], note: &str) -> Table {
    let row = |runs| Row::of(runs, &[&peak, &|cost| cost.cpu_s * 1e3, &|cost| cost.wall_s * 1e3]);
    let columns = [("memory", Unit::MiB), ("CPU", Unit::Milliseconds), ("wall", Unit::Milliseconds)];
    let columns = columns.map(|(name, unit)| Column::new(name, unit)).into();
    Table::new(bench, what, columns, runs.iter().map(row).collect(), note)
}

/// MiB over idle.
fn peak(cost: &Cost) -> f64 {
    cost.peak_kib.saturating_sub(cost.idle_kib) as f64 / 1024.0
}

/// Such as `curl 12.8`; a dash where it was not measured.
fn beside(name: &str, value: Option<f64>) -> String {
    format!("{name} {}", value.map_or("–".to_owned(), |value| Unit::Count.number(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_says_why_only_where_it_does_not_hold() {
        let goal = |ours| at_most("B4", "it", (ours, 15.0), " µs", "").map(|goal| goal.or_else("the limit is 16"));
        let note = |ours| goal(Some(ours)).map(|goal| (goal.holds, goal.note));
        assert_eq!(note(15.1), Some((false, "the limit is 16".to_owned())));
        assert_eq!(note(15.0), Some((true, String::new())));
        assert!(goal(None).is_none());
    }
}
