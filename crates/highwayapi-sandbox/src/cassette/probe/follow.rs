//! A task that was accepted, to its end: everything about it that costs nothing more.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::api::TASK_RESULT;
use crate::cassette::probe::{Run, Watcher, said};
use crate::cassette::record::NOTE;

/// Polls before a task is left alone: an hour at the usual interval.
const MOST_POLLS: u32 = 720;

impl Run {
    /// Waits, looks at the links in every way a client does, and asks once more whether they are new ones.
    pub(crate) async fn follow(&self, task: &str, watcher: &mut impl Watcher) {
        let mut last = String::new();
        for _ in 0..MOST_POLLS {
            let (state, body) = self.poll(task).await;
            if state != last {
                watcher.tell(&format!("    task {task}: {state}"));
                last = state;
            }
            match body["task"]["status"].as_str() {
                Some("TASK_STATUS_SUCCEED") => {
                    self.fetch(&body, watcher).await;
                    let (_, again) = self.poll(task).await;
                    let fresh = links(&again) != links(&body);
                    watcher.tell(if fresh {
                        "    asked again: a fresh link"
                    } else {
                        "    asked again: the same link"
                    });
                    return;
                }
                Some("TASK_STATUS_FAILED") => {
                    let reason = body["task"]["reason"].as_str().unwrap_or_default();
                    return watcher.tell(&format!("    it failed: {reason:?}"));
                }
                _ => tokio::time::sleep(self.probe.poll_every.max(Duration::from_millis(20))).await,
            }
        }
        watcher.tell("    it is left alone: it takes too long");
    }

    async fn poll(&self, task: &str) -> (String, Value) {
        let url = format!("{}{TASK_RESULT}?task_id={task}", self.base_url);
        let request = self.http.get(url).bearer_auth(&self.probe.key).header("content-type", "application/json");
        match request.header(NOTE, "follow").send().await {
            Ok(answer) => said(answer).await,
            Err(_) => ("no answer".to_owned(), Value::Null),
        }
    }

    async fn fetch(&self, body: &Value, watcher: &mut impl Watcher) {
        for link in links(body) {
            for (method, range) in [(Method::HEAD, None), (Method::GET, Some("bytes=0-99")), (Method::GET, None)] {
                let mut request = self.http.request(method.clone(), link).header(NOTE, "link");
                if let Some(range) = range {
                    request = request.header("range", range);
                }
                let Ok(mut answer) = request.send().await else { return watcher.tell("    its link: no answer") };
                let status = answer.status();
                let mut bytes = 0;
                while let Ok(Some(chunk)) = answer.chunk().await {
                    bytes += chunk.len();
                }
                let range = range.map(|range| format!(" {range}")).unwrap_or_default();
                watcher.tell(&format!("    its link, {method}{range}: {status}, {bytes} bytes"));
            }
        }
    }
}

fn links(body: &Value) -> Vec<&str> {
    let videos = body["videos"].as_array().into_iter().flatten();
    videos.filter_map(|video| video["video_url"].as_str()).collect()
}
