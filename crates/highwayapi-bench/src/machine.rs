//! What the kernel tells of this process and this machine.

use std::fs;
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use crate::Result;

/// The core of the clients.
pub(crate) const CLIENTS: usize = 0;
/// The core of the stub.
pub(crate) const STUB: usize = 1;

/// Nanoseconds of the clock that all processes of a machine share.
pub(crate) fn now() -> Result<u64> {
    Ok(u64::try_from(Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?).as_nanos())?)
}

/// User and system time of this process, or of its children that have ended.
pub(crate) fn cpu(of: UsageWho) -> Result<Duration> {
    let usage = getrusage(of)?;
    let (user, system) = (usage.user_time(), usage.system_time());
    let micros = (user.tv_sec() + system.tv_sec()) * 1_000_000 + user.tv_usec() + system.tv_usec();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}

/// The largest that any child of this process has been, in KiB.
pub(crate) fn largest_child() -> Result<u64> {
    Ok(u64::try_from(getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss())?)
}

/// Lets the high-water mark of this process begin anew, at what it takes now.
pub(crate) fn reset_peak() -> Result<()> {
    Ok(fs::write("/proc/self/clear_refs", "5")?)
}

/// A line of `/proc/PID/status` in KiB, such as `VmHWM`; `self` is a PID too.
pub(crate) fn status_kib(pid: &str, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or(format!("no {name} of process {pid}"))?;
    Ok(number.trim().parse()?)
}

/// Keeps this thread, and the processes that it starts from now on, on one core; on all where there is only one.
pub(crate) fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(if cores() > 1 { core } else { 0 })?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// Lets this thread, and the processes that it starts from now on, run anywhere.
pub(crate) fn unpin() -> Result<()> {
    let mut set = CpuSet::new();
    (0..cores()).try_for_each(|core| set.set(core))?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// Cores that the machine has, whatever this thread may use of them.
pub(crate) fn cores() -> usize {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    info.lines().filter(|line| line.starts_with("processor")).count().max(1)
}

/// The machine in one line.
pub(crate) fn describe() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let (info, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = value(&info, "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let kib = value(&memory, "MemTotal").and_then(|text| text.split(' ').next()?.parse::<f64>().ok()).unwrap_or(0.0);
    let kernel = read("/proc/sys/kernel/osrelease");
    let system = read("/etc/os-release");
    let system =
        system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("unknown").trim_matches('"');
    let shared = if cores() == 1 { ", so that the stub and the clients share it" } else { "" };
    format!("{model}, {} cores{shared}, {:.0} GiB, Linux {}, {system}", cores(), kib / 1024.0 / 1024.0, kernel.trim())
}
