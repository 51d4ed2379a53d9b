//! Submits two pictures, so many times at once, or downloads a video, and says how much memory that took above what the
//! idle program has, in KiB.
//!
//! A process of its own, so that nobody else's memory is counted, with one thread for what does not block, as the command
//! has. Linux only.

mod resident;

use std::error::Error;

use highwayapi::{Client, FirstLastFrame, Frame};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: memory-probe BASE_URL submit COUNT FIRST LAST | memory-probe BASE_URL download TASK_ID FILE";
    let [base_url, what @ ..] = args.as_slice() else { return Err(usage.into()) };
    let client = Client::builder("sk-1").base_url(base_url).build()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;

    resident::count_anew()?;
    let idle = resident::highest()?;
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
        _ => return Err(usage.into()),
    }
    println!("{}", resident::highest()? - idle);
    Ok(())
}
