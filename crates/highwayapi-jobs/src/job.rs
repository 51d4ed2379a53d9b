//! One job: a request, and what has become of it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use highwayapi::{Charged, TaskId};
use serde::{Deserialize, Serialize};

use crate::asked::{Asked, Fingerprint, Pictures};
use crate::batch::{Item, Money};
use crate::error::{Error, Result};
use crate::state::{Event, State};
use crate::target::Replaceable;
use crate::time;

/// Names a job in the record: eight letters and digits, such as `k3f9x2ab`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(String);

impl JobId {
    /// Letters and digits that nobody takes for others.
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

    pub(crate) fn new() -> Self {
        Self::from_bits(fastrand::u64(..))
    }

    /// The last forty of them, five a letter.
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self((0..8).map(|at| char::from(Self::ALPHABET[(bits >> (5 * at) & 31) as usize])).collect())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JobId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() == 8 && text.bytes().all(|byte| Self::ALPHABET.contains(&byte)) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::input(format!("`{}` is no job's id; expected something like k3f9x2ab", text.escape_debug())))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A job, as the record keeps it. No key and no picture is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// How far it is.
    pub state: State,
    /// Base URL of the service that it was sent to.
    pub service: String,
    /// What it is in a batch, if it is of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<Item>,
    /// What its user says that it costs, if it is of a batch and that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// Whether its user wants it sent although the same may have been paid for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// What makes it the same as another; none for an adopted task, of which only the id is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// What was asked for; none for an adopted task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// Where the pictures came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pictures: Option<Pictures>,
    /// Where the video goes, absolute; several go beside it as `-1`, `-2`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
    /// Files that it may replace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<Replaceable>,
    /// How often it was sent and may have been accepted: more than once only by the user's word; 0 while it is planned.
    pub attempt: u32,
    /// The task at the service, from the answer to the submit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// Why it is in its state, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The seed that the service used, where it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed_used: Option<u64>,
    /// When the submit was answered with its task, if this is where that was seen.
    #[serde(default, with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<SystemTime>,
    /// How many milliseconds its task ran, from the submit until it was done, where that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_ms: Option<u64>,
    /// The videos that are in their files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clips: Vec<Clip>,
    /// When it was first written down.
    #[serde(with = "time")]
    pub created_at: SystemTime,
    /// When it was last sent.
    #[serde(with = "time")]
    pub submitted_at: SystemTime,
    /// When it came into its state.
    #[serde(with = "time")]
    pub changed_at: SystemTime,
}

/// A video in its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Clip {
    /// Which of the task's videos, from 1.
    pub sample: usize,
    /// Where it is.
    pub file: PathBuf,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
}

impl Job {
    /// One that is planned.
    pub(crate) fn new(service: &str) -> Self {
        let now = SystemTime::now();
        Self {
            id: JobId::new(),
            state: State::Planned,
            service: service.to_owned(),
            item: None,
            price: None,
            again: false,
            fingerprint: None,
            asked: None,
            pictures: None,
            output: None,
            replaces: Vec::new(),
            attempt: 0,
            task_id: None,
            reason: None,
            seed_used: None,
            accepted_at: None,
            run_ms: None,
            clips: Vec::new(),
            created_at: now,
            submitted_at: now,
            changed_at: now,
        }
    }

    /// Moves on, with the reason for it.
    ///
    /// # Errors
    ///
    /// When this cannot happen to a job in its state.
    pub(crate) fn apply(&mut self, event: Event, reason: Option<String>) -> Result<()> {
        // What became of an earlier attempt is still open: such a job is never as good as unsent.
        let open = event == Event::PutOff && self.attempt > 1;
        let next = self.state.after(event).filter(|_| !open).ok_or_else(|| Error::state(self, event))?;
        if next != self.state {
            self.changed_at = SystemTime::now();
        }
        match event {
            Event::Accepted => self.accepted_at = Some(self.changed_at),
            Event::Begun | Event::SubmitAgain => {
                self.attempt += 1;
                (self.submitted_at, self.accepted_at) = (self.changed_at, None);
            }
            Event::PutOff => self.attempt = self.attempt.saturating_sub(1),
            _ => {}
        }
        (self.state, self.reason) = (next, reason);
        Ok(())
    }

    /// Whether money was spent on it.
    pub fn charged(&self) -> Charged {
        match (self.state, &self.task_id) {
            // Given up, and known to have been accepted.
            (State::Dropped, Some(_)) => Charged::Yes,
            (State::Dropped, None) if self.attempt == 0 => Charged::No,
            _ => self.state.charged(),
        }
    }

    /// Whether the same request, sent again, would or might be paid for a second time.
    pub fn is_paid(&self) -> bool {
        self.state.is_paid() && self.charged() != Charged::No
    }

    /// Whether what is there now was there when its user allowed to replace it.
    pub(crate) fn may_replace(&self, file: &Path) -> bool {
        self.replaces.iter().any(|replaceable| replaceable.is_still(file))
    }

    /// How many videos were asked for; of an adopted task nobody knows, and it counts as one.
    pub fn samples(&self) -> usize {
        self.asked.as_ref().map_or(1, Asked::samples)
    }
}
