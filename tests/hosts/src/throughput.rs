//! How many clips a minute so many workers make, with one budget of requests for all of them.

use std::path::Path;
use std::time::{Duration, SystemTime};

use fault_tests::{Highway, Result};
use tokio::time::sleep;

use crate::batches::manifest;
use crate::nats::Nats;
use crate::net::{Ground, Host};
use crate::photographs::pairs;
use crate::process::Voice;
use crate::record::Record;
use crate::service::Service;
use crate::troubles::plan;
use crate::worker::{Orders, Worker};

/// Jobs that a worker has at once, and how long a task runs: with no end of requests a worker could make 24 clips a minute.
const IN_FLIGHT: usize = 4;
const RUN_TIME: &str = "10s";
const RUN_SECONDS: usize = 10;

/// How it shall be done.
#[derive(Clone, Debug)]
pub struct Throughput {
    /// Workers.
    pub counts: Vec<usize>,
    /// Requests that all of them may send in a minute.
    pub budget: u32,
    /// How long they work before anything is counted: the first minute's budget may go at once.
    pub before: Duration,
    /// How long is counted.
    pub window: Duration,
}

/// What so many workers did.
#[derive(Clone, Debug)]
pub struct Workers {
    /// Clips that each of them made in a minute.
    pub clips: Vec<f64>,
    /// Submits of each of them in a minute.
    pub submits: Vec<f64>,
    /// Requests of all of them in a minute, as the service saw them.
    pub requests: f64,
}

impl Workers {
    /// Of all.
    pub fn clips_a_minute(&self) -> f64 {
        self.clips.iter().sum()
    }

    /// The fewest submits of one as a share of the most.
    pub fn fairness(&self) -> f64 {
        let least = self.submits.iter().copied().fold(f64::INFINITY, f64::min);
        least / self.submits.iter().copied().fold(f64::MIN_POSITIVE, f64::max)
    }
}

impl Throughput {
    /// Does it.
    ///
    /// # Errors
    ///
    /// When there is nothing to do it with, or something gets stuck.
    pub async fn run(&self, ground: &Ground, highway: &Highway) -> Result<Vec<Workers>> {
        let room = tempfile::tempdir()?;
        let folder = room.path();
        let service = Service::start(highway, Some(&ground.api), folder, &["--run-time", RUN_TIME]).await?;
        let nats = Nats::start(&ground.nats, folder.join("nats"), 256).await?;
        let mut all = Vec::new();
        for &count in &self.counts {
            let hosts = ground.workers.get(..count).ok_or("more workers than hosts")?;
            all.push(self.measure(hosts, &service, &nats, highway, &folder.join(format!("{count}"))).await?);
            eprintln!("{count} workers: {:.1} clips a minute", all.last().map_or(0.0, Workers::clips_a_minute));
        }
        Ok(all)
    }

    async fn measure(
        &self,
        hosts: &[Host],
        service: &Service,
        nats: &Nats,
        highway: &Highway,
        folder: &Path,
    ) -> Result<Workers> {
        let pairs = pairs(&folder.join("pictures"), 1, 0)?;
        // More than can be made.
        let seconds = (self.before + self.window).as_secs() as usize + RUN_SECONDS;
        let clips = hosts.len() * IN_FLIGHT * (seconds / RUN_SECONDS + 2);
        let manifest = manifest(folder, &pairs, clips)?;
        let record = Record::new(highway, nats.url(&format!("throughput-{}", hosts.len())), service);
        plan(&record, &manifest, self.budget, &folder.join("batch.log")).await?;
        let orders = |(number, host): (usize, &Host)| Orders {
            host: host.clone(),
            record: record.clone(),
            folder: folder.join(format!("worker-{number}")),
            in_flight: IN_FLIGHT,
            skew: 0,
        };
        let workers: Vec<Worker> = hosts.iter().enumerate().map(orders).map(Worker::start).collect::<Result<_>>()?;
        sleep(self.before).await;
        let from = SystemTime::now();
        sleep(self.window).await;
        let until = SystemTime::now();
        let requests = service.requests(from, until).await?;
        let minutes = self.window.as_secs_f64() / 60.0;
        let times = |voice: &Voice, event: &str, state: &str| {
            let all = voice.all();
            let within = all.iter().filter(|said| (from..until).contains(&said.at));
            within.filter(|said| said.line["event"] == event && said.line["state"] == state).count() as f64 / minutes
        };
        let count = |event: &str, state: &str| -> Vec<f64> {
            workers.iter().map(|worker| times(&worker.voice(), event, state)).collect()
        };
        Ok(Workers {
            clips: count("ended", "downloaded"),
            submits: count("submitted", "submitted"),
            requests: requests as f64 / minutes,
        })
    }
}
