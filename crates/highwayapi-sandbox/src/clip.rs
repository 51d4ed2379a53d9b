//! Finished clips: rendered once, kept on disk, forgotten when there are too many.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use base64::engine::{Engine, general_purpose::STANDARD};
use highwayapi_render::{ClipSpec, Picture, Scene, Size};
use sha2::{Digest, Sha256};
use tokio::sync::{OnceCell, Semaphore};

/// Bytes of clips kept on disk; over that the oldest are forgotten.
pub(crate) const MAX_KEPT: u64 = 2 << 30;

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

/// The two pictures of a task, on disk until it is done.
pub(crate) struct Pair {
    first: PathBuf,
    last: PathBuf,
    digest: [u8; 32],
    scene: OnceLock<Result<Scene, String>>,
}

impl Pair {
    pub(crate) fn write(dir: &Path, id: &str, first: &[u8], last: &[u8]) -> std::io::Result<Self> {
        let mut digest = Sha256::new();
        digest.update(Sha256::digest(first));
        digest.update(Sha256::digest(last));
        // From here on Drop cleans up.
        let pair = Self {
            first: dir.join(format!("{id}.first")),
            last: dir.join(format!("{id}.last")),
            digest: digest.finalize().into(),
            scene: OnceLock::new(),
        };
        std::fs::write(&pair.first, first)?;
        std::fs::write(&pair.last, last)?;
        Ok(pair)
    }

    /// The same for the same pictures and spec, whatever the task.
    fn clip_id(&self, spec: &ClipSpec) -> String {
        let mut digest = Sha256::new_with_prefix(self.digest);
        for part in
            [spec.size.width().into(), spec.size.height().into(), spec.seconds.into(), spec.audio.into(), spec.seed]
        {
            digest.update(part.to_be_bytes());
        }
        digest.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Decoded and compared once for all samples.
    fn scene(&self, size: Size) -> Result<&Scene, String> {
        let open = |path: &Path| {
            let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
            Picture::decode(&bytes).map_err(|e| e.to_string())
        };
        let scene = self
            .scene
            .get_or_init(|| Scene::new(&open(&self.first)?, &open(&self.last)?, size).map_err(|e| e.to_string()));
        scene.as_ref().map_err(Clone::clone)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // Gone already if the sandbox was dropped first.
        let _ = std::fs::remove_file(&self.first);
        let _ = std::fs::remove_file(&self.last);
    }
}

/// All clips of a sandbox, by id.
pub(crate) struct Clips {
    dir: PathBuf,
    turns: Semaphore,
    threads: NonZeroUsize,
    rendered: AtomicU64,
    kept: Mutex<Kept>,
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

    /// The id of the clip, once it is there. Whoever asks for a clip that somebody else is
    /// rendering waits for that one.
    pub(crate) async fn make(
        self: &Arc<Self>,
        pair: Arc<Pair>,
        spec: ClipSpec,
        begin: impl FnOnce(),
        progress: impl Fn(f32) + Send + Sync + 'static,
    ) -> Result<String, String> {
        let id = pair.clip_id(&spec);
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
            Ok(_) => Ok(id),
            Err(why) => {
                self.kept().cells.remove(&id);
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
        let scene = pair.scene(spec.size)?;
        let clip = scene.render_on(self.threads, spec, progress).map_err(|e| e.to_string())?;
        std::fs::write(&path, &clip).map_err(|e| format!("the clip could not be written: {e}"))?;
        self.rendered.fetch_add(1, Ordering::Relaxed);
        let digest = Sha256::digest(&clip);
        let etag: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let (etag, digest) = (format!("\"{etag}\""), format!("sha-256=:{}:", STANDARD.encode(digest)));
        Ok(Clip { path, length: clip.len() as u64, etag, digest })
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
