//! The tasks: admitted, queued, processing, done; bounded in number.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::error::ApiError;

/// Tasks that may wait or run at once, unless the builder says otherwise. One that waits holds ten to twenty
/// kilobytes, its pictures apart.
pub(crate) const MAX_OPEN: usize = 10_000;

/// Finished tasks remembered; over that the oldest are forgotten.
pub(crate) const MAX_FINISHED: usize = 10_000;

/// Characters of a prompt that are remembered: the contract sets no limit.
const PROMPT_KEPT: usize = 1000;

/// A submit that was accepted; from [`Sandbox::accepted`](crate::Sandbox::accepted).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// The id that the submit was answered with.
    pub task_id: String,
    /// What was asked for, its first 1,000 characters.
    pub prompt: String,
    /// The seed that is used, asked for or not.
    pub seed: u32,
}

/// What shall become of one task, where it is not what the sandbox is configured for; in the extensions of its submit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(dead_code)]
pub(crate) struct Fate {
    /// How long it waits before it runs.
    pub(crate) queued: Option<Duration>,
    /// How long it runs.
    pub(crate) run: Option<Duration>,
    /// It fails at its end, for this reason.
    pub(crate) fails: Option<String>,
    /// It gives at most so many clips.
    pub(crate) clips: Option<u32>,
    /// It runs and never ends.
    pub(crate) stuck: bool,
}

/// All tasks of a sandbox, by id.
pub(crate) struct Tasks {
    max_open: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    tasks: HashMap<String, Task>,
    /// Oldest first.
    finished: VecDeque<String>,
    admitted: u64,
}

struct Task {
    /// Counted from the first that was accepted.
    number: u64,
    prompt: String,
    state: State,
    seed: u32,
    percent: f32,
    submitted: u128,
    /// 0 until it is so far, as in Protobuf's JSON, which the service's answers look like.
    executed: u128,
    completed: u128,
}

enum State {
    Queued,
    Processing,
    /// The ids of its clips.
    Succeeded(Vec<String>),
    Failed(String),
}

impl Tasks {
    pub(crate) fn new(max_open: usize) -> Self {
        Self { max_open, table: Mutex::default() }
    }

    /// Accepted so far: each of them would have been billed.
    pub(crate) fn admitted(&self) -> u64 {
        self.table().admitted
    }

    /// How many wait or run.
    pub(crate) fn open(&self) -> u64 {
        let table = self.table();
        (table.tasks.len() - table.finished.len()) as u64
    }

    /// The number of a task among the accepted, counted from 1.
    pub(crate) fn number(&self, id: &str) -> Option<u64> {
        self.table().tasks.get(id).map(|task| task.number)
    }

    /// Those of the accepted that are remembered, in their order.
    pub(crate) fn accepted(&self) -> Vec<Accepted> {
        let table = self.table();
        let mut tasks: Vec<_> = table.tasks.iter().collect();
        tasks.sort_unstable_by_key(|(_, task)| task.number);
        let accepted = |(id, task): (&String, &Task)| Accepted {
            task_id: id.clone(),
            prompt: task.prompt.clone(),
            seed: task.seed,
        };
        tasks.into_iter().map(accepted).collect()
    }

    /// Takes a task in, or says that there are too many.
    pub(crate) fn admit(&self, id: &str, prompt: &str, seed: u32) -> Result<(), ApiError> {
        let mut table = self.table();
        let open = table.tasks.len() - table.finished.len();
        if open >= self.max_open {
            return Err(ApiError::busy(format!(
                "the queue is full: at most {} tasks wait or run at once",
                self.max_open
            )));
        }
        table.admitted += 1;
        let task = Task {
            number: table.admitted,
            prompt: prompt.chars().take(PROMPT_KEPT).collect(),
            state: State::Queued,
            seed,
            percent: 0.0,
            submitted: now(),
            executed: 0,
            completed: 0,
        };
        table.tasks.insert(id.to_owned(), task);
        Ok(())
    }

    pub(crate) fn begin(&self, id: &str) {
        if let Some(task) = self.table().tasks.get_mut(id)
            && matches!(task.state, State::Queued)
        {
            task.state = State::Processing;
            task.executed = now();
        }
    }

    pub(crate) fn progress(&self, id: &str, part: f32) {
        if let Some(task) = self.table().tasks.get_mut(id) {
            task.percent = task.percent.max(part * 100.0);
        }
    }

    /// The ids of the clips, or why there are none.
    pub(crate) fn finish(&self, id: &str, outcome: Result<Vec<String>, String>) {
        let mut table = self.table();
        let Some(task) = table.tasks.get_mut(id) else { return };
        task.completed = now();
        if task.executed == 0 {
            // All its clips were there already.
            task.executed = task.completed;
        }
        task.state = match outcome {
            Ok(clips) => State::Succeeded(clips),
            Err(why) => State::Failed(why),
        };
        table.finished.push_back(id.to_owned());
        if table.finished.len() > MAX_FINISHED
            && let Some(oldest) = table.finished.pop_front()
        {
            table.tasks.remove(&oldest);
        }
    }

    /// The answer to task-result. `link` gives a clip's URL, `ttl` is for how many seconds.
    pub(crate) fn answer(&self, id: &str, link: impl Fn(&str) -> String, ttl: u64) -> Option<Value> {
        let table = self.table();
        let task = table.tasks.get(id)?;
        let (status, reason, percent, clips) = match &task.state {
            State::Queued => ("TASK_STATUS_QUEUED", "", 0, &[][..]),
            State::Processing => ("TASK_STATUS_PROCESSING", "", (task.percent as u8).min(99), &[][..]),
            State::Succeeded(clips) => ("TASK_STATUS_SUCCEED", "", 100, &clips[..]),
            State::Failed(why) => ("TASK_STATUS_FAILED", &why[..], (task.percent as u8).min(99), &[][..]),
        };
        let video =
            |clip: &String| json!({ "video_url": link(clip), "video_url_ttl": ttl.to_string(), "video_type": "mp4" });
        Some(json!({
            "task": {
                "task_id": id,
                "status": status,
                "reason": reason,
                "task_type": "",
                "eta": 0,
                "progress_percent": percent,
            },
            "extra": {
                "seed": task.seed.to_string(),
                "debug_info": {
                    "request_info": "",
                    "submit_time_ms": task.submitted.to_string(),
                    "execute_time_ms": task.executed.to_string(),
                    "complete_time_ms": task.completed.to_string(),
                },
            },
            "images": [],
            "videos": clips.iter().map(video).collect::<Vec<_>>(),
            "audios": [],
        }))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_may_wait_and_ten_thousand_finished_are_remembered() {
        let tasks = Tasks::new(MAX_OPEN);
        let first = |n: usize| format!("first {n}");
        (0..10_000).for_each(|n| tasks.admit(&first(n), "", 0).unwrap());
        assert!(tasks.admit("one more", "", 0).is_err());

        (0..10_000).for_each(|n| tasks.finish(&first(n), Ok(Vec::new())));
        (0..10_000).for_each(|n| tasks.admit(&n.to_string(), "", 0).unwrap());
        assert_eq!(tasks.accepted().len(), 20_000, "who waits makes nobody forgotten");
        tasks.finish("0", Ok(Vec::new()));
        let known = |id: &str| tasks.answer(id, str::to_owned, 0).is_some();
        assert!(!known(&first(0)) && known(&first(1)) && known("0"));
        assert_eq!((tasks.accepted().len(), tasks.admitted()), (19_999, 20_000));
    }
}
