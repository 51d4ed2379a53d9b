//! What a generator makes of the contract, used as generated: whole pictures as Base64 in the request, the video in one
//! piece, polls at a fixed interval.

use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use highwayapi_raw::hooks::{ApiKey, Hooks};
use highwayapi_raw::types::{FirstLastFrameRequest, KnownTaskStatus, TaskId, TaskResult, TaskStatus};
use highwayapi_raw::{Client, Error};
use tokio::task::JoinSet;

use super::mark::Mark;
use super::tasks::{self, Waiter};
use super::{Call, KEY, PROMPT, Said};
use crate::Result;

const VERSION: &str = "reqwest 0.13";

pub(super) async fn call(base: &str, call: Call) -> Result<Said> {
    let http = reqwest::Client::builder().http1_only().build()?;
    let client = Client::new_with_client(base, http.clone(), Hooks::new(ApiKey::new(KEY)?));
    match call {
        Call::Submit { count, first, last } => {
            let mark = Mark::set()?;
            let mut submits = JoinSet::new();
            for _ in 0..count {
                let (client, first, last) = (client.clone(), first.clone(), last.clone());
                submits.spawn(async move {
                    let request = request(picture(&first)?, picture(&last)?);
                    Result::Ok(client.submit_first_last_frame(&request).await.map_err(told)?)
                });
            }
            while let Some(submitted) = submits.join_next().await {
                submitted??;
            }
            mark.said(VERSION)
        }
        Call::Poll { count } => {
            let id = TaskId("running".to_owned());
            for _ in 0..tasks::WARM_UP {
                client.get_task_result(&id).await.map_err(told)?;
            }
            let mark = Mark::set()?;
            for _ in 0..count {
                client.get_task_result(&id).await.map_err(told)?;
            }
            mark.said(VERSION)
        }
        Call::Download { file } => {
            let done = client.get_task_result(&TaskId("done".to_owned())).await.map_err(told)?.into_inner();
            let url = url(done).ok_or("no video")?;
            let mark = Mark::set()?;
            let bytes = http.get(url).send().await?.error_for_status()?.bytes().await?;
            fs::write(file, bytes)?;
            mark.said(VERSION)
        }
        Call::Tasks { count, within, interval } => {
            tasks::run(base, VERSION, count, within, Fixed { client, interval }).await
        }
    }
}

/// Asks at a fixed interval.
#[derive(Clone)]
struct Fixed {
    client: Client,
    interval: Duration,
}

impl Waiter for Fixed {
    type Task = TaskId;

    async fn submit(&self) -> Result<TaskId> {
        let url = || "https://example.com/first.png".to_owned();
        Ok(self.client.submit_first_last_frame(&request(url(), url())).await.map_err(told)?.into_inner().task_id)
    }

    async fn wait(&self, task: TaskId) -> Result<String> {
        loop {
            tokio::time::sleep(self.interval).await;
            let status = self.client.get_task_result(&task).await.map_err(told)?.into_inner().task.status;
            if matches!(status, TaskStatus::KnownTaskStatus(KnownTaskStatus::TaskStatusSucceed)) {
                return Ok(task.0);
            }
        }
    }
}

fn picture(path: &Path) -> Result<String> {
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(fs::read(path)?)))
}

fn url(result: TaskResult) -> Option<String> {
    result.videos?.into_iter().next()?.video_url
}

/// The generated error holds a connection and cannot be handed around.
fn told<E: std::fmt::Debug>(error: Error<E>) -> String {
    format!("{error:?}")
}

fn request(image: String, last_image: String) -> FirstLastFrameRequest {
    FirstLastFrameRequest {
        image,
        last_image,
        prompt: PROMPT.to_owned(),
        aspect_ratio: None,
        duration_seconds: None,
        enhance_prompt: None,
        generate_audio: None,
        negative_prompt: None,
        person_generation: None,
        resolution: None,
        sample_count: None,
        seed: None,
    }
}
