//! What the record promises, against a service that does its worst.

mod clips;
mod learnt;
mod lost;
mod resolve;
mod same;
mod secrets;

use std::path::Path;

use highwayapi::Client;
use highwayapi_jobs::{Entry, Job, Jobs, SqliteStore};

fn jobs(folder: &Path, client: Client) -> Jobs {
    Jobs::with_store(client, SqliteStore::open(folder).expect("a record"))
}

/// All jobs, as another program sees them.
async fn seen(folder: &Path) -> Vec<Entry> {
    use highwayapi_jobs::{Store, Which};
    SqliteStore::open(folder).expect("a record").jobs(Which::All).await.expect("jobs")
}

async fn only(jobs: &Jobs) -> Job {
    let mut all = jobs.list().await.expect("jobs");
    assert_eq!(all.len(), 1);
    all.remove(0).job
}
