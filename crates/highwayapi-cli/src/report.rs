//! What is told while the work goes on: a line that moves on a terminal, JSON lines for programs, otherwise the
//! task's id alone. Standard output carries results only: paths of clips, ids of tasks.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use highwayapi::{Charged, TaskId, TaskResult};
use highwayapi_jobs::{Asked, Clip, Job, JobId, Sidecar, Step};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::hint::highway;
use crate::say;
use crate::show::near;

/// Where steps are told.
pub(crate) enum Report {
    /// One JSON object a line on standard output.
    Json,
    /// A line on the terminal.
    Terminal(Line),
    /// Neither was asked for.
    Quiet,
}

/// The line that moves, by a clock of its own: between two steps minutes may pass.
pub(crate) struct Line {
    spinner: ProgressBar,
    /// How many jobs it is there for.
    jobs: AtomicUsize,
    /// What is being fetched, by job and sample.
    files: Mutex<HashMap<(JobId, usize), String>>,
}

impl Line {
    fn new(spinner: ProgressBar) -> Self {
        let template = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
        spinner.set_style(template.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        let line = Self { spinner, jobs: AtomicUsize::new(1), files: Mutex::default() };
        line.say("waiting");
        line.spinner.enable_steady_tick(Duration::from_millis(120));
        line
    }

    /// All of it at once: the clock may draw at any moment.
    fn say(&self, text: impl Display) {
        self.spinner.set_message(match self.jobs.load(Ordering::Relaxed) {
            0 | 1 => text.to_string(),
            jobs => format!("{jobs} jobs left: {text}"),
        });
    }

    fn is_for(&self, jobs: usize) {
        self.jobs.store(jobs, Ordering::Relaxed);
        match jobs {
            0 => self.spinner.finish_and_clear(),
            _ => self.say("waiting"),
        }
    }
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        if json {
            return Self::Json;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Quiet;
        }
        Self::Terminal(Line::new(ProgressBar::no_length()))
    }

    /// So many jobs are worked on, if not one.
    pub(crate) fn begun(&self, jobs: usize) {
        if let Self::Terminal(line) = self {
            line.is_for(jobs);
        }
    }

    /// One job less is worked on. Comes before what became of it is told, or else the old line would show once more below.
    pub(crate) fn ended(&self) {
        if let Self::Terminal(line) = self {
            line.is_for(line.jobs.load(Ordering::Relaxed).saturating_sub(1));
        }
    }

    /// A step on the way.
    fn event(&self, event: Value) {
        if let Self::Json = self {
            say::out(event);
        }
    }

    /// A line that is told on standard error where standard output does not take it.
    fn result(&self, event: Value) {
        if let Self::Json = self {
            say::result(event);
        }
    }

    fn line(&self, text: impl Display) {
        if let Self::Terminal(line) = self {
            line.say(text);
        }
    }

    /// A remark for people, kept on the screen.
    pub(crate) fn note(&self, text: &str) {
        match self {
            Self::Json => self.result(json!({ "event": "note", "message": text })),
            Self::Terminal(line) => line.spinner.suspend(|| say::err(format_args!("highway: {text}"))),
            Self::Quiet => say::err(format_args!("highway: {text}")),
        }
    }

    pub(crate) fn submitting(&self) {
        self.event(json!({ "event": "submitting" }));
        self.line("submitting");
    }

    /// The id at once, wherever this goes: it is paid for, and whatever comes next may fail.
    pub(crate) fn submitted(&self, job: &Job) {
        let id = job.task_id.as_ref().map(TaskId::as_str).unwrap_or_default();
        match self {
            Self::Json => self.result(json!({ "event": "submitted", "task_id": id, "job": job.id })),
            Self::Terminal(line) => line.spinner.suspend(|| say::err(format_args!("task {id}"))),
            Self::Quiet => say::err(format_args!("task {id}")),
        }
        self.line("queued");
    }

    /// The id of a task that is paid for and not in the record yet.
    pub(crate) fn unrecorded(&self, task_id: &TaskId) {
        self.note(&format!("task {task_id} is accepted and paid for; the record cannot be written at the moment"));
    }

