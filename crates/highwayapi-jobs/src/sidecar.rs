//! The sidecar of a clip (`clip.json` for `clip.mp4`): what made it, and what it must be.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use highwayapi::TaskId;
use serde::{Deserialize, Serialize};

use crate::asked::{Asked, hash};
use crate::error::{Error, Result};
use crate::job::{Clip, Job};
use crate::publish::publish;
use crate::time;

/// What stands beside a clip.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sidecar {
    /// The clip's name, without a folder.
    pub file: String,
    /// SHA-256 of the clip, in hexadecimal.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
    /// The task that made it.
    pub task_id: TaskId,
    /// Which of the task's videos it is, from 1.
    pub sample: usize,
    /// The seed that the service used, where it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed_used: Option<u64>,
    /// When it was submitted; not known of an adopted task.
    #[serde(default, with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<SystemTime>,
    /// When it was fetched.
    #[serde(with = "time")]
    pub fetched_at: SystemTime,
    /// What was asked for; not known of an adopted task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Asked>,
    /// Base URL of the service.
    pub service: String,
    /// The program that wrote this.
    pub made_by: String,
}

impl Sidecar {
    pub(crate) fn new(job: &Job, task_id: &TaskId, clip: &Clip) -> Self {
        Self {
            file: clip.file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            sha256: clip.sha256.clone(),
            size: clip.size,
            task_id: task_id.clone(),
            sample: clip.sample,
            seed_used: job.seed_used,
            submitted_at: job.asked.as_ref().map(|_| job.submitted_at),
            fetched_at: SystemTime::now(),
            request: job.asked.clone(),
            service: job.service.clone(),
            made_by: concat!("highwayapi-jobs ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// `clip.json` for `clip.mp4`.
    pub fn path(clip: &Path) -> PathBuf {
        clip.with_extension("json")
    }

    /// The sidecar of a clip, if there is one that can be read. May block.
    pub fn of(clip: &Path) -> io::Result<Self> {
        Ok(serde_json::from_reader(io::BufReader::new(File::open(Self::path(clip))?))?)
    }

    /// Puts it beside the clip: whole or not at all. One that was written for the same video is replaced in any case. May
    /// block.
    pub(crate) fn write(&self, clip: &Path, replace: bool) -> io::Result<()> {
        let own = Self::of(clip).is_ok_and(|known| known.is_of(&self.task_id, self.sample));
        publish(&Self::path(clip), replace || own, |file| {
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.write_all(b"\n")
        })
    }

    /// Takes it away again, if it is still that of the same video.
    pub(crate) fn remove(&self, clip: &Path) -> io::Result<()> {
        match Self::of(clip) {
            Ok(there) if there.is_of(&self.task_id, self.sample) => std::fs::remove_file(Self::path(clip)),
            _ => Ok(()),
        }
    }

    /// Whether it is that of this video.
    pub(crate) fn is_of(&self, task_id: &TaskId, sample: usize) -> bool {
        self.task_id == *task_id && self.sample == sample
    }
}

/// Whether a clip is still what its sidecar says; the sidecar. May block.
///
/// # Errors
///
/// When one of the two is missing or cannot be read, or the clip is not the one that was fetched.
pub fn verify(clip: &Path) -> Result<Sidecar> {
    let sidecar = Sidecar::path(clip);
    let unreadable =
        |path: &Path, error: io::Error| Error::clip(format!("{} cannot be read", path.display())).with_source(error);
    // Without the clip nothing else matters.
    clip.metadata().map_err(|error| unreadable(clip, error))?;
    let known = Sidecar::of(clip).map_err(|error| unreadable(&sidecar, error))?;
    let (sha256, size) = File::open(clip).and_then(hash).map_err(|error| unreadable(clip, error))?;
    if size != known.size {
        let text = format!("{} has {size} bytes; {} says {}", clip.display(), sidecar.display(), known.size);
        return Err(Error::clip(text));
    }
    if sha256 != known.sha256 {
        let text = format!("{} is not what {} says: its SHA-256 is another", clip.display(), sidecar.display());
        return Err(Error::clip(text));
    }
    Ok(known)
}
