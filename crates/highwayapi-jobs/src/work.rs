//! Working a job through once it is sent: wait, fetch. Each step is on disk before the next begins, so each may be the last.

use std::path::{Path, PathBuf};
use std::time::Duration;

use highwayapi::{Event as TaskEvent, Task, TaskResult};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::clips::{self, bring_along, copies, is_there};
use crate::error::{Error, Result};
use crate::job::{Clip, Job};
use crate::jobs::{Jobs, blocking};
use crate::ledger::Holding;
use crate::state::{Event, State};
use crate::target::{self, absolute, clip_path};

/// What happens while a job is worked through.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step<'a> {
    /// The service answered; the task is not finished.
    Progress(&'a TaskResult),
    /// A poll failed; waiting goes on.
    #[non_exhaustive]
    PollFailed {
        /// Why.
        error: &'a highwayapi::Error,
        /// How many have failed in a row.
        failures: u32,
        /// When the next one comes.
        pause: Duration,
    },
    /// The task has its videos.
    Succeeded(&'a TaskResult),
    /// A video is about to be fetched.
    #[non_exhaustive]
    Fetching {
        /// Which of the task's videos, from 1.
        sample: usize,
        /// Where it goes.
        file: &'a Path,
    },
    /// Some more of a video is there.
    #[non_exhaustive]
    Bytes {
        /// Which of the task's videos, from 1.
        sample: usize,
        /// How much of it is there.
        done: u64,
        /// How much there will be, where it is known.
        length: Option<u64>,
    },
    /// A video is in its file.
    Saved(&'a Clip),
}

/// A job that is worked on here and by nobody else, until this is dropped.
///
/// Dropping it, or any call of it, at whatever moment loses nothing: see [`crate::Jobs::take_up`].
#[derive(Debug)]
pub struct HeldJob {
    pub(crate) jobs: Jobs,
    pub(crate) held: Holding,
    /// The task, if it was submitted just now.
    pub(crate) fresh: Option<Task>,
    is_new: bool,
}

impl HeldJob {
    pub(crate) fn new(jobs: Jobs, held: Holding) -> Self {
        Self { jobs, held, fresh: None, is_new: true }
    }

    /// Marks that a submit found it there already.
    pub(crate) fn earlier(self) -> Self {
        Self { is_new: false, ..self }
    }

    /// The job as it is now.
    pub fn job(&self) -> &Job {
        &self.held.job
    }

    /// Whether [`crate::Jobs::submit`] sent and paid for it, or found that it had been paid for before.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Works the job through to its end: waits for the task, fetches its videos. One that is at its end already is looked
    /// at: what is missing or damaged is fetched again.
    ///
    /// # Errors
    ///
    /// As [`HeldJob::wait`] and [`HeldJob::fetch`].
    pub async fn finish(&mut self, mut on_step: impl FnMut(Step<'_>) + Send) -> Result<()> {
        if self.is_intact().await? {
            return Ok(());
        }
        let result = self.wait(&mut on_step).await?;
        self.fetch(&result, on_step).await
    }

    /// Whether all of its videos are in their files, as they were fetched.
    ///
    /// # Errors
    ///
    /// When the record cannot be written: a job whose file is gone is no longer `downloaded`.
    pub async fn is_intact(&mut self) -> Result<bool> {
        if self.held.job.state != State::Downloaded {
            return Ok(false);
        }
        if self.look_at_clips().await? {
            return Ok(true);
        }
        self.held.apply(Event::ClipGone, Some("a clip is gone or has changed".to_owned())).await?;
        Ok(false)
    }

    /// Leaves only those clips in the job that are in their files; whether those are all.
    async fn look_at_clips(&mut self) -> Result<bool> {
        let (job, count) = (self.held.job.clone(), self.held.job.clips.len());
        self.held.job.clips =
            blocking(move || job.clips.iter().filter(|clip| is_there(&job, clip)).cloned().collect()).await?;
        Ok(self.held.job.clips.len() == count)
    }

    /// Waits until the task has its videos.
    ///
    /// # Errors
    ///
    /// As [`Task::wait`]; [`Error::is_unresolved`] and [`Error::is_wrong_state`] where there is nothing to wait for.
    pub async fn wait(&mut self, mut on_step: impl FnMut(Step<'_>) + Send) -> Result<TaskResult> {
        let task = self.task()?;
        self.jobs.teach().await;
        let mut events = task.events();
        loop {
            match events.next().await {
                Some(Ok(TaskEvent::Progress(result))) => on_step(Step::Progress(&result)),
                Some(Ok(TaskEvent::PollFailed { error, failures, pause, .. })) => {
                    on_step(Step::PollFailed { error: &error, failures, pause });
                }
                Some(Ok(TaskEvent::Done(result))) => {
                    self.held.job.seed_used = result.seed().or(self.held.job.seed_used);
                    let run_ms = result.run_time().and_then(|time| time.as_millis().try_into().ok());
                    self.held.job.run_ms = run_ms.or(self.held.job.run_ms);
                    self.held.apply(Event::Succeeded, None).await?;
                    on_step(Step::Succeeded(&result));
                    return Ok(result);
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    let failed = error.is_task_failed() || error.is_without_video();
                    // Of one that had its videos once they are gone; it was paid for all the same.
                    if failed && self.held.job.state == State::Succeeded {
                        return Err(Error::from(error).about(&self.held.job).charged(&self.held.job));
                    }
                    if failed {
                        self.held.apply(Event::Failed, Some(error.to_string())).await?;
                    }
                    return Err(Error::from(error).about(&self.held.job));
                }
                None => return Err(Error::over(&self.held.job, ", and waiting for it ended without a result")),
            }
        }
    }

    /// Fetches what is not in its file yet, all videos side by side. One that fails does not give up the others.
    ///
    /// Each clip has its [`crate::Sidecar`] before it has its name.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_fetched`], with the reason for each; those that were fetched are not fetched again.
    pub async fn fetch(&mut self, result: &TaskResult, mut on_step: impl FnMut(Step<'_>) + Send) -> Result<()> {
        if self.held.job.state != State::Succeeded {
            return Err(Error::over(&self.held.job, ", and has no videos to fetch"));
        }
        self.look_at_clips().await?;
        let output = self.place().await?;
        let count = self.held.job.samples().max(result.videos().len());
        let (progress, mut bytes) = mpsc::channel(16);
        let mut fetches = JoinSet::new();
        for video in result.videos() {
            let sample = video.index() + 1;
            let file = clip_path(&output, video.index(), count);
            if self.held.job.clips.iter().any(|clip| clip.sample == sample && clip.file == file) {
                continue;
            }
            on_step(Step::Fetching { sample, file: &file });
            fetches.spawn(clips::fetch(video.clone(), file, self.held.job.clone(), progress.clone()));
        }
        drop(progress);

        let mut problems = Vec::new();
        loop {
            tokio::select! {
                Some((sample, done, length)) = bytes.recv() => on_step(Step::Bytes { sample, done, length }),
                fetched = fetches.join_next() => match fetched {
                    Some(Ok(Ok(clip))) => {
                        self.held.job.clips.retain(|old| old.sample != clip.sample);
                        self.held.job.clips.push(clip.clone());
                        self.held.job.clips.sort_by_key(|clip| clip.sample);
                        self.held.save().await?;
                        on_step(Step::Saved(&clip));
                    }
                    Some(Ok(Err(problem))) => problems.push(problem),
                    Some(Err(error)) => {
                        return Err(Error::over(&self.held.job, ", and fetching it broke off").with_source(error));
                    }
                    None => break,
                },
            }
        }
        if !problems.is_empty() {
            problems.sort_by(|one, other| one.file.cmp(&other.file));
            return Err(Error::not_fetched(&self.held.job, problems));
        }
        self.held.job.replaces.clear();
        self.held.apply(Event::Fetched, None).await
    }

    /// Sends the videos elsewhere than was said before, and copies those that are in their files already. The permission to
    /// overwrite is for what is there now.
    ///
    /// # Errors
    ///
    /// When there is a file already which may not be replaced, or one cannot be written.
    pub async fn redirect(&mut self, output: impl Into<PathBuf>, overwrite: bool) -> Result<()> {
        let output = absolute(output.into())?;
        if self.held.job.output.as_ref() == Some(&output) && !overwrite {
            return Ok(());
        }
        let (mut job, to) = (self.held.job.clone(), output.clone());
        let replaces = blocking(move || target::check(&to, job.samples(), overwrite, job.task_id.as_ref())).await?;
        let replaces = replaces.map_err(|error| error.about(&self.held.job).charged(&self.held.job))?;
        if self.held.job.output.as_ref() != Some(&output) {
            let known = if self.held.job.state == State::Downloaded {
                self.is_intact().await
            } else {
                self.look_at_clips().await
            };
            known?;
            job = Job { replaces: replaces.clone(), ..self.held.job.clone() };
            let to = output.clone();
            let copied = blocking(move || copies(&job, &to)).await?;
            self.held.job.clips = copied.map_err(|error| error.about(&self.held.job).charged(&self.held.job))?;
            let (job, to) = (self.held.job.clone(), output.clone());
            blocking(move || bring_along(&job, &to)).await?;
        }
        (self.held.job.output, self.held.job.replaces) = (Some(output), replaces);
        self.held.save().await
    }

    /// Where the videos go, also next time.
    async fn place(&mut self) -> Result<PathBuf> {
        if let Some(output) = &self.held.job.output {
            return Ok(output.clone());
        }
        let output = absolute(format!("clip-{}.mp4", self.held.job.id).into())?;
        self.held.job.output = Some(output.clone());
        self.held.save().await?;
        Ok(output)
    }

    fn task(&mut self) -> Result<Task> {
        match (&self.held.job.task_id, self.held.job.state) {
            (_, State::Unknown) => Err(Error::unresolved(&self.held.job)),
            (Some(id), State::Submitted | State::Succeeded | State::Failed) => {
                self.check_service()?;
                if let Some(fresh) = self.fresh.take() {
                    return Ok(fresh);
                }
                let task = self.jobs.client().task(id.clone()).accepted();
                Ok(match (&self.held.job.asked, self.held.job.accepted_at, self.held.job.state) {
                    (Some(asked), Some(at), State::Submitted) => task.submitted_at(at, &asked.options),
                    _ => task,
                })
            }
            _ => Err(Error::over(&self.held.job, "; there is nothing to wait for")),
        }
    }

    /// The key is for one service: it is not sent to another because the record says so.
    pub(crate) fn check_service(&self) -> Result<()> {
        if self.held.job.service == self.jobs.client().base_url() {
            return Ok(());
        }
        Err(Error::input(format!(
            "job {} was submitted to {}, and this is a client of {}; the base URL must be the same",
            self.held.job.id,
            self.held.job.service,
            self.jobs.client().base_url()
        ))
        .about(&self.held.job)
        .charged(&self.held.job))
    }

    pub(crate) fn check(&self, event: Event) -> Result<()> {
        self.held.job.state.after(event).map(drop).ok_or_else(|| Error::state(&self.held.job, event))
    }
}
