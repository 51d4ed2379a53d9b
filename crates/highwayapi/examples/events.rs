//! Takes up a task by its id, tells every step, and decides on errors by what they cost.
//!
//! ```text
//! cargo run -p highwayapi --example events -- 7b8e1d1c-52ab-4f7c-9c3e-0a6c5f6f2d11
//! ```

use std::time::Duration;

use highwayapi::{Charged, Client, Event};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let id = std::env::args().nth(1).ok_or("usage: events TASK_ID")?;
    let task = Client::from_env()?.task(id.parse()?).wait_timeout(Duration::from_secs(600));

    let mut events = task.events();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Progress(result)) => println!("{} {:?}", result.status(), result.progress_percent()),
            Ok(Event::PollFailed { error, pause, .. }) => println!("{error} Asking again in {pause:?}."),
            Ok(Event::Done(result)) => println!("{} video(s)", result.videos().len()),
            Ok(_) => {}
            Err(error) if error.is_still_running() => println!("not finished yet: {error}"),
            Err(error) => {
                match error.is_charged() {
                    Charged::No => println!("nothing was charged"),
                    Charged::Yes => println!("paid for: take it up again with {id}"),
                    Charged::Unknown => println!("the account's records say what it cost"),
                }
                return Err(error.into());
            }
        }
    }
    Ok(())
}
