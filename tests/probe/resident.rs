//! The memory of this process. Linux only.

use std::fs;

/// From here on the highest mark is counted anew: it starts at what is resident now.
pub(crate) fn count_anew() -> std::io::Result<()> {
    fs::write("/proc/self/clear_refs", "5")
}

/// `VmHWM`, in KiB.
pub(crate) fn highest() -> Result<u64, Box<dyn std::error::Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
