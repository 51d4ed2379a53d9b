//! What was seen of one cell, and whether it is what had to be.

use crate::cell::{Outcome, Resume};

#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) posts: usize,
    pub(crate) paid: usize,
    pub(crate) code: Option<i32>,
    pub(crate) charged: Option<String>,
    pub(crate) record: String,
    pub(crate) files: String,
    pub(crate) resume: Resume,
    pub(crate) words: String,
    /// What does not hold.
    pub(crate) problems: Vec<String>,
}

impl Seen {
    /// Of a command that did not end.
    pub(crate) fn of_nothing(problem: String) -> Self {
        Self {
            posts: 0,
            paid: 0,
            code: None,
            charged: None,
            record: String::new(),
            files: String::new(),
            resume: Resume::Nothing,
            words: String::new(),
            problems: vec![problem],
        }
    }

    pub(crate) fn compare(&mut self, outcome: &Outcome) {
        let mut differs = |what: &str, seen: String, expected: String| {
            if seen != expected {
                self.problems.push(format!("{what}: {seen}, and not {expected}"));
            }
        };
        differs("POSTs", self.posts.to_string(), outcome.posts.to_string());
        differs("paid", self.paid.to_string(), outcome.paid.to_string());
        differs("exit code", format!("{:?}", self.code), format!("{:?}", outcome.code));
        differs("charged", format!("{:?}", self.charged.as_deref()), format!("{:?}", outcome.charged));
        differs("record", self.record.clone(), outcome.record.to_owned());
        differs("files", self.files.clone(), outcome.files.to_owned());
        differs("taken up again", self.resume.text().to_owned(), outcome.resume.text().to_owned());
        if self.paid > 1 {
            self.problems.push("PAID MORE THAN ONCE".to_owned());
        }
        if self.files.contains("NOT WHOLE") {
            self.problems.push("a file under its final name is not whole".to_owned());
        }
    }
}
