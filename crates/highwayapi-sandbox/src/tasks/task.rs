//! One task: what was asked for, and what the clock makes of it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use highwayapi_render::{ClipSpec, Size};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clip::Pair;
use crate::hex;
use crate::pictures::Content;

/// A submit that was accepted. All its times are milliseconds since the sandbox began.
///
/// Where run times are drawn, `begins` and `ends` are settled when it is accepted; where a task runs as long as its
/// rendering takes, they are set when it is so far.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    /// Counted from the first that was accepted.
    pub(crate) number: u64,
    pub(crate) task_id: String,
    /// The name of the key it was submitted with.
    pub(crate) key: String,
    /// What makes it the same request as another one.
    pub(crate) request: String,
    /// Its first 1,000 characters.
    pub(crate) prompt: String,
    /// The seed that is used, asked for or not.
    pub(crate) seed: u32,
    /// SHA-256 of the pictures.
    #[serde(with = "hex")]
    pub(crate) image: Content,
    #[serde(with = "hex")]
    pub(crate) last_image: Content,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) seconds: u32,
    pub(crate) audio: bool,
    /// Clips that were asked for.
    pub(crate) samples: u32,
    /// Clips that it gives.
    pub(crate) clips: u32,
    pub(crate) submitted: u64,
    pub(crate) begins: Option<u64>,
    pub(crate) ends: Option<u64>,
    /// It never ends, whatever `ends` says.
    pub(crate) stuck: bool,
    /// It fails when it ends, for this reason.
    pub(crate) fails: Option<String>,
    /// How far the rendering is, where it decides.
    #[serde(skip)]
    pub(crate) rendered: f32,
    /// None once they were let go, to make room.
    #[serde(skip)]
    pub(crate) pair: Option<Arc<Pair>>,
}

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Queued,
    Processing,
    Succeeded,
    Failed,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Queued => "TASK_STATUS_QUEUED",
            Self::Processing => "TASK_STATUS_PROCESSING",
            Self::Succeeded => "TASK_STATUS_SUCCEED",
            Self::Failed => "TASK_STATUS_FAILED",
        }
    }
}

impl Task {
    pub(crate) fn state(&self, now: u64) -> State {
        match (self.begins, self.end()) {
            (_, Some(ends)) if ends <= now && self.fails.is_some() => State::Failed,
            (_, Some(ends)) if ends <= now => State::Succeeded,
            (Some(begins), _) if begins <= now => State::Processing,
            _ => State::Queued,
        }
    }

    /// When it is over, as far as that is settled.
    pub(crate) fn end(&self) -> Option<u64> {
        self.ends.filter(|_| !self.stuck)
    }

    /// Whether it ends when its clips are there, and not by the clock.
    pub(crate) fn waits_for_clips(&self) -> bool {
        self.ends.is_none()
    }

    /// From 0 to 100; 100 only for a success.
    pub(crate) fn percent(&self, now: u64) -> u8 {
        let part = match (self.state(now), self.begins, self.ends) {
            (State::Queued, ..) => 0.0,
            (State::Succeeded, ..) => return 100,
            (_, Some(begins), Some(ends)) if ends > begins => (now - begins.min(now)) as f32 / (ends - begins) as f32,
            _ => self.rendered,
        };
        ((part * 100.0) as u8).min(99)
    }

    /// Why it failed, once it has.
    pub(super) fn reason(&self, now: u64) -> Option<&str> {
        self.fails.as_deref().filter(|_| self.state(now) == State::Failed)
    }

    /// The clips that can be fetched.
    pub(super) fn ready(&self, now: u64) -> Range<u32> {
        if self.state(now) == State::Succeeded { 0..self.clips } else { 0..0 }
    }

    pub(crate) fn size(&self) -> Option<Size> {
        Size::new(self.width, self.height).ok()
    }

