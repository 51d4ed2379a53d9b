//! Network, mounts and processes of the harness's own. However it ends, the kernel ends all processes in there with it, and
//! then nothing of namespaces, bridges, rules and file systems is left.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

use fault_tests::Result;

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
}

/// Becomes this program with these arguments, inside.
///
/// # Errors
///
/// When that cannot be: it is for root.
pub fn enter(args: &[String]) -> Result<()> {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.arg(env::current_exe()?).args(args).env(MARK, "1");
    Err(format!("no namespaces to be had, for which unshare and root are needed: {}", command.exec()).into())
}
