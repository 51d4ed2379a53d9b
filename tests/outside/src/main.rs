//! A clip from two pictures, against `$HIGHWAY_BASE_URL`: `outside FIRST LAST CLIP`.

use highwayapi::{Client, DurationSeconds, FirstLastFrame, Frame};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [first, last, clip] = args.as_slice() else { return Err("usage: outside FIRST LAST CLIP".into()) };
    let client = Client::from_env()?;
    let request = FirstLastFrame::new(Frame::open(first)?, Frame::open(last)?, "dusk falls over the pagoda")
        .duration_seconds(DurationSeconds::Four);
    let task = client.submit(&request).await?;
    let done = task.wait().await?;
    let saved = done.videos()[0].download(clip).await?;
    println!("{} bytes in {}", saved.size(), saved.path().display());
    Ok(())
}
