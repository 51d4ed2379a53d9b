//! The lines that move: one for each item that is worked on, and one for all of them.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use console::{Term, truncate_str};
use highwayapi_jobs::batch::BatchEvent;
use highwayapi_jobs::{Job, JobId, State};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::batch::prepare::short;
use crate::show::plain;

/// On no screen are more lines pleasant.
const MOST_LINES: usize = 24;

/// So many rows stay free for what was printed before.
const FREE_ROWS: usize = 6;

/// The widest name of an item that is shown whole.
const NAME: usize = 28;

/// What an item does before it is sent.
const WAITS: &str = "waits for its turn";

pub(super) struct Screen {
    all: MultiProgress,
    lines: Mutex<Vec<ProgressBar>>,
    total: ProgressBar,
    running: Mutex<BTreeMap<u64, Running>>,
}

/// One item that is worked on.
struct Running {
    job: JobId,
    name: String,
    what: String,
    since: Instant,
}

impl Screen {
    /// None where there is no terminal.
    pub(super) fn new() -> Option<Self> {
        if !std::io::stderr().is_terminal() {
            return None;
        }
        let all = MultiProgress::new();
        let total = all.add(ProgressBar::no_length().with_style(style("{spinner} {msg}")));
        Some(Self { all, lines: Mutex::default(), total, running: Mutex::default() })
    }

    pub(super) fn event(&self, event: &BatchEvent) {
        match event {
            BatchEvent::Claimed(job) => self.claimed(job),
            BatchEvent::Submitted(job) => self.say(&job.id, "queued".to_owned()),
            BatchEvent::NotTaken { job, .. } => self.say(job, "not taken; its turn comes again".to_owned()),
            BatchEvent::Progress { job, percent, .. } => self.say(
                job,
                match percent.filter(|&percent| percent > 0.0) {
                    Some(percent) => format!("running   {} {percent:.0} %", bar(percent / 100.0)),
                    None => "running".to_owned(),
                },
            ),
            BatchEvent::Again { job, reason, .. } => {
                let why = reason.split(". ").next().unwrap_or_default();
                self.say(job, format!("again soon: {}", plain(why)));
            }
            BatchEvent::Fetching { job, .. } => self.say(job, "fetching".to_owned()),
            BatchEvent::Bytes { job, done, length: Some(length), .. } => {
                let part = *done as f64 / (*length).max(1) as f64;
                self.say(job, format!("fetching  {} {:.0} %", bar(part), part * 100.0));
            }
            // What waits for its turn will have none.
            BatchEvent::Stopping(_) => self.running().retain(|_, one| one.what != WAITS),
            BatchEvent::Ended(job) | BatchEvent::Left { job, .. } => self.running().retain(|_, one| one.job != job.id),
            _ => {}
        }
    }

    fn claimed(&self, job: &Job) {
        let name = job.item.as_ref().map_or(job.id.as_str(), |item| &item.id);
        let what = if job.state == State::Planned { WAITS } else { "goes on" };
        let number = job.item.as_ref().map_or(0, |item| item.number);
        let running = Running { job: job.id.clone(), name: plain(name), what: what.to_owned(), since: Instant::now() };
        self.running().insert(number, running);
    }

    fn say(&self, job: &JobId, what: String) {
        if let Some(one) = self.running().values_mut().find(|one| one.job == *job) {
            one.what = what;
        }
    }

    /// Everything as it is now. The lines are as many as are needed and fit.
    pub(super) fn draw(&self, total: &str) {
        let (rows, columns) = Term::stderr().size();
        let (rows, columns) = (usize::from(rows), usize::from(columns).max(20));
        let running = self.running();
        let fits = rows.saturating_sub(FREE_ROWS).clamp(1, MOST_LINES);
        let width = running.values().map(|one| one.name.chars().count()).max().unwrap_or(0).min(NAME);
        let mut texts: Vec<String> = running
            .values()
            .take(fits)
            .map(|one| {
                let name = truncate_str(&one.name, NAME, "…");
                format!("  {name:<width$}  {}  {}", one.what, short(one.since.elapsed()))
            })
            .collect();
        if running.len() > fits {
            texts.push(format!("  and {} more", running.len() - fits));
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        while lines.len() < texts.len() {
            lines.push(self.all.insert_before(&self.total, ProgressBar::no_length().with_style(style("{msg}"))));
        }
        for line in lines.drain(texts.len()..) {
            line.finish_and_clear();
            self.all.remove(&line);
        }
        for (line, text) in lines.iter().zip(texts) {
            line.set_message(truncate_str(&text, columns - 1, "…").into_owned());
        }
        self.total.set_message(truncate_str(total, columns - 3, "…").into_owned());
        self.total.tick();
    }

    /// Prints something that stays, above what moves.
    pub(super) fn print(&self, print: impl FnOnce()) {
        self.all.suspend(print);
    }

    pub(super) fn clear(&self) {
        self.running().clear();
        for line in self.lines.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            line.finish_and_clear();
        }
        self.total.finish_and_clear();
        let _ = self.all.clear();
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<u64, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// So much of a whole, 20 columns wide.
fn bar(part: f64) -> String {
    let full = (part.clamp(0.0, 1.0) * 20.0) as usize;
    "█".repeat(full) + &"░".repeat(20 - full)
}
