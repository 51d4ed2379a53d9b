//! `highway sandbox` as a process.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::Result;

/// Ends when it is dropped.
pub(crate) struct Sandbox {
    child: Child,
    pub(crate) base_url: String,
    pub(crate) admin_url: String,
    pub(crate) api_key: String,
}

impl Sandbox {
    /// One whose tasks wait for an hour, with room for as many again as wait from the beginning.
    pub(crate) fn start(highway: &str, tasks: usize) -> Result<Self> {
        let mut command = Command::new(highway);
        command.args(["sandbox", "--listen", "127.0.0.1:0", "--json", "--seed", "1", "--run-time", "1h"]);
        command.args(["--max-open-tasks", &(2 * tasks + 50_000).to_string()]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("the sandbox has no output")?).read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line).map_err(|error| format!("{error}: {line:?}"))?;
        let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
        Ok(Self { child, base_url: text("base_url"), admin_url: text("admin_url"), api_key: text("api_key") })
    }

    /// Resident, in MiB.
    pub(crate) fn memory(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
