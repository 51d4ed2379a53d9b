//! The batches that are made: their manifests, and which clip is which.

use std::fs;
use std::path::{Path, PathBuf};

use fault_tests::Result;
use serde_json::json;

use crate::photographs::Pair;

/// By its prompt a clip is known to the service, and by its number to everybody else.
fn prompt(clip: usize) -> String {
    format!("clip {clip}")
}

pub(crate) fn clip_of(prompt: &str) -> Option<usize> {
    prompt.strip_prefix("clip ")?.parse().ok()
}

/// Where a manifest lets its clips go.
pub(crate) fn clips(folder: &Path) -> PathBuf {
    folder.join("clips")
}

/// Writes a manifest of so many clips, with these pairs in turn.
pub(crate) fn manifest(folder: &Path, pairs: &[Pair], clips: usize) -> Result<PathBuf> {
    let mut lines = format!("{}\n", json!({ "defaults": { "seed": 7, "duration_seconds": 4 } }));
    for (clip, pair) in (1..=clips).zip(pairs.iter().cycle()) {
        let Pair { first, last } = pair;
        let item = json!({ "id": clip.to_string(), "image": first, "last_image": last, "prompt": prompt(clip) });
        lines += &format!("{item}\n");
    }
    let path = folder.join("manifest.jsonl");
    fs::write(&path, lines)?;
    Ok(path)
}
