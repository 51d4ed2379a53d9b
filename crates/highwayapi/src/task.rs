//! A task that the service works on.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use highwayapi_raw as raw;
use highwayapi_raw::types;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::answer::{self, Answer, failure, silence};
use crate::error::Kind as ErrorKind;
use crate::redact::clean;
use crate::retry::LONGEST_PAUSE;
use crate::schedule::{Kind, Wish};
use crate::wait::Events;
use crate::{Charged, Client, Error, Event, Options, Result, TaskResult};

const WHAT: &str = "the poll";
/// A poll is small: one that takes longer than this hangs. Less, where the client waits less for anything.
const POLL_TIMEOUT: Duration = Duration::from_secs(30);

/// Names one task of an account. Opaque.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskId(String);

impl TaskId {
    /// The id as the service wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TaskId {
    type Err = Error;

    /// Any text but an empty one, one of more than 512 bytes, or one with blanks or control characters.
    fn from_str(text: &str) -> Result<Self> {
        let bad = |letter: char| letter.is_control() || letter.is_whitespace();
        if text.is_empty() || text.len() > 512 || text.contains(bad) {
            let expected = "expected what the submit returned, such as 7b8e1d1c-52ab-4f7c-9c3e-0a6c5f6f2d11";
            let came = clean(text, "");
            return Err(Error::input(format!("`{came}` is no task id; {expected}")).for_field("task_id"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for TaskId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<TaskId> for String {
    fn from(id: TaskId) -> Self {
        id.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A task, by its id: from [`Client::submit`], or from [`Client::task`] at any later time.
#[derive(Clone, Debug)]
pub struct Task {
    pub(crate) client: Client,
    id: TaskId,
    /// Whether the service is known to have this task.
    pub(crate) seen: bool,
    /// When it was submitted, where that is known.
    born: Option<Born>,
    /// What to expect of it, where that is known.
    pub(crate) kind: Option<Kind>,
    pub(crate) wait_timeout: Duration,
}

/// The age that something had at some time. (Clocks need not go back to its birth.)
#[derive(Clone, Copy, Debug)]
struct Born {
    at: Instant,
    age: Duration,
}

impl Task {
    pub(crate) fn submitted(client: Client, id: TaskId, options: &Options) -> Self {
        let born = Born { at: Instant::now(), age: Duration::ZERO };
        Self { seen: true, born: Some(born), kind: Some(Kind::of(options)), ..Self::known(client, id) }
    }

    pub(crate) fn known(client: Client, id: TaskId) -> Self {
        let wait_timeout = client.0.wait_timeout;
        Self { client, id, seen: false, born: None, kind: None, wait_timeout }
    }

    /// Says that the submit of this task is known to have been accepted, as from a record of it. Then a 404 is passed
    /// over for a while, as just after a submit, and errors say [`Charged::Yes`].
    #[must_use]
    pub fn accepted(self) -> Self {
        Self { seen: true, ..self }
    }

    /// Says when this task was submitted and what for, as from a record of it: then it is asked after when tasks of its kind
    /// are done, and it is learnt from. A time that is still to come is taken for none.
    #[must_use]
    pub fn submitted_at(self, time: SystemTime, options: &Options) -> Self {
        let age = SystemTime::now().duration_since(time).ok();
        Self { born: age.map(|age| Born { at: Instant::now(), age }), kind: Some(Kind::of(options)), ..self }
    }

    /// For how long the task has been there, where that is known.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.born.map(|born| born.age + born.at.elapsed())
    }

    /// The id. Keep it: with it everything after the submit can be done again.
    pub fn id(&self) -> &TaskId {
        &self.id
    }

    /// How long [`Task::wait`] and [`Task::events`] wait, other than the client's setting.
    pub fn wait_timeout(self, wait_timeout: Duration) -> Self {
        Self { wait_timeout, ..self }
    }

    /// Asks once how far the task is. One GET, not repeated; it waits its turn in the client's
    /// [`crate::ClientBuilder::requests_per_minute`].
    ///
    /// A failed task is an `Ok` here: its [`TaskResult::status`] says so.
    ///
    /// # Errors
    ///
    /// When no answer comes or it cannot be understood, or the service asked to be left alone for more than a minute. The
    /// task is not touched by that.
    pub async fn poll(&self) -> Result<TaskResult> {
        self.turn(LONGEST_PAUSE).await?;
        self.ask().await
    }

    /// Waits until a poll may be sent.
    pub(crate) async fn turn(&self, patience: Duration) -> Result<()> {
        let wish = Wish::Poll(self.client.0.schedule.now());
        self.client.turn(wish, patience, WHAT, self.paid()).await.map_err(|error| error.with_task(&self.id))
    }

    /// Of a task that nobody has seen yet nothing is known.
    fn paid(&self) -> Charged {
        if self.seen { Charged::Yes } else { Charged::Unknown }
    }

    /// As `poll`, for whoever has waited for the turn.
    pub(crate) async fn ask(&self) -> Result<TaskResult> {
        let paid = self.paid();
        let limit = POLL_TIMEOUT.min(self.client.0.idle_timeout);
        let client = &self.client.0.raw;
        let id = types::TaskId(self.id.0.clone());
        let answer = async {
            match client.get_task_result(&id).await {
                Ok(answer) => self.result(answer.into_inner()),
                // What nobody needs may be odd; the video is paid for.
                Err(raw::Error::InvalidResponsePayload(body, error)) => match essentials(&body) {
                    Some(essentials) => self.result(essentials),
                    None => {
                        let error = raw::Error::InvalidResponsePayload(body, error);
                        Err(failure(error, WHAT, self.client.base_url(), paid, limit))
                    }
                },
                Err(raw::Error::UnexpectedResponse(response)) => {
                    let answer = Answer::read(response, limit).await;
                    Err(answer.into_error(WHAT, paid, &self.client.0.key))
                }
                Err(error) => Err(failure(error, WHAT, self.client.base_url(), paid, limit)),
            }
        };
        let answer = tokio::time::timeout(limit, answer).await;
        answer.unwrap_or_else(|_| Err(silence(WHAT, paid, limit))).map_err(|error| {
            self.client.heed(&error);
            error.with_task(&self.id)
        })
    }

    /// Unless it is that of another task.
    fn result(&self, raw: types::TaskResult) -> Result<TaskResult> {
        match raw.task.task_id.as_ref().filter(|other| !other.0.is_empty() && other.0 != self.id.0) {
            None => Ok(TaskResult::new(&self.client, &self.id, raw)),
            Some(other) => {
                let other = clean(&other.0, &self.client.0.key);
                let text = format!("the poll of task {} was answered with task {other}", self.id);
                Err(Error::new(ErrorKind::Answer, self.paid(), text))
            }
        }
    }

    /// Waits until the task has its videos. Polls are paced and a failing poll does not end the wait; see
    /// [`Task::events`].
    ///
    /// # Errors
    ///
    /// [`Error::is_still_running`] when the time limit ran out: the task goes on, and may be waited for again.
    /// [`Error::is_task_failed`] when the service gave it up, [`Error::is_without_video`] when it succeeded without any
    /// video, and what [`Task::events`] says of polls that keep failing. Each carries the task's id.
    pub async fn wait(&self) -> Result<TaskResult> {
        let mut events = self.events();
        loop {
            match events.next().await {
                Some(Ok(Event::Done(result))) => return Ok(result),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => {
                    let text = format!("waiting for task {} ended without a result", self.id);
                    return Err(Error::new(ErrorKind::Answer, Charged::Yes, text).with_task(&self.id));
                }
            }
        }
    }

    /// Waits as [`Task::wait`] does and tells every step.
    pub fn events(&self) -> Events {
        Events::new(self.clone())
    }
}

/// The status and the links out of an answer of which something else cannot be understood.
pub(crate) fn essentials(body: &[u8]) -> Option<types::TaskResult> {
    let body = answer::json(body)?;
    let task = body.get("task")?;
    let id = match task.get("task_id") {
        Some(Value::Number(number)) => Value::String(number.to_string()),
        Some(id) => id.clone(),
        None => Value::Null,
    };
    let text = |name: &str| task.get(name).filter(|value| value.is_string());
    // Each in its place, so that it has the same index in every answer.
    let link = |video: &Value| json!({ "video_url": video.get("video_url").filter(|url| url.is_string()) });
    let videos = body.get("videos").and_then(Value::as_array).map(|videos| videos.iter().map(link).collect::<Vec<_>>());
    let essentials = json!({
        "task": {
            "task_id": id,
            "status": text("status")?,
            "reason": text("reason"),
            "error": text("error"),
            "message": text("message"),
        },
        "videos": videos,
    });
    serde_json::from_value(essentials).ok()
}
