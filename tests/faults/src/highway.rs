//! The command, built as it stands in this workspace and run as a user runs it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::{Result, workspace};

/// The binary `highway`.
#[derive(Clone, Debug)]
pub struct Highway {
    path: PathBuf,
    /// Whether it has a flag for how long nothing may move; without one some faults take minutes to show.
    has_patience: bool,
}

impl Highway {
    /// Builds it, or finds it built. Cargo tells where it is: no other way knows every target directory and profile.
    ///
    /// # Errors
    ///
    /// When it does not compile, or there is no cargo.
    pub fn build() -> Result<Self> {
        // While tests run, cargo holds no lock on the target directory.
        let cargo = env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
        let mut command = Command::new(cargo);
        command.current_dir(workspace()).args(["build", "--package", "highwayapi-cli", "--bin", "highway", "--quiet"]);
        command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        let output = command.output().map_err(|error| format!("cargo cannot be run: {error}"))?;
        if !output.status.success() {
            return Err("the command highway cannot be built".into());
        }
        let executable = |line: &str| {
            let message: Value = serde_json::from_str(line).ok()?;
            (message["target"]["name"] == "highway").then(|| message["executable"].as_str().map(PathBuf::from))?
        };
        let path = String::from_utf8(output.stdout)?.lines().find_map(executable);
        Self::at(path.ok_or("cargo built no highway")?)
    }

    /// This one, wherever it comes from.
    ///
    /// # Errors
    ///
    /// When it cannot be run.
    pub fn at(path: PathBuf) -> Result<Self> {
        let help = Command::new(&path).args(["generate", "--help"]).output();
        let help = help.map_err(|error| format!("{} cannot be run: {error}", path.display()))?;
        let has_patience = String::from_utf8_lossy(&help.stdout).contains("--idle-timeout");
        Ok(Self { path, has_patience })
    }

    pub(crate) fn has_patience(&self) -> bool {
        self.has_patience
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Nothing of the developer's own environment that would change what the command does.
pub(crate) fn plain(command: &mut tokio::process::Command) {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    for name in ["HIGHWAY_API_KEY", "HIGHWAY_BASE_URL", "HIGHWAY_STATE", "COLUMNS", "RUST_LOG", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
}

/// What a run of the command left behind, apart from files.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None`: ended by a signal.
    pub(crate) code: Option<i32>,
    /// In its own words: no, yes or unknown. Success says nothing of it.
    pub(crate) charged: Option<String>,
    /// What a user reads.
    pub(crate) words: String,
    pub(crate) task_id: Option<String>,
    /// All of it, for looking for secrets.
    pub(crate) raw: String,
}

impl Ended {
    /// Of a run with `--json`.
    pub(crate) fn new(output: &Output) -> Self {
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let mut ended = Self {
            code: output.status.code(),
            charged: None,
            words: String::new(),
            task_id: None,
            raw: format!("{stdout}{stderr}"),
        };
        for line in ended.raw.clone().lines() {
            match serde_json::from_str::<Value>(line) {
                Ok(event) => ended.told(&event),
                Err(_) => ended.say(line),
            }
        }
        ended
    }

    fn told(&mut self, event: &Value) {
        let text = |name: &str| event[name].as_str().map(str::to_owned);
        self.task_id = text("task_id").or(self.task_id.take());
        let message = text("message").unwrap_or_default();
        match event["event"].as_str() {
            Some("note") => self.say(&format!("highway: {message}")),
            Some("error") => {
                self.charged = text("charged");
                self.say(&format!("highway: {message}"));
                for (name, start) in [("causes", "  because: "), ("hints", "  ")] {
                    for line in event[name].as_array().into_iter().flatten() {
                        self.say(&format!("{start}{}", line.as_str().unwrap_or_default()));
                    }
                }
            }
            _ => {}
        }
    }

    fn say(&mut self, line: &str) {
        self.words.push_str(line);
        self.words.push('\n');
    }
}
