//! The record with a client: what is begun, taken up, taken in and resolved. Working a job through is in `work.rs`.

use std::ops::Deref;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use highwayapi::{Client, Event as TaskEvent, FirstLastFrame, TaskId};
use tokio::sync::OnceCell;

use crate::asked::{Asked, Fingerprint, Pictures};
use crate::error::{Error, Result};
use crate::job::{Job, JobId};
use crate::ledger::{Holding, Ledger};
use crate::state::{Event, State};
use crate::store::{Added, Begun, Hold, Store, Which};
use crate::target::{self, absolute};
use crate::work::{HeldJob, Step};

/// The client learns from so many jobs of the record, the last ones.
const LESSONS: usize = 200;

type Unrecorded<'a> = Box<dyn FnMut(&TaskId) + Send + 'a>;
type Stop<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A client with a record: everything that it submits is written down before it is sent, and found again after whatever
/// happened meanwhile. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Jobs {
    client: Client,
    ledger: Ledger,
    /// Whether the client knows how long earlier jobs ran.
    taught: Arc<OnceCell<()>>,
}

impl Jobs {
    /// With the user's own record, in [`crate::state_folder`]. May block.
    ///
    /// # Errors
    ///
    /// As [`crate::SqliteStore::open`].
    pub fn open(client: Client) -> Result<Self> {
        Ok(Self::new(client, Ledger::open()?))
    }

    /// With a record that is open already.
    pub fn new(client: Client, ledger: Ledger) -> Self {
        Self { client, ledger, taught: Arc::default() }
    }

