//! What a [`Store`] must do, in keys and messages.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::batches::Counted;
use super::row::{Leave, Row, key_of};
use super::{NatsStore, TRIES, Taken};
use crate::batch::{Batch, BatchId, Tally};
use crate::error::Error;
use crate::job::{Job, JobId};
use crate::state::State;
use crate::store::{Added, Begun, Claim, Entry, Held, Hold, Pending, Store, Which};

/// More often than this a job is hardly ever written.
const WRITES: u64 = 50;

impl Store for NatsStore {
    fn add<'a>(&'a self, job: &'a Job, again: bool) -> Pending<'a, Added> {
        let job = job.clone();
        self.call(async move |handle| {
            let shared = &handle.shared;
            let key = key_of(&job);
            if let (Some(fingerprint), false) = (&job.fingerprint, again)
                && let Some(same) = shared.paid(fingerprint, &key).await?
            {
                return Ok(Added::Same(Box::new(same)));
            }
            let slot = shared.slot_of(&job.id).await?;
            let revision = if slot.key == key { slot.revision } else { 0 };
            if shared.found(slot).await?.is_some() {
                return Err(Error::store(format!("job {} is in the record already", job.id)));
            }
            let (hold, grip) = handle.new_hold(&job.id, key);
            let mut seat = grip.seat.lock().await;
            (seat.revision, seat.leave) = (revision, Leave::Nothing);
            let same = shared.begin_once(&grip, &mut seat, None, &job, again).await?;
            Ok(same.map_or(Added::New(hold), |same| Added::Same(Box::new(same))))
        })
    }

    fn hold<'a>(&'a self, id: &'a JobId) -> Pending<'a, Held> {
        let id = id.clone();
        self.call(async move |handle| {
            let mut slot = handle.shared.slot_of(&id).await?;
            for _ in 0..TRIES {
                match handle.take(slot).await? {
                    Taken::Now(held) => return Ok(held),
                    Taken::Changed(now) => slot = now,
                }
            }
            Err(handle.shared.too_busy())
        })
    }

    fn save<'a>(&'a self, hold: &'a Hold, job: &'a Job) -> Pending<'a, ()> {
        self.save_and(hold, job, false)
    }

    fn jobs<'a>(&'a self, which: Which<'a>) -> Pending<'a, Vec<Entry>> {
        // What is asked for is borrowed, and the call outlives who asks: so it is looked at here.
        let includes = Wanted::of(which);
        self.call(async move |handle| {
            let shared = &handle.shared;
            // Those that ended last were written last: the whole record is not read for them.
            let last = if let Wanted::Ran(most) = includes { Some(most as u64 * WRITES) } else { None };
            let mut all = shared.those(&includes.pattern(), last, |job| includes.includes(job)).await?;
            if let Wanted::Ran(most) = includes {
                all.drain(..all.len().saturating_sub(most));
            }
            shared.entries(all).await
        })
    }

    fn remove(&self, hold: Hold) -> Pending<'_, ()> {
        let grip = self.0.shared.grip(&hold);
        self.call(async move |handle| {
            let shared = &handle.shared;
            let Some(grip) = grip else { return Err(shared.not_held()) };
            let mut seat = grip.seat.lock().await;
            let fingerprint = match &seat.leave {
                Leave::Job(job) => job.fingerprint.clone(),
                _ => None,
            };
            shared.erase(&grip, &mut seat).await?;
            if let Some(fingerprint) = fingerprint {
                // A name without a job does no harm.
                let _ = shared.unname(&fingerprint, &grip.key).await;
            }
            drop(hold);
            Ok(())
        })
    }

    fn plan<'a>(&'a self, batch: &'a Batch, jobs: &'a [Job]) -> Pending<'a, ()> {
        let (batch, jobs) = (batch.clone(), jobs.to_vec());
        self.call(async move |handle| {
            handle.shared.put_batch(&batch).await?;
            handle.shared.plan(jobs).await
        })
    }

    fn batches(&self) -> Pending<'_, Vec<Batch>> {
        self.call(async move |handle| handle.shared.all_batches().await)
    }

    fn cancel<'a>(&'a self, batch: &'a BatchId) -> Pending<'a, ()> {
        let batch = batch.clone();
        self.call(async move |handle| handle.shared.cancel_batch(&batch).await)
    }

    fn claim<'a>(&'a self, batch: &'a BatchId, what: Claim) -> Pending<'a, Option<(Hold, Box<Job>)>> {
        let batch = batch.clone();
        self.call(async move |handle| handle.claim(&batch, what).await)
    }

    fn begin<'a>(&'a self, hold: &'a Hold, job: &'a Job, again: bool) -> Pending<'a, Begun> {
        let (grip, job) = (self.0.shared.grip(hold), job.clone());
        self.call(async move |handle| {
            let shared = &handle.shared;
            let Some(grip) = grip else { return Err(shared.not_held()) };
            let mut seat = grip.seat.lock().await;
            let Leave::Job(now) = seat.leave.clone() else {
                let text = format!("what became of the last write of job {} is not known", job.id);
                return Err(Error::store(text));
            };
            if shared.is_cancelled(&job).await? {
                return Ok(Begun::Cancelled);
            }
            if let (Some(fingerprint), false) = (&job.fingerprint, again)
                && let Some(same) = shared.paid(fingerprint, &grip.key).await?
            {
                return Ok(Begun::Same(Box::new(same)));
            }
            match shared.count(&job).await? {
                Counted::Yes => {}
                Counted::Cancelled => return Ok(Begun::Cancelled),
                Counted::CapReached => return Ok(Begun::CapReached),
            }
            match shared.begin_once(&grip, &mut seat, Some(*now), &job, again).await {
                Ok(None) => Ok(Begun::Yes),
                Ok(Some(same)) => {
                    shared.uncount(&job).await?;
                    Ok(Begun::Same(Box::new(same)))
                }
                // Nothing is sent, and where that is certain nothing is counted.
                Err(error) if error.is_not_held() => shared.uncount(&job).await.and(Err(error)),
                Err(error) => Err(error),
            }
        })
    }

    fn refund<'a>(&'a self, hold: &'a Hold, job: &'a Job) -> Pending<'a, ()> {
        self.save_and(hold, job, true)
    }

    fn tally<'a>(&'a self, batch: &'a BatchId) -> Pending<'a, Tally> {
        let batch = batch.clone();
        self.call(async move |handle| handle.shared.tally(&batch).await)
    }

    fn keep_frame<'a>(&'a self, sha256: &'a str, file: &'a Path) -> Pending<'a, ()> {
        let (sha256, file) = (sha256.to_owned(), file.to_owned());
        self.call(async move |handle| handle.shared.frames.keep(&sha256, &file).await)
    }

    fn frame<'a>(&'a self, sha256: &'a str, original: &'a Path) -> Pending<'a, PathBuf> {
        let (sha256, original) = (sha256.to_owned(), original.to_owned());
        self.call(async move |handle| handle.shared.frames.get(&sha256, &original).await)
    }

    fn forget_frames(&self) -> Pending<'_, ()> {
        self.call(async move |handle| {
            let shared = &handle.shared;
            let may_be_sent = |job: &Job| matches!(job.state, State::Planned | State::Intent | State::Unknown);
            let all = shared.those(">", None, may_be_sent).await?;
            let asked = all.iter().filter_map(|found| found.job.asked.as_ref());
            let needed = asked.flat_map(|asked| [&asked.image, &asked.last_image]);
            shared.frames.forget_all_but(&needed.map(|picture| picture.sha256().to_owned()).collect()).await
        })
    }

    fn turn<'a>(&'a self, service: &'a str) -> Pending<'a, ()> {
        let service = service.to_owned();
        self.wait(async move |handle| handle.shared.turns.turn(&service).await)
    }

    fn hold_off<'a>(&'a self, service: &'a str, pause: Duration) -> Pending<'a, ()> {
        let service = service.to_owned();
        self.call(async move |handle| handle.shared.turns.hold_off(&service, pause).await)
    }
}

