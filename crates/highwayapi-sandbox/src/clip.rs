//! Finished clips: rendered once, kept on disk, forgotten when there are too many.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::engine::{Engine, general_purpose::STANDARD};
use highwayapi_render::{ClipSpec, Scene, Size};
use sha2::{Digest, Sha256};
use tokio::sync::{OnceCell, Semaphore};

use crate::hex;
use crate::pictures::{Content, Stored};

/// Bytes of clips kept on disk; over that the oldest are forgotten.
pub(crate) const MAX_KEPT: u64 = 2 << 30;

/// Scenes kept in memory, 8 MB each at 720p and 18 MB at 1080p: the samples of a task share one, and so do
/// tasks that differ in their seeds.
const MAX_SCENES: usize = 2;

/// Threads that a clip can use.
const THREADS_PER_CLIP: usize = 4;

/// A finished clip.
#[derive(Clone, Debug)]
pub(crate) struct Clip {
    pub(crate) path: PathBuf,
    pub(crate) length: u64,
    pub(crate) etag: String,
    /// The value of `Repr-Digest`.
    pub(crate) digest: String,
}

/// The two pictures of a task.
pub(crate) struct Pair {
    pub(crate) first: Arc<Stored>,
    pub(crate) last: Arc<Stored>,
}

/// The same for the same pictures and spec, whatever the task.
pub(crate) fn id(first: &Content, last: &Content, spec: &ClipSpec) -> String {
    let mut digest = Sha256::new_with_prefix(first).chain_update(last);
    for part in [spec.size.width().into(), spec.size.height().into(), spec.seconds.into(), spec.audio.into(), spec.seed]
    {
        digest.update(part.to_be_bytes());
    }
    hex::encode(&digest.finalize()[..16])
}

/// What makes a scene: both pictures and the size.
type SceneKey = (Content, Content, Size);

/// All clips of a sandbox, by id.
pub(crate) struct Clips {
    dir: PathBuf,
    turns: Semaphore,
    threads: NonZeroUsize,
    rendered: AtomicU64,
    kept: Mutex<Kept>,
    /// The last used at the end.
    scenes: Mutex<VecDeque<(SceneKey, Arc<Scene>)>>,
}

#[derive(Default)]
struct Kept {
    /// A cell without a clip is being rendered, or waits for its turn.
    cells: HashMap<String, Arc<OnceCell<Clip>>>,
    /// Oldest first.
    finished: VecDeque<String>,
    bytes: u64,
}

