//! Network, mounts and processes of the harness's own. However it ends, the kernel ends all processes in there with it, and
//! then nothing of namespaces, bridges, rules and file systems is left. The outer one holds a pipe to the inner one, which
//! ends when that is closed: so it tidies up whatever ends the outer one.

use std::env;
use std::process::{Command, ExitCode, Stdio};

use fault_tests::Result;
use tokio::io::{AsyncReadExt, stdin};

/// Says that this is the inner one.
const MARK: &str = "HOSTS_INSIDE";

/// Proof of being inside.
#[derive(Clone, Copy, Debug)]
pub struct Inside(());

impl Inside {
    /// If this program was started by [`enter`].
    pub fn now() -> Option<Self> {
        env::var_os(MARK).map(|_| Self(()))
    }

    /// Returns when the outer one is gone.
    pub async fn alone(self) {
        // Nothing is ever sent.
        let _ = stdin().read(&mut [0]).await;
    }
}

/// Runs this program with these arguments, inside; how that ended.
///
/// # Errors
///
/// When that cannot be: it is for root.
pub fn enter(args: &[String]) -> Result<ExitCode> {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.arg(env::current_exe()?).args(args).env(MARK, "1").stdin(Stdio::piped());
    let mut inner = command.spawn().map_err(|error| format!("unshare: {error}"))?;
    let _pipe = inner.stdin.take();
    let status = inner.wait()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
