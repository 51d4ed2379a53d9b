//! A worker that is a process of its own, and so can be killed and paused.

use std::env;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use highwayapi::{FirstLastFrame, Frame};
use highwayapi_jobs::batch::BatchEvent;
use highwayapi_jobs::{Claim, Jobs, NatsStore, State, Store};
use tokio::runtime::Builder;

use super::server::options;
use crate::support::service::client;
use crate::support::{at, batch};

/// What it does, when a test starts it.
#[test]
#[ignore = "started by other tests, as a process of its own"]
fn process() {
    let Some(url) = env::var("NATS_WORKER").ok() else { return };
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let store = NatsStore::connect(&url, options()).await.expect("a record");
        match env::var("NATS_SERVICE") {
            Ok(service) if env::var_os("NATS_RUNS").is_some() => run(store, &service).await,
            Ok(service) => submit(store, &service).await,
            Err(_) => claim(store).await,
        }
    });
}

/// Behind whatever the test's own runner has written so far.
fn say(text: &str) {
    println!("\n> {text}");
}

/// Claims a job, and then does what it is told.
async fn claim(store: NatsStore) {
    let (hold, job) = store.claim(&batch("mine").id, Claim::Any).await.expect("a record").expect("a job");
    say(job.id.as_str());
    for line in std::io::stdin().lines() {
        let said = match line.expect("a line").as_str() {
            "begin" => store.begin(&hold, &at(State::Intent, &job), false).await.map(|begun| format!("{begun:?}")),
            "save" => store.save(&hold, &at(State::Submitted, &job)).await.map(|()| "saved".to_owned()),
            line => panic!("{line}"),
        };
        say(&said.unwrap_or_else(|error| if error.is_not_held() { "not held".to_owned() } else { error.to_string() }));
    }
}

/// Submits to a service.
async fn submit(store: NatsStore, service: &str) {
    let jobs = Jobs::with_store(client(service), store);
    let frame = |url| Frame::from_url(url).expect("a URL");
    let (first, last) = (frame("https://example.com/a.png"), frame("https://example.com/b.png"));
    match jobs.submit(&FirstLastFrame::new(first, last, "dusk")).await {
        Ok(job) => {
            let task = job.job().task_id.as_ref().expect("a task");
            say(&format!("{} {task}", job.job().state));
        }
        Err(error) => say(&error.to_string()),
    }
}

/// Runs the only batch that there is.
async fn run(store: NatsStore, service: &str) {
    let jobs = Jobs::with_store(client(service), store);
    let batch = jobs.batches().await.expect("batches").remove(0).id;
    let first = std::sync::Once::new();
    say("ready");
    std::io::stdin().lines().next().expect("a word").expect("a line");
    let outcome = jobs.run(&batch).in_flight(4).run(std::future::pending(), |event| {
        if matches!(event, BatchEvent::Submitted(_)) {
            first.call_once(|| say("submitted"));
        }
    });
    say(&format!("{:?}", outcome.await.expect("an outcome").ending));
}

pub(crate) struct Worker {
    pub(crate) child: Child,
    orders: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// One that claims.
    pub(crate) fn start(url: &str) -> Self {
        Self::with(url, &[])
    }

    /// One that submits.
    pub(crate) fn submits(url: &str, service: &str) -> Self {
        Self::with(url, &[("NATS_SERVICE", service)])
    }

    /// One that runs a batch.
    pub(crate) fn runs(url: &str, service: &str) -> Self {
        Self::with(url, &[("NATS_SERVICE", service), ("NATS_RUNS", "1")])
    }

    fn with(url: &str, more: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env::current_exe().expect("this program"));
        command.args(["--exact", "nats::process::process", "--ignored", "--nocapture"]);
        command.env("NATS_WORKER", url).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.envs(more.iter().copied());
        let mut child = command.spawn().expect("a process");
        let orders = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        Self { child, orders, lines }
    }

    pub(crate) fn tell(&mut self, order: &str) {
        writeln!(self.orders.as_mut().expect("its input"), "{order}").expect("a line");
    }

    /// It ends when these do.
    pub(crate) fn orders(&mut self) -> Option<ChildStdin> {
        self.orders.take()
    }

    /// What it says next.
    pub(crate) fn next(&mut self) -> String {
        let said = self.lines.find_map(|line| Some(line.expect("a line").strip_prefix("> ")?.to_owned()));
        said.expect("a word")
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill");
        assert!(status.success());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
