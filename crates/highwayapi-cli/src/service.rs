//! The service and the record, as typed and as the environment says.

use std::time::Duration;

use std::path::PathBuf;

use highwayapi::{Client, ClientBuilder};
use highwayapi_jobs::{Jobs, Ledger, SqliteStore};

use crate::args::Service;
use crate::exit::Failure;

/// The user's record, with a client of the service. `wait` is for how long a task is waited for.
pub(crate) async fn jobs(service: &Service, wait: Option<Duration>) -> Result<Jobs, Failure> {
    let client = client(service, wait)?;
    // While the disk is waited for, the client reads which certificates the system trusts.
    let (ledger, client) = tokio::join!(ledger(), async { client.build() });
    Ok(Jobs::new(client?, ledger?))
}

/// The user's record alone.
pub(crate) async fn ledger() -> Result<Ledger, Failure> {
    let opened = tokio::task::spawn_blocking(Ledger::open).await;
    opened.map_err(|error| Failure::bad_input(format!("the record cannot be opened: {error}")))?.map_err(Failure::from)
}

/// The record in this folder, or the user's own, with a client of the service and the budget of requests that goes with
/// the record.
pub(crate) async fn jobs_at(service: &Service, wait: Option<Duration>, store: Option<&str>) -> Result<Jobs, Failure> {
    let client = client(service, wait)?;
    let ledger = ledger_at(store).await?;
    let budget = ledger.budget(&base_url(service)?);
    Ok(Jobs::new(client.shared_budget(budget).build()?, ledger))
}

/// The record in this folder, or the user's own.
pub(crate) async fn ledger_at(store: Option<&str>) -> Result<Ledger, Failure> {
    let Some(store) = store else { return ledger().await };
    let folder = PathBuf::from(store);
    let opened = tokio::task::spawn_blocking(move || SqliteStore::open(&folder)).await;
    let opened = opened.map_err(|error| Failure::bad_input(format!("the record cannot be opened: {error}")))?;
    Ok(Ledger::with_store(opened?))
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
