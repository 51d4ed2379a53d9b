//! What a run of the command left behind, apart from files.

use std::process::Output;

use serde_json::Value;

#[derive(Debug)]
pub(crate) struct Said {
    /// `None`: ended by a signal.
    pub(crate) code: Option<i32>,
    /// In its own words: no, yes or unknown. Success says nothing of it.
    pub(crate) charged: Option<String>,
    /// What a user reads on standard error, without the line that tells the task's id.
    pub(crate) words: String,
    /// Whether that line was there.
    pub(crate) told_task: bool,
    /// All of it, for looking for secrets.
    pub(crate) raw: String,
}

impl Said {
    /// Of a run for people.
    pub(crate) fn text(output: &Output) -> Self {
        let mut said = Self::raw(output);
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            if let Some(charged) = line.trim_start().strip_prefix("charged: ") {
                said.charged = Some(charged.to_owned());
            }
            if line.starts_with("task ") && !line.contains(':') {
                said.told_task = true;
                continue;
            }
            said.words.push_str(line);
            said.words.push('\n');
        }
        said
    }

    /// Of a run with `--json`.
    pub(crate) fn json(output: &Output) -> Self {
        let mut said = Self::raw(output);
        let mut events = said.raw.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        if let Some(error) = events.next_back().filter(|event| event["event"] == "error") {
            said.charged = error["charged"].as_str().map(str::to_owned);
            said.words = error["message"].as_str().unwrap_or_default().to_owned();
        }
        said
    }

    fn raw(output: &Output) -> Self {
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let raw = format!("{stdout}{stderr}");
        Self { code: output.status.code(), charged: None, words: String::new(), told_task: false, raw }
    }

    /// A failure must say what it cost, and a success has nothing to say of it.
    pub(crate) fn is_silent_about_cost(&self) -> bool {
        match self.code {
            None => false,
            Some(0) => self.charged.is_some(),
            Some(_) => !matches!(self.charged.as_deref(), Some("no" | "yes" | "unknown")),
        }
    }
}
