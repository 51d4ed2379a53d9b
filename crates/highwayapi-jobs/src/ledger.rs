//! The record by itself: what is in it, what is settled, given up and forgotten. None of this needs a key or a network.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use highwayapi::{SharedBudget, SharedTurn};

use crate::error::{Error, Result};
use crate::job::{Job, JobId};
use crate::sqlite::SqliteStore;
use crate::state::{Event, State};
use crate::store::{Entry, Held, Hold, Store, Which};

/// The record of all jobs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(crate) store: Arc<dyn Store>,
}

impl Ledger {
    /// The user's own, in [`crate::state_folder`]. May block.
    ///
    /// # Errors
    ///
    /// As [`SqliteStore::open`].
    pub fn open() -> Result<Self> {
        Ok(Self::with_store(SqliteStore::open_default()?))
    }

    /// One of your choice.
    pub fn with_store(store: impl Store) -> Self {
        Self { store: Arc::new(store) }
    }

    /// All jobs, the oldest first. What was being sent by a program that is gone is unknown from here on.
    ///
    /// # Errors
    ///
    /// When the record cannot be read.
    pub async fn list(&self) -> Result<Vec<Entry>> {
        self.those(Which::All).await
    }

    /// As [`Ledger::list`], only those that are asked for.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn those(&self, which: Which<'_>) -> Result<Vec<Entry>> {
        let mut entries = self.store.jobs(which).await?;
        for entry in &mut entries {
            if !entry.held && is_left(&entry.job) {
                match self.hold(&entry.job.id).await {
                    Ok(settled) => entry.job = settled.job.clone(),
                    // Somebody else was quicker.
                    Err(error) if error.is_busy() || error.is_not_found() => entry.held = true,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(entries)
    }

    /// The job of this id, task id, or unambiguous beginning of an id.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] when there is none, [`Error::is_invalid_input`] when there is more than one.
    pub async fn find(&self, id: &str) -> Result<Entry> {
        if let Ok(task_id) = id.parse()
            && let Some(entry) = self.those(Which::Task(&task_id)).await?.pop()
        {
            return Ok(entry);
        }
        // With less of it, most of the record may be meant.
        let mut entries = if id.len() >= 3 { self.those(Which::Named(id)).await? } else { Vec::new() };
        match (entries.pop(), entries.len()) {
            (Some(entry), 0) => Ok(entry),
            (Some(_), more) => Err(Error::input(format!("{} jobs begin with {id}; more of it is needed", more + 1))),
            (None, _) => {
                Err(Error::not_found(format!("there is no job or task `{}` in the record", id.escape_debug())))
            }
        }
    }

    /// The budget of requests that all who use this record share, for
    /// [`highwayapi::ClientBuilder::shared_budget`]. `service` is the base URL.
    pub fn budget(&self, service: &str) -> Arc<dyn SharedBudget> {
        Arc::new(Budget { store: Arc::clone(&self.store), service: service.trim_end_matches('/').to_owned() })
    }

    /// Gives a job up: it is kept in the record, and never asked after again.
    ///
    /// # Errors
    ///
    /// [`Error::is_wrong_state`] when it is neither planned, unknown nor unfinished.
    pub async fn give_up(&self, id: &JobId) -> Result<Job> {
        let mut held = self.hold(id).await?;
        let was = held.job.state;
        let event = if was == State::Planned { Event::Cancelled } else { Event::Dropped };
        held.apply(event, Some(format!("given up by the user when it was {was}"))).await?;
        Ok(held.job)
    }

    /// Forgets jobs that are over (downloaded, failed, refused, dropped) and have not changed for so long. What is
    /// unfinished or unknown stays. Files stay; pictures that the record keeps for others go where no job needs them.
    ///
    /// A request that is forgotten is paid for anew when it comes again.
    ///
    /// # Errors
    ///
    /// When the record cannot be read or written.
    pub async fn prune(&self, unchanged_for: Duration) -> Result<Vec<Job>> {
        let mut pruned = Vec::new();
        for entry in self.list().await? {
            if entry.held || !is_over(&entry.job, unchanged_for) {
                continue;
            }
            if let Held::Yes(hold, job) = self.store.hold(&entry.job.id).await?
                && is_over(&job, unchanged_for)
            {
                self.store.remove(hold).await?;
                pruned.push(*job);
            }
        }
        self.store.forget_frames().await?;
        Ok(pruned)
    }

    /// Holds a job. One that was left while it was being sent is unknown from here on.
    pub(crate) async fn hold(&self, id: &JobId) -> Result<Holding> {
        match self.store.hold(id).await? {
            Held::Yes(hold, job) => self.holding(hold, *job).await,
            Held::ByAnother(job) => Err(Error::busy(&job)),
            Held::NotFound => Err(Error::not_found(format!("there is no job {id} in the record"))),
        }
    }

    /// A job that is held, as it is now that whoever had it is gone.
    pub(crate) async fn holding(&self, hold: Hold, job: Job) -> Result<Holding> {
        let mut held = Holding { store: Arc::clone(&self.store), hold, job };
        if is_left(&held.job) {
            let (event, why) = match held.job.state {
                State::Planned => (Event::Refused, "the program ended before it was sent"),
                _ => (Event::HolderGone, "the program ended while it was being sent, before an answer was seen"),
            };
            held.apply(event, Some(why.to_owned())).await?;
        }
        Ok(held)
    }
}

/// Whether nobody but its holder would ever have gone on with it: it was being sent, or waited to be sent again.
fn is_left(job: &Job) -> bool {
    job.state == State::Intent || (job.state == State::Planned && job.item.is_none())
}

/// Nothing is to be done or decided any more, and has not been for so long.
fn is_over(job: &Job, unchanged_for: Duration) -> bool {
    let age = SystemTime::now().duration_since(job.changed_at).unwrap_or_default();
    let over = matches!(job.state, State::Downloaded | State::Failed | State::Refused | State::Dropped);
    over && age >= unchanged_for
}

/// The turns of a store, as a client asks for them.
#[derive(Debug)]
struct Budget {
    store: Arc<dyn Store>,
    service: String,
}

impl SharedBudget for Budget {
    fn turn(&self) -> SharedTurn<'_> {
        Box::pin(async { Ok(self.store.turn(&self.service).await?) })
    }

    fn leave_alone(&self, pause: Duration) {
        let (store, service) = (Arc::clone(&self.store), self.service.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = store.hold_off(&service, pause).await {
                    tracing::warn!(%error, "others could not be told that the service asked for a pause");
                }
            });
        }
    }
}

/// A job that is held, and the record to write it to.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) hold: Hold,
    pub(crate) job: Job,
}

impl Holding {
    pub(crate) async fn apply(&mut self, event: Event, reason: Option<String>) -> Result<()> {
        self.job.apply(event, reason)?;
        self.save().await
    }

    pub(crate) async fn save(&self) -> Result<()> {
        self.store.save(&self.hold, &self.job).await.map_err(|error| error.about(&self.job).charged(&self.job))
    }
}
