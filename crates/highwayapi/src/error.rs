//! The one error of this crate.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::{TaskId, tls};

/// What calls of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whether money was spent on what an [`Error`] speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Charged {
    /// Nothing was accepted.
    No,
    /// The submit was accepted. Waiting for its task and fetching its videos cost nothing more.
    Yes,
    /// The service may have accepted the submit, or failed a task that it did accept: nobody here can tell. Whether to
    /// submit again is the user's decision.
    Unknown,
}

/// Why something did not work, and what it cost.
///
/// Displays as a sentence. Neither key, pictures nor signed links are in it.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    text: String,
    field: Option<&'static str>,
    charged: Charged,
    task_id: Option<TaskId>,
    status: Option<u16>,
    reason: Option<String>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What the caller gave cannot be sent.
    Input,
    /// The client cannot be set up like this.
    Config,
    /// The service answered with an error.
    Refused,
    /// No connection, or it broke.
    Network,
    /// TLS with the service did not come about.
    Tls,
    /// Nothing came for too long.
    Silence,
    /// The service's answer cannot be understood.
    Answer,
    /// The caller stopped a submit before it was accepted.
    Stopped,
    /// The time limit of a wait ran out.
    TimeLimit,
    /// The task is not finished.
    Unfinished,
    /// The task failed.
    TaskFailed,
    /// The task succeeded and has no video.
    NoVideo,
    /// A video could not be fetched.
    Download,
    /// A file could not be written.
    File,
    /// The target exists.
    Exists,
}

