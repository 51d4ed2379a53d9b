//! The sidecar of a clip (`clip.json`): what made it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use highwayapi::{FirstLastFrame, Frame, Options, TaskId};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// What was asked for, with every default written out. Pictures by their hash, never by their contents.
#[derive(Clone, Serialize)]
pub(crate) struct Asked {
    image: Picture,
    last_image: Picture,
    prompt: String,
    #[serde(flatten)]
    options: Options,
}

#[derive(Clone, Serialize)]
#[serde(untagged)]
enum Picture {
    Given { sha256: String, size: u64, kind: String, width: u32, height: u32 },
    Elsewhere { url: String },
}

impl Asked {
    /// Reads both pictures once. May block.
    pub(crate) fn new(request: &FirstLastFrame) -> io::Result<Self> {
        Ok(Self {
            image: Picture::new(request.image())?,
            last_image: Picture::new(request.last_image())?,
            prompt: request.prompt().to_owned(),
            options: request.options().resolved(),
        })
    }
}

impl Picture {
    fn new(frame: &Frame) -> io::Result<Self> {
        match (frame.reader(), frame.kind(), frame.dimensions()) {
            (Some(reader), Some(kind), Some((width, height))) => {
                let (sha256, size) = hash(reader?)?;
                Ok(Self::Given { sha256, size, kind: kind.to_string(), width, height })
            }
            // The name, not the URL itself: that may hold a password or a signature.
            _ => Ok(Self::Elsewhere { url: frame.name().to_owned() }),
        }
    }
}

/// The sidecar's contents.
#[derive(Serialize)]
struct Record<'a> {
    file: String,
    sha256: String,
    size: u64,
    task_id: &'a TaskId,
    sample: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed_used: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    submitted_at: Option<String>,
    fetched_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<&'a Asked>,
    service: &'a str,
    made_by: &'static str,
}

/// What is known of the clips of one task.
pub(crate) struct Origin<'a> {
    pub(crate) task_id: &'a TaskId,
    pub(crate) seed_used: Option<u64>,
    pub(crate) submitted_at: Option<SystemTime>,
    pub(crate) request: Option<&'a Asked>,
    pub(crate) service: &'a str,
}

impl Origin<'_> {
    /// Writes the sidecar of a clip. May block.
    pub(crate) fn write(&self, clip: &Path, sample: usize) -> io::Result<PathBuf> {
        let (sha256, size) = hash(File::open(clip)?)?;
        let record = Record {
            file: clip.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            sha256,
            size,
            task_id: self.task_id,
            sample,
            seed_used: self.seed_used,
            submitted_at: self.submitted_at.map(time),
            fetched_at: time(SystemTime::now()),
            request: self.request,
            service: self.service,
            made_by: concat!("highway ", env!("CARGO_PKG_VERSION")),
        };
        let path = sidecar(clip);
        let part = path.with_extension("json.part");
        let mut file = File::create(&part)?;
        file.write_all(&serde_json::to_vec_pretty(&record)?)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(&part, &path)?;
        Ok(path)
    }
}

/// `clip.json` for `clip.mp4`.
pub(crate) fn sidecar(clip: &Path) -> PathBuf {
    clip.with_extension("json")
}

fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

fn hash(mut reader: impl Read) -> io::Result<(String, u64)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            return Ok((hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect(), size));
        }
        hasher.update(&buffer[..read]);
        size += read as u64;
    }
}
