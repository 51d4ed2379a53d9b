//! The files that clips are in, what tells of them, and nothing else in the end.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Result;

/// What every clip of a run is: all are made of the same pictures and seed.
pub(crate) struct Whole {
    bytes: Vec<u8>,
    sha256: String,
}

/// What there is of a clip.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct There {
    pub(crate) clip: bool,
    pub(crate) sidecar: bool,
}

impl There {
    pub(crate) fn of(folder: &Path, clip: usize) -> Self {
        let exists = |ending: &str| folder.join(format!("{clip}.{ending}")).exists();
        Self { clip: exists("mp4"), sidecar: exists("json") }
    }
}

impl Whole {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let sha256 = sha256(&bytes);
        Self { bytes, sha256 }
    }

    /// Clips under their final names that are not what the sandbox made, and those that do not verify.
    pub(crate) fn faults(&self, folder: &Path) -> Result<(BTreeSet<PathBuf>, BTreeSet<PathBuf>)> {
        let (mut corrupt, mut unverified) = (BTreeSet::new(), BTreeSet::new());
        for clip in clips(folder)? {
            let bytes = fs::read(&clip)?;
            let is_whole = bytes == self.bytes;
            let sha256 = if is_whole { self.sha256.clone() } else { sha256(&bytes) };
            if !is_told(&clip, &sha256, bytes.len()) {
                unverified.insert(clip.clone());
            }
            if !is_whole {
                corrupt.insert(clip);
            }
        }
        Ok((corrupt, unverified))
    }
}

/// Clips under their final names that do not verify.
///
/// # Errors
///
/// When they cannot be read.
pub fn unverified(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut unverified = BTreeSet::new();
    for clip in clips(folder)? {
        let bytes = fs::read(&clip)?;
        if !is_told(&clip, &sha256(&bytes), bytes.len()) {
            unverified.insert(clip);
        }
    }
    Ok(unverified)
}

/// All that has a clip's final name.
///
/// # Errors
///
/// When the folder cannot be read.
pub fn clips(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(paths(folder)?.into_iter().filter(|path| path.extension().is_some_and(|name| name == "mp4")).collect())
}

/// Whether the sidecar says so.
fn is_told(clip: &Path, sha256: &str, size: usize) -> bool {
    let sidecar = fs::read(clip.with_extension("json")).unwrap_or_default();
    let sidecar: Value = serde_json::from_slice(&sidecar).unwrap_or_default();
    sidecar["sha256"] == sha256 && sidecar["size"] == size
}

/// What is neither a clip nor the sidecar of one; their names are numbers.
///
/// # Errors
///
/// When the folder cannot be read.
pub fn leftovers(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_meant = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stem = name.strip_suffix(".mp4").or_else(|| name.strip_suffix(".json"));
        stem.is_some_and(|stem| stem.bytes().all(|letter| letter.is_ascii_digit()))
    };
    Ok(paths(folder)?.into_iter().filter(|path| !is_meant(path)).collect())
}

/// All that is in a folder, and in those below it.
pub(crate) fn paths(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => paths.extend(self::paths(&entry.path())?),
            false => paths.push(entry.path()),
        }
    }
    Ok(paths)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
