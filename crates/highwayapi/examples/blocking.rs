//! The same without async, with pictures that are in memory already.
//!
//! ```text
//! cargo run -p highwayapi --features blocking --example blocking -- first.png last.jpg clip.mp4
//! ```

use highwayapi::blocking::Client;
use highwayapi::{DurationSeconds, FirstLastFrame, Frame};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [first, last, output] = args.as_slice() else {
        return Err("usage: blocking FIRST LAST OUTPUT".into());
    };

    let first = Frame::from_bytes(std::fs::read(first)?)?;
    let last = Frame::from_bytes(std::fs::read(last)?)?;
    let clip = FirstLastFrame::new(first, last, "dusk falls over the pagoda").duration_seconds(DurationSeconds::Four);

    let done = Client::from_env()?.submit(&clip)?.wait()?;
    let saved = done.videos()[0].download(output)?;
    println!("{}: {} bytes", saved.path().display(), saved.size());
    Ok(())
}
