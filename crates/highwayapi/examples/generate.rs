//! Two pictures and a prompt become a video.
//!
//! ```text
//! cargo run -p highwayapi --example generate -- first.png last.jpg "dusk falls over the pagoda" clip.mp4
//! ```
//!
//! Needs `HIGHWAY_API_KEY`; with `HIGHWAY_BASE_URL` it runs against a sandbox (`highway sandbox`).

use highwayapi::{Client, DurationSeconds, FirstLastFrame, Frame};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [first, last, prompt, output] = args.as_slice() else {
        return Err("usage: generate FIRST LAST PROMPT OUTPUT".into());
    };

    let client = Client::from_env()?;
    let clip =
        FirstLastFrame::new(Frame::open(first)?, Frame::open(last)?, prompt).duration_seconds(DurationSeconds::Four);
    let task = client.submit(&clip).await?;
    println!("task {}", task.id());

    let done = task.wait().await?;
    let saved = done.videos()[0].download(output).await?;
    println!("{}: {} bytes", saved.path().display(), saved.size());
    Ok(())
}
