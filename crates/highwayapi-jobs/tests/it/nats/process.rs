//! A worker that is a process of its own, and so can be killed and paused.

use std::env;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use highwayapi_jobs::{Claim, NatsStore, State, Store};
use tokio::runtime::Builder;

use super::server::options;
use crate::support::{at, batch};

/// What it does, when a test starts it: claims, and then what it is told.
#[test]
#[ignore = "started by other tests, as a process of its own"]
fn process() {
    let Some(url) = env::var("NATS_WORKER").ok() else { return };
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    // Behind whatever the test's own runner has written so far.
    let say = |text: &str| println!("\n> {text}");
    runtime.block_on(async {
        let store = NatsStore::connect(&url, options()).await.expect("a record");
        let (hold, job) = store.claim(&batch("mine").id, Claim::Any).await.expect("a record").expect("a job");
        say(job.id.as_str());
        for line in std::io::stdin().lines() {
            let line = line.expect("a line");
            let said = match line.as_str() {
                "begin" => store.begin(&hold, &at(State::Intent, &job), false).await.map(|begun| format!("{begun:?}")),
                "save" => store.save(&hold, &at(State::Submitted, &job)).await.map(|()| "saved".to_owned()),
                line => panic!("{line}"),
            };
            say(&said
                .unwrap_or_else(|error| if error.is_not_held() { "not held".to_owned() } else { error.to_string() }));
        }
    });
}

pub(crate) struct Worker {
    pub(crate) child: Child,
    orders: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    pub(crate) fn start(url: &str) -> Self {
        let mut command = Command::new(env::current_exe().expect("this program"));
        command.args(["--exact", "nats::process::process", "--ignored", "--nocapture"]);
        command.env("NATS_WORKER", url).stdin(Stdio::piped()).stdout(Stdio::piped());
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
