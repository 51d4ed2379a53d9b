//! The command, built as it stands in this workspace and run as a user runs it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use crate::{Result, workspace};

/// How long something may take that nobody kills.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The binary `highway`.
#[derive(Clone, Debug)]
pub struct Highway {
    path: PathBuf,
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
        let version = Command::new(&path).arg("--version").output();
        version.map_err(|error| format!("{} cannot be run: {error}", path.display()))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Nothing of the developer's own environment that would change what the command does.
pub fn plain(command: &mut tokio::process::Command) {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    for name in ["HIGHWAY_API_KEY", "HIGHWAY_BASE_URL", "HIGHWAY_STATE", "COLUMNS", "RUST_LOG", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
}

/// What a command that nobody kills comes to.
///
/// # Errors
///
/// When it cannot be run, or is not done in time.
pub async fn output(mut command: tokio::process::Command) -> Result<Output> {
    let output = timeout(PATIENCE, command.output()).await;
    Ok(output.map_err(|_| format!("not done after {PATIENCE:?}: {command:?}"))??)
}
