//! What is killed: takes up again what was begun, then begins what was not, four at a time.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::Result;

/// Clips at once.
const AT_ONCE: usize = 4;

/// What a worker is told.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    pub(super) highway: PathBuf,
    pub(super) batch: usize,
    pub(super) clips: usize,
    pub(super) pictures: PathBuf,
}

/// The name of a clip.
pub(super) fn name(clip: usize) -> String {
    format!("{clip}.mp4")
}

/// What the command said of a clip, a JSON object a line. It is there before the command runs.
pub(super) fn report(clip: usize) -> String {
    format!("{clip}.jsonl")
}

pub(super) fn prompt(batch: usize, clip: usize) -> String {
    format!("clip {clip} of batch {batch}")
}

/// The worker's whole life, with the arguments that it was given after its name.
///
/// # Errors
///
/// When it was given something else, or a clip cannot be made for another reason than being killed.
pub fn work(args: &[String]) -> Result<()> {
    let [highway, batch, clips, pictures] = args else { return Err("expected what the harness gives".into()) };
    let orders =
        Orders { highway: highway.into(), batch: batch.parse()?, clips: clips.parse()?, pictures: pictures.into() };
    let begun = (1..=orders.clips).filter(|&clip| Path::new(&report(clip)).exists()).collect();
    let new = (1..=orders.clips).filter(|&clip| !Path::new(&report(clip)).exists()).collect();
    at_once(begun, &|clip| orders.take_up(clip))?;
    at_once(new, &|clip| orders.begin(clip))
}

fn at_once(clips: Vec<usize>, make: &(impl Fn(usize) -> Result<()> + Sync)) -> Result<()> {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(&clip) = clips.get(next.fetch_add(1, Ordering::Relaxed)) {
            make(clip)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| Err("a worker panicked".into())))
    })
}

impl Orders {
    pub(super) fn args(&self) -> Vec<String> {
        let path = |path: &Path| path.display().to_string();
        let (batch, clips) = (self.batch.to_string(), self.clips.to_string());
        vec!["work".to_owned(), path(&self.highway), batch, clips, path(&self.pictures)]
    }

    fn generate(&self, clip: usize) -> Command {
        let mut command = Command::new(&self.highway);
        command.arg("generate").args(["first.jpg", "last.jpg"].map(|name| self.pictures.join(name)));
        command.args([
            "-p",
            &prompt(self.batch, clip),
            "--seed=7",
            "--duration-seconds=4",
            "-o",
            &name(clip),
            "--json",
        ]);
        command
    }

    fn begin(&self, clip: usize) -> Result<()> {
        self.noted(clip, self.generate(clip))
    }

    /// Whatever is paid for and known by its id. What is neither is left to its owner.
    fn take_up(&self, clip: usize) -> Result<()> {
        let told = fs::read_to_string(report(clip))?;
        let events: Vec<Value> = told.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let id = events.iter().find_map(|event| event["task_id"].as_str());
        let free = events.iter().any(|event| event["event"] == "error" && event["charged"] == "no");
        match id {
            _ if Path::new(&name(clip)).exists() => Ok(()),
            Some(id) => {
                let mut wait = Command::new(&self.highway);
                ended_well(wait.args(["wait", id]).stdout(Stdio::null()).stderr(Stdio::null()).status()?)?;
                let mut fetch = Command::new(&self.highway);
                // The record of a clip that is not there may be.
                fetch.args(["fetch", id, "-o", &name(clip), "--overwrite", "--json"]);
                self.noted(clip, fetch)
            }
            None if free => self.begin(clip),
            None => Ok(()),
        }
    }

    /// Runs the command with what it says noted behind what was said before.
    fn noted(&self, clip: usize, mut command: Command) -> Result<()> {
        let report = File::options().create(true).append(true).open(report(clip))?;
        report.sync_all()?;
        ended_well(command.stdin(Stdio::null()).stdout(report.try_clone()?).stderr(report).status()?)
    }

    /// What the owner of the account does who finds this task in its records.
    pub(super) fn adopt(&self, clip: usize, task_id: &str, folder: &Path) -> Result<()> {
        let mut report = File::options().append(true).open(folder.join(report(clip)))?;
        // Behind a line that may have been cut off.
        Ok(writeln!(report, "\n{}", json!({ "task_id": task_id }))?)
    }

    /// What the owner of the account does who finds none.
    pub(super) fn resubmit(&self, clip: usize, folder: &Path) -> Result<()> {
        Ok(fs::remove_file(folder.join(report(clip)))?)
    }
}

fn ended_well(status: ExitStatus) -> Result<()> {
    if status.success() { Ok(()) } else { Err(format!("the command ended with {status}").into()) }
}
