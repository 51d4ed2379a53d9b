//! The benchmarks B1 to B8.

mod download;
mod many;
mod polls;
mod sandbox;
mod start;
mod submit;

use crate::Result;
use crate::ground::Ground;
use crate::report::{Goal, Report};

type Benchmark = fn(&Ground, &mut Report) -> Result<()>;

/// Those that are measured by the same calls stand together.
pub(crate) const ALL: &[(&[&str], Benchmark)] = &[
    (&["B1", "B2"], submit::run),
    (&["B3"], many::run),
    (&["B4"], polls::run),
    (&["B5"], download::run),
    (&["B6"], start::run),
    (&["B7"], sandbox::run),
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
        wanted: format!("≤ {}{unit}", limit),
        ours: format!("{}{unit}", number(ours)),
        beside: beside.into(),
        holds: ours <= limit,
    })
}
