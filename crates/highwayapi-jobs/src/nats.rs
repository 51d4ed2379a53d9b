//! The record on NATS JetStream, for many machines.
//!
//! All names begin with the record's prefix, here `highway`:
//!
//! | on the server | holds |
//! | --- | --- |
//! | bucket `highway-jobs` | at `<batch>.<id>` or `one.<id>` a job, who holds it, and what it is to be next (`row.rs`) |
//! | bucket `highway-same` | for each fingerprint the jobs that may have been paid for (`same.rs`) |
//! | bucket `highway-batches` | for each batch its caps and what was spent (`batches.rs`) |
//! | bucket `highway-alive` | a key for each process that lives, for the length of a lease (`pulse.rs`) |
//! | stream `highway-queue` | a message for each job of a batch that has something left to do (`queue.rs`) |
//! | stream `highway-turns`, bucket `highway-pauses` | the requests of the last minute (`turns.rs`) |
//! | object store `highway-frames` | pictures, by their SHA-256 (`frames.rs`) |
//!
//! **A key is written only by who has read it**: each write names the revision that it replaces, and the server refuses
//! it where there is a later one. So a job that is held is written by its holder alone; who was taken for dead and wakes
//! up finds a revision that is not its own. Where the answer to a write is lost, the same write is sent again under the
//! same id, and the key is looked at: nobody guesses.
//!
//! **A process is gone when the server has not heard from it for a lease.** It is the server that forgets its key, by its
//! own clock; the clocks of workers have no say in it. Before a job is begun, at least
//! half a lease is left in which nobody takes it away. Who has lost the server and found it again takes nobody for dead
//! for a lease, so that the others can come back, too.
//!
//! **No write changes two keys.** What has to happen in one step is made of several writes, in an order in which every
//! break is harmless. To begin a job: its batch counts it, its row proposes it, the fingerprint's key accepts the
//! proposal, and its row is written as begun. Broken off after the first, too much is counted; after the second, nothing
//! has begun, and the next who holds the job finds it planned; after the third, it has begun and was not sent, which is
//! `unknown` to the next, as any other job whose holder died. Adding a job is the same without a batch. To plan: the
//! batch, then the jobs, then their messages; repeating the call does what is missing.
//!
//! **Reads that decide something go to the server that all writes go through,** never to a replica.
//!
//! The connection lives on a thread of its own: that a process is alive is told whatever its own runtime does.

mod batches;
mod bucket;
mod calls;
mod claims;
mod frames;
mod options;
mod pulse;
mod queue;
mod row;
mod same;
mod scan;
mod shared;
mod tallies;
mod turns;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;

use crate::error::{Error, Result};
use crate::store::Pending;
use claims::Taken;
use options::Address;
use shared::Handle;

pub use options::NatsOptions;

/// A call gives up where others change the same thing so often in between.
const TRIES: usize = 200;

/// Jobs on a NATS server with JetStream, safe for any number of processes on any number of machines.
///
/// What an `Ok` is worth is the server's to decide: by default it has the write and syncs it to its disk some time later.
/// That survives the end of the server's process, not the loss of its power, for which it needs `sync_interval: always`
/// (nats-server 2.10 or later) or [replicas](NatsOptions::replicas) on several machines.
///
/// Where the server does not answer, calls fail with [`Error::is_store`] when [`NatsOptions::patience`] is at its end, or
/// a few times that where they write several things; nothing is begun then. The connection comes back by itself.
///
/// The last handle or hold that is dropped waits for up to two seconds until what was let go of is written down.
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

    /// As [`NatsStore::call`], and ends with who waits for it: for what only waits.
    fn wait<'a, T, F>(&'a self, call: impl FnOnce(Arc<Handle>) -> F + Send + 'a) -> Pending<'a, T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        Box::pin(async move {
            let mut running = JoinSet::new();
            running.spawn_on(call(Arc::clone(&self.0)), &self.0.shared.runtime);
            let done = running.join_next().await.and_then(|done| done.ok());
            done.unwrap_or_else(|| Err(Error::store("the record could not be used")))
        })
    }

    /// Runs to its end on the connection's own thread, whatever becomes of who waits for it.
    fn call<'a, T, F>(&'a self, call: impl FnOnce(Arc<Handle>) -> F + Send + 'a) -> Pending<'a, T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        Box::pin(async move {
            let running = self.0.shared.runtime.spawn(call(Arc::clone(&self.0)));
            running.await.unwrap_or_else(|error| Err(Error::store("the record could not be used").with_source(error)))
        })
    }
}

impl fmt::Debug for NatsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsStore").field("place", &self.0.shared.link.place).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
