//! The record, as `highway tasks` tells it.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;
use tokio::process::Command;

use crate::Result;
use crate::highway::output;
use crate::kills::worker::clip_of;

/// A job of the record, as far as it matters here.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) clip: usize,
    pub(super) state: String,
    pub(super) task_id: Option<String>,
    pub(super) submitted_at: SystemTime,
}

impl Job {
    fn of(line: &str) -> Option<Self> {
        let job: Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| job[name].as_str().map(str::to_owned);
        Some(Self {
            id: text("id")?,
            clip: clip_of(&job)?,
            state: text("state")?,
            task_id: text("task_id"),
            submitted_at: humantime::parse_rfc3339(job["submitted_at"].as_str()?).ok()?,
        })
    }
}

/// What this `highway tasks --json` tells.
pub(super) async fn jobs(tasks: Command) -> Result<Vec<Job>> {
    let output = output(tasks).await?;
    if !output.status.success() {
        return Err(format!("the record does not open: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let told = String::from_utf8(output.stdout)?;
    told.lines().map(|line| Job::of(line).ok_or_else(|| format!("no job: {line}").into())).collect()
}

/// Copies a record as the dead have left it: whoever looks into it changes it.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for name in ["record.sqlite3", "record.sqlite3-wal"] {
        match fs::copy(from.join(name), to.join(name)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            copied => drop(copied?),
        }
    }
    Ok(())
}
