//! A batch on one machine: killed at any moment, and taken up again.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use fastrand::Rng;
use fault_tests::{Highway, Result};
use tokio::time::sleep;

use crate::accounts::{Account, Explain};
use crate::batches::{clips, manifest};
use crate::photographs::pairs;
use crate::process::{Process, Voice};
use crate::record::{Job, Record};
use crate::service::Service;
use crate::trouble::{Diary, Trouble};

/// What the service does on purpose.
const FAULTS: &str = include_str!("faults.toml");

/// How often is looked how far it is.
const GLANCE: Duration = Duration::from_millis(20);

/// A life that is not over by then never will be.
const LIFE: Duration = Duration::from_secs(30 * 60);

/// How long a submit may be on its way that the service never sees whole.
const UPLOAD: Duration = Duration::from_secs(5);

/// How it shall be done.
#[derive(Clone, Debug)]
pub struct BatchKills {
    /// Pairs of photographs, and so clips.
    pub pairs: usize,
    /// How often the command is killed.
    pub kills: usize,
    /// What decides the moments, and what the sandbox does.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct KilledBatch {
    /// How often it was killed.
    pub kills: usize,
    /// What it cost, and what is there.
    pub account: Account,
    /// What it took.
    pub took: Duration,
}

impl BatchKills {
    /// Does it.
    ///
    /// # Errors
    ///
    /// When there is nothing to do it with, or something gets stuck.
    pub async fn run(&self, highway: &Highway) -> Result<KilledBatch> {
        let started = Instant::now();
        let room = tempfile::tempdir()?;
        let folder = room.path();
        let faults = folder.join("faults.toml");
        fs::write(&faults, FAULTS)?;
        let pairs = pairs(&folder.join("pictures"), self.pairs, 0)?;
        let manifest = manifest(folder, &pairs, self.pairs)?;
        let (faults, seed) = (faults.display().to_string(), self.seed.to_string());
        let mut service = Service::start(highway, None, folder, &["--faults", &faults, "--seed", &seed]).await?;
        let record = Record::new(highway, folder.join("state").display().to_string(), &service);

        let manifest = manifest.display().to_string();
        let lives = Lives { folder, record: &record, manifest: &manifest, diary: Diary::default() };
        let (mut killed, mut rng) = (KilledBatch::default(), Rng::with_seed(self.seed));
        while killed.kills < self.kills {
            // Each in its part of the batch, and at any moment of it.
            let done = (self.pairs as f64 * (killed.kills as f64 + rng.f64()) / self.kills as f64) as usize;
            let aim = Aim { done, later: Duration::from_millis(rng.u64(..700)) };
            let was_killed = lives.live(Some(aim)).await?;
            killed.kills += usize::from(was_killed);
            killed.account.look(folder)?;
            // For this the record must open, after every kill.
            let is_done = killed.account.resolve_all(&record, &mut service, &lives).await?;
            if is_done && !was_killed {
                killed.account.problems.push(format!("it was done before kill {}", killed.kills + 1));
                break;
            }
        }
        lives.live(None).await?;
        let finish = || async { lives.live(None).await.map(drop) };
        killed.account.settle(&record, &mut service, &lives, finish).await?;
        killed.account.close(&record, &mut service, folder, self.pairs).await?;
        killed.took = started.elapsed();
        Ok(killed)
    }
}

/// The moment of a kill: once so many clips are there, and so long after that.
struct Aim {
    done: usize,
    later: Duration,
}

impl Aim {
    async fn comes(&self, clips: &Path) {
        let is_clip = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|name| name == "mp4");
        while fs::read_dir(clips).into_iter().flatten().flatten().filter(is_clip).count() < self.done {
            sleep(GLANCE).await;
        }
        sleep(self.later).await;
    }
}

struct Lives<'a> {
    folder: &'a Path,
    record: &'a Record,
    manifest: &'a str,
    diary: Diary,
}

impl Lives<'_> {
    /// Runs the batch until it is killed; false when it ended before. The first time it is planned; then it goes on from
    /// the record.
    async fn live(&self, aim: Option<Aim>) -> Result<bool> {
        let verb = if self.diary.all().is_empty() { "run" } else { "resume" };
        let pace = ["--in-flight", "24", "--concurrency", "8"];
        let command = self.record.command(&[&["batch", verb, self.manifest, "--yes", "--json"][..], &pace].concat());
        let mut process = Process::start(command, &self.folder.join("batch.log"), &Voice::default())?;
        let moment = async {
            match aim {
                Some(aim) => aim.comes(&clips(self.folder)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = process.end(LIFE) => {
                return match ended?.code() {
                    // 3: it says that some are unknown.
                    Some(0 | 3) => Ok(false),
                    code => Err(format!("the batch ended with {code:?}: {}", process.last_words()).into()),
                };
            }
            () = moment => {}
        }
        let killed = process.kill().await?;
        if killed {
            self.diary.note(Trouble::Killed, None, SystemTime::now());
        }
        Ok(killed)
    }
}

impl Explain for Lives<'_> {
    fn trouble(&self, _: &Job, sent: SystemTime, answered: Option<SystemTime>) -> Option<String> {
        let until = answered.unwrap_or(sent + UPLOAD);
        let killed = self.diary.all().iter().any(|happened| happened.explains(0, sent, until));
        killed.then(|| "a kill".to_owned())
    }
}

impl fmt::Display for KilledBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| | |\n| --- | ---: |")?;
        writeln!(f, "| kills | {} |", self.kills)?;
        writeln!(f, "| seconds that it took | {} |", self.took.as_secs())?;
        self.account.fmt(f)
    }
}