impl NatsStore {
    /// Writes down a job that is held, and takes it back from what its batch has spent.
    fn save_and<'a>(&'a self, hold: &'a Hold, job: &'a Job, refund: bool) -> Pending<'a, ()> {
        let (grip, job) = (self.0.shared.grip(hold), job.clone());
        self.call(async move |handle| {
            let shared = &handle.shared;
            let Some(grip) = grip else { return Err(shared.not_held()) };
            let mut seat = grip.seat.lock().await;
            let was_paid = matches!(&seat.leave, Leave::Job(job) if job.is_paid());
            seat.leave = Leave::AsItIs;
            shared.write(&grip, &mut seat, Row { job: Some(job.clone()), ..Row::default() }).await?;
            seat.leave = Leave::Job(Box::new(job.clone()));
            // Such as a task that its user named after all.
            if let (false, true, Some(fingerprint)) = (was_paid, job.is_paid(), &job.fingerprint) {
                shared.name_as_it_is(fingerprint, &grip.key).await?;
            }
            // Whoever tried this again could take it back twice.
            if refund && let Err(error) = shared.uncount(&job).await {
                tracing::warn!(%error, job = %job.id, "a job that was not charged stays counted");
            }
            Ok(())
        })
    }
}

/// [`Which`], for a call that outlives who asks.
enum Wanted {
    All,
    Ran(usize),
    Named(String),
    Task(highwayapi::TaskId),
    Same(crate::asked::Fingerprint),
    Output(PathBuf),
    Batch(BatchId),
}

impl Wanted {
    fn of(which: Which<'_>) -> Self {
        match which {
            Which::All => Self::All,
            Which::Ran(most) => Self::Ran(most),
            Which::Named(beginning) => Self::Named(beginning.to_owned()),
            Which::Task(id) => Self::Task(id.clone()),
            Which::Same(fingerprint) => Self::Same(fingerprint.clone()),
            Which::Output(path) => Self::Output(path.to_owned()),
            Which::Batch(batch) => Self::Batch(batch.clone()),
        }
    }

    fn includes(&self, job: &Job) -> bool {
        let which = match self {
            Self::All => Which::All,
            Self::Ran(most) => Which::Ran(*most),
            Self::Named(beginning) => Which::Named(beginning),
            Self::Task(id) => Which::Task(id),
            Self::Same(fingerprint) => Which::Same(fingerprint),
            Self::Output(path) => Which::Output(path),
            Self::Batch(batch) => Which::Batch(batch),
        };
        which.includes(job)
    }

    /// The keys at which such jobs can be.
    fn pattern(&self) -> String {
        match self {
            Self::Batch(batch) => format!("{batch}.*"),
            Self::Named(id) if id.parse::<JobId>().is_ok() => format!("*.{id}"),
            _ => ">".to_owned(),
        }
    }
}
