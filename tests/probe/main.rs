//! Submits two pictures and says how much memory that took above what the idle program has, in KiB.
//!
//! A process of its own, so that nobody else's memory is counted: `memory-probe BASE_URL FIRST LAST`. Linux only.

use std::error::Error;
use std::fs;

use highwayapi::{Client, FirstLastFrame, Frame};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [base_url, first, last] = args.as_slice() else { return Err("usage: memory-probe BASE_URL FIRST LAST".into()) };
    let client = Client::builder("sk-1").base_url(base_url).build()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;

    // From here on the highest mark is counted anew: it starts at what is resident now.
    fs::write("/proc/self/clear_refs", "5")?;
    let idle = highest_resident()?;
    let clip = FirstLastFrame::new(Frame::open(first)?, Frame::open(last)?, "dusk falls");
    runtime.block_on(client.submit(&clip))?;
    println!("{}", highest_resident()? - idle);
    Ok(())
}

/// `VmHWM`, in KiB.
fn highest_resident() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
