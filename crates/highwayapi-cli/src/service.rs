//! The service and the record, as typed and as the environment says.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use highwayapi::{Client, ClientBuilder};
use highwayapi_jobs::{Jobs, Ledger, SqliteStore};

use crate::args::Service;
use crate::exit::Failure;

/// Where the record is, as it was typed, and the budget that goes with one for many machines.
static PLACE: OnceLock<(String, Option<u32>)> = OnceLock::new();

/// For the whole command: which record it uses.
pub(crate) fn keep_at(store: Option<String>, requests_per_minute: Option<u32>) {
    if let Some(store) = store {
        let _ = PLACE.set((store, requests_per_minute));
    }
}

/// The record, with a client of the service. `wait` is for how long a task is waited for.
pub(crate) async fn jobs(service: &Service, wait: Option<Duration>) -> Result<Jobs, Failure> {
    let client = client(service, wait)?;
    if PLACE.get().is_some() {
        let ledger = ledger().await?;
        let budget = ledger.budget(&base_url(service)?);
        return Ok(Jobs::new(client.shared_budget(budget).build()?, ledger));
    }
    // While the disk is waited for, the client reads which certificates the system trusts.
    let (ledger, client) = tokio::join!(ledger(), async { client.build() });
    Ok(Jobs::new(client?, ledger?))
}

/// The record alone.
pub(crate) async fn ledger() -> Result<Ledger, Failure> {
    match PLACE.get() {
        Some((store, requests)) if store.contains("://") => Ok(shared(store, *requests).await?),
        Some((folder, _)) => blocking(move || Ok(Ledger::with_store(SqliteStore::open(Path::new(folder))?))).await,
        None => blocking(Ledger::open).await,
    }
}

async fn blocking(open: impl FnOnce() -> highwayapi_jobs::Result<Ledger> + Send + 'static) -> Result<Ledger, Failure> {
    let opened = tokio::task::spawn_blocking(open).await;
    opened.map_err(|error| Failure::bad_input(format!("the record cannot be opened: {error}")))?.map_err(Failure::from)
}

/// A record for many machines.
#[cfg(feature = "nats")]
async fn shared(store: &str, requests_per_minute: Option<u32>) -> highwayapi_jobs::Result<Ledger> {
    let mut options = highwayapi_jobs::NatsOptions::from_env()?;
    // No limit is for this process alone.
    options.requests_per_minute = requests_per_minute.filter(|&requests| requests > 0);
    Ok(Ledger::with_store(highwayapi_jobs::NatsStore::connect(store, options).await?))
}

#[cfg(not(feature = "nats"))]
async fn shared(_store: &str, _requests_per_minute: Option<u32>) -> Result<Ledger, Failure> {
    Err(Failure::bad_input("store: this build of highway knows folders only; its feature `nats` is not in it"))
}

/// Where the service is, for what needs no key.
pub(crate) fn base_url(service: &Service) -> Result<String, Failure> {
    let mut builder = Client::builder("none");
    let set = std::env::var("HIGHWAY_BASE_URL").ok().filter(|url| !url.is_empty());
    if let Some(url) = service.base_url.clone().or(set) {
        builder = builder.base_url(url);
    }
    Ok(builder.build()?.base_url().to_owned())
}

/// The budget of requests as it was said, or as the client has it; 0 is none.
pub(crate) fn requests_per_minute(service: &Service, base_url: &str) -> u32 {
    let set = || std::env::var("HIGHWAY_REQUESTS_PER_MINUTE").ok()?.trim().parse().ok();
    let is_here = ["//127.", "//localhost", "//[::1]"].iter().any(|host| base_url.contains(host));
    service.requests_per_minute.or_else(set).unwrap_or(if is_here { 0 } else { 50 })
}

fn client(service: &Service, wait: Option<Duration>) -> Result<ClientBuilder, Failure> {
    let mut builder = ClientBuilder::from_env()?;
    if let Some(base_url) = &service.base_url {
        builder = builder.base_url(base_url);
    }
    if let Some(requests) = service.requests_per_minute {
        builder = builder.requests_per_minute(requests);
    }
    if let Some(wait) = wait {
        builder = builder.wait_timeout(wait);
    }
    Ok(builder.idle_timeout(service.idle_timeout))
}
