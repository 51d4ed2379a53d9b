//! Running a batch: claims its jobs, has them sent and finished side by side, and knows when to stop.
//!
//! It knows nothing of where jobs are kept, and keeps nothing itself: whatever ends it, another one goes on.

mod carry;

use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::plan::CANCELLED;
use super::{Batch, BatchEvent, BatchId, Ending, Outcome, Tally};
use crate::error::{Error, Result};
use crate::jobs::Jobs;
use crate::state::{Event, State};
use crate::store::Claim;
use crate::work::HeldJob;
use carry::{Carried, Carrier};

/// So often it is looked for what others planned, left or cancelled.
const LOOK: Duration = Duration::from_secs(1);

/// So often in a row the record may fail, with [`LOOK`] and whatever it takes to fail in between.
const TROUBLES: u32 = 300;

/// Videos that are fetched at once: each takes some memory, and together they have the whole line anyway.
const FETCHES: usize = 6;

/// A batch about to be run; see [`Jobs::run`].
#[derive(Debug)]
#[must_use = "does nothing until it is run"]
pub struct Runner {
    jobs: Jobs,
    batch: BatchId,
    base: Option<PathBuf>,
    in_flight: usize,
    submits: usize,
    finish_only: bool,
}

impl Jobs {
    /// Runs a batch of the record. Several processes may run the same batch side by side; it may be planned further
    /// meanwhile.
    pub fn run(&self, batch: &BatchId) -> Runner {
        Runner { jobs: self.clone(), batch: batch.clone(), base: None, in_flight: 64, submits: 4, finish_only: false }
    }
}

impl Runner {
    /// The folder that outputs are relative to, other than [`Batch::base`], as on another machine.
    pub fn base(mut self, base: impl Into<PathBuf>) -> Self {
        self.base = Some(base.into());
        self
    }

    /// How many jobs are worked on at once, most of them waiting for their tasks. Default: 64; at least 1.
    pub fn in_flight(mut self, in_flight: usize) -> Self {
        self.in_flight = in_flight.max(1);
        self
    }

    /// How many submits are under way or wait for their turn at once. Default: 4; at least 1.
    pub fn submits(mut self, submits: usize) -> Self {
        self.submits = submits.max(1);
        self
    }

    /// Begins nothing, and only finishes what was begun. Default: false.
    pub fn finish_only(mut self, finish_only: bool) -> Self {
        self.finish_only = finish_only;
        self
    }

    /// Runs it until nothing is left that could be done, by this process or others. Once `stop` has resolved nothing more is
    /// begun, and what was begun is finished.
    ///
    /// Dropping this loses nothing; a submit that is cut short is unknown then.
    ///
    /// # Errors
    ///
    /// When there is no such batch, it is for another service than the client, or the record cannot be used for several
    /// minutes. What happens to a single job is told, and is no error here.
    pub async fn run(self, stop: impl Future<Output = ()>, mut on_event: impl FnMut(BatchEvent)) -> Result<Outcome> {
        let batch = self.jobs.find_batch(self.batch.as_str()).await?;
        if batch.service != self.jobs.client().base_url() {
            return Err(Error::input(format!(
                "batch `{}` is for {}, and this is a client of {}; the base URL must be the same",
                batch.name,
                batch.service,
                self.jobs.client().base_url()
            )));
        }
        let (told, mut events) = mpsc::unbounded_channel();
        let (stop_all, stopped) = watch::channel(false);
        let batch = Arc::new(Mutex::new(batch));
        let carrier = Carrier {
            jobs: self.jobs.clone(),
            batch: Arc::clone(&batch),
            base: self.base,
            fetches: Arc::new(Semaphore::new(FETCHES)),
            told,
            stopped,
        };
        let mut run = Run {
            jobs: self.jobs,
            batch,
            in_flight: self.in_flight,
            submits: Arc::new(Semaphore::new(self.submits)),
            carrier: Arc::new(carrier),
            works: JoinSet::new(),
            left: Vec::new(),
            ending: self.finish_only.then_some(Ending::Finished),
            look: true,
            idle: false,
            troubles: 0,
        };
        let mut stop = pin!(stop);
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Before anything is claimed.
            if !*stop_all.borrow() && is_ready(stop.as_mut()).await {
                stop_all.send_replace(true);
                run.stop(Ending::Stopped);
            }
            run.fill().await?;
            if run.is_over().await? {
                break;
            }
            tokio::select! {
                biased;
                () = &mut stop, if !*stop_all.borrow() => {
                    stop_all.send_replace(true);
                    run.stop(Ending::Stopped);
                }
                Some(event) = events.recv() => on_event(event),
                Some(carried) = run.works.join_next() => match carried {
                    Ok((carried, job)) => run.carried(carried, job),
                    Err(error) => return Err(Error::store("a job could not be worked on").with_source(error)),
                },
                _ = look.tick() => run.look().await?,
            }
        }
        drop(run.carrier);
        while let Some(event) = events.recv().await {
            on_event(event);
        }
        // As it is now: others may be at it.
        let batch = run.jobs.find_batch(self.batch.as_str()).await?;
        let tally = run.jobs.tally(&batch.id).await?;
        Ok(Outcome { ending: run.ending.unwrap_or(Ending::Done), batch, tally, left: run.left.len() as u64 })
    }
}

struct Run {
    jobs: Jobs,
    /// As it was when it was last looked at.
    batch: Arc<Mutex<Batch>>,
    in_flight: usize,
    submits: Arc<Semaphore>,
    carrier: Arc<Carrier>,
    works: JoinSet<(Carried, HeldJob)>,
    /// What could not be finished: held until the end, so that it is not claimed over and over.
    left: Vec<HeldJob>,
    /// Why nothing more is begun.
    ending: Option<Ending>,
    /// Whether there may be something that was begun and that nobody works on.
    look: bool,
    /// Nothing was to be claimed when it was looked last.
    idle: bool,
    troubles: u32,
}

