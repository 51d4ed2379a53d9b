//! A task as people and programs look at it from outside the API.

use serde::Serialize;

use super::Task;
use crate::hex;

/// A task, all that is known of it; from [`Sandbox::tasks`](crate::Sandbox::tasks). Its times are milliseconds since the
/// sandbox began.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TaskView {
    /// Counted from the first that was accepted.
    pub number: u64,
    /// The id that the submit was answered with.
    pub task_id: String,
    /// The status as the API tells it, such as `TASK_STATUS_QUEUED`.
    pub status: &'static str,
    /// Why it failed, if it did.
    pub reason: Option<String>,
    /// From 0 to 100.
    pub progress_percent: u8,
    /// The short name of the key it was submitted with.
    pub key: String,
    /// A hash that is the same for the same request.
    pub request: String,
    /// The first 1,000 characters of the prompt.
    pub prompt: String,
    /// The seed that is used, asked for or not.
    pub seed: u32,
    /// SHA-256 of the first frame.
    pub image: String,
    /// SHA-256 of the last frame.
    pub last_image: String,
    /// Pixels in a row of its clips.
    pub width: u32,
    /// Rows of its clips.
    pub height: u32,
    /// Length of a clip in seconds.
    pub seconds: u32,
    /// Whether its clips have a sound track.
    pub audio: bool,
    /// Clips that were asked for.
    pub samples: u32,
    /// When it was submitted.
    pub submitted_ms: u64,
    /// When it began to run, if it has.
    pub began_ms: Option<u64>,
    /// When it ended, if it has.
    pub ended_ms: Option<u64>,
    /// Fresh links to its clips, if it has succeeded.
    pub links: Vec<String>,
}

impl Task {
    pub(crate) fn view(&self, now: u64, link: impl Fn(u32) -> String) -> TaskView {
        let state = self.state(now);
        let past = |time: Option<u64>| time.filter(|time| *time <= now);
        TaskView {
            number: self.number,
            task_id: self.task_id.clone(),
            status: state.name(),
            reason: self.reason(now).map(str::to_owned),
            progress_percent: self.percent(now),
            key: self.key.clone(),
            request: self.request.clone(),
            prompt: self.prompt.clone(),
            seed: self.seed,
            image: hex::encode(&self.image),
            last_image: hex::encode(&self.last_image),
            width: self.width,
            height: self.height,
            seconds: self.seconds,
            audio: self.audio,
            samples: self.samples,
            submitted_ms: self.submitted,
            began_ms: past(self.begins),
            ended_ms: past(self.end()),
            links: self.ready(now).map(link).collect(),
        }
    }
}
