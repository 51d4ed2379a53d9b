//! What a task has come to.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use highwayapi_raw::types;

use crate::download::Download;
use crate::error::Kind;
use crate::redact::{clean, plain_url};
use crate::{Charged, Client, Error, Result, TaskId};

/// State of a task.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskStatus {
    /// Waits for its turn.
    Queued,
    /// Is being worked on.
    Processing,
    /// Is done. The service spells it `TASK_STATUS_SUCCEED`.
    Succeeded,
    /// Was given up.
    Failed,
    /// A state that this crate does not know, as the service wrote it. Taken for "not finished".
    Other(String),
}

impl TaskStatus {
    fn new(raw: types::TaskStatus, key: &str) -> Self {
        use types::KnownTaskStatus as Known;
        match raw {
            types::TaskStatus::KnownTaskStatus(Known::TaskStatusQueued) => Self::Queued,
            types::TaskStatus::KnownTaskStatus(Known::TaskStatusProcessing) => Self::Processing,
            types::TaskStatus::KnownTaskStatus(Known::TaskStatusSucceed) => Self::Succeeded,
            types::TaskStatus::KnownTaskStatus(Known::TaskStatusFailed) => Self::Failed,
            types::TaskStatus::Other(text) => Self::Other(clean(&text, key)),
        }
    }
}

/// In words, for people.
impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Other(text) => text,
        })
    }
}

/// One answer to a poll.
#[derive(Clone, Debug)]
pub struct TaskResult {
    task_id: TaskId,
    status: TaskStatus,
    progress_percent: Option<f64>,
    eta: Option<Duration>,
    seed: Option<u64>,
    reason: Option<String>,
    videos: Vec<Video>,
    run_time: Option<Duration>,
}

impl TaskResult {
    pub(crate) fn new(client: &Client, task_id: &TaskId, raw: types::TaskResult) -> Self {
        let task = raw.task;
        let reason = [task.reason, task.error, task.message].into_iter().flatten();
        let videos = raw.videos.unwrap_or_default().into_iter().enumerate();
        Self {
            task_id: task_id.clone(),
            status: TaskStatus::new(task.status, &client.0.key),
            progress_percent: task.progress_percent.and_then(number).map(|percent| percent.clamp(0.0, 100.0)),
            eta: task.eta.and_then(seconds),
            seed: raw.extra.and_then(|extra| extra.seed).and_then(whole),
            reason: reason.map(|text| clean(&text, &client.0.key)).find(|text| !text.is_empty()),
            videos: videos.filter_map(|(index, video)| Video::new(client, task_id, index, video)).collect(),
            run_time: None,
        }
    }

    pub(crate) fn ran_for(self, run_time: Option<Duration>) -> Self {
        Self { run_time, ..self }
    }

    /// How long the task ran from its submit until it was done, as nearly as [`crate::Task::wait`] saw it; not known where
    /// it was done before it was waited for, or asked after too rarely to say. For [`crate::Client::learn`].
    pub fn run_time(&self) -> Option<Duration> {
        self.run_time
    }

    /// The task that this is about.
    pub fn task_id(&self) -> &TaskId {
        &self.task_id
    }

    /// How far the task is.
    pub fn status(&self) -> &TaskStatus {
        &self.status
    }

    /// From 0 to 100, where the service says. For display only: finished tasks were seen at 0.
    pub fn progress_percent(&self) -> Option<f64> {
        self.progress_percent
    }

    /// How long the service expects it to take still, where it says; it often says 0, which is taken for not saying.
    pub fn eta(&self) -> Option<Duration> {
        self.eta
    }

    /// The seed that was used, where the service says.
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// Why the task failed, where the service says.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The videos that can be fetched. Of a task that succeeded these may be fewer than were asked for: filters may
    /// have taken the others (known of the model, not of this service).
    pub fn videos(&self) -> &[Video] {
        &self.videos
    }

    /// The same if it is the end of a task that has videos, as [`crate::Task::wait`] gives it.
    ///
    /// # Errors
    ///
    /// [`Error::is_task_failed`] and [`Error::is_without_video`] as `wait` does; [`Error::is_still_running`] when it is
    /// not the end.
    pub fn finished(self) -> Result<Self> {
        match self.status {
            TaskStatus::Succeeded => self.with_videos(),
            TaskStatus::Failed => Err(self.failed()),
            TaskStatus::Queued | TaskStatus::Processing | TaskStatus::Other(_) => {
                let text = format!("task {} is {}, not finished", self.task_id, self.status);
                Err(Error::new(Kind::Unfinished, Charged::Yes, text).with_task(&self.task_id))
            }
        }
    }

