//! What is told while the work goes on: a line that moves on a terminal, JSON lines for programs, otherwise the
//! task's id alone. Standard output carries results only: paths of clips, ids of tasks.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use highwayapi::TaskResult;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::say;

/// Where steps are told.
pub(crate) enum Report {
    /// One JSON object a line on standard output.
    Json,
    /// A line on the terminal.
    Terminal(ProgressBar),
    /// Neither was asked for.
    Quiet,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        if json {
            return Self::Json;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Quiet;
        }
        let bar = ProgressBar::new(100);
        bar.set_style(style("{spinner} {msg} {elapsed}"));
        bar.enable_steady_tick(Duration::from_millis(120));
        Self::Terminal(bar)
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

    fn line(&self, text: impl Into<String>) {
        if let Self::Terminal(bar) = self {
            bar.set_style(style("{spinner} {msg} {elapsed}"));
            bar.set_message(text.into());
        }
    }

    /// A remark for people, kept on the screen.
    pub(crate) fn note(&self, text: &str) {
        match self {
            Self::Json => self.result(json!({ "event": "note", "message": text })),
            Self::Terminal(bar) => bar.suspend(|| say::err(format_args!("highway: {text}"))),
            Self::Quiet => say::err(format_args!("highway: {text}")),
        }
    }

    pub(crate) fn submitting(&self) {
        self.event(json!({ "event": "submitting" }));
        self.line("submitting");
    }

    /// The id at once, wherever this goes: it is paid for, and whatever comes next may fail.
    pub(crate) fn submitted(&self, task_id: &str) {
        match self {
            Self::Json => self.result(json!({ "event": "submitted", "task_id": task_id })),
            Self::Terminal(bar) => bar.suspend(|| say::err(format_args!("task {task_id}"))),
            Self::Quiet => say::err(format_args!("task {task_id}")),
        }
        self.line("queued");
    }

    pub(crate) fn progress(&self, result: &TaskResult) {
        let percent = result.progress_percent().filter(|&percent| percent > 0.0);
        self.event(json!({
            "event": "progress",
            "task_id": result.task_id(),
            "status": result.status().to_string(),
            "progress_percent": percent,
        }));
        if let Self::Terminal(bar) = self {
            match percent {
                Some(percent) => {
                    bar.set_style(style("{spinner} {msg} {bar:30} {pos} % {elapsed}"));
                    bar.set_length(100);
                    bar.set_position(percent as u64);
                }
                None => bar.set_style(style("{spinner} {msg} {elapsed}")),
            }
            bar.set_message(result.status().to_string());
        }
    }

    pub(crate) fn poll_failed(&self, error: &highwayapi::Error, failures: u32, pause: Duration) {
        self.event(json!({
            "event": "poll_failed",
            "message": error.to_string(),
            "failures": failures,
            "next_in_seconds": pause.as_secs_f64(),
        }));
        // Its first sentence; how long a try takes to come is seen soon enough.
        let text = error.to_string();
        let why = text.split(". ").next().unwrap_or_default();
        self.line(format!("{why} ({failures} in a row), next in {} s ·", pause.as_secs().max(1)));
    }

    pub(crate) fn fetching(&self, file: &Path) {
        self.event(json!({ "event": "fetching", "file": file }));
        self.line(format!("fetching {}", file.display()));
    }

    /// For the terminal alone: a line for every chunk helps no program.
    pub(crate) fn fetched(&self, done: u64, length: Option<u64>) {
        if let (Self::Terminal(bar), Some(length)) = (self, length) {
            bar.set_style(style("{spinner} {msg} {bar:30} {bytes} of {total_bytes} {elapsed}"));
            bar.set_length(length);
            bar.set_position(done);
        }
    }

    pub(crate) fn saved(&self, file: &Path, size: u64) {
        match self {
            Self::Json => self.result(json!({ "event": "saved", "file": file, "size": size })),
            Self::Terminal(bar) => {
                bar.suspend(|| say::result(format_args!("{} ({})", file.display(), HumanBytes(size))));
            }
            Self::Quiet => {
                say::result(file.display());
            }
        }
    }

    /// The last line of a command that did what was asked. Returns whether standard output took it.
    pub(crate) fn done(&self, result: Value, text: Option<&str>) -> bool {
        if let Self::Terminal(bar) = self {
            bar.finish_and_clear();
        }
        match (self, text) {
            (Self::Json, _) => say::result(result),
            (_, Some(text)) => say::result(text),
            (_, None) => true,
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if let Self::Terminal(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
