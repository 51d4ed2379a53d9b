//! The record, as the command tells of it, and what its owner decides.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::SystemTime;

use fault_tests::highway::{output, plain};
use fault_tests::{Highway, Result};
use serde_json::Value;
use tokio::process::Command;

use crate::batches::clip_of;
use crate::service::Service;

/// A record, and all that a command needs to work with it.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    highway: PathBuf,
    /// What `--store` says.
    store: String,
    base_url: String,
    key: String,
}

/// A job, as far as it matters here.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) clip: usize,
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    /// By the clock of who sent it.
    pub(crate) submitted_at: SystemTime,
}

impl Record {
    pub(crate) fn new(highway: &Highway, store: String, service: &Service) -> Self {
        let (base_url, key) = (service.base_url.clone(), service.key.clone());
        Self { highway: highway.path().to_owned(), store, base_url, key }
    }

    /// `highway` with these arguments and this record, where `program` starts it.
    pub(crate) fn with(&self, program: impl FnOnce(&Path) -> Command, args: &[&str]) -> Command {
        let mut command = program(&self.highway);
        plain(&mut command);
        command.args(args).args(["--store", &self.store]);
        command.env("HIGHWAY_API_KEY", &self.key).env("HIGHWAY_BASE_URL", &self.base_url);
        command
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.with(|highway| Command::new(highway), args)
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Result<Output> {
        output(self.command(args)).await
    }

    pub(crate) async fn jobs(&self) -> Result<Vec<Job>> {
        let output = self.run(&["tasks", "--json"]).await?;
        if !output.status.success() {
            return Err(format!("the record does not open: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let told = String::from_utf8(output.stdout)?;
        told.lines().map(|line| Job::of(line).ok_or_else(|| format!("no job: {line}").into())).collect()
    }
}

impl Job {
    fn of(line: &str) -> Option<Self> {
        let job: Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| job[name].as_str().map(str::to_owned);
        Some(Self {
            id: text("id")?,
            clip: clip_of(job["asked"]["prompt"].as_str()?)?,
            state: text("state")?,
            reason: text("reason"),
            submitted_at: humantime::parse_rfc3339(job["submitted_at"].as_str()?).ok()?,
        })
    }

    /// Whether there is something that workers can still do about it.
    pub(crate) fn is_unfinished(&self) -> bool {
        matches!(&*self.state, "planned" | "intent" | "submitted" | "succeeded")
    }

    pub(crate) fn is_unknown(&self) -> bool {
        self.state == "unknown"
    }
}
