//! The one error of this crate.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;

use highwayapi::{Charged, TaskId};

use crate::job::{Job, JobId};
use crate::state::Event;
use crate::store::Begun;

/// What calls of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something did not work, and what it cost. Displays as a sentence, without key, pictures or signed links.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    text: String,
    charged: Charged,
    job: Option<JobId>,
    task_id: Option<TaskId>,
    problems: Vec<Problem>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// What was given will not do.
    Input,
    /// The record cannot be read or written.
    Store,
    /// The client's own error.
    Client,
    /// Somebody else may have the job by now.
    NotHeld,
    /// Another process is at it.
    Busy,
    /// Nobody knows whether it was paid for.
    Unresolved,
    /// The task is paid for and could not be written down.
    Unrecorded,
    /// There is no such job.
    NotFound,
    /// What was asked is nothing for a job in its state.
    State,
    /// Some of the videos could not be fetched.
    NotFetched,
    /// A clip is not what its sidecar says.
    Clip,
}

/// A video that could not be fetched.
#[derive(Debug)]
#[non_exhaustive]
pub struct Problem {
    /// Where it was to go.
    pub file: PathBuf,
    /// Why it is not there.
    pub error: Error,
}

impl Error {
    fn new(kind: Kind, charged: Charged, text: impl Into<String>) -> Self {
        let text = text.into();
        Self(Box::new(Inner { kind, text, charged, job: None, task_id: None, problems: Vec::new(), source: None }))
    }

    pub(crate) fn input(text: impl Into<String>) -> Self {
        Self::new(Kind::Input, Charged::No, text)
    }

    /// For a [`crate::Store`]: the record cannot be read or written. Counts as costing nothing; where it happens after a
    /// submit, this crate says what it cost.
    pub fn store(text: impl Into<String>) -> Self {
        Self::new(Kind::Store, Charged::No, text)
    }

    pub(crate) fn busy(job: &Job) -> Self {
        let text = format!("job {} is being worked on by another process", job.id);
        Self::new(Kind::Busy, job.charged(), text).about(job)
    }

    pub(crate) fn unresolved(job: &Job) -> Self {
        let why = job.reason.as_deref().unwrap_or("its answer was never seen");
        let text = format!("job {} may have been accepted and paid for: {why}", job.id);
        Self::new(Kind::Unresolved, Charged::Unknown, text).about(job)
    }

