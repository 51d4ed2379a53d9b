//! How far the jobs were that a kill hit.

use std::time::SystemTime;

use crate::files::There;
use crate::kills::journal::Post;

/// In the order in which a job goes through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Opening,
    BeforePost,
    Sending,
    Answering,
    BeforeRecord,
    Waiting,
    Fetching,
    BeforeName,
    BeforeDone,
    Done,
}

impl Phase {
    pub(super) const ALL: [Self; 10] = [
        Self::Opening,
        Self::BeforePost,
        Self::Sending,
        Self::Answering,
        Self::BeforeRecord,
        Self::Waiting,
        Self::Fetching,
        Self::BeforeName,
        Self::BeforeDone,
        Self::Done,
    ];

    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Opening => "starting, opening the record",
            Self::BeforePost => "between intent and POST",
            Self::Sending => "sending the POST, not accepted yet",
            Self::Answering => "accepted, the answer on its way",
            Self::BeforeRecord => "between the answer and the record",
            Self::Waiting => "waiting for the task",
            Self::Fetching => "fetching the video",
            Self::BeforeName => "between sidecar and final name",
            Self::BeforeDone => "between final name and record",
            Self::Done => "recorded as fetched, not ended yet",
        }
    }

    /// Of a job whose state the record knows.
    pub(super) fn known(state: &str, there: There) -> Option<Self> {
        Some(match (state, there) {
            ("submitted", _) => Self::Waiting,
            ("succeeded", There { clip: true, .. }) => Self::BeforeDone,
            ("succeeded", There { sidecar: true, .. }) => Self::BeforeName,
            ("succeeded", _) => Self::Fetching,
            ("downloaded", _) => Self::Done,
            _ => return None,
        })
    }

    /// Of a job that was being sent, by what the service saw of it until then; `None` is nothing.
    pub(super) fn sent(post: Option<&Post>, killed: SystemTime) -> Self {
        let before = |time: Option<SystemTime>| time.is_some_and(|time| time <= killed);
        match post {
            Some(post) if before(post.answered) => Self::BeforeRecord,
            Some(post) if before(post.accepted) => Self::Answering,
            Some(post) if post.arrived <= killed => Self::Sending,
            _ => Self::BeforePost,
        }
    }
}
