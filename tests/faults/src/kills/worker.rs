//! What is killed: finishes what was begun, then asks for every clip that is not there, four at a time. It remembers
//! nothing itself; that nothing is paid twice is the record's business.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Result;

/// Clips at once.
const AT_ONCE: usize = 4;

/// How long until somebody takes up what is unfinished while others are at it.
const IMPATIENCE: Duration = Duration::from_millis(250);

/// What a worker is told.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    pub(super) highway: PathBuf,
    pub(super) batch: usize,
    pub(super) clips: usize,
    pub(super) pictures: PathBuf,
}

/// A command that the worker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Before anything else.
    Resume,
    /// While others are at work on the same jobs.
    ResumeBeside,
    Generate(usize),
}

/// The name of a clip.
pub(super) fn name(clip: usize) -> String {
    format!("{clip}.mp4")
}

pub(super) fn prompt(batch: usize, clip: usize) -> String {
    format!("clip {clip} of batch {batch}")
}

impl Task {
    fn text(self) -> String {
        match self {
            Self::Resume => "resume".to_owned(),
            Self::ResumeBeside => "beside".to_owned(),
            Self::Generate(clip) => clip.to_string(),
        }
    }

    pub(super) fn of(text: &str) -> Option<Self> {
        match text {
            "resume" => Some(Self::Resume),
            "beside" => Some(Self::ResumeBeside),
            clip => Some(Self::Generate(clip.parse().ok()?)),
        }
    }
}

/// The worker's whole life, with the arguments that it was given after its name. Tells of every command that it runs, an
/// object a line.
///
/// # Errors
///
/// When it was given something else, or a command cannot be run.
pub fn work(args: &[String]) -> Result<()> {
    let [highway, batch, clips, pictures] = args else { return Err("expected what the harness gives".into()) };
    let orders =
        Orders { highway: highway.into(), batch: batch.parse()?, clips: clips.parse()?, pictures: pictures.into() };
    orders.run(Task::Resume)?;
    let unknown = orders.unknown()?;
    let is_open = |clip: &usize| !Path::new(&name(*clip)).exists() && !unknown.contains(clip);
    let open: Vec<usize> = (1..=orders.clips).filter(is_open).collect();
    // One of those that nobody may send again, and one twice at once.
    let (refused, twice) = (unknown.first(), open.first());
    let clips: Vec<usize> = refused.into_iter().chain(twice).chain(&open).copied().collect();
    orders.make(&clips)
}

impl Orders {
    pub(super) fn args(&self) -> Vec<String> {
        let path = |path: &Path| path.display().to_string();
        let (batch, clips) = (self.batch.to_string(), self.clips.to_string());
        vec!["work".to_owned(), path(&self.highway), batch, clips, path(&self.pictures)]
    }

    fn make(&self, clips: &[usize]) -> Result<()> {
        let (next, done) = (AtomicUsize::new(0), AtomicBool::new(clips.is_empty()));
        let make = || {
            while let Some(&clip) = clips.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.run(Task::Generate(clip))?;
            }
            Ok(())
        };
        let take_up = || {
            while !done.load(Ordering::Relaxed) {
                thread::sleep(IMPATIENCE);
                self.run(Task::ResumeBeside)?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(make)).collect();
            let beside = scope.spawn(take_up);
            let join = |worker: thread::ScopedJoinHandle<'_, Result<()>>| {
                worker.join().unwrap_or_else(|_| Err("a worker panicked".into()))
            };
            let made: Result<()> = workers.into_iter().try_for_each(join);
            done.store(true, Ordering::Relaxed);
            made.and(join(beside))
        })
    }

    pub(super) fn command(&self, task: Task) -> Command {
        let mut command = Command::new(&self.highway);
        let Task::Generate(clip) = task else {
            command.args(["resume", "--all"]);
            return command;
        };
        command.arg("generate").args(["first.jpg", "last.jpg"].map(|name| self.pictures.join(name)));
        command.args(["-p", &prompt(self.batch, clip), "--seed=7", "--duration-seconds=4", "-o", &name(clip)]);
        command
    }

    fn run(&self, task: Task) -> Result<()> {
        println!("{}", json!({ "begin": task.text() }));
        // As long as one of them has this open, not all are dead.
        let command = &mut self.command(task);
        let output = command.stdin(Stdio::null()).stdout(io::stderr()).stderr(Stdio::piped()).output()?;
        let words = String::from_utf8_lossy(&output.stderr);
        println!("{}", json!({ "end": task.text(), "code": output.status.code(), "words": words }));
        Ok(())
    }

    /// Clips of which nobody knows whether they were paid for.
    fn unknown(&self) -> Result<Vec<usize>> {
        let listed = Command::new(&self.highway).args(["tasks", "--json"]).stdin(Stdio::null()).output()?;
        let jobs = String::from_utf8(listed.stdout)?;
        let jobs = jobs.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Ok(jobs.filter(|job| job["state"] == "unknown").filter_map(|job| clip_of(&job)).collect())
    }
}

/// The clip that a job in the record is to make.
pub(super) fn clip_of(job: &Value) -> Option<usize> {
    job["asked"]["prompt"].as_str()?.split(' ').nth(1)?.parse().ok()
}