    /// What makes its clip of this number, counted from 0.
    pub(crate) fn spec(&self, sample: u32) -> Option<ClipSpec> {
        let seed = u64::from(self.seed) + u64::from(sample);
        Some(ClipSpec { size: self.size()?, seconds: self.seconds, audio: self.audio, seed })
    }

    /// The answer to task-result. `link` gives the URL of a clip, `ttl` is for how many seconds it is good, `began` when
    /// the sandbox did, since 1970.
    pub(crate) fn answer(&self, now: u64, began: Duration, link: impl Fn(u32) -> String, ttl: u64) -> Value {
        let began: u64 = began.as_millis().try_into().unwrap_or(u64::MAX);
        // 0 until it is so far, as in Protobuf's JSON, which the service's answers look like.
        let time = |at: Option<u64>| at.filter(|at| *at <= now).map_or(0, |at| began.saturating_add(at)).to_string();
        let video =
            |sample| json!({ "video_url": link(sample), "video_url_ttl": ttl.to_string(), "video_type": "mp4" });
        json!({
            "task": {
                "task_id": self.task_id,
                "status": self.state(now).name(),
                "reason": self.reason(now).unwrap_or_default(),
                "task_type": "",
                "eta": 0,
                "progress_percent": self.percent(now),
            },
            "extra": {
                "seed": self.seed.to_string(),
                "debug_info": {
                    "request_info": "",
                    "submit_time_ms": time(Some(self.submitted)),
                    "execute_time_ms": time(self.begins),
                    "complete_time_ms": time(self.end()),
                },
            },
            "images": [],
            "videos": self.ready(now).map(video).collect::<Vec<_>>(),
            "audios": [],
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn task(number: u64) -> Task {
        Task {
            number,
            task_id: format!("task {number}"),
            key: "key".to_owned(),
            request: String::new(),
            prompt: String::new(),
            seed: 7,
            image: [1; 32],
            last_image: [2; 32],
            width: 1280,
            height: 720,
            seconds: 8,
            audio: false,
            samples: 2,
            clips: 2,
            submitted: 0,
            begins: None,
            ends: None,
            stuck: false,
            fails: None,
            rendered: 0.0,
            pair: None,
        }
    }

    fn line(task: &Task, now: u64) -> String {
        let answer = task.answer(now, Duration::from_secs(1), |sample| format!("link {sample}"), 60);
        let (task, times) = (&answer["task"], &answer["extra"]["debug_info"]);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        format!(
            "{now}: {} {:?} {} % {} {} {}, {} videos",
            text(&task["status"]),
            text(&task["reason"]),
            task["progress_percent"],
            text(&times["submit_time_ms"]),
            text(&times["execute_time_ms"]),
            text(&times["complete_time_ms"]),
            answer["videos"].as_array().unwrap().len()
        )
    }

    #[test]
    fn a_plan_and_the_clock_make_the_state() {
        let good = Task { submitted: 5, begins: Some(100), ends: Some(300), ..task(1) };
        let bad = Task { fails: Some("the prompt was refused".to_owned()), ..good.clone() };
        let stuck = Task { stuck: true, ..good.clone() };
        let waiting = task(1);
        let rendering = Task { begins: Some(10), rendered: 0.5, ..task(1) };
        let lines = [(&good, 99), (&good, 100), (&good, 250), (&good, 299), (&good, 300), (&bad, 299), (&bad, 300)];
        let lines =
            lines.into_iter().chain([(&stuck, 300), (&stuck, u64::MAX), (&waiting, u64::MAX), (&rendering, 10)]);
        let lines: Vec<_> = lines.map(|(task, now)| line(task, now)).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn what_is_written_is_read_again_and_nothing_is_guessed() {
        let written = serde_json::to_value(Task { begins: Some(1), ..task(3) }).unwrap();
        let read: Task = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), written);
        for (field, value) in [("image", json!("00")), ("image", json!("é".repeat(32))), ("other", json!(1))] {
            let mut broken = written.clone();
            broken[field] = value;
            assert!(serde_json::from_value::<Task>(broken).is_err(), "{field}");
        }
    }
}
