//! One job of a batch, from where it is to where nothing is left to do.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use highwayapi::FirstLastFrame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::sleep;

use crate::asked::{Picture, Pictures};
use crate::batch::plan::{CANCELLED, output, price};
use crate::batch::{Batch, BatchEvent, Ending};
use crate::error::{Error, Result};
use crate::job::Job;
use crate::jobs::{Jobs, blocking};
use crate::state::{Event, State};
use crate::store::Begun;
use crate::target;
use crate::work::HeldJob;

/// So often what is paid for is tried to be finished before it is left for another time.
const TRIES: u32 = 3;

/// So often, with [`PAUSE`] in between, the record may fail for one job: with that, an outage of some minutes is sat out.
const TROUBLES: u32 = 60;
const PAUSE: Duration = Duration::from_secs(5);

/// Why a job was not sent.
enum Unsent {
    Carried(Carried),
    /// The record failed. It is as before.
    Trouble(Error),
}

/// What a job has come to.
pub(super) enum Carried {
    /// Nothing is left to do for it, or somebody else does it.
    Over,
    /// It is not finished, and will not be here.
    Left,
    /// It is planned as before, and so is all that would come after it.
    NotBegun(Ending),
    /// It is planned as before, because its user wants no more of them begun.
    Stopped,
}

impl From<Carried> for Unsent {
    fn from(carried: Carried) -> Self {
        Self::Carried(carried)
    }
}

/// What all jobs of a run have in common.
pub(super) struct Carrier {
    pub(super) jobs: Jobs,
    pub(super) batch: Arc<Mutex<Batch>>,
    pub(super) base: Option<PathBuf>,
    pub(super) fetches: Arc<Semaphore>,
    pub(super) told: mpsc::UnboundedSender<BatchEvent>,
    pub(super) stopped: watch::Receiver<bool>,
}

impl Carrier {
    pub(super) fn tell(&self, event: BatchEvent) {
        // Nobody listens once the run was dropped.
        let _ = self.told.send(event);
    }

    /// `permit` is given back once it is sent.
    pub(super) async fn carry(&self, job: &mut HeldJob, permit: Option<OwnedSemaphorePermit>) -> Carried {
        self.tell(BatchEvent::Claimed(Box::new(job.job().clone())));
        if let Err(error) = self.put_here(job) {
            return self.left(job, error);
        }
        if job.job().state == State::Planned
            && let Err(carried) = self.send(job).await
        {
            return carried;
        }
        drop(permit);
        if job.job().state.is_unfinished() { self.finish(job).await } else { self.ended(job) }
    }

    /// Lets its video go where this run wants it.
    fn put_here(&self, job: &mut HeldJob) -> Result<()> {
        if let (Some(base), Some(item), true) = (&self.base, &job.job().item, job.job().clips.is_empty()) {
            job.held.job.output = Some(output(base, &item.output)?);
        }
        Ok(())
    }

    /// Sends it, as soon as the record can be written.
    async fn send(&self, job: &mut HeldJob) -> Result<(), Carried> {
        let mut troubles = 0;
        loop {
            match self.send_until_taken(job).await {
                Ok(()) => return Ok(()),
                Err(Unsent::Carried(carried)) => return Err(carried),
                Err(Unsent::Trouble(error)) if troubles >= TROUBLES || *self.stopped.borrow() => {
                    return Err(self.left(job, error));
                }
                Err(Unsent::Trouble(error)) => self.pause(job, &error, PAUSE).await,
            }
            troubles += 1;
        }
    }

    async fn send_until_taken(&self, job: &mut HeldJob) -> Result<(), Unsent> {
        let request = match self.request(job.job()).await {
            Ok(request) => request,
            Err(error) if error.is_store() => return Err(Unsent::Trouble(error)),
            Err(error) => return Err(self.refused(job, error).await.into()),
        };
        job.held.job.price = price(&self.batch.lock().unwrap_or_else(PoisonError::into_inner), job.job());
        let again = job.job().again;
        let mut attempts = self.jobs.client().attempts(&request).patiently();
        loop {
            match job.begin(&mut attempts, Event::Begun, again, self.stop()).await {
                Ok(Begun::Yes) => {}
                Ok(Begun::CapReached) => return Err(Carried::NotBegun(Ending::CapReached).into()),
                Ok(Begun::Cancelled) => {
                    let why = Some(CANCELLED.to_owned());
                    return Err(match job.held.apply(Event::Cancelled, why).await {
                        Ok(()) => self.ended(job).into(),
                        Err(error) => self.left(job, error).into(),
                    });
                }
                Ok(begun @ Begun::Same(_)) => {
                    let error = Error::not_begun(job.job(), &begun);
                    return Err(self.refused(job, error).await.into());
                }
                Err(error) => return Err(self.not_sent(job, error).await),
            }
            let (told, id) = (self.told.clone(), job.job().id.clone());
            let mut unrecorded = move |task_id: &highwayapi::TaskId| {
                let _ = told.send(BatchEvent::Unrecorded { job: id.clone(), task_id: task_id.clone() });
            };
            match job.send(&mut attempts, &mut unrecorded).await {
                Ok(None) => {
                    self.tell(BatchEvent::Submitted(Box::new(job.job().clone())));
                    return Ok(());
                }
                Ok(Some(error)) => self.tell(BatchEvent::NotTaken { job: job.job().id.clone(), error }),
                Err(error) if error.is_unrecorded() => return self.record(job, error).await.map_err(Unsent::from),
                Err(error) => return Err(self.not_sent(job, error).await),
            }
        }
    }

