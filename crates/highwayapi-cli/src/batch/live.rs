//! What is told of a batch while it runs: lines that move on a terminal, calm ones in a log, JSON for programs.

mod screen;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use highwayapi::Charged;
use highwayapi_jobs::batch::{BatchEvent, Outcome};
use highwayapi_jobs::{Batch, Job, State, Tally};
use serde_json::{Value, json};

use crate::batch::prepare::short;
use crate::batch::status::line;
use crate::exit::whole;
use crate::say;
use crate::show::{near, plain};
use screen::Screen;

/// So often a log hears how far it is.
const SUMMARY: Duration = Duration::from_secs(60);

/// Where a running batch is told.
pub(super) struct Live {
    way: Way,
    state: Mutex<Known>,
}

enum Way {
    /// One JSON object a line on standard output.
    Json,
    /// Lines that move.
    Screen(Screen),
    /// A line for what happens and cannot be seen otherwise.
    Log,
}

/// What is known of the batch.
struct Known {
    batch: Batch,
    tally: Tally,
    /// How many were there when this began.
    before: u64,
    begun: Instant,
    summary: Instant,
}

impl Live {
    pub(super) fn new(json: bool, batch: &Batch, tally: Tally) -> Self {
        let way = match (json, Screen::new()) {
            (true, _) => Way::Json,
            (false, Some(screen)) => Way::Screen(screen),
            (false, None) => Way::Log,
        };
        let now = Instant::now();
        match way {
            Way::Json => {
                say::out(json!({ "event": "begun", "batch": batch.id, "name": batch.name, "items": tally.total() }));
            }
            _ => say::err(format_args!("highway: batch {}: {}", batch.id, line(batch, &tally))),
        }
        let before = tally.count(State::Downloaded);
        let known = Known { batch: batch.clone(), tally, before, begun: now, summary: now };
        Self { way, state: Mutex::new(known) }
    }

    /// What the record says now, whoever did it.
    pub(super) fn known(&self, batch: Option<&Batch>, tally: Tally) {
        let mut known = self.lock();
        known.tally = tally;
        if let Some(batch) = batch {
            known.batch = batch.clone();
        }
        if matches!(self.way, Way::Log) && known.summary.elapsed() >= SUMMARY {
            known.summary = Instant::now();
            say::err(format_args!("highway: {}", known.summary()));
        }
    }

    pub(super) fn draw(&self) {
        if let Way::Screen(screen) = &self.way {
            screen.draw(&self.lock().summary());
        }
    }

    pub(super) fn note(&self, text: &str) {
        match &self.way {
            Way::Json => _ = say::result(json!({ "event": "note", "message": text })),
            Way::Screen(screen) => screen.print(|| say::err(format_args!("highway: {text}"))),
            Way::Log => say::err(format_args!("highway: {text}")),
        }
    }

    pub(super) fn event(&self, event: &BatchEvent) {
        match &self.way {
            Way::Json => {
                if let Some(line) = value(event) {
                    say::result(line);
                }
            }
            Way::Screen(screen) => {
                screen.event(event);
                self.tell(event);
            }
            Way::Log => self.tell(event),
        }
    }

    /// What stays, on a terminal and in a log.
    fn tell(&self, event: &BatchEvent) {
        match event {
            BatchEvent::Saved { clip, .. } => match &self.way {
                Way::Screen(screen) => screen.print(|| _ = say::result(near(&clip.file))),
                _ => _ = say::result(near(&clip.file)),
            },
            BatchEvent::Ended(job) if job.state != State::Downloaded => {
                let why = job.reason.as_deref().map(|why| format!(": {}", plain(why))).unwrap_or_default();
                self.note(&format!("{} is {}{why} (job {})", item(job), job.state, job.id));
            }
            BatchEvent::Left { job, error, .. } => {
                self.note(&format!("{} is not finished now: {} (job {})", item(job), plain(&whole(error)), job.id));
            }
            BatchEvent::Unrecorded { job, task_id, .. } => {
                self.note(&format!(
                    "task {task_id} of job {job} is accepted and paid for, and not in the record yet; note it"
                ));
            }
            BatchEvent::Stopping(why) => self.note(&format!("nothing more is sent: {}", plain(why))),
            BatchEvent::Trouble(error) => self.note(&plain(&whole(error))),
            _ => {}
        }
    }