impl Clips {
    pub(crate) fn new(dir: PathBuf) -> Self {
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            dir,
            turns: Semaphore::new(cores.get().div_ceil(THREADS_PER_CLIP)),
            threads: cores,
            rendered: AtomicU64::new(0),
            kept: Mutex::default(),
            scenes: Mutex::default(),
        }
    }

    /// Clips rendered, not counting those that were there already.
    pub(crate) fn rendered(&self) -> u64 {
        self.rendered.load(Ordering::Relaxed)
    }

    pub(crate) fn get(&self, id: &str) -> Option<Clip> {
        self.kept().cells.get(id)?.get().cloned()
    }

    /// Nothing is rendered any more.
    pub(crate) fn stop(&self) {
        self.turns.close();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.turns.is_closed()
    }

    /// The clip, once it is there. Whoever asks for a clip that somebody else is
    /// rendering waits for that one.
    pub(crate) async fn make(
        self: &Arc<Self>,
        pair: Arc<Pair>,
        spec: ClipSpec,
        begin: impl FnOnce(),
        progress: impl Fn(f32) + Send + Sync + 'static,
    ) -> Result<Clip, String> {
        let id = id(&pair.first.content, &pair.last.content, &spec);
        let cell = Arc::clone(self.kept().cells.entry(id.clone()).or_default());
        let clip = cell.get_or_try_init(async || {
            let _turn = self.turns.acquire().await.map_err(|_| "the sandbox is stopping".to_owned())?;
            begin();
            let (clips, path) = (Arc::clone(self), self.dir.join(format!("{id}.mp4")));
            let work = move || clips.render(&pair, &spec, path, &progress);
            let clip = tokio::task::spawn_blocking(work).await.map_err(|_| "the renderer stopped".to_owned())??;
            self.keep(&id, &clip);
            Ok(clip)
        });
        match clip.await {
            Ok(clip) => Ok(clip.clone()),
            Err(why) => {
                let mut kept = self.kept();
                // Somebody else may have had more luck with it.
                if kept.cells.get(&id).is_some_and(|cell| !cell.initialized()) {
                    kept.cells.remove(&id);
                }
                Err(why)
            }
        }
    }

    fn render(
        &self,
        pair: &Pair,
        spec: &ClipSpec,
        path: PathBuf,
        progress: &(dyn Fn(f32) + Sync),
    ) -> Result<Clip, String> {
        let scene = self.scene(pair, spec.size)?;
        let clip = scene.render_on(self.threads, spec, progress).map_err(|e| e.to_string())?;
        std::fs::write(&path, &clip).map_err(|e| format!("the clip could not be written: {e}"))?;
        self.rendered.fetch_add(1, Ordering::Relaxed);
        let digest = Sha256::digest(&clip);
        let (etag, digest) =
            (format!("\"{}\"", hex::encode(&digest[..16])), format!("sha-256=:{}:", STANDARD.encode(digest)));
        Ok(Clip { path, length: clip.len() as u64, etag, digest })
    }

    /// Decoded and compared once for all samples.
    fn scene(&self, pair: &Pair, size: Size) -> Result<Arc<Scene>, String> {
        let key = (pair.first.content, pair.last.content, size);
        let scenes = || self.scenes.lock().unwrap_or_else(PoisonError::into_inner);
        let take = |scenes: &mut VecDeque<(SceneKey, Arc<Scene>)>| {
            let at = scenes.iter().position(|(other, _)| *other == key)?;
            scenes.remove(at)
        };
        let known = take(&mut scenes());
        let scene = match known {
            Some((_, scene)) => scene,
            None => Arc::new(Scene::new(&pair.first.open()?, &pair.last.open()?, size).map_err(|e| e.to_string())?),
        };
        let mut scenes = scenes();
        scenes.push_back((key, Arc::clone(&scene)));
        if scenes.len() > MAX_SCENES {
            scenes.pop_front();
        }
        Ok(scene)
    }

    fn keep(&self, id: &str, clip: &Clip) {
        let mut kept = self.kept();
        kept.bytes += clip.length;
        kept.finished.push_back(id.to_owned());
        while kept.bytes > MAX_KEPT && kept.finished.len() > 1 {
            let Some(oldest) = kept.finished.pop_front() else { break };
            if let Some(clip) = kept.cells.remove(&oldest).and_then(|cell| cell.get().cloned()) {
                kept.bytes -= clip.length;
                // A download that has begun holds the file open.
                let _ = std::fs::remove_file(clip.path);
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::pictures::Pictures;

    #[test]
    fn a_scene_is_made_once_and_few_are_kept() {
        let png = STANDARD
            .decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGM4EaABAAMkAUEdGZ/EAAAAAElFTkSuQmCC")
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let pictures = Pictures::new(dir.path(), 1 << 20);
        let stored = pictures.store("image", &png, || false).unwrap();
        let pair = Pair { first: Arc::clone(&stored), last: stored };
        let clips = Clips::new(dir.path().to_owned());
        let size = |n: u32| Size::new(64 + 2 * n, 64).unwrap();

        let scene = clips.scene(&pair, size(0)).unwrap();
        for n in 1..=MAX_SCENES {
            // Asked for in between, it stays; what was not is forgotten.
            assert!(Arc::ptr_eq(&scene, &clips.scene(&pair, size(0)).unwrap()), "made again after {n}");
            clips.scene(&pair, size(n as u32)).unwrap();
        }
        assert_eq!(clips.scenes.lock().unwrap().len(), MAX_SCENES);
    }
}
