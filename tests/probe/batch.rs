//! Plans all of a manifest, runs it, and says the most memory that this whole program had, in KiB.
//!
//! A process of its own, so that nobody else's memory is counted, with one thread for what does not block, as the command
//! has. Linux only.

mod resident;

use std::error::Error;
use std::path::Path;

use highwayapi::Client;
use highwayapi_jobs::batch::{Frames, Manifest, Reading};
use highwayapi_jobs::{Batch, Jobs, SqliteStore, State};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [base_url, manifest, in_flight] = args.as_slice() else {
        return Err("usage: batch-probe BASE_URL MANIFEST IN_FLIGHT".into());
    };
    let client = Client::builder("sk-1").base_url(base_url).build()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    resident::count_anew()?;
    runtime.block_on(batch(client, Path::new(manifest), in_flight.parse()?))?;
    println!("{}", resident::highest()?);
    Ok(())
}

async fn batch(client: Client, manifest: &Path, in_flight: usize) -> Result<(), Box<dyn Error>> {
    let manifest = Manifest::read(manifest, &Reading::default())?;
    let frames = Frames::read(&manifest.items, |_, _| {});
    let batch = Batch::new(client.base_url(), "probe", &manifest.base);
    let jobs = Jobs::with_store(client, SqliteStore::open(manifest.base.join("state"))?);
    jobs.plan(&batch, &manifest.items, &frames).await?;
    drop((manifest, frames));
    let runner = jobs.run(&batch.id).in_flight(in_flight).submits(16);
    let outcome = runner.run(std::future::pending(), |_| {}).await?;
    match outcome.tally.count(State::Downloaded) == outcome.tally.total() {
        true => Ok(()),
        false => Err(format!("{:?}: {:?}", outcome.ending, outcome.tally).into()),
    }
}