    /// With a record of your choice.
    pub fn with_store(client: Client, store: impl Store) -> Self {
        Self::new(client, Ledger::with_store(store))
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Submits a request, unless the same was paid for before: then nothing is sent, and that job is taken up instead.
    /// Await it, or set something first.
    pub fn submit<'a>(&'a self, request: &'a FirstLastFrame) -> Submission<'a> {
        let stop = Box::pin(std::future::pending());
        Submission {
            jobs: self,
            request,
            output: None,
            overwrite: false,
            again: false,
            stop,
            unrecorded: Box::new(|_| {}),
        }
    }

    /// Takes up a job, to be worked on by nobody else meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::is_busy`] when somebody works on it, [`Error::is_not_found`] when there is none.
    pub async fn take_up(&self, id: &JobId) -> Result<HeldJob> {
        Ok(HeldJob::new(self.clone(), self.ledger.hold(id).await?))
    }

    /// Takes in a task that was submitted elsewhere, once the service has told of it; one that is in the record already
    /// is taken up, also if it was given up.
    ///
    /// # Errors
    ///
    /// When the service does not know it or cannot be asked; nothing is written down then.
    pub async fn adopt(&self, task_id: &TaskId, mut on_step: impl FnMut(Step<'_>) + Send) -> Result<HeldJob> {
        let known = self.of_task(task_id).await?;
        if let Some(known) = known.as_ref().filter(|known| known.state != State::Dropped) {
            return self.take_up(&known.id).await;
        }
        let mut events = self.client.task(task_id.clone()).events();
        loop {
            match events.next().await {
                Some(Ok(TaskEvent::PollFailed { error, failures, pause, .. })) => {
                    on_step(Step::PollFailed { error: &error, failures, pause });
                }
                Some(Err(error)) if !error.is_task_failed() && !error.is_without_video() => return Err(error.into()),
                // Whatever it has come to, the service knows it.
                _ => break,
            }
        }
        if let Some(dropped) = known {
            let mut job = self.take_up(&dropped.id).await?;
            job.held.apply(Event::TaskNamed, None).await?;
            return Ok(job);
        }
        let service = self.client.base_url();
        let mut job = Job::new(service);
        // So that of several who take it in at once one adds it.
        job.fingerprint = Some(Fingerprint::of_task(service, task_id));
        job.task_id = Some(task_id.clone());
        job.apply(Event::Begun, None)?;
        job.apply(Event::Accepted, None)?;
        match self.ledger.store.add(&job, false).await? {
            Added::New(hold) => Ok(self.held(hold, job)),
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
        job.held.job.task_id = Some(task_id.clone());
        job.held.apply(Event::TaskNamed, None).await?;
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
        let (mut attempts, mut stop) = (self.client.attempts(&request), pin!(stop));
        match job.begin(&mut attempts, Event::SubmitAgain, true, &mut stop).await {
            Ok(Begun::Yes) => {}
            Ok(begun) => return Err(Error::not_begun(job.job(), &begun)),
            Err(error) => return Err(Error::unresolved(job.job()).with_source(error)),
        }
        job.send_until_taken(&mut attempts, true, &mut stop, &mut |_| {}).await?;
        Ok(job)
    }

    /// Tells the client how long the last jobs ran, once, before it waits for the first.
    pub(crate) async fn teach(&self) {
        let teach = async || {
            let entries = self.ledger.store.jobs(Which::Ran(LESSONS)).await.unwrap_or_default();
            let here = entries.into_iter().map(|entry| entry.job).filter(|job| job.service == self.client.base_url());
            for job in here {
                if let (Some(asked), Some(run_ms)) = (&job.asked, job.run_ms) {
                    self.client.learn(&asked.options, Duration::from_millis(run_ms));
                }
            }
        };
        self.taught.get_or_init(teach).await;
    }

    fn held(&self, hold: Hold, job: Job) -> HeldJob {
        HeldJob::new(self.clone(), Holding { store: Arc::clone(&self.ledger.store), hold, job })
    }

    /// Whether no other job's video is on its way to the same place.
    async fn is_free(&self, job: &Job, again: bool) -> Result<()> {
        let Some(output) = &job.output else { return Ok(()) };
        let open = |other: &Job| other.state.is_unfinished() || matches!(other.state, State::Planned | State::Intent);
        let another = |other: &Job| again || other.fingerprint != job.fingerprint;
        let there = self.those(Which::Output(output)).await?.into_iter().map(|entry| entry.job);
        match there.into_iter().find(|other| another(other) && open(other)) {
            Some(other) => Err(Error::input(format!(
                "output: {} is where the video of job {} goes; choose another name",
                output.display(),
                other.id
            ))),
            None => Ok(()),
        }
    }

    /// The job of the same request, if it was or may have been paid for.
    async fn same(&self, job: &Job) -> Result<Option<JobId>> {
        let Some(fingerprint) = &job.fingerprint else { return Ok(None) };
        let there = self.those(Which::Same(fingerprint)).await?.into_iter().rev().map(|entry| entry.job);
        Ok(there.into_iter().find(Job::is_paid).map(|same| same.id))
    }

    /// Takes up what was paid for before; `None` if it was not, or was forgotten in between.
    async fn earlier(&self, id: &JobId) -> Result<Option<HeldJob>> {
        let held = match self.take_up(id).await {
            Err(error) if error.is_not_found() => return Ok(None),
            held => held?,
        };
        match held.job().state {
            State::Unknown => Err(Error::unresolved(held.job())),
            State::Dropped if held.job().is_paid() => Err(Error::over(held.job(), ", and may have been paid for")),
            _ => Ok(held.job().is_paid().then(|| held.earlier())),
        }
    }

    async fn of_task(&self, task_id: &TaskId) -> Result<Option<Job>> {
        let service = self.client.base_url();
        // The newest: after one that was given up may come one that was not.
        let there = self.those(Which::Task(task_id)).await?.into_iter().rev().map(|entry| entry.job);
        Ok(there.into_iter().find(|job| job.service == service))
    }
}

/// All that needs no client.
impl Deref for Jobs {
    type Target = Ledger;

    fn deref(&self) -> &Ledger {
        &self.ledger
    }
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
    unrecorded: Unrecorded<'a>,
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

    /// Calls back with the id of the task that was accepted and paid for, if it cannot be written down within a second:
    /// whoever loses patience then should know it.
    pub fn on_unrecorded(mut self, told: impl FnMut(&TaskId) + Send + 'a) -> Self {
        self.unrecorded = Box::new(told);
        self
    }

    async fn run(mut self) -> Result<HeldJob> {
        self.request.check()?;
        let client = &self.jobs.client;
        let request = self.request.clone();
        let read = blocking(move || Ok::<_, std::io::Error>((Asked::new(&request)?, Pictures::new(&request)?))).await?;
        let (asked, pictures) =
            read.map_err(|error| Error::input(format!("a picture cannot be read again ({error}); nothing was sent")))?;

        let mut job = Job::new(client.base_url());
        job.fingerprint = Some(Fingerprint::new(client.base_url(), &asked));
        (job.asked, job.pictures) = (Some(asked), Some(pictures));
        job.output = self.output.take().map(absolute).transpose()?;
        if let Some(output) = job.output.clone() {
            let (count, overwrite) = (job.samples(), self.overwrite);
            let free = match blocking(move || target::check(&output, count, overwrite, None)).await? {
                Ok(replaces) => self.jobs.is_free(&job, self.again).await.map(|()| replaces),
                Err(error) => Err(error),
            };
            match free {
                Ok(replaces) => job.replaces = replaces,
                // What is in the way may be the clip itself, paid for before.
                Err(error) => {
                    let same = if self.again { None } else { self.jobs.same(&job).await? };
                    let Some(same) = same else { return Err(error) };
                    return self.jobs.earlier(&same).await?.ok_or(error);
                }
            }
        }

        let mut attempts = client.attempts(self.request);
        loop {
            // Whoever takes up what is paid for waits for no turn.
            let same = if self.again { None } else { self.jobs.same(&job).await? };
            if let Some(same) = same
                && let Some(earlier) = self.jobs.earlier(&same).await?
            {
                return Ok(earlier);
            }
            attempts.turn(&mut self.stop).await?;
            let mut intent = job.clone();
            intent.apply(Event::Begun, None)?;
            intent.created_at = intent.submitted_at;
            // Between finding the same and taking it up it may turn out not to be paid for after all.
            if let Added::New(hold) = self.jobs.ledger.store.add(&intent, self.again).await? {
                let mut job = self.jobs.held(hold, intent);
                job.send_until_taken(&mut attempts, self.again, &mut self.stop, &mut self.unrecorded).await?;
                return Ok(job);
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

pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::input("a file cannot be read").with_source(error))
}
