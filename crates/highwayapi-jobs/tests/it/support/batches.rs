//! Batches to be run: a folder with pictures and a manifest.

use std::fs;
use std::path::{Path, PathBuf};

use highwayapi::FirstLastFrame;
use highwayapi_jobs::batch::{Frames, Manifest, Outcome, Reading};
use highwayapi_jobs::{Batch, Caps, Jobs, Result, SqliteStore};
use serde_json::json;
use tempfile::TempDir;

use super::service::{Service, png};

/// A folder with a record, two pictures and whatever is planned.
pub(crate) struct Work {
    pub(crate) folder: TempDir,
    pub(crate) service: Service,
}

impl Work {
    pub(crate) async fn new() -> Self {
        let folder = super::folder();
        for name in ["a.png", "b.png"] {
            fs::write(folder.path().join(name), png(name)).expect("a picture");
        }
        Self { folder, service: Service::start().await }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// As another program sees it.
    pub(crate) fn jobs(&self) -> Jobs {
        Jobs::with_store(self.service.client(), SqliteStore::open(self.path("state")).expect("a record"))
    }

    pub(crate) fn batch(&self) -> Batch {
        Batch::new(self.service.client().base_url(), "mine", self.folder.path())
    }

    /// Plans clips of these prompts, which are their ids, too.
    pub(crate) async fn plan(&self, prompts: &[&str]) -> Result<u64> {
        self.plan_as(self.batch(), prompts).await
    }

    pub(crate) async fn plan_up_to(&self, clips: u64, prompts: &[&str]) -> Result<u64> {
        let mut batch = self.batch();
        batch.caps = Caps::new(Some(clips), None);
        self.plan_as(batch, prompts).await
    }

    pub(crate) async fn plan_as(&self, batch: Batch, prompts: &[&str]) -> Result<u64> {
        self.plan_items(batch, &prompts.iter().map(|&prompt| (prompt, prompt)).collect::<Vec<_>>()).await
    }

    /// Plans items of these ids and prompts.
    pub(crate) async fn plan_items(&self, batch: Batch, items: &[(&str, &str)]) -> Result<u64> {
        let manifest = self.manifest(items);
        let frames = Frames::read(&manifest.items, |_, _| {});
        self.jobs().plan(&batch, &manifest.items, &frames).await
    }

    pub(crate) fn manifest(&self, items: &[(&str, &str)]) -> Manifest {
        let line = |&(id, prompt): &(&str, &str)| {
            let output = format!("clips/{id}.mp4");
            let line = json!({"id": id, "image": "a.png", "last_image": "b.png", "prompt": prompt, "output": output});
            format!("{line}\n")
        };
        let file = self.path("clips.jsonl");
        fs::write(&file, items.iter().map(line).collect::<String>()).expect("a manifest");
        let manifest = Manifest::read(&file, &Reading::default()).expect("a manifest");
        assert!(items.is_empty() || manifest.findings.is_empty(), "{:?}", manifest.findings);
        manifest
    }

    /// What an item with this prompt asks for.
    pub(crate) fn request(&self, prompt: &str) -> FirstLastFrame {
        self.manifest(&[("it", prompt)]).items[0].request().expect("a request")
    }

    /// Runs it to its end.
    pub(crate) async fn run(&self) -> Outcome {
        self.jobs().run(&self.batch().id).run(std::future::pending(), |_| {}).await.expect("an outcome")
    }

    pub(crate) fn clips(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path("clips")) else { return Vec::new() };
        let names = entries.map(|entry| entry.expect("an entry").path()).filter(|path| is_clip(path));
        let mut names: Vec<_> =
            names.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn is_clip(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "mp4")
}
