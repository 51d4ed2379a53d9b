//! So many clips, made by a worker that is killed, and what became of each.

use std::collections::HashSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::time::timeout;

use crate::Result;
use crate::highway::{Highway, plain};
use crate::kills::worker::{Orders, name, prompt, report};
use crate::kills::{Service, Tally};
use crate::secrets::KEY;

/// How long the worker may take that nobody kills.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

pub(super) struct Batch<'a> {
    orders: Orders,
    folder: PathBuf,
    worker: &'a Path,
    service: &'a Service<'a>,
    /// What every clip is: all are made of the same pictures and seed.
    whole: &'a [u8],
    /// Clips that had been begun when a kill came, and were not there.
    hit: HashSet<usize>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        number: usize,
        clips: usize,
        room: &Path,
        highway: &Highway,
        worker: &'a Path,
        service: &'a Service<'a>,
        whole: &'a [u8],
    ) -> Result<Self> {
        let folder = room.join(format!("batch-{number}"));
        fs::create_dir(&folder)?;
        let orders =
            Orders { highway: highway.path().to_owned(), batch: number, clips, pictures: room.join("pictures") };
        Ok(Self { orders, folder, worker, service, whole, hit: HashSet::new() })
    }

    /// Runs the worker, and kills it and all that it started after this time. Returns whether it was done before.
    pub(super) async fn finishes_within(&mut self, time: Duration) -> Result<bool> {
        let mut worker = self.start()?;
        let group = worker.id().ok_or("a worker without a process")?;
        if let Ok(ended) = timeout(time, worker.wait()).await {
            return self.ended_well(ended?).map(|()| true);
        }
        kill(group).await?;
        worker.wait().await?;
        let hit = (1..=self.orders.clips).filter(|&clip| self.begun(clip) && !self.clip(clip).exists());
        self.hit.extend(hit.collect::<Vec<_>>());
        Ok(false)
    }

    fn start(&self) -> Result<tokio::process::Child> {
        let mut command = Command::new(self.worker);
        command.args(self.orders.args()).current_dir(&self.folder).process_group(0);
        let mut command = tokio::process::Command::from(command);
        plain(&mut command);
        let silent = std::process::Stdio::null;
        command.stdout(silent()).stderr(silent());
        command.env("HIGHWAY_API_KEY", KEY).env("HIGHWAY_BASE_URL", &self.service.url);
        Ok(command.spawn()?)
    }

    fn ended_well(&self, status: std::process::ExitStatus) -> Result<()> {
        if status.success() { Ok(()) } else { Err(format!("the worker ended with {status}").into()) }
    }

    pub(super) fn clip(&self, clip: usize) -> PathBuf {
        self.folder.join(name(clip))
    }

    fn begun(&self, clip: usize) -> bool {
        self.folder.join(report(clip)).exists()
    }

    /// Files under a clip's name that are not what the sandbox made.
    pub(super) fn not_whole(&self) -> Result<usize> {
        let mut count = 0;
        for clip in 1..=self.orders.clips {
            match fs::read(self.clip(clip)) {
                Ok(bytes) => count += usize::from(bytes != self.whole),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(count)
    }

    /// Lets the worker finish, does what only the account's owner can do, and counts.
    pub(super) async fn settle(mut self, tally: &mut Tally) -> Result<()> {
        if !self.finishes_within(PATIENCE).await? {
            return Err(format!("the worker is not done after {PATIENCE:?}").into());
        }
        let unknown: Vec<usize> = (1..=self.orders.clips).filter(|&clip| !self.clip(clip).exists()).collect();
        for &clip in &unknown {
            let accepted = self.accepted(clip);
            tally.unknown += 1;
            tally.unexplained += usize::from(!self.hit.contains(&clip));
            tally.unknown_accepted += usize::from(!accepted.is_empty());
            match accepted.first() {
                Some(task_id) => self.orders.adopt(clip, task_id, &self.folder)?,
                None => self.orders.resubmit(clip, &self.folder)?,
            }
        }
        if !self.finishes_within(PATIENCE).await? {
            return Err(format!("the worker is not done after {PATIENCE:?}").into());
        }
        for clip in 1..=self.orders.clips {
            tally.clips += 1;
            tally.lost += usize::from(!self.clip(clip).exists());
            tally.paid_twice += usize::from(self.accepted(clip).len() > 1);
        }
        tally.not_whole += self.not_whole()?;
        Ok(())
    }

    /// The tasks that the service took for this clip, by its own records.
    fn accepted(&self, clip: usize) -> Vec<String> {
        let prompt = prompt(self.orders.batch, clip);
        let accepted = self.service.sandbox.accepted().into_iter().filter(|accepted| accepted.prompt == prompt);
        accepted.map(|accepted| accepted.task_id).collect()
    }
}

/// The process and all that it started.
async fn kill(group: u32) -> Result<()> {
    let killed = tokio::process::Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).status().await?;
    if killed.success() { Ok(()) } else { Err("the worker cannot be killed".into()) }
}