impl Run {
    /// Claims what there is room for.
    async fn fill(&mut self) -> Result<()> {
        while self.works.len() < self.in_flight && !self.idle {
            let permit = match self.ending {
                None => Arc::clone(&self.submits).try_acquire_owned().ok(),
                Some(_) => None,
            };
            let what = if permit.is_some() { Claim::Any } else { Claim::Begun };
            if what == Claim::Begun && !self.look {
                return Ok(());
            }
            match self.claim(what).await {
                Ok(Some(job)) => self.work_on(job, permit).await?,
                Ok(None) if what == Claim::Any => self.idle = true,
                Ok(None) => self.look = false,
                Err(error) => self.trouble(error)?,
            }
        }
        Ok(())
    }

    async fn claim(&mut self, what: Claim) -> Result<Option<HeldJob>> {
        let id = batch(&self.batch).id;
        let claimed = self.jobs.store.claim(&id, what).await?;
        self.troubles = 0;
        let Some((hold, job)) = claimed else { return Ok(None) };
        let held = self.jobs.holding(hold, *job).await?;
        Ok(Some(HeldJob::new(self.jobs.clone(), held)))
    }

    async fn work_on(&mut self, mut job: HeldJob, permit: Option<OwnedSemaphorePermit>) -> Result<()> {
        if job.job().state == State::Planned && batch(&self.batch).cancelled {
            // Without waiting for a turn that nobody will use.
            return match job.held.apply(Event::Cancelled, Some(CANCELLED.to_owned())).await {
                Ok(()) => {
                    self.carrier.tell(BatchEvent::Ended(Box::new(job.job().clone())));
                    Ok(())
                }
                Err(error) => self.trouble(error),
            };
        }
        let carrier = Arc::clone(&self.carrier);
        self.works.spawn(async move {
            let carried = carrier.carry(&mut job, permit).await;
            (carried, job)
        });
        Ok(())
    }

    /// What one job has come to may be the end of more.
    fn carried(&mut self, carried: Carried, job: HeldJob) {
        match carried {
            Carried::Over => {
                // What it had been counted for is free again.
                if job.job().state == State::Refused && matches!(self.ending, Some(Ending::CapReached)) {
                    self.ending = None;
                }
            }
            Carried::Left => self.left.push(job),
            Carried::NotBegun(ending) => self.stop(ending),
            // Its user's stop was told already.
            Carried::Stopped => {}
        }
    }

    /// Begins nothing more. What its user says counts before all else.
    fn stop(&mut self, ending: Ending) {
        if self.ending.is_some() && !matches!(ending, Ending::Stopped) {
            return;
        }
        let why = match &ending {
            Ending::CapReached => "what is left would pass what the batch may cost".to_owned(),
            Ending::Cancelled => "the batch is cancelled".to_owned(),
            Ending::Service(error) => error.to_string(),
            _ => "stopped".to_owned(),
        };
        self.carrier.tell(BatchEvent::Stopping(why));
        self.ending = Some(ending);
    }

    /// What others did meanwhile.
    async fn look(&mut self) -> Result<()> {
        (self.look, self.idle) = (true, false);
        let id = batch(&self.batch).id;
        match self.jobs.find_batch(id.as_str()).await {
            Ok(now) => {
                let before = std::mem::replace(&mut *lock(&self.batch), now.clone());
                if now.cancelled && !before.cancelled {
                    self.carrier.tell(BatchEvent::Stopping("the batch is cancelled".to_owned()));
                }
                if now.caps != before.caps && matches!(self.ending, Some(Ending::CapReached)) {
                    self.ending = None;
                }
                Ok(())
            }
            Err(error) => self.trouble(error),
        }
    }

    /// Whether nothing is left to do here, or to wait for.
    async fn is_over(&mut self) -> Result<bool> {
        if !self.works.is_empty() {
            return Ok(false);
        }
        if matches!(self.ending, Some(Ending::Stopped)) {
            return Ok(true);
        }
        if !self.idle && self.look {
            return Ok(false);
        }
        // What others work on is waited for: they may die.
        let id = batch(&self.batch).id;
        match self.jobs.tally(&id).await {
            Ok(tally) => {
                let begins = self.ending.is_none();
                let left = self.left.iter().filter(|job| is_open(job.job().state, begins)).count() as u64;
                Ok(open(&tally, begins) <= left)
            }
            Err(error) => self.trouble(error).map(|()| false),
        }
    }

    fn trouble(&mut self, error: Error) -> Result<()> {
        self.troubles += 1;
        if self.troubles > TROUBLES || !(error.is_store() || error.is_not_held() || error.is_busy()) {
            return Err(error);
        }
        self.idle = true;
        self.carrier.tell(BatchEvent::Trouble(error));
        Ok(())
    }
}

/// How many items can still be worked on.
fn open(tally: &Tally, begins: bool) -> u64 {
    tally.states().filter(|&(state, _)| is_open(state, begins)).map(|(_, items)| items).sum()
}

fn is_open(state: State, begins: bool) -> bool {
    if begins { Claim::Any.includes(state) } else { Claim::Begun.includes(state) }
}

async fn is_ready(future: impl Future<Output = ()>) -> bool {
    tokio::select! {
        biased;
        () = future => true,
        () = std::future::ready(()) => false,
    }
}

fn batch(batch: &Mutex<Batch>) -> Batch {
    lock(batch).clone()
}

fn lock(batch: &Mutex<Batch>) -> std::sync::MutexGuard<'_, Batch> {
    batch.lock().unwrap_or_else(PoisonError::into_inner)
}