    fn with_videos(self) -> Result<Self> {
        if !self.videos.is_empty() {
            return Ok(self);
        }
        let why = self.reason.as_deref().unwrap_or("the service gives no reason; its filters may have taken all of it");
        let text = format!("task {} succeeded without a video: {why}", self.task_id);
        Err(Error::new(Kind::NoVideo, Charged::Unknown, text).with_task(&self.task_id).with_reason(self.reason))
    }

    fn failed(self) -> Error {
        let why = self.reason.as_deref().unwrap_or("the service gives no reason");
        let text = format!("task {} failed: {why}", self.task_id);
        Error::new(Kind::TaskFailed, Charged::Unknown, text).with_task(&self.task_id).with_reason(self.reason)
    }
}

/// One video of a task, behind a pre-signed link that is valid for about an hour: download it at once.
#[derive(Clone)]
pub struct Video {
    pub(crate) client: Client,
    pub(crate) task_id: TaskId,
    index: usize,
    url: String,
    ttl: Option<Duration>,
}

impl Video {
    fn new(client: &Client, task_id: &TaskId, index: usize, raw: types::VideoResult) -> Option<Self> {
        let url = raw.video_url.filter(|url| !url.trim().is_empty())?;
        let ttl = raw.video_url_ttl.and_then(seconds);
        Some(Self { client: client.clone(), task_id: task_id.clone(), index, url, ttl })
    }

    /// Its place among the task's videos as the service lists them, counted from 0 and with those that have no link. It
    /// stays the same when the links are made anew.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The link, signature and all: whoever has it can fetch the video. Not for logs.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How long the link is valid, where the service says.
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl
    }

    /// Fetches the video into a file. Await it, or set something first.
    ///
    /// It goes to a part file beside the target (`clip.mp4.highway-part`) and gets its name only when it is whole: of the
    /// announced length and digest, an MP4 with all its boxes, and synced to disk. No credentials are sent to the file's
    /// host.
    ///
    /// A connection that breaks off, falls silent or is too slow (less than 64 KiB within the client's `idle_timeout`),
    /// and answers that ask to come back, are tried again from where it stopped: at most 5 times in a row that bring
    /// less than 64 KiB. For a link that has expired the task is asked for a fresh one, at most 3 times.
    ///
    /// When it ends early (an error, a dropped future, a killed program), a part that can be continued stays, with a
    /// small private file beside it that says what it is a part of (`clip.mp4.highway-part.json`). The next download of
    /// the same video to the same path goes on from there, if the file host tells by a validator that the video is still
    /// the same and the machine was not started anew in between.
    ///
    /// # Errors
    ///
    /// [`Error::is_already_exists`] when the target is there, before anything is fetched; [`Error::is_file`] when it
    /// cannot be written, and [`Error::is_disk_full`] when for want of room; [`Error::is_tls`] when the file host's
    /// certificate is not trusted; [`Error::is_download`] when the video cannot be had or what comes is no whole MP4.
    pub fn download(&self, path: impl AsRef<Path>) -> Download<'_> {
        Download::new(self, path.as_ref().to_owned())
    }
}

impl fmt::Debug for Video {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Video").field("url", &plain_url(&self.url)).field("ttl", &self.ttl).finish()
    }
}

fn number(raw: types::NumberOrText) -> Option<f64> {
    let number = match raw {
        types::NumberOrText::Number(number) => number,
        types::NumberOrText::Text(text) => text.trim().parse().ok()?,
    };
    number.is_finite().then_some(number)
}

/// Never rounded: another seed is another video.
fn whole(raw: types::NumberOrText) -> Option<u64> {
    match raw {
        types::NumberOrText::Text(text) => text.trim().parse().ok(),
        // Beyond that a number in JSON may have been rounded on its way.
        types::NumberOrText::Number(number) if number.fract() == 0.0 && (0.0..=2f64.powi(53)).contains(&number) => {
            Some(number as u64)
        }
        types::NumberOrText::Number(_) => None,
    }
}

/// 0 was seen where nothing was meant.
fn seconds(raw: types::NumberOrText) -> Option<Duration> {
    let seconds = number(raw).filter(|&seconds| seconds > 0.0)?;
    Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero())
}