    /// The very same was sent before.
    pub(crate) fn earlier(&self, job: &Job) {
        if let Self::Json = self {
            self.result(json!({ "event": "already_paid", "task_id": job.task_id, "job": job.id, "state": job.state }));
        } else {
            let time = humantime::format_rfc3339_seconds(job.submitted_at.max(SystemTime::UNIX_EPOCH));
            let paid = if job.charged() == Charged::Yes { " and paid for" } else { "" };
            let what = "so nothing is sent; --again pays for another one";
            self.note(&format!("the very same was submitted{paid} on {time} (job {}), {what}", job.id));
        }
    }

    /// A step of a job.
    pub(crate) fn step(&self, job: &JobId, step: Step<'_>) {
        match step {
            Step::Progress(result) => self.progress(job, result),
            Step::PollFailed { error, failures, pause, .. } => self.poll_failed(Some(job), error, failures, pause),
            Step::Fetching { sample, file, .. } => self.fetching(job, sample, file),
            Step::Bytes { sample, done, length, .. } => self.fetched(job, sample, done, length),
            _ => {}
        }
    }

    /// A step of a task that is not in the record yet.
    pub(crate) fn step_of_task(&self, step: Step<'_>) {
        if let Step::PollFailed { error, failures, pause, .. } = step {
            self.poll_failed(None, error, failures, pause);
        }
    }

    fn progress(&self, job: &JobId, result: &TaskResult) {
        let (status, percent) = (result.status(), result.progress_percent().filter(|&percent| percent > 0.0));
        self.event(json!({
            "event": "progress",
            "job": job,
            "task_id": result.task_id(),
            "status": status.to_string(),
            "progress_percent": percent,
        }));
        match percent {
            Some(percent) => self.line(format_args!("{status} {} {} %", bar(percent / 100.0), percent as u64)),
            None => self.line(status),
        }
    }

    fn poll_failed(&self, job: Option<&JobId>, error: &highwayapi::Error, failures: u32, pause: Duration) {
        self.event(json!({
            "event": "poll_failed",
            "job": job,
            "task_id": error.task_id(),
            "message": error.to_string(),
            "failures": failures,
            "next_in_seconds": pause.as_secs_f64(),
        }));
        // Its first sentence; how long a try takes to come is seen soon enough.
        let text = error.to_string();
        let why = text.split(". ").next().unwrap_or_default();
        self.line(format_args!("{why} ({failures} in a row), next in {} s ·", pause.as_secs().max(1)));
    }

    fn fetching(&self, job: &JobId, sample: usize, file: &Path) {
        self.event(json!({ "event": "fetching", "job": job, "sample": sample, "file": near(file) }));
        self.line(format_args!("fetching {}", near(file)));
        if let Self::Terminal(line) = self {
            let mut files = line.files.lock().unwrap_or_else(PoisonError::into_inner);
            files.insert((job.clone(), sample), near(file));
        }
    }

    /// For the terminal alone: a line for every chunk helps no program.
    fn fetched(&self, job: &JobId, sample: usize, done: u64, length: Option<u64>) {
        if let (Self::Terminal(line), Some(length)) = (self, length) {
            let files = line.files.lock().unwrap_or_else(PoisonError::into_inner);
            let file = files.get(&(job.clone(), sample)).map_or("", String::as_str);
            let bar = bar(done as f64 / length.max(1) as f64);
            line.say(format_args!("fetching {file} {bar} {} of {}", HumanBytes(done), HumanBytes(length)));
        }
    }

    pub(crate) fn saved(&self, job: &JobId, clip: &Clip) {
        let file = near(&clip.file);
        match self {
            Self::Json => {
                self.result(json!({ "event": "saved", "job": job, "file": file, "size": clip.size }));
            }
            Self::Terminal(line) => {
                line.spinner.suspend(|| say::result(format_args!("{file} ({})", HumanBytes(clip.size))));
            }
            Self::Quiet => {
                say::result(file);
            }
        }
    }