impl Error {
    pub(crate) fn new(kind: Kind, charged: Charged, text: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            text: text.into(),
            field: None,
            charged,
            task_id: None,
            status: None,
            reason: None,
            retry_after: None,
            source: None,
        }))
    }

    pub(crate) fn input(text: impl Into<String>) -> Self {
        Self::new(Kind::Input, Charged::No, text)
    }

    pub(crate) fn config(text: impl Into<String>) -> Self {
        Self::new(Kind::Config, Charged::No, text)
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn with_task(mut self, task_id: &TaskId) -> Self {
        self.0.task_id = Some(task_id.clone());
        self
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    pub(crate) fn with_reason(mut self, reason: Option<String>) -> Self {
        self.0.reason = reason;
        self
    }

    pub(crate) fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.0.retry_after = retry_after;
        self
    }

    /// Adds a sentence.
    pub(crate) fn ending(mut self, sentence: &str) -> Self {
        if !self.0.text.ends_with(['.', '!', '?', '…']) {
            self.0.text.push('.');
        }
        self.0.text.push(' ');
        self.0.text.push_str(sentence);
        self
    }

    /// Names the field of the request that this is about; it then stands before the sentence. For whoever opens
    /// [`crate::Frame`]s and knows which is which.
    pub fn for_field(mut self, field: &'static str) -> Self {
        self.0.field = Some(field);
        self
    }

    /// Whether money was spent on what this error speaks of.
    pub fn is_charged(&self) -> Charged {
        self.0.charged
    }

    /// The field of the request that is wrong, as the API names it, where one is.
    pub fn field(&self) -> Option<&str> {
        self.0.field
    }

    /// The task that this is about. Everything after a submit can be taken up again with it.
    pub fn task_id(&self) -> Option<&TaskId> {
        self.0.task_id.as_ref()
    }

    /// HTTP status, where there was an answer.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The service's word for the reason, such as `NOT_ENOUGH_BALANCE`; for a failed task its text. Open: new ones may
    /// come.
    pub fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// How long the service asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What was given cannot be sent, or the service does not accept it (400, 413, 415, 422): to be mended, not
    /// repeated.
    pub fn is_invalid_input(&self) -> bool {
        let refused = matches!(self.status(), Some(400 | 413 | 415 | 422)) && self.0.kind == Kind::Refused;
        self.0.kind == Kind::Input || refused && !self.is_auth() && !self.is_out_of_balance() && !self.is_moderation()
    }

    /// The client cannot be set up like this: no key, a bad base URL.
    pub fn is_config(&self) -> bool {
        self.0.kind == Kind::Config
    }

    /// The key is missing, wrong or not allowed (401, 403, or the service's words for it).
    pub fn is_auth(&self) -> bool {
        let missing = self.reason() == Some("MISSING_API_KEY");
        let refused = matches!(self.status(), Some(401 | 403)) || missing;
        refused && self.0.kind == Kind::Refused && !self.is_out_of_balance()
    }

    /// The account has no money left (402, or the service's words for it).
    pub fn is_out_of_balance(&self) -> bool {
        self.status() == Some(402) || matches!(self.reason(), Some("NOT_ENOUGH_BALANCE" | "BILLING_BALANCE_NOT_ENOUGH"))
    }

    /// A frame or the prompt was refused for what it shows or says, in words that were seen in this API's family.
    pub fn is_moderation(&self) -> bool {
        matches!(self.reason(), Some("ILLEGAL_PROMPT" | "ILLEGAL_IMAGE_CONTENT" | "PROHIBITED_CONTENT"))
    }

    /// Too many requests for now (429).
    pub fn is_rate_limited(&self) -> bool {
        self.status() == Some(429)
    }

    /// The service does not know this task or path (404).
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404) && self.0.kind == Kind::Refused
    }

    /// The wait's time limit ran out, or nothing came over the network for too long. A task goes on regardless.
    pub fn is_timeout(&self) -> bool {
        matches!(self.0.kind, Kind::TimeLimit | Kind::Silence)
    }

    /// The task is not finished: waiting ended, and may be taken up again.
    pub fn is_still_running(&self) -> bool {
        matches!(self.0.kind, Kind::TimeLimit | Kind::Unfinished)
    }

    /// A submit was stopped by its caller before it was accepted.
    pub fn is_stopped(&self) -> bool {
        self.0.kind == Kind::Stopped
    }

    /// No connection, or it broke, or nothing came.
    pub fn is_network(&self) -> bool {
        matches!(self.0.kind, Kind::Network | Kind::Silence)
    }

    /// TLS could not be agreed on, or the certificate is not trusted: by this machine's own view of whom it talks to.
    /// Never repeated, as asking again would not mend it.
    pub fn is_tls(&self) -> bool {
        self.0.source.as_ref().and_then(|source| source.downcast_ref()).is_some_and(tls::is_why)
    }

    /// The service answered with something that is not in its contract.
    pub fn is_invalid_answer(&self) -> bool {
        self.0.kind == Kind::Answer
    }

    /// The service gave the task up.
    pub fn is_task_failed(&self) -> bool {
        self.0.kind == Kind::TaskFailed
    }

    /// The task succeeded without any video, which happens when all were filtered out.
    pub fn is_without_video(&self) -> bool {
        self.0.kind == Kind::NoVideo
    }

    /// A video could not be fetched or is not one.
    pub fn is_download(&self) -> bool {
        self.0.kind == Kind::Download
    }

    /// A file could not be written.
    pub fn is_file(&self) -> bool {
        matches!(self.0.kind, Kind::File | Kind::Exists)
    }

    /// A file could not be written because there is no room: the disk is full, a quota is used up, or files may not be
    /// that large. [`Error::is_file`] too.
    pub fn is_disk_full(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let source = self.0.source.as_ref().and_then(|source| source.downcast_ref::<io::Error>());
        let full = |error: &io::Error| matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge);
        self.0.kind == Kind::File && source.is_some_and(full)
    }

    /// The file is there already, and was not overwritten.
    pub fn is_already_exists(&self) -> bool {
        self.0.kind == Kind::Exists
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = self.0.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.0.kind).field("text", &self.to_string()).field("charged", &self.0.charged);
        if let Some(task_id) = &self.0.task_id {
            debug.field("task_id", &task_id.as_str());
        }
        if let Some(status) = self.0.status {
            debug.field("status", &status);
        }
        if let Some(source) = &self.0.source {
            debug.field("source", &source.to_string());
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
