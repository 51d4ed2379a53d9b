//! Workers on hosts of their own, one record on NATS, and everything that can happen to them.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use fastrand::Rng;
use fault_tests::highway::PATIENCE;
use fault_tests::{Highway, Result};
use rustix::process::Signal;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::accounts::{Account, Explain};
use crate::batches::manifest;
use crate::nats::Nats;
use crate::net::{Ground, Host};
use crate::photographs::pairs;
use crate::process::{Process, Voice};
use crate::record::{Job, Record};
use crate::service::Service;
use crate::trouble::{Diary, Trouble};
use crate::worker::{Orders, Skew, UPLOAD, Worker, taken_up};

/// How the service answers.
const SLOW: &str = include_str!("slow.toml");

/// A run that is not done by then never will be.
const RUN: Duration = Duration::from_secs(2 * 60 * 60);
/// How often is looked how far it is.
const LOOK: Duration = Duration::from_secs(3);
const GLANCE: Duration = Duration::from_millis(20);
/// How long a pause is longer than the lease, of 30 s.
const LEASE: Duration = Duration::from_secs(30);
/// Requests a minute: the service is on this machine, whatever its address looks like.
const BUDGET: u32 = 6000;
/// Of some of the workers.
const SKEWS: [Skew; 2] = [2 * 60 * 60, -45 * 60];

/// How it shall be done.
#[derive(Clone, Debug)]
pub struct Troubles {
    /// Clips, and so jobs.
    pub clips: usize,
    /// Workers, each on its own address.
    pub workers: usize,
    /// Jobs that a worker has at once.
    pub in_flight: usize,
    /// Seconds until the next thing happens to a worker, at most.
    pub calm: u64,
    /// What decides what happens to whom, and when.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Survived {
    /// How often each thing happened.
    happened: Vec<(Trouble, usize)>,
    /// Workers that ended because NATS was out of reach when they were started, and were started once more.
    started_anew: usize,
    /// What it cost, and what is there.
    pub account: Account,
    /// What it took.
    pub took: Duration,
}

impl Troubles {
    /// Does it.
    ///
    /// # Errors
    ///
    /// When there is nothing to do it with, or something gets stuck.
    pub async fn run(&self, ground: &Ground, highway: &Highway) -> Result<Survived> {
        let started = Instant::now();
        let room = tempfile::tempdir()?;
        let folder = room.path();
        let seed = self.seed.to_string();
        let slow = folder.join("slow.toml");
        fs::write(&slow, SLOW)?;
        let args = ["--seed", &seed, "--run-time", "2s..8s", "--faults", &slow.display().to_string()];
        let mut service = Service::start(highway, Some(&ground.api), folder, &args).await?;
        let nats = Nats::start(&ground.nats, folder.join("nats"), 256).await?;
        let record = Record::new(highway, nats.url("troubles"), &service);
        let pairs = pairs(&folder.join("pictures"), 1, 0)?;
        let manifest = manifest(folder, &pairs, self.clips)?;
        plan(&record, &manifest, BUDGET, &folder.join("batch.log")).await?;

        let orders = |(number, host): (usize, &Host)| Orders {
            host: host.clone(),
            record: record.clone(),
            folder: folder.join(format!("worker-{number}")),
            in_flight: self.in_flight,
            skew: SKEWS.get(number).copied().unwrap_or_default(),
        };
        let hosts = ground.workers.get(..self.workers).ok_or("more workers than hosts")?;
        let workers: Vec<_> = hosts.iter().enumerate().map(orders).map(Worker::start).collect::<Result<_>>()?;
        let voices: Vec<Voice> = workers.iter().map(Worker::voice).collect();
        let storm = Storm {
            nats: Arc::new(Mutex::new(nats)),
            hosts: [ground.nats.clone(), ground.api.clone()],
            diary: Diary::default(),
            over: Arc::default(),
            started_anew: Arc::default(),
            calm: self.calm,
        };
        let workers = storm.rage(workers, &record, self.seed).await?;
        for worker in workers {
            worker.stop().await?;
        }

        let mut survived = Survived::default();
        let why = Why { diary: &storm.diary, voices: &voices };
        let finish = || async {
            let args = ["batch", "resume", &manifest.display().to_string(), "--yes", "--json"].map(str::to_owned);
            record.run(&args.each_ref().map(String::as_str)).await.map(drop)
        };
        survived.account.settle(&record, &mut service, &why, finish).await?;
        survived.account.close(&record, &mut service, folder, self.clips).await?;
        survived.happened = storm.happened();
        survived.started_anew = storm.started_anew.load(Ordering::Relaxed);
        for (trouble, _) in survived.happened.iter().filter(|(_, times)| *times == 0) {
            survived.account.problems.push(format!("it did not happen: {}", trouble.text()));
        }
        survived.took = started.elapsed();
        Ok(survived)
    }
}

