//! A record that cannot be written when a test wants it so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use highwayapi_jobs::{Added, Entry, Error, Held, Hold, Job, JobId, Pending, SqliteStore, Store};

#[derive(Clone, Debug)]
pub(crate) struct Failing {
    store: SqliteStore,
    saves: Arc<AtomicUsize>,
}

impl Failing {
    pub(crate) fn new(store: SqliteStore) -> Self {
        Self { store, saves: Arc::default() }
    }

    /// Lets the next so many saves fail.
    pub(crate) fn fail(&self, saves: usize) {
        self.saves.store(saves, Ordering::SeqCst);
    }
}

impl Store for Failing {
    fn add<'a>(&'a self, job: &'a Job, again: bool) -> Pending<'a, Added> {
        self.store.add(job, again)
    }

    fn hold<'a>(&'a self, id: &'a JobId) -> Pending<'a, Held> {
        self.store.hold(id)
    }

    fn save<'a>(&'a self, hold: &'a Hold, job: &'a Job) -> Pending<'a, ()> {
        let left = self.saves.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => Box::pin(async { Err(Error::store("the disk is gone")) }),
            Err(_) => self.store.save(hold, job),
        }
    }

    fn jobs(&self) -> Pending<'_, Vec<Entry>> {
        self.store.jobs()
    }

    fn remove(&self, hold: Hold) -> Pending<'_, ()> {
        self.store.remove(hold)
    }
}
