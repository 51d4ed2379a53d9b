//! The record in use: what is begun, found, settled and forgotten. Working a job through is in `work.rs`.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use highwayapi::{Client, FirstLastFrame, TaskId};

use crate::asked::{Asked, Fingerprint, Pictures};
use crate::error::{Error, Result};
use crate::job::{Job, JobId};
use crate::sidecar::Sidecar;
use crate::sqlite::SqliteStore;
use crate::state::{Event, State};
use crate::store::{Added, Entry, Held, Store};
use crate::work::HeldJob;

type Stop<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A client with a record: everything that it submits is written down before it is sent, and found again after whatever
/// happened meanwhile. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Jobs {
    client: Client,
    store: Arc<dyn Store>,
}

impl Jobs {
    /// With the user's own record, in [`crate::state_folder`]. May block.
    ///
    /// # Errors
    ///
    /// As [`SqliteStore::open`].
    pub fn open(client: Client) -> Result<Self> {
        Ok(Self::with_store(client, SqliteStore::open_default()?))
    }

    /// With a record of your choice.
    pub fn with_store(client: Client, store: impl Store) -> Self {
        Self { client, store: Arc::new(store) }
    }

    /// Submits a request, unless the same was paid for before: then nothing is sent, and that job is taken up instead.
    /// Await it, or set something first.
    pub fn submit<'a>(&'a self, request: &'a FirstLastFrame) -> Submission<'a> {
        let stop = Box::pin(std::future::pending());
        Submission { jobs: self, request, output: None, overwrite: false, again: false, stop }
    }

    /// Takes up a job, to be worked on by nobody else meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::is_busy`] when somebody works on it, [`Error::is_not_found`] when there is none.
    pub async fn take_up(&self, id: &JobId) -> Result<HeldJob> {
        match self.store.hold(id).await? {
            Held::Yes(hold, job) => {
                let mut job = HeldJob::new(self.client.clone(), Arc::clone(&self.store), hold, *job);
                // Held by nobody, and not at its end: whoever was sending it is gone.
                if job.job().state == State::Intent {
                    let why = "the program ended while it was being sent, before an answer was seen".to_owned();
                    job.apply(Event::HolderGone, Some(why)).await?;
                }
                Ok(job)
            }
            Held::ByAnother(job) => Err(Error::busy(&job)),
            Held::NotFound => Err(Error::not_found(format!("there is no job {id} in the record"))),
        }
    }

    /// The job of this id, task id, or unambiguous beginning of an id.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] when there is none or more than one.
    pub async fn find(&self, id: &str) -> Result<Job> {
        let mut jobs: Vec<Job> = self.list().await?.into_iter().map(|entry| entry.job).collect();
        let is = |job: &Job| job.id.as_str() == id || job.task_id.as_ref().is_some_and(|task| task.as_str() == id);
        if let Some(at) = jobs.iter().rposition(is) {
            return Ok(jobs.swap_remove(at));
        }
        jobs.retain(|job| id.len() >= 3 && job.id.as_str().starts_with(id));
        match (jobs.pop(), jobs.len()) {
            (Some(job), 0) => Ok(job),
            (Some(_), more) => Err(Error::not_found(format!("{} jobs begin with {id}", more + 1))),
            (None, _) => {
                Err(Error::not_found(format!("there is no job or task `{}` in the record", id.escape_debug())))
            }
        }
    }

