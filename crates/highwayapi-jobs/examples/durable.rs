//! What a program needs so that nothing is paid for twice and nothing is lost. Kill it at any moment and start it again.
//!
//! ```text
//! cargo run -p highwayapi-jobs --example durable -- first.png last.jpg "dusk falls over the pagoda" clip.mp4
//! ```
//!
//! Needs `HIGHWAY_API_KEY`; with `HIGHWAY_BASE_URL` it runs against a sandbox (`highway sandbox`). The record is where
//! `HIGHWAY_STATE` says, or in the user's folder for state.

use highwayapi::{Client, FirstLastFrame, Frame};
use highwayapi_jobs::{Error, HeldJob, Jobs, State};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [first, last, prompt, output] = args.as_slice() else {
        return Err("usage: durable FIRST LAST PROMPT OUTPUT".into());
    };
    let client = Client::from_env()?;
    let service = client.base_url().to_owned();
    let jobs = Jobs::open(client)?;

    // What an earlier run left: paid for, and free to be finished.
    for entry in jobs.list().await? {
        let job = entry.job;
        if job.state == State::Unknown {
            println!("job {} may be paid for: only you can find out", job.id);
        } else if job.state.is_unfinished() && !entry.held && job.service == service {
            // One that fails does not keep the others from it.
            let finished = async { finish(jobs.take_up(&job.id).await?).await };
            if let Err(error) = finished.await {
                println!("job {}: {error}", job.id);
            }
        }
    }

    // Sends and pays only if the same was not paid for before.
    let clip = FirstLastFrame::new(Frame::open(first)?, Frame::open(last)?, prompt);
    let job = jobs.submit(&clip).output(output).await?;
    println!("job {}, {}", job.job().id, if job.is_new() { "paid for now" } else { "paid for before" });
    Ok(finish(job).await?)
}

async fn finish(mut job: HeldJob) -> Result<(), Error> {
    job.finish(|_step| {}).await?;
    for clip in &job.job().clips {
        println!("{}: {} bytes", clip.file.display(), clip.size);
    }
    Ok(())
}
