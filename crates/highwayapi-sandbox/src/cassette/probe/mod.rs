//! Asks a service what is not known of it, spending as little as possible, and never unasked.
//!
//! First what cannot cost anything, then what should be refused, then what is paid for, the most telling first. All of it is
//! recorded in one cassette, which [`drift`](crate::cassette::drift) reads. `docs/first-live-run.md` is the procedure.

mod follow;
mod pictures;
mod steps;

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::Value;

use crate::api::{SUBMIT, TASK_RESULT};
use crate::cassette::probe::pictures::Pictures;
use crate::cassette::probe::steps::{Cost, IDEMPOTENCY_KEY, STEPS, Step, When};
use crate::cassette::record::{NOTE, Recorder};
use crate::error::Error;

/// Paid submits unless said otherwise.
const MAX_PAID: u32 = 3;

/// Polls that are sent at once to see whether the service has enough of them.
const BURST: u32 = 60;

/// Who watches: a terminal, or a test.
pub trait Watcher {
    /// Takes note of what happens.
    fn tell(&mut self, line: &str);

    /// Decides whether something is sent that may cost money or patience.
    fn may(&mut self, question: &str) -> Go;

    /// Adds what only a person can see; `None` where there is nobody.
    fn text(&mut self, question: &str) -> Option<String>;
}

/// What a watcher decides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Go {
    /// It is sent.
    Yes,
    /// It is left out.
    No,
    /// It is left out, and so is everything after it.
    Stop,
}

/// What a probe came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// Submits that were accepted, and paid for if the service takes money.
    pub paid: u32,
    /// Submits whose answer was lost: perhaps paid for, too.
    pub unknown: u32,
}

/// A probe that has not begun.
#[must_use]
pub struct Probe {
    upstream: String,
    key: String,
    cassette: PathBuf,
    max_paid: u32,
    poll_every: Duration,
}

impl Probe {
    /// Asks the service at `upstream`, with this key, and records it in a new file.
    pub fn new(upstream: impl Into<String>, key: impl Into<String>, cassette: impl Into<PathBuf>) -> Self {
        let (upstream, key, cassette) = (upstream.into(), key.into(), cassette.into());
        Self { upstream, key, cassette, max_paid: MAX_PAID, poll_every: Duration::from_secs(5) }
    }

    /// After so many accepted submits none is sent any more; 3 unless said otherwise.
    pub fn max_paid(mut self, most: u32) -> Self {
        self.max_paid = most;
        self
    }

    /// How often a task is asked after; every 5 seconds unless said otherwise.
    pub fn poll_every(mut self, interval: Duration) -> Self {
        self.poll_every = interval;
        self
    }

    /// Runs it; to be called inside a Tokio runtime of more than one thread, for a watcher may take its time.
    ///
    /// # Errors
    ///
    /// When the cassette cannot be written or the recorder not be started.
    pub async fn run(self, watcher: &mut impl Watcher) -> Result<Outcome, Error> {
        let recorder = Recorder::builder(&self.upstream, &self.cassette).keep_videos(true).start().await?;
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
        let http = http.map_err(|e| Error::new("the client for the recorder cannot be made").caused_by(e))?;
        let pictures = Pictures::paint()?;
        let mut run = Run {
            probe: self,
            base_url: recorder.base_url().to_owned(),
            http,
            recorder,
            pictures,
            paid: 0,
            unknown: 0,
            keyed: None,
            stopped: false,
        };
        run.steps(watcher).await?;
        run.recorder.stop().await;
        Ok(Outcome { paid: run.paid, unknown: run.unknown })
    }
}

struct Run {
    probe: Probe,
    base_url: String,
    http: reqwest::Client,
    recorder: Recorder,
    pictures: Pictures,
    paid: u32,
    unknown: u32,
    /// The body of an accepted submit that had an `Idempotency-Key`.
    keyed: Option<String>,
    stopped: bool,
}

/// What became of a step.
enum Became {
    /// A task.
    Task(String),
    /// Nothing that costs anything.
    Refused,
}

impl Run {
    async fn steps(&mut self, watcher: &mut impl Watcher) -> Result<(), Error> {
        let most = self.probe.max_paid;
        watcher.tell(&format!("Asking {}; at most {most} clips are paid for.", self.probe.upstream));
        self.note(
            watcher,
            "before",
            "What does your account's page say now: balance, or clips made? (Enter for nothing)",
        )?;

        watcher.tell("\nWhat cannot cost anything: no key, a wrong one, or no submit");
        for step in STEPS.iter().filter(|step| step.cost == Cost::None) {
            self.send(step, watcher).await;
        }

        watcher.tell("\nWhat should be refused");
        let mut left: Vec<&Step> = STEPS.iter().filter(|step| step.cost == Cost::IfTaken).rev().collect();
        while !left.is_empty() && !self.is_over(watcher) {
            let count = left.len();
            let question =
                format!("{count} submits that should be refused. If one is taken, it is a clip of 4 s. Send them?");
            if !self.ask(watcher, &question) {
                break;
            }
            while let Some(step) = left.pop() {
                if let Became::Task(task) = self.send(step, watcher).await {
                    self.follow(&task, watcher).await;
                    break;
                }
                if self.paid + self.unknown >= most {
                    break;
                }
            }
        }

        watcher.tell("\nWhat is paid for, if it is taken");
        for step in STEPS.iter().filter(|step| step.cost == Cost::Clip) {
            let fits = match step.when {
                When::Always => true,
                When::NoneWasKeyed => self.keyed.is_none(),
                When::OneWasKeyed => self.keyed.is_some(),
            };
            if !fits {
                continue;
            }
            if self.stopped || self.is_over(watcher) {
                break;
            }
            let question = format!("{}: {}. {}. Send it?", step.name, step.what, step.price);
            if self.ask(watcher, &question)
                && let Became::Task(task) = self.send(step, watcher).await
            {
                self.follow(&task, watcher).await;
            }
        }

        watcher.tell("\nHow it says that it has enough");
        if self
            .ask(watcher, &format!("Up to {BURST} polls at once, until one is refused; they cost nothing. Send them?"))
        {
            self.burst(watcher).await;
        }
        self.note(
            watcher,
            "after",
            "What does your account's page say now? Did anything cost that was refused or failed?",
        )?;
        Ok(())
    }

