//! The sandbox from outside: plain HTTP, no client crate.

#![allow(clippy::unwrap_used)]

mod admin;
mod cassette;
mod cassette_drift;
mod cassette_probe;
mod cassette_replay;
mod clock;
mod faults;
mod fetch;
mod flow;
mod journal;
mod ledger;
mod links;
mod metrics;
mod requests;
mod scenarios;
mod server;
mod state;
mod strict;
mod whole_run;
mod wire;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use highwayapi_sandbox::{Clock, Sandbox};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

const SUBMIT: &str = "/v3/async/veo-3.1-fast-generate-firstlastframe";
const TASK_RESULT: &str = "/v3/async/task-result";

/// Orange, 1 × 1.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGM4EaABAAMkAUEdGZ/EAAAAAElFTkSuQmCC";

fn request(sandbox: &Sandbox, method: Method, path: &str) -> RequestBuilder {
    reqwest::Client::new().request(method, format!("{}{path}", sandbox.base_url())).bearer_auth(sandbox.api_key())
}

/// The smallest clip of two flat pictures, with these fields besides.
fn small(fields: Value) -> Value {
    let mut body = json!({ "image": png(), "last_image": png(), "prompt": "still", "duration_seconds": 4 });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

fn png() -> String {
    format!("data:image/png;base64,{PNG}")
}

fn photograph(name: &str) -> String {
    let path = format!("{}/../../examples/frames/{name}.jpg", env!("CARGO_MANIFEST_DIR"));
    format!("data:image/jpeg;base64,{}", STANDARD.encode(std::fs::read(path).unwrap()))
}

async fn post(sandbox: &Sandbox, body: &Value) -> Response {
    let request = request(sandbox, Method::POST, SUBMIT).header("content-type", "application/json");
    request.body(body.to_string()).send().await.unwrap()
}

async fn json_of(response: Response) -> Value {
    assert_eq!(response.headers()["content-type"], "application/json");
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

async fn submit(sandbox: &Sandbox, body: &Value) -> String {
    let response = post(sandbox, body).await;
    assert_eq!(response.status(), 200);
    json_of(response).await["task_id"].as_str().unwrap().to_owned()
}

async fn poll(sandbox: &Sandbox, id: &str) -> Value {
    let response = request(sandbox, Method::GET, &format!("{TASK_RESULT}?task_id={id}")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    json_of(response).await
}

/// Polls to the end.
async fn finished(sandbox: &Sandbox, id: &str) -> Value {
    loop {
        let result = poll(sandbox, id).await;
        match result["task"]["status"].as_str().unwrap() {
            "TASK_STATUS_SUCCEED" => return result,
            "TASK_STATUS_QUEUED" | "TASK_STATUS_PROCESSING" => {}
            _ => panic!("{result:#}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Submits, waits, and gives the first link.
async fn clip(sandbox: &Sandbox) -> String {
    let id = submit(sandbox, &small(json!({ "seed": 1 }))).await;
    let result = finished(sandbox, &id).await;
    result["videos"][0]["video_url"].as_str().unwrap().to_owned()
}