    /// All jobs, the oldest first. What was being sent by a program that is gone is unknown from here on.
    ///
    /// # Errors
    ///
    /// When the record cannot be read.
    pub async fn list(&self) -> Result<Vec<Entry>> {
        let mut entries = self.store.jobs().await?;
        for entry in &mut entries {
            if entry.job.state == State::Intent && !entry.held {
                match self.take_up(&entry.job.id).await {
                    Ok(settled) => entry.job = settled.job().clone(),
                    // Somebody else was quicker.
                    Err(error) if error.is_busy() || error.is_not_found() => entry.held = true,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(entries)
    }

    /// Takes in a task that was submitted elsewhere, once the service has told of it; one that is in the record already
    /// is taken up, unless it was given up.
    ///
    /// # Errors
    ///
    /// When the service does not know it or cannot be asked; nothing is written down then.
    pub async fn adopt(&self, task_id: &TaskId, output: Option<PathBuf>, overwrite: bool) -> Result<HeldJob> {
        let known = self.of_task(task_id).await?;
        if let Some(known) = known.filter(|known| known.state != State::Dropped) {
            return self.take_up(&known.id).await;
        }
        self.client.task(task_id.clone()).poll().await?;
        let mut job = Job::new(self.client.base_url());
        job.task_id = Some(task_id.clone());
        job.output = output.map(absolute).transpose()?;
        job.overwrite = overwrite;
        job.apply(Event::Accepted, None)?;
        match self.store.add(&job, true).await? {
            Added::New(hold) => Ok(HeldJob::new(self.client.clone(), Arc::clone(&self.store), hold, job)),
            Added::Same(same) => self.take_up(&same.id).await,
        }
    }

    /// For an unknown job whose task the user has found: from here on it is as if its answer had been seen.
    ///
    /// # Errors
    ///
    /// When the service does not know the task or cannot be asked, or it is another job's; [`Error::is_wrong_state`]
    /// when the job is not unknown.
    pub async fn name_task(&self, id: &JobId, task_id: &TaskId) -> Result<HeldJob> {
        if let Some(other) = self.of_task(task_id).await?.filter(|other| other.id != *id) {
            return Err(Error::input(format!("task {task_id} is that of job {}", other.id)));
        }
        let mut job = self.take_up(id).await?;
        job.check_service()?;
        job.check(Event::TaskNamed)?;
        self.client.task(task_id.clone()).poll().await?;
        job.set_task(task_id.clone());
        job.apply(Event::TaskNamed, None).await?;
        Ok(job)
    }

    /// For an unknown job: sends it again, from the files that its pictures came from. **It may be paid for twice**; that
    /// is for the user to decide, and no program of its own accord.
    ///
    /// # Errors
    ///
    /// When a picture is gone or has changed; [`Error::is_wrong_state`] when the job is not unknown; otherwise as
    /// [`Jobs::submit`].
    pub async fn submit_again(&self, id: &JobId, stop: impl Future<Output = ()> + Send) -> Result<HeldJob> {
        let mut job = self.take_up(id).await?;
        job.check_service()?;
        job.check(Event::SubmitAgain)?;
        let (asked, pictures) = (job.job().asked.clone(), job.job().pictures.clone());
        let (Some(asked), Some(pictures)) = (asked, pictures) else {
            return Err(Error::input(format!("job {id} was adopted: what was asked for is not known here")));
        };
        let request = blocking(move || pictures.request(&asked)).await??;
        job.apply(Event::SubmitAgain, None).await?;
        job.send(&request, Box::pin(stop)).await?;
        Ok(job)
    }

    /// Gives a job up: it is kept in the record, and never asked after again.
    ///
    /// # Errors
    ///
    /// [`Error::is_wrong_state`] when it is neither unknown nor unfinished.
    pub async fn give_up(&self, id: &JobId) -> Result<Job> {
        let mut job = self.take_up(id).await?;
        let was = job.job().state;
        job.apply(Event::Dropped, Some(format!("given up by the user when it was {was}"))).await?;
        Ok(job.job().clone())
    }

    /// Forgets jobs that are over (downloaded, failed, refused, dropped) and have not changed for so long. What is
    /// unfinished or unknown stays. Files stay.
    ///
    /// A request that is forgotten is paid for anew when it comes again.
    ///
    /// # Errors
    ///
    /// When the record cannot be read or written.
    pub async fn prune(&self, unchanged_for: Duration) -> Result<Vec<Job>> {
        let now = SystemTime::now();
        let mut pruned = Vec::new();
        for entry in self.list().await? {
            let age = now.duration_since(entry.job.changed_at).unwrap_or_default();
            let may = !entry.held && is_over(entry.job.state) && age >= unchanged_for;
            if may
                && let Held::Yes(hold, job) = self.store.hold(&entry.job.id).await?
                && is_over(job.state)
            {
                self.store.remove(hold).await?;
                pruned.push(*job);
            }
        }
        Ok(pruned)
    }

    async fn of_task(&self, task_id: &TaskId) -> Result<Option<Job>> {
        let service = self.client.base_url();
        let same = |job: &Job| job.task_id.as_ref() == Some(task_id) && job.service == service;
        // The newest: after one that was given up may come one that was not.
        Ok(self.list().await?.into_iter().rev().map(|entry| entry.job).find(same))
    }
}

/// Nothing is to be done or decided any more.
fn is_over(state: State) -> bool {
    matches!(state, State::Downloaded | State::Failed | State::Refused | State::Dropped)
}

/// A request that is to be submitted; see [`Jobs::submit`]. Does nothing until it is awaited.
#[must_use = "does nothing until it is awaited"]
pub struct Submission<'a> {
    jobs: &'a Jobs,
    request: &'a FirstLastFrame,
    output: Option<PathBuf>,
    overwrite: bool,
    again: bool,
    stop: Stop<'a>,
}

impl<'a> Submission<'a> {
    /// Where the video shall go. Several go beside it, as `-1`, `-2`, … Default: `clip-ID.mp4` where it is fetched.
    pub fn output(mut self, output: impl Into<PathBuf>) -> Self {
        self.output = Some(output.into());
        self
    }

    /// Lets it replace a file that is there already. Default: false.
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Sends and pays for it even if the same was paid for before. Default: false.
    pub fn again(mut self, again: bool) -> Self {
        self.again = again;
        self
    }

    /// Begins no further attempt once this has resolved; see [`Client::submit_until`]. Default: never.
    pub fn stop(mut self, stop: impl Future<Output = ()> + Send + 'a) -> Self {
        self.stop = Box::pin(stop);
        self
    }

    async fn run(self) -> Result<HeldJob> {
        self.request.check()?;
        let Jobs { client, store } = self.jobs;
        let request = self.request.clone();
        let read = blocking(move || Ok::<_, std::io::Error>((Asked::new(&request)?, Pictures::new(&request)?))).await?;
        let (asked, pictures) =
            read.map_err(|error| Error::input(format!("a picture cannot be read again ({error}); nothing was sent")))?;

        let mut job = Job::new(client.base_url());
        job.fingerprint = Some(Fingerprint::new(client.base_url(), &asked));
        (job.asked, job.pictures) = (Some(asked), Some(pictures));
        job.output = self.output.map(absolute).transpose()?;
        job.overwrite = self.overwrite;

        // Between finding the same and taking it up it may turn out not to be paid for after all.
        loop {
            match store.add(&job, self.again).await? {
                Added::New(hold) => {
                    let mut job = HeldJob::new(client.clone(), Arc::clone(store), hold, job);
                    job.send(self.request, self.stop).await?;
                    return Ok(job);
                }
                Added::Same(same) => {
                    let held = match self.jobs.take_up(&same.id).await {
                        // Forgotten in between.
                        Err(error) if error.is_not_found() => continue,
                        held => held?,
                    };
                    match held.job().state {
                        State::Unknown => return Err(Error::unresolved(held.job())),
                        state if state.is_paid() => return Ok(held.earlier()),
                        _ => {}
                    }
                }
            }
        }
    }
}

impl<'a> IntoFuture for Submission<'a> {
    type Output = Result<HeldJob>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    /// # Errors
    ///
    /// [`Error::is_charged`] says what it cost. [`Error::is_unresolved`] when the same request may have been paid for
    /// before; [`Error::is_busy`] when somebody is at it this moment; otherwise as [`Client::submit`].
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl std::fmt::Debug for Submission<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Submission")
            .field("request", self.request)
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}

/// The working directory may be another one next time.
pub(crate) fn absolute(path: PathBuf) -> Result<PathBuf> {
    let absolute = std::path::absolute(&path)
        .map_err(|error| Error::input(format!("output: {} is no path", path.display())).with_source(error))?;
    if absolute.file_name().is_none() {
        return Err(Error::input(format!("output: {} names no file", path.display())));
    }
    // Better now than when it is paid for.
    if Sidecar::path(&absolute) == absolute {
        let text = format!("output: {} is where the clip's sidecar goes; expected something.mp4", path.display());
        return Err(Error::input(text));
    }
    Ok(absolute)
}

pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::input("a file cannot be read").with_source(error))
}