    /// Whether what may cost something is sent. Shows what was paid so far.
    fn ask(&mut self, watcher: &mut impl Watcher, question: &str) -> bool {
        if self.stopped {
            return false;
        }
        let unknown = if self.unknown > 0 { format!(", {} unknown", self.unknown) } else { String::new() };
        let go = watcher.may(&format!("[paid {} of at most {}{unknown}] {question}", self.paid, self.probe.max_paid));
        self.stopped = go == Go::Stop;
        go == Go::Yes
    }

    /// Whether all that may be paid for was. What is unknown counts: it may have been.
    fn is_over(&self, watcher: &mut impl Watcher) -> bool {
        let over = self.paid + self.unknown >= self.probe.max_paid;
        if over {
            watcher.tell("  nothing more is sent that could be paid for: that was the limit");
        }
        over
    }

    async fn send(&mut self, step: &Step, watcher: &mut impl Watcher) -> Became {
        let mut call = (step.call)(&self.pictures);
        if step.when == When::OneWasKeyed {
            (call.body, call.idempotency_key) = (self.keyed.clone(), Some(IDEMPOTENCY_KEY));
        }
        let target = match &call.body {
            Some(_) => format!("{}{SUBMIT}", self.base_url),
            None => format!("{}{TASK_RESULT}{}", self.base_url, call.query),
        };
        let method = if call.body.is_some() { Method::POST } else { Method::GET };
        let mut request = self.http.request(method, target).header(NOTE, step.name);
        request = match call.key {
            steps::Key::Right => request.bearer_auth(&self.probe.key),
            steps::Key::Wrong => request.bearer_auth("highway-probe-wrong-key"),
            steps::Key::None => request,
        };
        let keyed = call.body.clone().filter(|_| call.idempotency_key.is_some());
        if let Some(key) = call.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let is_submit = call.body.is_some();
        if let Some(body) = call.body {
            request = request.header("content-type", "application/json").body(body);
        }
        let (said, body) = match request.send().await {
            Ok(answer) => said(answer).await,
            Err(e) => (format!("no answer: {e}"), Value::Null),
        };
        watcher.tell(&format!("  {:<18} {:<52} {said}", step.name, step.what));
        if let Some(task) = body["task_id"].as_str().filter(|_| is_submit) {
            self.paid += 1;
            self.keyed = keyed.or(self.keyed.take());
            return Became::Task(task.to_owned());
        }
        // The recorder's word for it; whatever else is no plain refusal is unknown as well.
        let refused =
            body["code"].as_u64().is_some_and(|code| (400..500).contains(&code)) || body["reason"] == "NOT_SENT";
        if is_submit && !refused && step.cost != Cost::None {
            self.unknown += 1;
        }
        Became::Refused
    }

    async fn burst(&self, watcher: &mut impl Watcher) {
        let target = format!("{}{TASK_RESULT}?task_id={}", self.base_url, steps::NO_TASK);
        for sent in 1..=BURST {
            let request = self.http.get(&target).bearer_auth(&self.probe.key).header(NOTE, "burst");
            let Ok(answer) = request.send().await else { return watcher.tell("  no answer") };
            if matches!(answer.status().as_u16(), 429 | 503) {
                let wait = answer.headers().get("retry-after").map(|wait| format!("{wait:?}"));
                let wait = wait.map_or("no Retry-After".to_owned(), |wait| format!("Retry-After {wait}"));
                return watcher.tell(&format!("  {} after {sent} polls, {wait}", answer.status()));
            }
        }
        watcher.tell(&format!("  {BURST} polls at once were answered"));
    }

    fn note(&self, watcher: &mut impl Watcher, when: &str, question: &str) -> Result<(), Error> {
        let text = watcher.text(question).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let Some(text) = text.filter(|_| !self.stopped) else { return Ok(()) };
        self.recorder.note("billing", format!("{when}: {text}"))
    }
}

/// `400 INVALID_REQUEST_BODY`, and the body.
async fn said(answer: Response) -> (String, Value) {
    let status = answer.status().as_u16();
    let body: Value =
        answer.bytes().await.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let what = body["reason"].as_str().or_else(|| body["task"]["status"].as_str());
    let what = what.or_else(|| body["task_id"].as_str().map(|_| "accepted")).unwrap_or_default();
    (format!("{status} {what}").trim_end().to_owned(), body)
}
