//! The service and the record, as typed and as the environment says.

use std::time::Duration;

use highwayapi::ClientBuilder;
use highwayapi_jobs::{Jobs, Ledger};

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
