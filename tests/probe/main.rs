//! Submits two pictures, or downloads a video, and says how much memory that took above what the idle program has, in KiB.
//!
//! A process of its own, so that nobody else's memory is counted. Linux only.

use std::error::Error;
use std::fs;

use highwayapi::{Client, FirstLastFrame, Frame};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: memory-probe BASE_URL submit FIRST LAST | memory-probe BASE_URL download TASK_ID FILE";
    let [base_url, what, one, other] = args.as_slice() else { return Err(usage.into()) };
    let client = Client::builder("sk-1").base_url(base_url).build()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;

    // From here on the highest mark is counted anew: it starts at what is resident now.
    fs::write("/proc/self/clear_refs", "5")?;
    let idle = highest_resident()?;
    match what.as_str() {
        "submit" => {
            let clip = FirstLastFrame::new(Frame::open(one)?, Frame::open(other)?, "dusk falls");
            drop(runtime.block_on(client.submit(&clip))?);
        }
        "download" => runtime.block_on(async {
            let result = client.task(one.parse()?).poll().await?;
            result.videos()[0].download(other).await.map(drop)
        })?,
        _ => return Err(usage.into()),
    }
    println!("{}", highest_resident()? - idle);
    Ok(())
}

/// `VmHWM`, in KiB.
fn highest_resident() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
