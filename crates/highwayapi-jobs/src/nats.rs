//! The record on NATS JetStream, for many machines.

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
mod shared;
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
            running.spawn_on(call(Arc::clone(&self.0)), &self.0.shared().runtime);
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
