//! The one paid step. Whatever comes of it is on disk before anything else happens, and a job is an intent for as long as
//! it is sent, never while it waits for that.

use std::pin::pin;
use std::time::Duration;

use highwayapi::{Attempt, Attempts, Charged, Task, TaskId};
use tokio::time::{sleep, timeout};

use crate::error::{Error, Result};
use crate::state::{Event, State};
use crate::store::Begun;
use crate::work::HeldJob;

/// How often something is tried to be written down that must not be lost.
const TRIES: u32 = 4;

/// Whoever waits longer until the id of a paid task is written down is told it.
const SOON: Duration = Duration::from_secs(1);

/// So often, a second apart, a job is tried to be held again that was taken from us while we sent it.
const RETAKES: u32 = 60;

impl HeldJob {
    /// Waits for its turn and then writes down, as `event`, that it is sent: [`HeldJob::send`] is to follow at once.
    ///
    /// # Errors
    ///
    /// When its turn does not come or it cannot be written down. Nothing was sent, and the job is as before.
    pub(crate) async fn begin(
        &mut self,
        attempts: &mut Attempts,
        event: Event,
        again: bool,
        stop: impl Future<Output = ()>,
    ) -> Result<Begun> {
        attempts.turn(stop).await.map_err(|error| Error::from(error).about(&self.held.job))?;
        // One that is sent by the user's word stays an intent until that is settled: it was unknown before.
        if self.held.job.state == State::Intent {
            return Ok(Begun::Yes);
        }
        let mut job = self.held.job.clone();
        job.apply(event, None)?;
        let begun = self.held.store.begin(&self.held.hold, &job, again).await;
        let begun = begun.map_err(|error| error.about(&self.held.job))?;
        if matches!(begun, Begun::Yes) {
            self.held.job = job;
        }
        Ok(begun)
    }

    /// One attempt of a job that was begun. The error, where the service did not take it: then it is planned again.
    ///
    /// # Errors
    ///
    /// As [`Attempts::send`], and [`Error::is_unrecorded`].
    pub(crate) async fn send(
        &mut self,
        attempts: &mut Attempts,
        unrecorded: &mut (dyn FnMut(&TaskId) + Send),
    ) -> Result<Option<highwayapi::Error>> {
        match attempts.send().await {
            Ok(Attempt::Accepted(task)) => self.accepted(task, unrecorded).await.map(|()| None),
            Ok(Attempt::NotTaken(error)) => {
                if self.held.job.attempt == 1 {
                    self.not_charged(Event::PutOff, error.to_string()).await?;
                }
                Ok(Some(error))
            }
            Ok(_) => Err(Error::over(&self.held.job, ", and what became of its submit makes no sense")),
            Err(error) if error.is_charged() != Charged::No => {
                self.held.job.apply(Event::AnswerLost, Some(error.to_string()))?;
                self.write(false).await;
                Err(Error::from(error).about(&self.held.job))
            }
            // What the service says of itself or of the account, it says of all that is still to be sent.
            Err(error) if self.held.job.item.is_some() && self.held.job.attempt == 1 && !is_of_request(&error) => {
                self.not_charged(Event::PutOff, error.to_string()).await?;
                Err(Error::from(error).about(&self.held.job))
            }
            Err(error) => Err(self.refused(error.into()).await),
        }
    }

    /// Sends it until it is taken; it was begun.
    pub(crate) async fn send_until_taken(
        &mut self,
        attempts: &mut Attempts,
        again: bool,
        mut stop: impl Future<Output = ()> + Unpin,
        unrecorded: &mut (dyn FnMut(&TaskId) + Send),
    ) -> Result<()> {
        while self.send(attempts, unrecorded).await?.is_some() {
            match self.begin(attempts, Event::Begun, again, &mut stop).await {
                Ok(Begun::Yes) => {}
                Ok(_) => {
                    let why = "the same was submitted while this one waited to be sent again";
                    return Err(self.refused(Error::over(&self.held.job, &format!("; {why}"))).await);
                }
                Err(error) => return Err(self.refused(error).await),
            }
        }
        Ok(())
    }

