//! Where jobs are kept: what any engine must do.

use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use highwayapi::TaskId;

use crate::asked::Fingerprint;
use crate::batch::{Batch, BatchId, Tally};
use crate::error::Result;
use crate::job::{Job, JobId};
use crate::state::State;

/// What a [`Store`]'s calls return.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Keeps jobs and batches, durably, and lets each job be worked on by one process at a time.
///
/// A job is _held_ while somebody works on it. A hold ends when its [`Hold`] is dropped, or when whoever has it is gone:
/// an engine must notice that of itself. Only who holds a job can change it: an engine must refuse a write of a hold that
/// has ended with [`crate::Error::not_held`], so that even one that was taken from its holder by mistake harms nobody.
///
/// An `Ok` of a call that writes means that the change is on disk and survives the loss of power.
///
/// Calls may be dropped at any time while they run; they have then happened, or not, and nothing in between. A job that
/// was added or held by a call whose answer nobody took is not held. Once a hold is dropped, the same handle can hold the
/// job at once, and others soon. A write that is under way when its hold is dropped comes about before the hold ends.
///
/// What an engine writes down of a job is what it is given: which state may follow on which is none of its business.
/// Jobs that belong to a batch say so in [`Job::item`].
///
/// What these words ask for is tried by `tests/it/conformance` of this crate, for any engine.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Adds a job and holds it. In one step with that, unless `again` is set: if a job of the same
    /// [`crate::Fingerprint`] is there which [is paid](Job::is_paid), nothing is added, and the newest of
    /// them is given back. An id that is there already is an error.
    fn add<'a>(&'a self, job: &'a Job, again: bool) -> Pending<'a, Added>;

    /// Holds a job and gives it as it is now.
    fn hold<'a>(&'a self, id: &'a JobId) -> Pending<'a, Held>;

    /// Writes down a job that is held.
    fn save<'a>(&'a self, hold: &'a Hold, job: &'a Job) -> Pending<'a, ()>;

    /// Those of the jobs that are asked for, in the order in which they were added. Waits for no writer.
    fn jobs<'a>(&'a self, which: Which<'a>) -> Pending<'a, Vec<Entry>>;

    /// Forgets a job that is held.
    fn remove(&self, hold: Hold) -> Pending<'_, ()>;

    /// Adds a batch, and jobs of it that nobody holds. A batch of that id that is there is replaced by its
    /// [`Batch::planned_again`]; a job whose id is there is left as it is. So the call may be repeated after it broke
    /// off, and to add more.
    ///
    /// An engine that cannot do all of it in one step writes the batch first and then the jobs in their order.
    fn plan<'a>(&'a self, batch: &'a Batch, jobs: &'a [Job]) -> Pending<'a, ()>;

    /// All batches, in the order in which they were added. Waits for no writer.
    fn batches(&self) -> Pending<'_, Vec<Batch>>;

    /// Marks a batch as [cancelled](Batch::cancelled), for good; its jobs stay as they are. One that is not there is an
    /// error.
    fn cancel<'a>(&'a self, batch: &'a BatchId) -> Pending<'a, ()>;

    /// Holds some job of a batch that nobody holds and gives it as it is now; `None` if there is none at this moment.
    /// Jobs that were begun (`intent`, `submitted`, `succeeded`) come before those that are `planned`, and those by
    /// their [numbers](crate::Item::number), the smallest first.
    fn claim<'a>(&'a self, batch: &'a BatchId, what: Claim) -> Pending<'a, Option<(Hold, Box<Job>)>>;

    /// Writes down a job that is held as `save` does, where it is about to be sent: `job` is what it is then, an `intent`.
    /// In one step with that, in this order:
    ///
    /// - if it is of a batch which is cancelled, nothing is written: [`Begun::Cancelled`];
    /// - unless `again` is set, if _another_ job of the same [`crate::Fingerprint`] is there which
    ///   [is paid](Job::is_paid), nothing is written, and the newest of them is given back;
    /// - if it is of a batch, the batch is replaced by its [`Batch::counted`]; where that is none, nothing is written:
    ///   [`Begun::CapReached`].
    ///
    /// Of several that begin at once, none is counted on top of what another read before: a cap is never passed, and of
    /// those with one fingerprint one begins. A batch that is not there is an error.
    ///
    /// An engine that cannot do all of it in one step counts first, then claims the fingerprint, and writes the job last:
    /// where it breaks off in between, too much is counted, and never too little.
    fn begin<'a>(&'a self, hold: &'a Hold, job: &'a Job, again: bool) -> Pending<'a, Begun>;

    /// Writes down a job that is held as `save` does, after what `begin` let it send is known not to be charged. In one
    /// step with that, if it is of a batch, the batch is replaced by its [`Batch::refunded`].
    ///
    /// An engine that cannot do both in one step writes the job first: too much may stay counted, and never too little.
    fn refund<'a>(&'a self, hold: &'a Hold, job: &'a Job) -> Pending<'a, ()>;

    /// How many items of a batch are in which state. Waits for no writer.
    fn tally<'a>(&'a self, batch: &'a BatchId) -> Pending<'a, Tally> {
        Box::pin(async move { Ok(Tally::of(self.jobs(Which::Batch(batch)).await?)) })
    }

    /// Keeps a picture for those who work on other machines: the contents of `file`, which has this SHA-256. Only where
    /// they share no disk; by default nothing is kept. One that is there already is not kept twice.
    fn keep_frame<'a>(&'a self, _sha256: &'a str, _file: &'a Path) -> Pending<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Where on this machine a picture is that came from `original`: by default there. Where it was kept by
    /// `keep_frame`, a copy whose SHA-256 was looked at.
    fn frame<'a>(&'a self, _sha256: &'a str, original: &'a Path) -> Pending<'a, PathBuf> {
        Box::pin(async { Ok(original.to_owned()) })
    }

    /// Forgets the pictures that were kept and that no job needs which may be sent one day (`planned`, `intent`,
    /// `unknown`), but none that was kept within a day: its job may be about to be planned. By default there are none.
    fn forget_frames(&self) -> Pending<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Returns when a request may be sent to the service with this base URL, by the budget that all who use this record
    /// share: by default at once.
    fn turn<'a>(&'a self, _service: &'a str) -> Pending<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Lets nobody have a [turn](Store::turn) at this service for so long, because it asked for a pause: by default this
    /// does nothing. Of two pauses the later end counts.
    fn hold_off<'a>(&'a self, _service: &'a str, _pause: Duration) -> Pending<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// Which jobs are asked for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Which<'a> {
    /// All.
    All,
    /// Of those of which it is known how long their task ran, the last ones: so many at most.
    Ran(usize),
    /// Those whose id begins so.
    Named(&'a str),
    /// Those of this task, at whatever service.
    Task(&'a TaskId),
    /// Those of the same request.
    Same(&'a Fingerprint),
    /// Those whose video goes there, as the job says it.
    Output(&'a Path),
    /// Those of this batch.
    Batch(&'a BatchId),
}

impl Which<'_> {
    /// Whether a job is one of them. For an engine that looks at them one by one; how many there are is its business.
    pub fn includes(&self, job: &Job) -> bool {
        match *self {
            Self::All => true,
            Self::Ran(_) => job.run_ms.is_some(),
            Self::Named(beginning) => job.id.as_str().starts_with(beginning),
            Self::Task(id) => job.task_id.as_ref() == Some(id),
            Self::Same(fingerprint) => job.fingerprint.as_ref() == Some(fingerprint),
            Self::Output(path) => job.output.as_deref() == Some(path),
            Self::Batch(batch) => job.item.as_ref().is_some_and(|item| item.batch == *batch),
        }
    }
}

/// What [`Store::claim`] may give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Claim {
    /// A job that was begun, or one that is planned.
    Any,
    /// Only one that was begun.
    Begun,
}

impl Claim {
    /// Whether it may give a job in this state.
    pub fn includes(self, state: State) -> bool {
        match state {
            State::Intent | State::Submitted | State::Succeeded => true,
            State::Planned => self == Self::Any,
            _ => false,
        }
    }
}

/// What became of [`Store::begin`].
#[derive(Debug)]
pub enum Begun {
    /// It is written down and counted: it may be sent.
    Yes,
    /// The same was or may have been paid for already.
    Same(Box<Job>),
    /// It would pass a cap of its batch.
    CapReached,
    /// Its batch is cancelled.
    Cancelled,
}

/// What became of [`Store::add`].
#[derive(Debug)]
pub enum Added {
    /// It is there, and held.
    New(Hold),
    /// The same was there already.
    Same(Box<Job>),
}

/// What became of [`Store::hold`].
#[derive(Debug)]
pub enum Held {
    /// It is held.
    Yes(Hold, Box<Job>),
    /// Somebody else has it.
    ByAnother(Box<Job>),
    /// There is no such job.
    NotFound,
}

/// A job, and whether somebody works on it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The job.
    pub job: Job,
    /// Whether somebody holds it.
    pub held: bool,
}

impl Entry {
    /// For a [`Store`].
    pub fn new(job: Job, held: bool) -> Self {
        Self { job, held }
    }
}

/// The right to work on a job, until it is dropped.
#[must_use = "the hold ends when it is dropped"]
pub struct Hold {
    id: JobId,
    token: String,
    release: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Hold {
    /// For a [`Store`]: `token` tells this hold from every other of the same job; `release` is called when it ends,
    /// on whatever thread that is, inside an async runtime or not, and must not block for long.
    pub fn new(id: JobId, token: String, release: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self { id, token, release: Some(Box::new(release)) }
    }

    /// The job that is held.
    pub fn id(&self) -> &JobId {
        &self.id
    }

    /// What tells it from every other hold of the same job.
    pub fn token(&self) -> &str {
        &self.token
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            release();
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").field("id", &self.id).finish_non_exhaustive()
    }
}
