//! What became of the requests.

use std::collections::BTreeMap;
use std::time::Duration;

/// What became of one.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) kind: &'static str,
    /// The fault that was asked for.
    pub(crate) fault: Option<&'static str>,
    /// Whether a submit was accepted, answered or not.
    pub(crate) accepted: bool,
    pub(crate) took: Duration,
    pub(crate) problem: Option<String>,
}

/// What became of all.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) accepted: u64,
    pub(crate) faults: u64,
    pub(crate) problems: Vec<String>,
    /// Memory half-way, in MiB.
    pub(crate) half: Option<f64>,
    kinds: BTreeMap<String, u64>,
    took: Vec<Duration>,
}

impl Book {
    pub(crate) fn note(&mut self, done: Done) {
        self.accepted += u64::from(done.accepted);
        self.faults += u64::from(done.fault.is_some());
        let kind = done.fault.map_or_else(|| done.kind.to_owned(), |fault| format!("{}/{fault}", done.kind));
        *self.kinds.entry(kind).or_default() += 1;
        // Some faults are slowness.
        if done.fault.is_none() {
            self.took.push(done.took);
        }
        self.problems.extend(done.problem);
    }

    pub(crate) fn count(&self) -> u64 {
        self.kinds.values().sum()
    }

    pub(crate) fn kinds(&self) -> String {
        self.kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>().join(", ")
    }

    /// Milliseconds in which this part of the requests without a fault was answered.
    pub(crate) fn within(&self, part: f64) -> u128 {
        let mut took = self.took.clone();
        took.sort_unstable();
        took.get((took.len() as f64 * part) as usize).map_or(0, Duration::as_millis)
    }
}