/// Fills the record, with a budget of so many requests a minute, and leaves the work to others.
pub(crate) async fn plan(record: &Record, manifest: &Path, budget: u32, log: &Path) -> Result<()> {
    let (manifest, budget) = (manifest.display().to_string(), budget.to_string());
    let args = ["batch", "run", &manifest, "--yes", "--json", "--in-flight", "1", "--requests-per-minute", &budget];
    let voice = Voice::default();
    let mut process = Process::start(record.command(&args), log, &voice)?;
    while voice.find(|line| (line["event"] == "begun").then_some(())).is_none() {
        if let Some(status) = process.ended()? {
            return Err(format!("the batch is not planned: {status}: {}", process.last_words()).into());
        }
        sleep(GLANCE).await;
    }
    // What it has sent it finishes.
    process.signal(Signal::INT);
    process.end(PATIENCE).await.map(drop)
}

/// All that happens.
#[derive(Clone)]
struct Storm {
    nats: Arc<Mutex<Nats>>,
    /// NATS and the API.
    hosts: [Host; 2],
    diary: Diary,
    over: Arc<AtomicBool>,
    /// Workers that ended because NATS was out of reach.
    started_anew: Arc<AtomicUsize>,
    /// Seconds.
    calm: u64,
}

impl Storm {
    /// Until everything has happened to everybody and all is done; then gives the workers back.
    async fn rage(&self, workers: Vec<Worker>, record: &Record, seed: u64) -> Result<Vec<Worker>> {
        let mut lanes = JoinSet::new();
        for (number, worker) in workers.into_iter().enumerate() {
            let (storm, rng) = (self.clone(), Rng::with_seed(seed.wrapping_add(number as u64 + 1)));
            lanes.spawn(async move { storm.over_worker(number, worker, rng).await.map(Some) });
        }
        let (storm, rng) = (self.clone(), Rng::with_seed(seed));
        lanes.spawn(async move { storm.over_nats(rng).await.map(|()| None) });
        let done = async {
            while !is_done(record).await {
                sleep(LOOK).await;
            }
        };
        let mut workers = Vec::new();
        let mut done = std::pin::pin!(timeout(RUN, done));
        let mut in_time = None;
        loop {
            tokio::select! {
                lane = lanes.join_next() => match lane {
                    Some(lane) => workers.extend(lane??),
                    None => break,
                },
                ended = &mut done, if in_time.is_none() => {
                    in_time = Some(ended.is_ok());
                    self.over.store(true, Ordering::Relaxed);
                }
            }
        }
        match in_time {
            Some(true) => Ok(workers),
            _ => Err(format!("the batch is not done after {RUN:?}").into()),
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Each trouble in turn, in an order of its own, and all once more until it is over.
    async fn over_worker(&self, number: usize, mut worker: Worker, mut rng: Rng) -> Result<Worker> {
        let mut deck = Vec::new();
        let mut rounds = 0;
        loop {
            if deck.is_empty() {
                if rounds > 0 && self.is_over() {
                    return Ok(worker);
                }
                rounds += 1;
                deck = Trouble::OF_WORKERS.to_vec();
                rng.shuffle(&mut deck);
            }
            self.calm(&mut rng, rounds).await;
            self.supervise(number, &mut worker)?;
            if rounds > 1 && self.is_over() {
                return Ok(worker);
            }
            let Some(trouble) = deck.pop() else { continue };
            let from = SystemTime::now();
            self.befall(trouble, &mut worker, &mut rng).await?;
            self.diary.note(trouble, Some(number), from);
        }
    }

    /// Starts it anew, as whoever runs it would, where the record was out of reach when it was started.
    fn supervise(&self, number: usize, worker: &mut Worker) -> Result<()> {
        let Some(status) = worker.ended()? else { return Ok(()) };
        let words = worker.last_words();
        if !words.contains("cannot be reached") {
            return Err(format!("worker {number} ended with {status}: {words}").into());
        }
        self.started_anew.fetch_add(1, Ordering::Relaxed);
        worker.start_again()
    }

    async fn befall(&self, trouble: Trouble, worker: &mut Worker, rng: &mut Rng) -> Result<()> {
        let [nats, api] = &self.hosts;
        match trouble {
            Trouble::Killed => {
                worker.kill().await?;
                sleep(Duration::from_millis(rng.u64(..3000))).await;
                worker.start_again()?;
            }
            Trouble::Paused => {
                worker.signal(Signal::STOP);
                sleep(LEASE + Duration::from_secs(rng.u64(3..15))).await;
                worker.signal(Signal::CONT);
            }
            Trouble::CutFromNats => cut_off(worker.host(), nats, rng).await?,
            Trouble::CutFromApi => cut_off(worker.host(), api, rng).await?,
            Trouble::NatsKilled | Trouble::DiskFull => {}
        }
        Ok(())
    }

    async fn over_nats(&self, mut rng: Rng) -> Result<()> {
        let mut deck = Vec::new();
        let mut rounds = 0;
        loop {
            if deck.is_empty() {
                rounds += 1;
                deck = Trouble::OF_NATS.to_vec();
                rng.shuffle(&mut deck);
            }
            // It hits all at once.
            self.calm(&mut rng, 2 * rounds).await;
            if rounds > 1 && self.is_over() {
                return Ok(());
            }
            let Some(trouble) = deck.pop() else { continue };
            let from = SystemTime::now();
            let mut nats = self.nats.lock().await;
            if trouble == Trouble::DiskFull {
                nats.fill()?;
                sleep(Duration::from_secs(rng.u64(3..10))).await;
                nats.make_room()?;
            }
            // Once its disk was full it does without JetStream until it is started anew.
            nats.kill().await?;
            sleep(Duration::from_millis(rng.u64(..6000))).await;
            nats.start_again().await?;
            self.diary.note(trouble, None, from);
        }
    }

    /// Longer from round to round, so that there is an end.
    async fn calm(&self, rng: &mut Rng, rounds: u64) {
        sleep(Duration::from_millis(rng.u64(..self.calm * rounds * 1000))).await;
    }

    fn happened(&self) -> Vec<(Trouble, usize)> {
        let all = self.diary.all();
        let times = |trouble: &Trouble| all.iter().filter(|happened| happened.trouble == *trouble).count();
        let troubles = Trouble::OF_WORKERS.iter().chain(&Trouble::OF_NATS);
        troubles.map(|trouble| (*trouble, times(trouble))).collect()
    }
}

/// For less than its lease, or for more.
async fn cut_off(host: &Host, other: &Host, rng: &mut Rng) -> Result<()> {
    host.cut_off(other)?;
    sleep(Duration::from_secs(rng.u64(5..45))).await;
    host.join(other)
}

/// Whether workers have nothing left to do. While NATS is away nobody knows.
async fn is_done(record: &Record) -> bool {
    record.jobs().await.is_ok_and(|jobs| !jobs.iter().any(Job::is_unfinished))
}

/// By what was done to who sent a job.
struct Why<'a> {
    diary: &'a Diary,
    voices: &'a [Voice],
}

impl Explain for Why<'_> {
    fn trouble(&self, job: &Job, sent: SystemTime, answered: Option<SystemTime>) -> Option<String> {
        let senders = self.voices.iter().enumerate();
        let senders = senders.filter_map(|(worker, voice)| Some((worker, taken_up(&voice.all(), &job.id)?)));
        let (worker, taken_up) = senders.max_by_key(|(_, at)| *at)?;
        // What the service never saw whole has only its sender's time, and its clock may be wrong.
        let (sent, until) = match answered {
            Some(answered) => (sent, answered),
            None => (taken_up, taken_up + UPLOAD),
        };
        let all = self.diary.all();
        // A kill ends it for certain.
        let explains = all.iter().filter(|happened| happened.explains(worker, sent, until));
        let happened = explains.min_by_key(|happened| happened.trouble)?;
        Some(happened.trouble.text().to_owned())
    }
}

impl fmt::Display for Survived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| | |\n| --- | ---: |")?;
        for (trouble, times) in &self.happened {
            writeln!(f, "| {} | {times} |", trouble.text())?;
        }
        let anew = "workers that were started anew, for NATS was out of reach when they were started";
        writeln!(f, "| {anew} | {} |", self.started_anew)?;
        writeln!(f, "| seconds that it took | {} |", self.took.as_secs())?;
        self.account.fmt(f)
    }
}
