//! What is told while a batch is run, and at its end.

use std::path::PathBuf;
use std::time::Duration;

use highwayapi::TaskId;

use super::{Batch, Tally};
use crate::error::Error;
use crate::job::{Clip, Job, JobId};
use crate::work::Step;

/// What happens while a batch is run.
#[derive(Debug)]
#[non_exhaustive]
pub enum BatchEvent {
    /// A job is worked on here from now on.
    Claimed(Box<Job>),
    /// The service did not take it; it is planned again, and will be sent again.
    #[non_exhaustive]
    NotTaken {
        /// Which.
        job: JobId,
        /// Why.
        error: highwayapi::Error,
    },
    /// It is accepted and paid for.
    Submitted(Box<Job>),
    /// It is accepted and paid for, and its task could not be written down yet: note it.
    #[non_exhaustive]
    Unrecorded {
        /// Which.
        job: JobId,
        /// Its task.
        task_id: TaskId,
    },
    /// The service answered; the task is not finished.
    #[non_exhaustive]
    Progress {
        /// Which.
        job: JobId,
        /// How far it is, where the service says.
        percent: Option<f64>,
    },
    /// Something failed that may pass, and is tried again.
    #[non_exhaustive]
    Again {
        /// Which.
        job: JobId,
        /// Why, in words.
        reason: String,
        /// When.
        pause: Duration,
    },
    /// A video is about to be fetched.
    #[non_exhaustive]
    Fetching {
        /// Which.
        job: JobId,
        /// Which of the task's videos, from 1.
        sample: usize,
        /// Where it goes.
        file: PathBuf,
    },
    /// Some more of a video is there.
    #[non_exhaustive]
    Bytes {
        /// Which.
        job: JobId,
        /// Which of the task's videos, from 1.
        sample: usize,
        /// How much of it is there.
        done: u64,
        /// How much there will be, where it is known.
        length: Option<u64>,
    },
    /// A video is in its file.
    #[non_exhaustive]
    Saved {
        /// Which.
        job: JobId,
        /// The video.
        clip: Clip,
    },
    /// Nothing is left to do for it now: downloaded, failed, refused, unknown or dropped, as its state says.
    Ended(Box<Job>),
    /// It is not finished, and left for another time.
    #[non_exhaustive]
    Left {
        /// It, as it is now.
        job: Box<Job>,
        /// Why.
        error: Error,
    },
    /// Nothing more is begun from here on, and why.
    Stopping(String),
    /// The record cannot be used just now; it is tried again.
    Trouble(Error),
}

impl BatchEvent {
    /// What is to be told of a step; none of what is told otherwise.
    pub(crate) fn of(job: &JobId, step: Step<'_>) -> Option<Self> {
        let job = job.clone();
        Some(match step {
            Step::Progress(result) => Self::Progress { job, percent: result.progress_percent() },
            Step::PollFailed { error, pause, .. } => Self::Again { job, reason: error.to_string(), pause },
            Step::Succeeded(_) => Self::Progress { job, percent: Some(100.0) },
            Step::Fetching { sample, file } => Self::Fetching { job, sample, file: file.to_owned() },
            Step::Bytes { sample, done, length } => Self::Bytes { job, sample, done, length },
            Step::Saved(clip) => Self::Saved { job, clip: clip.clone() },
        })
    }
}

/// How a run came to its end.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Why nothing more is done.
    pub ending: Ending,
    /// The batch, with what it has cost.
    pub batch: Batch,
    /// How far its items are.
    pub tally: Tally,
    /// How many jobs could not be finished here; each was told as [`BatchEvent::Left`].
    pub left: u64,
}

/// Why a run has ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ending {
    /// Nothing is left that could be done.
    Done,
    /// Only what was begun was to be finished, and that is.
    Finished,
    /// What is left would pass a cap.
    CapReached,
    /// The batch is cancelled.
    Cancelled,
    /// Its user stopped it.
    Stopped,
    /// The service takes nothing, for a reason that is not any item's: out of reach, the key, the account's balance.
    Service(Error),
}
