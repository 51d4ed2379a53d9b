//! Why a goal does not hold, in the words of the summary, which shows them only while it does not. Empty: nothing to say.

pub(super) const SUBMIT_MEMORY: &str = "";
pub(super) const SUBMIT_CPU_TO_CURL: &str = "";
pub(super) const SUBMIT_CPU_TO_PYTHON: &str = "";
pub(super) const MEMORY_OF_ONE_MORE: &str = "";
pub(super) const POLLS: &str = "";
pub(super) const DOWNLOAD_MEMORY: &str = "";
pub(super) const DOWNLOAD_CPU: &str = "";
pub(super) const SENT_AGAIN: &str = "";
pub(super) const FIRST_START: &str = "";
pub(super) const LATER_START: &str = "";
pub(super) const LATER_START_TO_CURL: &str = "";
pub(super) const WAITING: &str = "";
pub(super) const SANDBOX_CLIP: &str = "";
pub(super) const SANDBOX_START: &str = "";
pub(super) const SANDBOX_LOAD: &str = "";
pub(super) const CRATES: &str = "";
pub(super) const BUILD: &str = "";

/// `bare` is what a bare loop takes for a poll.
pub(super) fn poll_cpu(bare: Option<f64>) -> String {
    bare.map(|us| format!("a bare write and read take {us:.0} µs on this machine")).unwrap_or_default()
}
