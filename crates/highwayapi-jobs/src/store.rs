//! Where jobs are kept: what any engine must do, in five calls.

use std::fmt;
use std::pin::Pin;

use crate::error::Result;
use crate::job::{Job, JobId};

/// What a [`Store`]'s calls return.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Keeps jobs, durably, and lets each be worked on by one process at a time.
///
/// A job is _held_ while somebody works on it. A hold ends when its [`Hold`] is dropped, or when whoever has it is gone:
/// an engine must notice that of itself. Only who holds a job can change it: an engine must refuse a write of a hold that
/// has ended with [`crate::Error::not_held`], so that even one that was taken from its holder by mistake harms nobody.
///
/// An `Ok` of `add` and `save` means that the change is on disk and survives the loss of power.
///
/// Calls may be dropped at any time while they run; they have then happened, or not, and nothing in between. A job that
/// was added or held by a call whose answer nobody took is not held. Once a hold is dropped, the same handle can hold the
/// job at once, and others soon. A write that is under way when its hold is dropped comes about before the hold ends.
///
/// What these words ask for is tried by `tests/it/conformance.rs` of this crate, for any engine.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Adds a job and holds it. In one step with that, unless `again` is set: if a job of the same
    /// [`crate::Fingerprint`] is there whose state [is paid](crate::State::is_paid), nothing is added, and the newest of
    /// them is given back. An id that is there already is an error.
    fn add<'a>(&'a self, job: &'a Job, again: bool) -> Pending<'a, Added>;

    /// Holds a job and gives it as it is now.
    fn hold<'a>(&'a self, id: &'a JobId) -> Pending<'a, Held>;

    /// Writes down a job that is held.
    fn save<'a>(&'a self, hold: &'a Hold, job: &'a Job) -> Pending<'a, ()>;

    /// All jobs, in the order in which they were added. Waits for no writer.
    fn jobs(&self) -> Pending<'_, Vec<Entry>>;

    /// Forgets a job that is held.
    fn remove(&self, hold: Hold) -> Pending<'_, ()>;
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
