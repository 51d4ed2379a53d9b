//! `highway worker` on a host of its own, in as many lives as it takes.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fault_tests::Result;
use fault_tests::highway::PATIENCE;
use rustix::process::Signal;
use serde_json::Value;

use crate::net::Host;
use crate::process::{Process, Said, Voice};
use crate::record::Record;

/// What makes clocks go wrong: Debian's package faketime.
const FAKETIME: &str = "faketime/libfaketimeMT.so.1";

/// How much a worker's clock is ahead, in seconds.
pub(crate) type Skew = i64;

/// What a worker is told.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    pub(crate) host: Host,
    pub(crate) record: Record,
    /// Where its log and its own cache are.
    pub(crate) folder: PathBuf,
    pub(crate) in_flight: usize,
    pub(crate) skew: Skew,
}

pub(crate) struct Worker {
    orders: Orders,
    process: Process,
    voice: Voice,
}

impl Worker {
    pub(crate) fn start(orders: Orders) -> Result<Self> {
        std::fs::create_dir_all(&orders.folder)?;
        let voice = Voice::default();
        let process = orders.begin(&voice)?;
        Ok(Self { orders, process, voice })
    }

    /// What it has said so far, in all its lives.
    pub(crate) fn voice(&self) -> Voice {
        self.voice.clone()
    }

    pub(crate) fn host(&self) -> &Host {
        &self.orders.host
    }

    pub(crate) fn signal(&mut self, signal: Signal) -> bool {
        self.process.signal(signal)
    }

    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.process.kill().await.map(drop)
    }

    /// After a kill, or where it has ended by itself.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        self.process = self.orders.begin(&self.voice)?;
        Ok(())
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<std::process::ExitStatus>> {
        self.process.ended()
    }

    pub(crate) fn last_words(&self) -> String {
        self.process.last_words()
    }

    /// Asks it to begin nothing more, and waits until it has finished what it began.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.process.signal(Signal::INT);
        self.process.end(PATIENCE).await.map(drop)
    }
}

impl Orders {
    fn begin(&self, voice: &Voice) -> Result<Process> {
        let in_flight = self.in_flight.to_string();
        let args = ["worker", "--json", "--in-flight", &in_flight, "--concurrency", "2"];
        let mut command = self.record.with(|highway| self.host.command(highway), &args);
        command.env("HIGHWAY_STATE", &self.folder).current_dir(&self.folder);
        if self.skew != 0 {
            let sign = if self.skew > 0 { "+" } else { "" };
            // Whoever waits must not wait longer for it: the system's own timers go right.
            command.env("LD_PRELOAD", faketime()?).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
            command.env("FAKETIME", format!("{sign}{}", self.skew));
        }
        Process::start(command, &self.folder.join("worker.log"), voice)
    }
}

fn faketime() -> Result<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib")?.flatten().map(|entry| entry.path().join(FAKETIME));
    let missing = || format!("no {FAKETIME}: Debian's package faketime has it");
    Ok(folders.chain([Path::new("/usr/lib").join(FAKETIME)]).find(|path| path.exists()).ok_or_else(missing)?)
}

/// When this worker last took up the job to send it.
pub(crate) fn taken_up(said: &[Said], job: &str) -> Option<SystemTime> {
    let is_it = |line: &Value| line["event"] == "claimed" && line["job"] == job && line["state"] == "planned";
    said.iter().rev().find(|said| is_it(&said.line)).map(|said| said.at)
}

/// What is not waited for longer.
pub(crate) const UPLOAD: Duration = Duration::from_secs(130);