    /// Whether anything was charged, as far as it was known when the record was looked at last. What is counted may be on
    /// its way.
    pub(super) fn charged(&self) -> Charged {
        let known = self.lock();
        let is_open = known.tally.count(State::Intent) + known.tally.count(State::Unknown) > 0;
        if known.batch.spent.clips == 0 || is_open { Charged::Unknown } else { Charged::Yes }
    }

    pub(super) fn end(&self, outcome: &Outcome) {
        self.lock().tally = outcome.tally.clone();
        if let Way::Screen(screen) = &self.way {
            screen.clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Such as `12 of 300 downloaded, 288 planned · 3.4 a minute · 4.80 USD · about 85 min left`.
    fn summary(&self) -> String {
        let mut parts = vec![line(&self.batch, &self.tally)];
        let done = self.tally.count(State::Downloaded).saturating_sub(self.before);
        let minutes = self.begun.elapsed().as_secs_f64() / 60.0;
        if done > 0 && minutes > 0.0 {
            parts.push(format!("{:.1} a minute", done as f64 / minutes));
        }
        if let Some(prices) = &self.batch.prices {
            parts.push(format!("{} {}", self.batch.spent.money, plain(&prices.currency)));
        }
        let open = [State::Planned, State::Intent, State::Submitted, State::Succeeded];
        let left: u64 = open.iter().map(|&state| self.tally.count(state)).sum();
        if done > 0 && left > 0 {
            let time = self.begun.elapsed().mul_f64(left as f64 / done as f64);
            parts.push(format!("about {} left", short(time)));
        }
        parts.join(" · ")
    }
}

/// What its user calls it.
fn item(job: &Job) -> String {
    plain(job.item.as_ref().map_or(job.id.as_str(), |item| &item.id))
}

/// An event for programs; none for every chunk of a download.
fn value(event: &BatchEvent) -> Option<Value> {
    let of_job = |name: &str, job: &Job| {
        json!({
            "event": name, "item": job.item.as_ref().map(|item| &item.id), "job": job.id, "state": job.state,
            "task_id": job.task_id, "reason": job.reason,
        })
    };
    Some(match event {
        BatchEvent::Claimed(job) => of_job("claimed", job),
        BatchEvent::Submitted(job) => of_job("submitted", job),
        BatchEvent::Ended(job) => of_job("ended", job),
        BatchEvent::Left { job, error, .. } => {
            let mut line = of_job("left", job);
            line["message"] = json!(whole(error));
            line
        }
        BatchEvent::NotTaken { job, error, .. } => json!({ "event": "not_taken", "job": job, "message": whole(error) }),
        BatchEvent::Unrecorded { job, task_id, .. } => json!({ "event": "unrecorded", "job": job, "task_id": task_id }),
        BatchEvent::Progress { job, percent, .. } => {
            json!({ "event": "progress", "job": job, "progress_percent": percent })
        }
        BatchEvent::Again { job, reason, pause, .. } => {
            json!({ "event": "again", "job": job, "message": reason, "next_in_seconds": pause.as_secs_f64() })
        }
        BatchEvent::Fetching { job, sample, file, .. } => {
            json!({ "event": "fetching", "job": job, "sample": sample, "file": near(file) })
        }
        BatchEvent::Saved { job, clip, .. } => {
            json!({ "event": "saved", "job": job, "file": near(&clip.file), "size": clip.size, "sha256": clip.sha256 })
        }
        BatchEvent::Stopping(why) => json!({ "event": "stopping", "message": why }),
        BatchEvent::Trouble(error) => json!({ "event": "trouble", "message": whole(error) }),
        _ => return None,
    })
}
