//! The record on NATS JetStream, for many machines.

mod bucket;
mod options;
mod pulse;
mod row;
mod same;
mod shared;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::job::{Job, JobId};
use crate::store::{Added, Entry, Held, Hold, Pending, Store};
use bucket::Put;
use options::Address;
use row::{Found, Leave, Row, key_of};
use shared::{Handle, Shared};

pub use options::NatsOptions;

/// A call gives up where others change the same thing so often in between.
const TRIES: usize = 200;

/// Jobs on a NATS server with JetStream, safe for any number of processes on any number of machines.
#[derive(Clone)]
pub struct NatsStore(Arc<Handle>);

impl NatsStore {
    /// The record at `nats://host:4222/prefix`, which is made if it is not there. The prefix tells records on one server
    /// apart; without one it is `highway`. `tls://` insists on TLS; several hosts of one cluster are separated by commas.
    ///
    /// # Errors
    ///
    /// When the address or an option will not do, the server cannot be reached, refuses the credentials, or has no
    /// JetStream.
    pub async fn connect(url: &str, options: NatsOptions) -> Result<Self> {
        options.check()?;
        Ok(Self(Arc::new(Handle::begin(Address::parse(url)?, options).await?)))
    }

    /// Runs to its end on the connection's own thread, whatever becomes of who waits for it.
    fn call<'a, T, F>(&'a self, call: impl FnOnce(Arc<Handle>) -> F + Send + 'a) -> Pending<'a, T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        Box::pin(async move {
            let running = self.0.shared().runtime.spawn(call(Arc::clone(&self.0)));
            running.await.unwrap_or_else(|error| Err(Error::store("the record could not be used").with_source(error)))
        })
    }
}

impl fmt::Debug for NatsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsStore").field("place", &self.0.shared().link.place).finish_non_exhaustive()
    }
}

impl Store for NatsStore {
    fn add<'a>(&'a self, job: &'a Job, again: bool) -> Pending<'a, Added> {
        let job = job.clone();
        self.call(async move |handle| {
            let shared = handle.shared();
            let key = key_of(&job);
            if let (Some(fingerprint), false) = (&job.fingerprint, again)
                && let Some(same) = shared.paid(fingerprint, &key).await?
            {
                return Ok(Added::Same(Box::new(same)));
            }
            let slot = shared.slot_of(&job.id).await?;
            let revision = if slot.key == key { slot.revision } else { 0 };
            if shared.found(slot).await?.is_some() {
                return Err(Error::store(format!("job {} is in the record already", job.id)));
            }
            let (hold, grip) = handle.new_hold(&job.id, key);
            let mut seat = grip.seat.lock().await;
            (seat.revision, seat.leave) = (revision, Leave::Nothing);
            let same = shared.begin_once(&grip, &mut seat, None, &job, again).await?;
            Ok(same.map_or(Added::New(hold), |same| Added::Same(Box::new(same))))
        })
    }

    fn hold<'a>(&'a self, id: &'a JobId) -> Pending<'a, Held> {
        let id = id.clone();
        self.call(async move |handle| {
            let mut slot = handle.shared().slot_of(&id).await?;
            for _ in 0..TRIES {
                match handle.take(slot).await? {
                    Taken::Now(held) => return Ok(held),
                    Taken::Changed(now) => slot = now,
                }
            }
            Err(handle.shared().too_busy())
        })
    }

    fn save<'a>(&'a self, hold: &'a Hold, job: &'a Job) -> Pending<'a, ()> {
        let (grip, job) = (self.0.shared().grip(hold), job.clone());
        self.call(async move |handle| {
            let shared = handle.shared();
            let Some(grip) = grip else { return Err(shared.not_held()) };
            let mut seat = grip.seat.lock().await;
            seat.leave = Leave::AsItIs;
            shared.write(&grip, &mut seat, Row { job: Some(job.clone()), ..Row::default() }).await?;
            seat.leave = Leave::Job(Box::new(job));
            Ok(())
        })
    }

    fn jobs(&self) -> Pending<'_, Vec<Entry>> {
        self.call(async move |handle| {
            let shared = handle.shared();
            let mut rows = HashMap::new();
            shared
                .jobs
                .each(">", |slot| {
                    rows.insert(slot.key.clone(), slot);
                    Ok(())
                })
                .await?;
            let mut all = Vec::new();
            for slot in rows.into_values() {
                all.extend(shared.found(slot).await?);
            }
            all.sort_by_key(|found| found.added);
            shared.entries(all).await
        })
    }

    fn remove(&self, hold: Hold) -> Pending<'_, ()> {
        let grip = self.0.shared().grip(&hold);
        self.call(async move |handle| {
            let shared = handle.shared();
            let Some(grip) = grip else { return Err(shared.not_held()) };
            let mut seat = grip.seat.lock().await;
            let fingerprint = match &seat.leave {
                Leave::Job(job) => job.fingerprint.clone(),
                _ => None,
            };
            shared.erase(&grip, &mut seat).await?;
            if let Some(fingerprint) = fingerprint {
                // A name without a job does no harm.
                let _ = shared.unname(&fingerprint, &grip.key).await;
            }
            drop(hold);
            Ok(())
        })
    }
}

/// What became of one try to hold a job.
enum Taken {
    Now(Held),
    /// Somebody wrote something else.
    Changed(bucket::Slot),
}

impl Handle {
    async fn take(self: &Arc<Self>, slot: bucket::Slot) -> Result<Taken> {
        let shared = self.shared();
        let Some(Found { key, revision, added, holder, job }) = shared.found(slot).await? else {
            return Ok(Taken::Now(Held::NotFound));
        };
        if let Some(holder) = &holder
            && shared.is_held(holder).await?
        {
            return Ok(Taken::Now(Held::ByAnother(Box::new(job))));
        }
        let (hold, grip) = self.new_hold(&job.id, key);
        let mut seat = grip.seat.lock().await;
        let row = Row { added: Some(added), holder: Some(grip.token.clone()), job: Some(job.clone()), proposed: None };
        seat.touched = true;
        Ok(match shared.jobs.put(&grip.key, Some(row.text()?), revision).await? {
            Put::Done(revision) => {
                (seat.revision, seat.added) = (revision, Some(added));
                seat.leave = Leave::Job(Box::new(job.clone()));
                drop(seat);
                Taken::Now(Held::Yes(hold, Box::new(job)))
            }
            Put::Changed(slot) => {
                seat.touched = false;
                Taken::Changed(slot)
            }
        })
    }
}

impl Shared {
    /// Each with whether somebody holds it.
    async fn entries(&self, all: Vec<Found>) -> Result<Vec<Entry>> {
        let mut entries = Vec::with_capacity(all.len());
        let mut known: HashMap<String, bool> = HashMap::new();
        for Found { holder, job, .. } in all {
            let held = match holder {
                None => false,
                Some(holder) if self.pulse.is_own(&holder) => self.is_held(&holder).await?,
                Some(holder) => {
                    let process = holder.split('/').next().unwrap_or_default().to_owned();
                    match known.get(&process) {
                        Some(&held) => held,
                        None => {
                            let held = self.is_held(&holder).await?;
                            known.insert(process, held);
                            held
                        }
                    }
                }
            };
            entries.push(Entry::new(job, held));
        }
        Ok(entries)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
