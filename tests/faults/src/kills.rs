//! A worker that makes clips is killed, with all that it started and at any moment, again and again. After every kill what
//! has a clip's name must be whole and the record must open; in the end every clip must be there, and paid for once.

mod aim;
mod batch;
mod journal;
mod life;
mod phase;
mod record;
mod service;
mod tally;
mod worker;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use fastrand::Rng;
use highwayapi_sandbox::Sandbox;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

pub use tally::Tally;
pub use worker::work;

use crate::highway::Highway;
use crate::kills::aim::Aim;
use crate::kills::batch::{Batch, Ground};
use crate::kills::service::Service;
use crate::secrets::KEY;
use crate::{Result, secrets};

/// Workers side by side, each with a record of its own: most of the time they wait.
const LANES: u64 = 4;

/// How it shall be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How often a worker is killed, in all.
    pub kills: usize,
    /// Clips to make before a worker starts anew, with others and a fresh record.
    pub clips: usize,
    /// What decides the moments.
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self { kills: 25, clips: 40, seed: 7 }
    }
}

/// Kills workers so often. `worker` is a program that calls [`work`].
///
/// # Errors
///
/// When there is nothing to try it out with, or something gets stuck.
pub async fn run(plan: &Plan, highway: &Highway, worker: &Path) -> Result<Tally> {
    let room = tempfile::tempdir()?;
    let sandbox = Sandbox::builder().api_key(KEY).start().await?;
    let pictures = room.path().join("pictures");
    secrets::pictures(&pictures, 0)?;
    let ground = Ground::new(highway.path(), worker, &sandbox, room.path(), pictures).await?;
    let count = Count { kills: AtomicUsize::new(0), batches: AtomicUsize::new(1), started: Instant::now() };
    let (ground, count) = (&ground, &count);
    let runtime = Handle::current();
    let lane = |number: u64| {
        let rng = Rng::with_seed(plan.seed.wrapping_add(number << 32));
        runtime.block_on(lane(plan, ground, count, rng))
    };
    let mut tally = Tally::default();
    block_in_place(|| {
        // A thread for each: while one looks at what is left, another must not miss its moment.
        thread::scope(|scope| {
            let lanes: Vec<_> = (0..LANES).map(|number| scope.spawn(move || lane(number))).collect();
            lanes.into_iter().try_for_each(|lane| {
                tally.add(lane.join().unwrap_or_else(|_| Err("a lane panicked".into()))?);
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            })
        })
    })?;
    tally.seconds = count.started.elapsed().as_secs();
    // The first one was made before anything was killed.
    let (paid, asked) = (sandbox.submits(), tally.clips as u64 + 1);
    if paid != asked {
        tally.problems.push(format!("{paid} clips were paid for, and {asked} asked for"));
    }
    if sandbox.leaked_keys() > 0 {
        tally.problems.push("the key went to where the videos are".to_owned());
    }
    Ok(tally)
}

/// What the lanes have in common.
struct Count {
    kills: AtomicUsize,
    batches: AtomicUsize,
    started: Instant,
}

impl Count {
    fn is_enough(&self, kills: usize) -> bool {
        self.kills.load(Ordering::Relaxed) >= kills
    }

    /// Takes the next one upon itself; false when there were enough.
    fn take(&self, kills: usize) -> bool {
        let next = |taken| (taken < kills).then_some(taken + 1);
        let Ok(taken) = self.kills.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) else { return false };
        if taken > 0 && taken.is_multiple_of(50) {
            eprintln!("{taken} kills, {} s", self.started.elapsed().as_secs());
        }
        true
    }

    /// Nobody was killed: somebody else may take it.
    fn give_back(&self) {
        self.kills.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn lane(plan: &Plan, ground: &Ground<'_>, count: &Count, mut rng: Rng) -> Result<Tally> {
    let service = Service::start(&ground.sandbox.base_url()).await?;
    let mut tally = Tally::default();
    while !count.is_enough(plan.kills) {
        let number = count.batches.fetch_add(1, Ordering::Relaxed);
        let mut batch = Batch::new(number, plan.clips, ground, &service)?;
        while count.take(plan.kills) {
            if !batch.is_killed(Aim::new(&mut rng), &mut tally).await? {
                count.give_back();
                break;
            }
        }
        batch.settle(&mut tally).await?;
    }
    Ok(tally)
}
