//! Running the command.

use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::process::Child;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The command with nothing of the developer's own environment that would change what it does.
pub(crate) fn highway(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_highway"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("HIGHWAY_API_KEY").env_remove("HIGHWAY_BASE_URL").env_remove("COLUMNS");
    // A record of its own: nobody remembers what another test has paid for.
    static COMMANDS: AtomicU32 = AtomicU32::new(0);
    let name = format!("state-{}-{}", std::process::id(), COMMANDS.fetch_add(1, Ordering::Relaxed));
    command.env("HIGHWAY_STATE", Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
    command
}

/// What a finished process left.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

pub(crate) fn run(args: &[&str]) -> Done {
    highway(args).output().expect("the command runs").into()
}

/// One of the repository's photographs.
pub(crate) fn photograph(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/frames").join(name);
    path.display().to_string()
}

/// Presses Ctrl-C.
#[cfg(unix)]
pub(crate) fn interrupt(process: &Child) {
    let killed = Command::new("kill").args(["-INT", &process.id().to_string()]).status().expect("kill runs");
    assert!(killed.success());
}
