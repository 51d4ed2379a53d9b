//! How much memory a batch takes with many tasks at the service at once.

use std::fmt;
use std::fs;
use std::time::Duration;

use fault_tests::{Highway, Result};
use tokio::time::sleep;

use crate::accounts::Account;
use crate::batches::manifest;
use crate::photographs::pairs;
use crate::process::{Process, Voice};
use crate::record::Record;
use crate::service::Service;

/// Of each picture.
const SIZE: usize = 5_000_000;
/// Different pictures; each clip takes two of them.
const PAIRS: usize = 4;
/// What was promised.
const PROMISE: u64 = 64 << 20;
const GLANCE: Duration = Duration::from_millis(100);

/// How it shall be done.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Tasks at the service at once.
    pub in_flight: usize,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Tasks that the service had at once, at most.
    pub at_once: usize,
    /// Clips that were made.
    pub clips: usize,
    /// The most that the process had in memory, in bytes.
    pub peak: u64,
    /// What it cost, and what is there.
    pub account: Account,
}

impl Memory {
    /// Does it.
    ///
    /// # Errors
    ///
    /// When there is nothing to do it with, or something gets stuck.
    pub async fn run(&self, highway: &Highway) -> Result<Measured> {
        let room = tempfile::tempdir()?;
        let folder = room.path();
        let clips = self.in_flight * 5 / 4;
        let pairs = pairs(&folder.join("pictures"), PAIRS, SIZE)?;
        let manifest = manifest(folder, &pairs, clips)?.display().to_string();
        // Long enough that all of them are there before the first is done.
        let mut service = Service::start(highway, None, folder, &["--run-time", "60s..90s"]).await?;
        let record = Record::new(highway, folder.join("state").display().to_string(), &service);
        let in_flight = self.in_flight.to_string();
        let args = ["batch", "run", &manifest, "--yes", "--json", "--in-flight", &in_flight, "--concurrency", "8"];
        let mut process = Process::start(record.command(&args), &folder.join("batch.log"), &Voice::default())?;
        let mut measured = Measured { clips, ..Measured::default() };
        while process.ended()?.is_none() {
            measured.peak = measured.peak.max(peak(process.id()).unwrap_or_default());
            measured.at_once = measured.at_once.max(service.open().await?);
            sleep(GLANCE).await;
        }
        let account = &mut measured.account;
        account.close(&record, &mut service, folder, clips).await?;
        if measured.at_once < self.in_flight {
            account.problems.push(format!("only {} tasks were there at once", measured.at_once));
        }
        if measured.peak >= PROMISE {
            account.problems.push(format!("{} bytes were in memory", measured.peak));
        }
        Ok(measured)
    }
}

/// The most that a process has had in memory so far.
fn peak(process: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| | |\n| --- | ---: |")?;
        writeln!(f, "| clips, each of two pictures of {} MB | {} |", SIZE / 1_000_000, self.clips)?;
        writeln!(f, "| tasks at the service at once, at most | {} |", self.at_once)?;
        writeln!(
            f,
            "| **memory of `highway batch run` at its peak, in MiB** | {:.1} |",
            self.peak as f64 / f64::from(1 << 20)
        )?;
        self.account.problems.iter().try_for_each(|problem| writeln!(f, "\n{problem}"))
    }
}