    pub(crate) fn unrecorded(job: &Job, task_id: &TaskId, source: Self) -> Self {
        let text = format!("task {task_id} is accepted and paid for, but the record could not be written");
        let mut error = Self::new(Kind::Unrecorded, Charged::Yes, text).about(job).with_source(source);
        error.0.task_id = Some(task_id.clone());
        error
    }

    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, Charged::No, text)
    }

    pub(crate) fn state(job: &Job, event: Event) -> Self {
        let wanted = match event {
            Event::TaskNamed | Event::SubmitAgain => "; only one that is unknown can be resolved",
            Event::Dropped => "; only one that is unknown, submitted or succeeded can be dropped",
            _ => "",
        };
        Self::over(job, wanted)
    }

    /// Nothing is left to do for a job in its state.
    pub(crate) fn over(job: &Job, more: &str) -> Self {
        let why = job.reason.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
        Self::new(Kind::State, job.charged(), format!("job {} is {}{why}{more}", job.id, job.state)).about(job)
    }

    /// It was not sent, although its turn had come.
    pub(crate) fn not_begun(job: &Job, begun: &Begun) -> Self {
        match begun {
            Begun::Same(other) => Self::over(job, &format!("; the same was submitted as job {}", other.id)),
            Begun::Cancelled => Self::over(job, ", and its batch is cancelled"),
            _ => Self::over(job, "; sent, it would pass what its batch may cost"),
        }
    }

    pub(crate) fn not_fetched(job: &Job, problems: Vec<Problem>) -> Self {
        let what = match (problems.len(), job.clips.len()) {
            (1, 0) => "the video could not be fetched".to_owned(),
            (missing, got) => format!("{missing} of {} videos could not be fetched", missing + got),
        };
        let mut error = Self::new(Kind::NotFetched, Charged::Yes, what).about(job);
        error.0.problems = problems;
        error
    }

    pub(crate) fn clip(text: impl Into<String>) -> Self {
        Self::new(Kind::Clip, Charged::No, text)
    }

    /// For a [`crate::Store`]: the hold has ended, and what was to be written was not. Not worth trying again.
    pub fn not_held(text: impl Into<String>) -> Self {
        Self::new(Kind::NotHeld, Charged::No, text)
    }

    /// Adds what led to it.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// A record that fails does not make a paid job free.
    pub(crate) fn charged(mut self, job: &Job) -> Self {
        self.0.charged = job.charged();
        self
    }

    pub(crate) fn about(mut self, job: &Job) -> Self {
        self.0.job = Some(job.id.clone());
        self.0.task_id = self.0.task_id.or_else(|| job.task_id.clone());
        self
    }

    /// Whether money was spent on what this error speaks of.
    pub fn is_charged(&self) -> Charged {
        self.0.charged
    }

    /// The job that this is about.
    pub fn job(&self) -> Option<&JobId> {
        self.0.job.as_ref()
    }

    /// The task that this is about.
    pub fn task_id(&self) -> Option<&TaskId> {
        self.0.task_id.as_ref()
    }

    /// The client's own error, where it is one: it has more to tell.
    pub fn client_error(&self) -> Option<&highwayapi::Error> {
        match self.0.kind {
            Kind::Client => self.0.source.as_ref()?.downcast_ref(),
            _ => None,
        }
    }

    /// The videos that could not be fetched, and why. The others are in their files.
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// What was given will not do; to be mended, not repeated.
    pub fn is_invalid_input(&self) -> bool {
        self.0.kind == Kind::Input || self.client_error().is_some_and(highwayapi::Error::is_invalid_input)
    }

    /// The record cannot be read or written.
    pub fn is_store(&self) -> bool {
        self.0.kind == Kind::Store
    }

    /// Whether it comes from the record, if only because the requests' budget that is kept there cannot be asked.
    pub(crate) fn is_of_record(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if error.downcast_ref::<Self>().is_some_and(Self::is_store) {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// The job was no longer held by who wanted to write it.
    pub fn is_not_held(&self) -> bool {
        self.0.kind == Kind::NotHeld
    }

    /// Another process works on this job.
    pub fn is_busy(&self) -> bool {
        self.0.kind == Kind::Busy
    }

    /// Nobody knows whether the job was paid for; see [`crate::Jobs::name_task`], [`crate::Jobs::submit_again`] and
    /// [`crate::Ledger::give_up`].
    pub fn is_unresolved(&self) -> bool {
        self.0.kind == Kind::Unresolved
    }

    /// The submit was accepted and its task id, which is in [`Error::task_id`], could not be written down: note it.
    pub fn is_unrecorded(&self) -> bool {
        self.0.kind == Kind::Unrecorded
    }

    /// There is no such job.
    pub fn is_not_found(&self) -> bool {
        self.0.kind == Kind::NotFound
    }

    /// What was asked is nothing for a job in its state.
    pub fn is_wrong_state(&self) -> bool {
        self.0.kind == Kind::State
    }

    /// A clip, or its sidecar, is missing or not what it was.
    pub fn is_clip(&self) -> bool {
        self.0.kind == Kind::Clip
    }

    /// The job's task is finished, but not all of its videos could be fetched.
    pub fn is_not_fetched(&self) -> bool {
        self.0.kind == Kind::NotFetched
    }
}

impl From<highwayapi::Error> for Error {
    fn from(error: highwayapi::Error) -> Self {
        let mut own = Self::new(Kind::Client, error.is_charged(), error.to_string());
        own.0.task_id = error.task_id().cloned();
        own.with_source(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.0.kind).field("text", &self.0.text).field("charged", &self.0.charged);
        if let Some(job) = &self.0.job {
            debug.field("job", &job.as_str());
        }
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match (self.0.kind, &self.0.source) {
            // It says the same as this one.
            (Kind::Client, Some(source)) => source.source(),
            // The first; all are in `problems`.
            (Kind::NotFetched, _) => self.0.problems.first().map(|problem| &problem.error as _),
            (_, source) => source.as_deref().map(|source| source as _),
        }
    }
}
