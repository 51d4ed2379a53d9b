//! The order in which the states of a task came.

use std::collections::HashMap;

use crate::cassette::drift::report::{Findings, Kind};
use crate::cassette::drift::seen::Seen;

/// Queued, then processing, then one of two ends, which lasts.
pub(crate) fn check(seen: &Seen<'_>, findings: &mut Findings) {
    let mut last: HashMap<&str, &str> = HashMap::new();
    for call in seen.polls() {
        let (Some(task), Some(state)) = (call.task(), call.state()) else { continue };
        if let Some(before) = last.insert(task, state)
            && before != state
            && let (Some(earlier), Some(later)) = (rank(before), rank(state))
            && earlier >= later
        {
            let order = "queued, processing, then succeeded or failed for good";
            findings.add(Kind::Sandbox, call, "/task/status", format!("{state} after {before}"), order);
        }
    }
}

fn rank(state: &str) -> Option<u8> {
    match state {
        "TASK_STATUS_QUEUED" => Some(0),
        "TASK_STATUS_PROCESSING" => Some(1),
        "TASK_STATUS_SUCCEED" | "TASK_STATUS_FAILED" => Some(2),
        _ => None,
    }
}
