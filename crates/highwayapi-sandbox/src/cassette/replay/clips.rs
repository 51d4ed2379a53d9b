//! The videos of a cassette: those that were kept, and stand-ins for the others.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use base64::engine::{Engine, general_purpose::STANDARD};
use highwayapi_render::{ClipSpec, Picture, Size, render};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use crate::cassette::drift::stand_in;
use crate::cassette::format::{Exchange, Operation, videos};
use crate::clip::Clip;
use crate::contract::Contract;
use crate::error::{ApiError, Error};
use crate::frames::blocking;
use crate::hex;
use crate::temporary_dir;

pub(crate) struct Clips {
    by_link: HashMap<String, Video>,
    dir: tempfile::TempDir,
    /// Rendered when they are first asked for, one after the other.
    ready: Mutex<HashMap<String, Clip>>,
}

#[derive(Clone)]
enum Video {
    Kept(PathBuf),
    Rendered(ClipSpec),
}

impl Clips {
    pub(crate) fn of(exchanges: &[Exchange], cassette: &Path, contract: &Contract) -> Result<Self, Error> {
        let folder = videos(cassette);
        let kept: HashMap<&str, &str> = exchanges
            .iter()
            .filter_map(|exchange| Some((&*exchange.request.subject, exchange.video.as_ref()?.kept.as_deref()?)))
            // Its own name and no path.
            .filter(|(_, name)| Path::new(name).file_name().is_some_and(|file| file == *name))
            .collect();
        let mut by_link = HashMap::new();
        for exchange in exchanges {
            let links = exchange.answer.iter().flat_map(|answer| &answer.links);
            for (sample, link) in links.enumerate() {
                let video = match kept.get(&*link.id) {
                    Some(name) => Video::Kept(folder.join(name)),
                    None => Video::Rendered(spec(exchanges, contract, exchange, sample)),
                };
                by_link.insert(link.id.clone(), video);
            }
        }
        let dir = temporary_dir()?;
        Ok(Self { by_link, dir, ready: Mutex::default() })
    }

    pub(crate) fn to_be_rendered(&self) -> usize {
        self.by_link.values().filter(|video| matches!(video, Video::Rendered(_))).count()
    }

    /// The video behind a link, and whether it is the recorded one.
    pub(crate) async fn get(&self, id: &str) -> Result<(Clip, bool), ApiError> {
        let unknown =
            || ApiError::new(axum::http::StatusCode::NOT_FOUND, "FILE_NOT_FOUND", "no recorded answer had this link");
        let video = self.by_link.get(id).ok_or_else(unknown)?.clone();
        let kept = matches!(video, Video::Kept(_));
        let mut ready = self.ready.lock().await;
        if let Some(clip) = ready.get(id) {
            return Ok((clip.clone(), kept));
        }
        let path = self.dir.path().join(format!("{id}.mp4"));
        let made = blocking(move || match video {
            Video::Kept(path) => known(path),
            Video::Rendered(spec) => rendered(&spec).and_then(|bytes| {
                std::fs::write(&path, bytes).map_err(|e| e.to_string())?;
                known(path)
            }),
        });
        let clip = made.await?.map_err(|why| ApiError::internal(format!("the video cannot be served: {why}")))?;
        ready.insert(id.to_owned(), clip.clone());
        Ok((clip, kept))
    }
}

/// What the task was to be, as far as the cassette tells.
fn spec(exchanges: &[Exchange], contract: &Contract, poll: &Exchange, sample: usize) -> ClipSpec {
    let task = poll.request.subject.strip_prefix("task_id=");
    let submit = exchanges.iter().filter(|exchange| exchange.request.operation == Operation::Submit).find(|exchange| {
        let body = exchange.answer.as_ref().and_then(|answer| answer.body.as_deref());
        let answer = body.and_then(|body| serde_json::from_str::<Value>(body).ok());
        task.is_some() && answer.as_ref().and_then(|answer| answer["task_id"].as_str()) == task
    });
    let order = submit.and_then(|submit| contract.check(submit.request.body.as_deref()?.as_bytes(), true).ok());
    let seed = order.as_ref().and_then(|order| order.seed).unwrap_or_default();
    ClipSpec {
        size: order.as_ref().map_or(Size::LANDSCAPE_720P, |order| order.size),
        seconds: order.as_ref().map_or(8, |order| order.seconds),
        audio: order.is_some_and(|order| order.audio),
        seed: u64::from(seed) + sample as u64,
    }
}

/// Black.
fn rendered(spec: &ClipSpec) -> Result<Vec<u8>, String> {
    let picture = Picture::decode(&stand_in::png(1, 1)).map_err(|e| e.to_string())?;
    render(&picture, &picture, spec, &|_| {}).map_err(|e| e.to_string())
}

fn known(path: PathBuf) -> Result<Clip, String> {
    let mut file = std::fs::File::open(&path).map_err(|e| e.to_string())?;
    let mut digest = Sha256::new();
    let length = std::io::copy(&mut file, &mut Hashing(&mut digest)).map_err(|e| e.to_string())?;
    let digest = digest.finalize();
    let etag = format!("\"{}\"", &hex::encode(&digest)[..32]);
    Ok(Clip { path, length, etag, digest: format!("sha-256=:{}:", STANDARD.encode(digest)) })
}

struct Hashing<'a>(&'a mut Sha256);

impl std::io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
