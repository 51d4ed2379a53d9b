//! What a comparison found, for people and for machines.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::cassette::drift::questions::Settled;
use crate::cassette::drift::seen::Call;

/// What a comparison found. Its text is for people, its JSON form for machines.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The service that was recorded.
    pub upstream: String,
    /// Requests in the cassette.
    pub requests: usize,
    /// Submits that were accepted: what was paid for.
    pub accepted: usize,
    /// Whether the cassette's last line is not whole.
    pub cut: bool,
    /// Where the service differs from what was believed of it.
    pub findings: Vec<Finding>,
    /// What is not known of the service, and what this cassette says of it.
    pub questions: Vec<Settled>,
}

/// One difference, however often it came.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What differs.
    pub kind: Kind,
    /// `submit`, `poll` or `file`.
    pub operation: &'static str,
    /// A JSON pointer into the answer, with `*` for every index; or `status`, or `header` and its name.
    pub at: String,
    /// What the service said.
    pub came: String,
    /// What was believed.
    pub expected: String,
    /// The numbers of the requests.
    pub requests: Vec<u64>,
    /// Names of the questions that this is about.
    pub settles: Vec<&'static str>,
}

/// What a finding differs from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// The contract says otherwise.
    Contract,
    /// The contract says nothing of it.
    Silent,
    /// The sandbox answers otherwise.
    Sandbox,
}

/// Findings as they come up.
#[derive(Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn add(
        &mut self,
        kind: Kind,
        call: &Call<'_>,
        at: impl Into<String>,
        came: impl Into<String>,
        expected: impl Into<String>,
    ) {
        let (operation, at, came, expected) = (call.request.operation.name(), at.into(), came.into(), expected.into());
        let same = |finding: &&mut Finding| {
            (finding.kind, finding.operation) == (kind, operation)
                && (&finding.at, &finding.came, &finding.expected) == (&at, &came, &expected)
        };
        match self.0.iter_mut().find(same) {
            Some(finding) if finding.requests.last() == Some(&call.n) => {}
            Some(finding) => finding.requests.push(call.n),
            None => {
                let settles = super::questions::about(&at);
                self.0.push(Finding { kind, operation, at, came, expected, requests: vec![call.n], settles });
            }
        }
    }

    /// Whether something was found there already.
    pub(crate) fn has(&self, call: &Call<'_>, at: &str) -> bool {
        self.0.iter().any(|finding| {
            finding.at == at && finding.operation == call.request.operation.name() && finding.requests.contains(&call.n)
        })
    }

    pub(crate) fn into_list(self) -> Vec<Finding> {
        self.0
    }
}

/// A value as a report shows it: its beginning.
pub(crate) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// `string`, `number`, `null`, …
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { upstream, requests, accepted, .. } = self;
        writeln!(f, "{upstream}: {requests} requests, {accepted} submits accepted")?;
        if self.cut {
            writeln!(f, "The last line is not whole: the recorder was killed. What is before it was read.")?;
        }
        for (kind, title) in [
            (Kind::Contract, "Where the contract is wrong"),
            (Kind::Silent, "Where the contract says nothing"),
            (Kind::Sandbox, "Where the sandbox answers otherwise"),
        ] {
            let findings: Vec<&Finding> = self.findings.iter().filter(|finding| finding.kind == kind).collect();
            writeln!(f, "\n{title}: {}", count(findings.len()))?;
            for finding in findings {
                write!(f, "{finding}")?;
            }
        }
        let (settled, open): (Vec<_>, Vec<_>) =
            self.questions.iter().partition(|question| !question.answers.is_empty());
        writeln!(f, "\nQuestions that it answers: {} of {}", settled.len(), self.questions.len())?;
        for question in settled {
            writeln!(f, "  {}  {}", question.name, question.asks)?;
            writeln!(f, "      believed: {}", question.believed)?;
            for answer in &question.answers {
                writeln!(f, "      came:     {answer}")?;
            }
        }
        if !open.is_empty() {
            writeln!(f, "\nStill open: {}", open.len())?;
        }
        for question in open {
            writeln!(f, "  {}  {}", question.name, question.asks)?;
        }
        Ok(())
    }
}

fn count(findings: usize) -> String {
    if findings == 0 { "nowhere".to_owned() } else { findings.to_string() }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NUMBERS: usize = 8;
        let numbers: Vec<String> = self.requests.iter().take(NUMBERS).map(|n| format!("#{n}")).collect();
        let more = if self.requests.len() > NUMBERS { " …" } else { "" };
        writeln!(f, "  {} {}  ({}{more})", self.operation, self.at, numbers.join(" "))?;
        writeln!(f, "      came:     {}", self.came)?;
        writeln!(f, "      believed: {}", self.expected)?;
        if !self.settles.is_empty() {
            writeln!(f, "      settles:  {}", self.settles.join(", "))?;
        }
        Ok(())
    }
}
