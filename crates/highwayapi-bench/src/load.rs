//! Many small submits, each begun at its appointed time whatever became of the others.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::Result;

/// Requests on their way at once.
const CONNECTIONS: usize = 64;

pub(crate) struct Load {
    pub(crate) answered_per_s: f64,
    pub(crate) errors: usize,
    /// Of the errors, those that were told to come later.
    pub(crate) busy: usize,
    /// From the appointed time to the answer.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// A small one, as a data URI.
fn picture(seed: u64) -> Result<String> {
    let (size, mut noise) = (64, fastrand::Rng::with_seed(seed));
    let pixels: Vec<u8> = (0..size * size * 3).map(|_| noise.u8(..)).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size, size);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(bytes)))
}

/// So many submits a second for this time.
pub(crate) fn run(base: &str, key: &str, rate: u32, time: Duration) -> Result<Load> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(send(base, key, rate, time))
}

async fn send(base: &str, key: &str, rate: u32, time: Duration) -> Result<Load> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{base}/v3/async/veo-3.1-fast-generate-firstlastframe");
    let body = json!({ "image": picture(1)?, "last_image": picture(2)?, "prompt": "dusk falls", "seed": 1,
        "duration_seconds": 4 });
    let (body, room) = (body.to_string(), Arc::new(Semaphore::new(CONNECTIONS)));
    let authorization = format!("Bearer {key}");
    let began = Instant::now();
    let mut submits = JoinSet::new();
    let count = (f64::from(rate) * time.as_secs_f64()) as u32;
    for number in 0..count {
        let appointed = began + time * number / count;
        sleep_until(appointed).await;
        let request = client.post(&url).header("authorization", &authorization);
        let request = request.header("content-type", "application/json").body(body.clone());
        let room = Arc::clone(&room);
        submits.spawn(async move {
            let _turn = room.acquire_owned().await;
            let status = request.send().await.ok().map(|answer| answer.status());
            (status, appointed.elapsed().as_secs_f64() * 1e3)
        });
    }
    let answers = submits.join_all().await;
    let took = began.elapsed().as_secs_f64();
    let good = |status: &Option<reqwest::StatusCode>| status.is_some_and(|status| status.is_success());
    let busy = answers.iter().filter(|(status, _)| *status == Some(reqwest::StatusCode::TOO_MANY_REQUESTS)).count();
    let mut latencies: Vec<f64> = answers.iter().filter(|(status, _)| good(status)).map(|(_, took)| *took).collect();
    latencies.sort_by(f64::total_cmp);
    let at = |part: f64| latencies.get((latencies.len() as f64 * part) as usize).copied().unwrap_or(f64::NAN);
    Ok(Load {
        answered_per_s: latencies.len() as f64 / took,
        errors: answers.len() - latencies.len(),
        busy,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
    })
}
