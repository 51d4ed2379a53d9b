//! What was asked and what was answered, one line a request, without keys, pictures and signatures.

pub(crate) mod har;
mod layer;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) use self::har::rfc3339;
pub(crate) use self::layer::observe;
use crate::ledger::RequestHash;

/// Requests that are kept; the oldest go first.
pub(crate) const MAX_KEPT: usize = 50_000;

/// Longest piece of what came from outside that is kept, in characters.
const SHOWN: usize = 300;

/// Words of a query that may be kept with their values. What else comes may be a secret.
const OPEN: [&str; 2] = ["task_id", "expires"];

/// What a handler knows of a submit that it accepted; in the answer's extensions.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    pub(crate) request: RequestHash,
    pub(crate) task_id: String,
}

/// A request and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// When it came: virtual time since the sandbox began, and since 1970.
    pub(crate) at: Duration,
    pub(crate) unix: Duration,
    /// Virtual time until the answer was ready to be sent.
    pub(crate) took: Duration,
    pub(crate) operation: &'static str,
    pub(crate) method: String,
    /// With its query, redacted.
    pub(crate) path: String,
    /// The name of the key that came with it.
    pub(crate) key: Option<String>,
    pub(crate) request: Option<RequestHash>,
    pub(crate) task_id: Option<String>,
    /// None where the client went before there was an answer.
    pub(crate) status: Option<u16>,
    pub(crate) content_type: Option<String>,
    /// Bytes of the answer's body, as announced.
    pub(crate) bytes: Option<u64>,
    /// The fault that was injected.
    pub(crate) fault: Option<String>,
}

/// Which entries are wanted.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// Only what came after this number.
    pub(crate) since: u64,
    pub(crate) task_id: Option<String>,
    pub(crate) operation: Option<String>,
    /// Only those with a fault.
    pub(crate) faulted: bool,
}

/// All requests of a sandbox; bounded.
#[derive(Default)]
pub(crate) struct Journal {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    entries: VecDeque<Entry>,
    /// The number of the newest, counted from 1 in the order of the answers.
    newest: u64,
}

impl Kept {
    /// With their numbers.
    fn numbered(&self) -> impl DoubleEndedIterator<Item = (u64, &Entry)> {
        let oldest = self.newest - self.entries.len() as u64 + 1;
        self.entries.iter().enumerate().map(move |(at, entry)| (oldest + at as u64, entry))
    }
}

impl Journal {
    pub(crate) fn add(&self, entry: Entry) {
        let mut kept = self.kept();
        kept.newest += 1;
        if kept.entries.len() == MAX_KEPT {
            kept.entries.pop_front();
        }
        kept.entries.push_back(entry);
    }

    /// How many are kept, and how many were dropped.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let kept = self.kept();
        let count = kept.entries.len() as u64;
        (count, kept.newest - count)
    }

    /// At most `limit` of those that are wanted, the newest or the oldest of them, in their order.
    pub(crate) fn read(&self, filter: &Filter, limit: usize, newest: bool) -> Vec<(u64, Entry)> {
        let kept = self.kept();
        let wanted = kept.numbered().filter(|(number, entry)| filter.takes(*number, entry));
        let copy = |(number, entry): (u64, &Entry)| (number, entry.clone());
        if !newest {
            return wanted.take(limit).map(copy).collect();
        }
        let mut found: Vec<_> = wanted.rev().take(limit).map(copy).collect();
        found.reverse();
        found
    }

    /// The numbers go on: who reads from where it stopped misses nothing.
    pub(crate) fn reset(&self) {
        self.kept().entries.clear();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Filter {
    fn takes(&self, number: u64, entry: &Entry) -> bool {
        number > self.since
            && (self.task_id.is_none() || self.task_id == entry.task_id)
            && self.operation.as_deref().is_none_or(|operation| operation == entry.operation)
            && (!self.faulted || entry.fault.is_some())
    }
}

impl Entry {
    pub(crate) fn to_json(&self, number: u64) -> Value {
        json!({
            "number": number,
            "at_ms": millis(self.at),
            "operation": self.operation,
            "method": self.method,
            "path": self.path,
            "key": self.key,
            "request": self.request.map(|request| request.to_string()),
            "task_id": self.task_id,
            "status": self.status,
            "bytes": self.bytes,
            "took_ms": millis(self.took),
            "fault": self.fault,
        })
    }
}

/// The path and the query without values that may be secret, shortened.
fn redacted(path: &str, query: Option<&str>) -> String {
    let mut shown: String = path.chars().take(SHOWN).collect();
    let mut before = '?';
    for pair in query.into_iter().flat_map(|query| query.split('&')) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = if OPEN.contains(&name) || value.is_empty() { value } else { "(redacted)" };
        shown.push(before);
        before = '&';
        shown.extend(name.chars().take(40));
        shown.push('=');
        shown.extend(value.chars().take(100));
        if shown.len() > 2 * SHOWN {
            shown.push('…');
            break;
        }
    }
    shown
}

fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn entry(path: &str) -> Entry {
        Entry {
            at: Duration::from_millis(1500),
            unix: Duration::from_millis(1_767_225_601_500),
            took: Duration::from_millis(2),
            operation: "poll",
            method: "GET".to_owned(),
            path: path.to_owned(),
            key: Some("sand…12345678".to_owned()),
            request: None,
            task_id: Some("a-task".to_owned()),
            status: Some(200),
            content_type: Some("application/json".to_owned()),
            bytes: Some(512),
            fault: None,
        }
    }

    #[test]
    fn secrets_are_left_out() {
        for (path, query, wanted) in [
            ("/files/a.mp4", Some("expires=9&signature=s3cret"), "/files/a.mp4?expires=9&signature=(redacted)"),
            ("/x", Some("task_id=1&api_key=s3cret&s3cret"), "/x?task_id=1&api_key=(redacted)&s3cret="),
            ("/x", None, "/x"),
            ("/x", Some("signature="), "/x?signature="),
        ] {
            assert_eq!(redacted(path, query), wanted);
        }
        let long = redacted(&"é".repeat(10_000), Some(&"a=b&".repeat(10_000)));
        assert!(long.len() < 4 * SHOWN, "{}", long.len());
    }

    #[test]
    fn the_oldest_go_first_and_are_counted() {
        let journal = Journal::default();
        (0..MAX_KEPT + 3).for_each(|n| journal.add(entry(&n.to_string())));
        assert_eq!(journal.counts(), (50_000, 3));
        let page = journal.read(&Filter::default(), 2, false);
        assert_eq!(page.iter().map(|(n, entry)| (*n, &entry.path[..])).collect::<Vec<_>>(), [(4, "3"), (5, "4")]);
        assert_eq!(journal.read(&Filter::default(), 2, true)[1].0, 50_003);
        assert!(journal.read(&Filter { since: 50_003, ..Filter::default() }, 9, false).is_empty());
        journal.reset();
        journal.add(entry("next"));
        assert_eq!(journal.read(&Filter { since: 50_003, ..Filter::default() }, 9, false)[0].0, 50_004);
    }

    #[test]
    fn entries_are_found_by_task_operation_and_fault() {
        let journal = Journal::default();
        journal.add(entry("/plain"));
        journal.add(Entry { task_id: Some("other".to_owned()), ..entry("/other") });
        journal.add(Entry { fault: Some("lost-answer".to_owned()), ..entry("/fault") });
        journal.add(Entry { operation: "submit", ..entry("/submit") });
        let paths = |filter: Filter| -> Vec<String> {
            journal.read(&filter, 9, false).into_iter().map(|(_, entry)| entry.path).collect()
        };
        let (task_id, operation) = (Some("other".to_owned()), Some("submit".to_owned()));
        assert_eq!(paths(Filter { task_id, ..Filter::default() }), ["/other"]);
        assert_eq!(paths(Filter { operation, ..Filter::default() }), ["/submit"]);
        assert_eq!(paths(Filter { faulted: true, ..Filter::default() }), ["/fault"]);
    }

    #[test]
    fn a_line_has_every_field() {
        insta::assert_snapshot!(entry("/v3/async/task-result?task_id=a-task").to_json(7), @r#"{"at_ms":1500,"bytes":512,"fault":null,"key":"sand…12345678","method":"GET","number":7,"operation":"poll","path":"/v3/async/task-result?task_id=a-task","request":null,"status":200,"task_id":"a-task","took_ms":2}"#);
    }
}