    /// All of a job's videos are in their files.
    pub(crate) fn done(&self, job: &Job) {
        let count = job.asked.as_ref().map_or(0, Asked::samples);
        if job.clips.len() < count {
            let got = job.clips.len();
            self.note(&format!("{got} of {count} videos came; the others may have been filtered out"));
        }
        let clip = |clip: &Clip| {
            let record = Sidecar::path(&clip.file);
            json!({ "file": near(&clip.file), "size": clip.size, "sha256": clip.sha256, "record": near(&record) })
        };
        let clips: Vec<_> = job.clips.iter().map(clip).collect();
        self.last(job, "succeeded", json!({ "clips": clips }), None);
    }

    /// The task is submitted and not waited for. Returns whether standard output took its id.
    pub(crate) fn done_with_id(&self, job: &Job) -> bool {
        let id = job.task_id.as_ref().map(TaskId::as_str).unwrap_or_default();
        self.last(job, "submitted", json!({}), Some(id))
    }

    /// The task has its videos.
    pub(crate) fn waited(&self, job: &Job) {
        let id = job.task_id.as_ref().map(TaskId::as_str).unwrap_or_default();
        let text = format!("task {id} succeeded; to get its videos: {}", highway(format_args!("fetch {id}")));
        self.last(job, "succeeded", json!({}), Some(&text));
    }

    /// The record is as the user wants it.
    pub(crate) fn resolved(&self, job: &Job) {
        let id = &job.id;
        let text = match job.state.is_unfinished() {
            true => format!("job {id} is {}; to finish it: {}", job.state, highway(format_args!("resume {id}"))),
            false => format!("job {id} is {}", job.state),
        };
        self.last(job, &job.state.to_string(), json!({}), Some(&text));
    }

    /// Everything that was unfinished is finished.
    pub(crate) fn resumed(&self, count: usize) {
        match (self, count) {
            (Self::Json, _) => self.result(json!({ "event": "done", "jobs": count })),
            (_, 0) => self.note("nothing was left unfinished"),
            _ => {}
        }
    }

    /// The last line about a job that came to its end. Returns whether standard output took it.
    fn last(&self, job: &Job, status: &str, more: Value, text: Option<&str>) -> bool {
        match (self, text) {
            (Self::Json, _) => {
                let mut line = json!({ "event": "done", "job": job.id, "task_id": job.task_id, "status": status });
                if let (Some(line), Value::Object(mut more)) = (line.as_object_mut(), more) {
                    line.append(&mut more);
                }
                say::result(line)
            }
            (_, Some(text)) => {
                self.ended();
                say::result(text)
            }
            (_, None) => true,
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if let Self::Terminal(line) = self {
            line.spinner.finish_and_clear();
        }
    }
}

/// So much of a whole, 30 columns wide.
fn bar(part: f64) -> String {
    let full = (part.clamp(0.0, 1.0) * 30.0) as usize;
    "█".repeat(full) + &"░".repeat(30 - full)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal that nobody sees, and what moves on it.
    fn terminal() -> (Report, ProgressBar) {
        let spinner = ProgressBar::hidden();
        (Report::Terminal(Line::new(spinner.clone())), spinner)
    }

    #[test]
    fn the_line_stays_as_long_as_a_job_is_left() {
        let (report, spinner) = terminal();
        report.begun(3);
        assert_eq!(spinner.message(), "3 jobs left: waiting");
        report.line("fetching a.mp4");
        report.ended();
        assert_eq!((spinner.message().as_str(), spinner.is_finished()), ("2 jobs left: waiting", false));
        report.ended();
        assert_eq!((spinner.message().as_str(), spinner.is_finished()), ("waiting", false));
        report.ended();
        assert!(spinner.is_finished());
    }

    #[test]
    fn a_download_is_told_with_its_file_and_in_bytes() {
        let (report, spinner) = terminal();
        assert_eq!(spinner.message(), "waiting");
        let job: JobId = serde_json::from_value(json!("k3f9x2ab")).expect("an id");
        report.fetching(&job, 1, Path::new("a.mp4"));
        report.fetching(&job, 2, Path::new("b.mp4"));
        report.fetched(&job, 1, 512, Some(1024));
        let half = "█".repeat(15) + &"░".repeat(15);
        assert_eq!(spinner.message(), format!("fetching a.mp4 {half} 512 B of 1.00 KiB"));
    }
}