    /// It will not be sent, and this attempt was not charged.
    pub(crate) async fn refused(&mut self, error: Error) -> Error {
        let (event, why) = match self.held.job.attempt {
            0 | 1 => (Event::Refused, error.to_string()),
            _ => (Event::RefusedAgain, format!("an earlier answer was never seen; sent again, it brought: {error}")),
        };
        if let Err(unwritten) = self.not_charged(event, why).await {
            return unwritten;
        }
        match event {
            Event::RefusedAgain => Error::unresolved(&self.held.job).with_source(error),
            _ => error.about(&self.held.job),
        }
    }

    async fn not_charged(&mut self, event: Event, why: String) -> Result<()> {
        let was_counted = self.held.job.state == State::Intent;
        self.held.job.apply(event, Some(why))?;
        self.write(was_counted).await;
        Ok(())
    }

    /// Where this fails it will be taken for unknown, which is safe.
    async fn write(&mut self, refund: bool) {
        if let Err(unsaved) = self.write_insistently(refund).await {
            tracing::warn!(job = %self.held.job.id, error = %unsaved, "the end of a submit could not be written down");
        }
    }

    async fn accepted(&mut self, task: Task, unrecorded: &mut (dyn FnMut(&TaskId) + Send)) -> Result<()> {
        let id = task.id().clone();
        self.held.job.task_id = Some(id.clone());
        self.fresh = Some(task);
        self.held.job.apply(Event::Accepted, None)?;
        let saved = {
            let mut saving = pin!(self.record(&id));
            match timeout(SOON, &mut saving).await {
                Ok(saved) => saved,
                Err(_) => {
                    unrecorded(&id);
                    saving.await
                }
            }
        };
        saved.map_err(|error| Error::unrecorded(&self.held.job, &id, error))
    }

    /// Writes down the task of a job that was accepted; where the record fails, this may be tried again.
    pub(crate) async fn record(&mut self, id: &TaskId) -> Result<()> {
        match self.write_insistently(false).await {
            Err(error) if error.is_not_held() => self.take_back(id).await,
            saved => saved,
        }
    }

    /// Whoever took it from us, as from one that was dead, can only have found that nobody knows. We do.
    async fn take_back(&mut self, id: &TaskId) -> Result<()> {
        let mut tries = 1;
        loop {
            match self.jobs.hold(&self.held.job.id).await {
                Ok(mut held) if held.job.state == State::Unknown && held.job.attempt == self.held.job.attempt => {
                    held.job.task_id = Some(id.clone());
                    held.job.accepted_at = self.held.job.accepted_at;
                    held.apply(Event::TaskNamed, None).await?;
                    self.held = held;
                    return Ok(());
                }
                // An earlier try came about, or its user has named it.
                Ok(held) if held.job.task_id.as_ref() == Some(id) && held.job.attempt == self.held.job.attempt => {
                    self.held = held;
                    return Ok(());
                }
                Ok(held) => return Err(Error::over(&held.job, ", by somebody else")),
                Err(error) if tries >= RETAKES || !(error.is_busy() || error.is_store()) => return Err(error),
                Err(_) => sleep(Duration::from_secs(1)).await,
            }
            tries += 1;
        }
    }

    async fn write_insistently(&self, refund: bool) -> Result<()> {
        let mut tries = 1;
        loop {
            let written = match refund {
                true => self.held.store.refund(&self.held.hold, &self.held.job).await,
                false => self.held.store.save(&self.held.hold, &self.held.job).await,
            };
            match written {
                Err(error) if tries < TRIES && !error.is_not_held() => sleep(Duration::from_millis(200) * tries).await,
                written => return written.map_err(|error| error.about(&self.held.job).charged(&self.held.job)),
            }
            tries += 1;
        }
    }
}

/// Whether this says something of the request itself, and not of the service, the account or the way there.
fn is_of_request(error: &highwayapi::Error) -> bool {
    error.is_invalid_input() || error.is_moderation()
}