    /// A task that is paid for and that only this program knows of: the record is waited for.
    async fn record(&self, job: &mut HeldJob, unrecorded: Error) -> Result<(), Carried> {
        let Some(id) = job.job().task_id.clone() else { return Err(self.left(job, unrecorded)) };
        for _ in 0..TROUBLES {
            self.pause(job, &unrecorded, PAUSE).await;
            match job.record(&id).await {
                Ok(()) => {
                    self.tell(BatchEvent::Submitted(Box::new(job.job().clone())));
                    return Ok(());
                }
                Err(error) if error.is_of_record() || error.is_busy() || error.is_not_held() => {}
                // Such as that its user has said meanwhile what became of it.
                Err(_) => break,
            }
        }
        Err(self.left(job, unrecorded))
    }

    /// What an error means for a job that was not accepted.
    async fn not_sent(&self, job: &mut HeldJob, error: Error) -> Unsent {
        let client = error.client_error();
        if job.job().state != State::Planned {
            self.ended(job).into()
        } else if client.is_some_and(highwayapi::Error::is_stopped) {
            Carried::Stopped.into()
        } else if error.is_not_held() {
            Carried::Over.into()
        } else if error.is_invalid_input() {
            self.refused(job, error).await.into()
        } else if error.is_of_record() {
            Unsent::Trouble(error)
        } else if client.is_some() {
            Carried::NotBegun(Ending::Service(error)).into()
        } else {
            Unsent::Trouble(error)
        }
    }

    /// The same request as was planned, from where its pictures are on this machine, and with room for its video.
    async fn request(&self, job: &Job) -> Result<FirstLastFrame> {
        let (Some(asked), Some(pictures), Some(output)) = (&job.asked, &job.pictures, &job.output) else {
            return Err(Error::over(job, ", and what was asked for is not known"));
        };
        let (asked, output, samples) = (asked.clone(), output.clone(), job.samples());
        let pictures = Pictures {
            image: self.frame(pictures.image.as_deref(), &asked.image).await?,
            last_image: self.frame(pictures.last_image.as_deref(), &asked.last_image).await?,
        };
        blocking(move || {
            if let Some(folder) = output.parent() {
                let made = std::fs::create_dir_all(folder);
                made.map_err(|error| {
                    let text = format!("output: there can be no folder {}", folder.display());
                    Error::input(text).with_source(error)
                })?;
            }
            target::check(&output, samples, false, None)?;
            pictures.request(&asked)
        })
        .await?
    }

    async fn frame(&self, file: Option<&Path>, picture: &Picture) -> Result<Option<PathBuf>> {
        match file {
            Some(file) => self.jobs.store.frame(picture.sha256(), file).await.map(Some),
            None => Ok(None),
        }
    }

    /// Waits for its task and fetches its videos; what passes is tried again.
    async fn finish(&self, job: &mut HeldJob) -> Carried {
        let (mut attempt, mut troubles) = (1, 0);
        loop {
            let Err(error) = self.wait_and_fetch(job).await else { return self.ended(job) };
            if error.is_not_held() {
                return Carried::Over;
            }
            if !job.job().state.is_unfinished() {
                return self.ended(job);
            }
            let client = error.client_error();
            // At the service it is over, or nothing can be asked of it.
            let for_good = client.is_some_and(|error| {
                error.is_still_running() || error.is_auth() || error.is_task_failed() || error.is_without_video()
            });
            let trouble = error.is_of_record() && troubles < TROUBLES;
            if for_good || (attempt >= TRIES && !trouble) || *self.stopped.borrow() {
                return self.left(job, error);
            }
            if trouble {
                troubles += 1;
                self.pause(job, &error, PAUSE).await;
            } else {
                self.pause(job, &error, Duration::from_secs(2) * attempt).await;
                attempt += 1;
            }
        }
    }

    /// Before it is tried again.
    async fn pause(&self, job: &HeldJob, error: &Error, pause: Duration) {
        self.tell(BatchEvent::Again { job: job.job().id.clone(), reason: error.to_string(), pause });
        sleep(pause).await;
    }

    async fn wait_and_fetch(&self, job: &mut HeldJob) -> Result<()> {
        let id = job.job().id.clone();
        let tell = |step: crate::work::Step<'_>| {
            if let Some(event) = BatchEvent::of(&id, step) {
                self.tell(event);
            }
        };
        let result = job.wait(tell).await?;
        let _room = self.fetches.acquire().await;
        if let Some(folder) = job.job().output.as_deref().and_then(Path::parent).map(Path::to_owned) {
            // Where it cannot be made, fetching says so.
            let _ = blocking(move || std::fs::create_dir_all(folder)).await?;
        }
        job.fetch(&result, tell).await
    }

    async fn refused(&self, job: &mut HeldJob, error: Error) -> Carried {
        job.refused(error).await;
        self.ended(job)
    }

    fn ended(&self, job: &HeldJob) -> Carried {
        self.tell(BatchEvent::Ended(Box::new(job.job().clone())));
        Carried::Over
    }

    fn left(&self, job: &HeldJob, error: Error) -> Carried {
        self.tell(BatchEvent::Left { job: Box::new(job.job().clone()), error });
        Carried::Left
    }

    /// Resolves when nothing more is to be begun.
    async fn stop(&self) {
        let mut stopped = self.stopped.clone();
        let _ = stopped.wait_for(|&stopped| stopped).await;
    }
}
