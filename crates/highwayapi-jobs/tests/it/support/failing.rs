//! A record that cannot be written when a test wants it so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use highwayapi_jobs::{
    Added, Batch, BatchId, Begun, Claim, Entry, Error, Held, Hold, Job, JobId, Pending, SqliteStore, Store, Which,
};

#[derive(Clone, Debug)]
pub(crate) struct Failing {
    store: SqliteStore,
    failures: Arc<AtomicUsize>,
}

impl Failing {
    pub(crate) fn new(store: SqliteStore) -> Self {
        Self { store, failures: Arc::default() }
    }

    /// Lets the next so many writes of a job fail.
    pub(crate) fn fail(&self, writes: usize) {
        self.failures.store(writes, Ordering::SeqCst);
    }

    fn unless_it_fails<'a, T>(&'a self, write: impl FnOnce(&'a SqliteStore) -> Pending<'a, T>) -> Pending<'a, T> {
        match self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Box::pin(async { Err(Error::store("the disk is gone")) }),
            Err(_) => write(&self.store),
        }
    }
}

impl Store for Failing {
    fn add<'a>(&'a self, job: &'a Job, again: bool) -> Pending<'a, Added> {
        self.unless_it_fails(|store| store.add(job, again))
    }

    fn hold<'a>(&'a self, id: &'a JobId) -> Pending<'a, Held> {
        self.store.hold(id)
    }

    fn save<'a>(&'a self, hold: &'a Hold, job: &'a Job) -> Pending<'a, ()> {
        self.unless_it_fails(|store| store.save(hold, job))
    }

    fn jobs<'a>(&'a self, which: Which<'a>) -> Pending<'a, Vec<Entry>> {
        self.store.jobs(which)
    }

    fn remove(&self, hold: Hold) -> Pending<'_, ()> {
        self.store.remove(hold)
    }

    fn plan<'a>(&'a self, batch: &'a Batch, jobs: &'a [Job]) -> Pending<'a, ()> {
        self.store.plan(batch, jobs)
    }

    fn batches(&self) -> Pending<'_, Vec<Batch>> {
        self.store.batches()
    }

    fn cancel<'a>(&'a self, batch: &'a BatchId) -> Pending<'a, ()> {
        self.store.cancel(batch)
    }

    fn claim<'a>(&'a self, batch: &'a BatchId, what: Claim) -> Pending<'a, Option<(Hold, Box<Job>)>> {
        self.store.claim(batch, what)
    }

    fn begin<'a>(&'a self, hold: &'a Hold, job: &'a Job, again: bool) -> Pending<'a, Begun> {
        self.unless_it_fails(|store| store.begin(hold, job, again))
    }

    fn refund<'a>(&'a self, hold: &'a Hold, job: &'a Job) -> Pending<'a, ()> {
        self.unless_it_fails(|store| store.refund(hold, job))
    }
}
