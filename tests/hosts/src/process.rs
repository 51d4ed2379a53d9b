//! A program that runs beside the harness, and what it says, line by line.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use fault_tests::Result;
use fault_tests::highway::PATIENCE;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Duration, timeout};

/// A JSON object that a program has printed.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) at: SystemTime,
    pub(crate) line: Value,
}

/// What programs have said; several lives of one may share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Voice(Arc<Mutex<Vec<Said>>>);

impl Voice {
    pub(crate) fn all(&self) -> Vec<Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first that fits.
    pub(crate) fn find<T>(&self, fits: impl Fn(&Value) -> Option<T>) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().find_map(|said| fits(&said.line))
    }

    fn last(&self) -> String {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.last().map(|said| said.line.to_string()).unwrap_or_default()
    }

    fn hear(&self, line: &str) {
        if let Ok(line) = serde_json::from_str(line) {
            let said = Said { at: SystemTime::now(), line };
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(said);
        }
    }
}

/// Killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    pid: Pid,
    log: PathBuf,
    voice: Voice,
}

impl Process {
    /// What it says goes to `voice`, and what it complains of to the end of the file `log`.
    pub(crate) fn start(mut command: Command, log: &Path, voice: &Voice) -> Result<Self> {
        let errors = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)).ok_or("a program without a process")?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("a program without a voice")?).lines();
        let heard = voice.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                heard.hear(&line);
            }
        });
        Ok(Self { child, pid, log: log.to_owned(), voice: voice.clone() })
    }

    pub(crate) fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// False when it has ended before.
    pub(crate) fn signal(&mut self, signal: Signal) -> bool {
        let runs = matches!(self.child.try_wait(), Ok(None));
        runs && kill_process(self.pid, signal).is_ok()
    }

    /// As `kill -9`; false when it has ended before.
    pub(crate) async fn kill(&mut self) -> Result<bool> {
        let killed = self.signal(Signal::KILL);
        self.end(PATIENCE).await?;
        Ok(killed)
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for its end.
    pub(crate) async fn end(&mut self, within: Duration) -> Result<ExitStatus> {
        let ended = timeout(within, self.child.wait()).await;
        Ok(ended.map_err(|_| format!("a program does not end: {}", self.last_words()))??)
    }

    /// What it said last, and the end of what it complained of.
    pub(crate) fn last_words(&self) -> String {
        let words = std::fs::read(&self.log).unwrap_or_default();
        let words = String::from_utf8_lossy(&words[words.len().saturating_sub(2000)..]);
        format!("{} {words}", self.voice.last())
    }
}
