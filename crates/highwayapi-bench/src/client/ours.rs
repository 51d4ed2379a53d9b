//! The crate `highwayapi`, used as its documentation shows.

use std::time::Duration;

use highwayapi::{Client, FirstLastFrame, Frame, Task};
use tokio::task::JoinSet;

use super::mark::Mark;
use super::tasks::{self, Waiter};
use super::{Call, KEY, PROMPT, Said};
use crate::Result;

/// Name and version, as the service sees them.
const VERSION: &str = highwayapi_raw::hooks::AGENT;

pub(super) async fn call(base: &str, call: Call) -> Result<Said> {
    let builder = Client::builder(KEY).base_url(base);
    match call {
        Call::Submit { count, first, last } => {
            let client = builder.build()?;
            let mark = Mark::set()?;
            let mut submits = JoinSet::new();
            for _ in 0..count {
                let (client, first, last) = (client.clone(), first.clone(), last.clone());
                submits.spawn(async move {
                    let clip = FirstLastFrame::new(Frame::open(first)?, Frame::open(last)?, PROMPT);
                    client.submit(&clip).await
                });
            }
            while let Some(submitted) = submits.join_next().await {
                submitted??;
            }
            mark.said(VERSION)
        }
        Call::Poll { count } => {
            let task = builder.build()?.task("running".parse()?);
            for _ in 0..tasks::WARM_UP {
                task.poll().await?;
            }
            let mark = Mark::set()?;
            for _ in 0..count {
                task.poll().await?;
            }
            mark.said(VERSION)
        }
        Call::Download { file } => {
            let client = builder.build()?;
            // What others set up when their client is made: the crate reads the system's certificates for the first video.
            let small = file.with_extension("small.mp4");
            let done = client.task("done-small".parse()?).poll().await?;
            done.videos().first().ok_or("no small video")?.download(&small).overwrite(true).await?;
            std::fs::remove_file(small)?;
            let done = client.task("done".parse()?).poll().await?;
            let video = done.videos().first().ok_or("no video")?;
            let mark = Mark::set()?;
            video.download(file).await?;
            mark.said(VERSION)
        }
        Call::Tasks { count, within, .. } => {
            // Its default in tenths: the service's seconds are tenths here.
            let client = builder.poll_interval(Duration::from_millis(100)..=Duration::from_secs(6)).build()?;
            tasks::run(base, VERSION, count, within, Ours(client)).await
        }
    }
}

#[derive(Clone)]
struct Ours(Client);

impl Waiter for Ours {
    type Task = Task;

    async fn submit(&self) -> Result<Task> {
        let frame = || Frame::from_url("https://example.com/first.png");
        Ok(self.0.submit(&FirstLastFrame::new(frame()?, frame()?, PROMPT)).await?)
    }

    async fn wait(&self, task: Task) -> Result<String> {
        Ok(task.wait().await?.task_id().to_string())
    }
}
