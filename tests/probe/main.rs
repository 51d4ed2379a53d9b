//! Submits two pictures, so many times at once, downloads a video, or runs a batch, and says how much memory that took
//! above what the idle program has, in KiB.
//!
//! A process of its own, so that nobody else's memory is counted, with one thread for what does not block, as the command
//! has. Linux only.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use highwayapi::{Client, FirstLastFrame, Frame};
use highwayapi_jobs::batch::{Frames, Manifest, Reading};
use highwayapi_jobs::{Batch, Jobs, SqliteStore};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: memory-probe BASE_URL submit COUNT FIRST LAST | memory-probe BASE_URL download TASK_ID FILE |
        memory-probe BASE_URL batch MANIFEST IN_FLIGHT";
    let [base_url, what @ ..] = args.as_slice() else { return Err(usage.into()) };
    let client = Client::builder("sk-1").base_url(base_url).build()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;

    // From here on the highest mark is counted anew: it starts at what is resident now.
    fs::write("/proc/self/clear_refs", "5")?;
    let idle = highest_resident()?;
    match what.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["submit", count, first, last] => runtime.block_on(async {
            let clip = FirstLastFrame::new(Frame::open(first)?, Frame::open(last)?, "dusk falls");
            let submits = (0..count.parse()?).map(|_| {
                let (client, clip) = (client.clone(), clip.clone());
                tokio::spawn(async move { client.submit(&clip).await.map(drop) })
            });
            for submit in submits.collect::<Vec<_>>() {
                submit.await??;
            }
            Result::Ok(())
        })?,
        ["download", task_id, file] => runtime.block_on(async {
            let result = client.task(task_id.parse()?).poll().await?;
            result.videos()[0].download(file).await.map(drop)
        })?,
        ["batch", manifest, in_flight] => runtime.block_on(batch(client, Path::new(manifest), in_flight.parse()?))?,
        _ => return Err(usage.into()),
    }
    println!("{}", highest_resident()? - idle);
    Ok(())
}

/// Plans all of a manifest and runs it; the record is beside it.
async fn batch(client: Client, manifest: &Path, in_flight: usize) -> Result<()> {
    let manifest = Manifest::read(manifest, &Reading::default())?;
    let frames = Frames::read(&manifest.items, |_, _| {});
    let batch = Batch::new(client.base_url(), "probe", &manifest.base);
    let jobs = Jobs::with_store(client, SqliteStore::open(manifest.base.join("state"))?);
    jobs.plan(&batch, &manifest.items, &frames).await?;
    drop((manifest, frames));
    let forever = tokio::time::sleep(Duration::MAX);
    let outcome = jobs.run(&batch.id).in_flight(in_flight).submits(16).run(forever, |_| {}).await?;
    match outcome.tally.count(highwayapi_jobs::State::Downloaded) == outcome.tally.total() {
        true => Ok(()),
        false => Err(format!("{:?}: {:?}", outcome.ending, outcome.tally).into()),
    }
}

/// `VmHWM`, in KiB.
fn highest_resident() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
