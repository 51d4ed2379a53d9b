//! The benchmarks B1 to B8.

mod build;
mod download;
mod many;
mod polls;
mod sandbox;
mod start;
mod submit;

pub(crate) use self::download::MEMORY as DOWNLOAD_MEMORY;
pub(crate) use self::start::COLD as COLD_START;
pub(crate) use self::submit::{CPU as SUBMIT_CPU, MEMORY as SUBMIT_MEMORY};
use crate::Result;
use crate::ground::Ground;
use crate::report::{Goal, Report, Row, Table};

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
    })
}

/// What TLS adds to the same measured without it, run by run.
fn price_of_tls(plain: &Table, secure: &Table) -> Table {
    let pairs = plain.rows.iter().zip(&secure.rows);
    let row = |(plain, secure): (&Row, &Row)| Row {
        client: plain.client.clone(),
        version: secure.version.clone(),
        values: plain.values.iter().zip(&secure.values).map(|(plain, secure)| secure - plain).collect(),
        absent: plain.absent.clone().or_else(|| secure.absent.clone()),
    };
    let what = format!("{}: what TLS adds", plain.what);
    Table { bench: plain.bench, what, unit: plain.unit, rows: pairs.map(row).collect(), note: String::new() }
}
