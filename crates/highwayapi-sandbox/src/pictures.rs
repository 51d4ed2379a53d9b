//! Pictures of waiting tasks: on disk, each content once, bounded in bytes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use highwayapi_render::Picture;
use sha2::{Digest, Sha256};

use crate::error::ApiError;
use crate::frames;

/// SHA-256 of a picture's file.
pub(crate) type Content = [u8; 32];

/// All pictures that some task still needs.
pub(crate) struct Pictures {
    dir: PathBuf,
    /// Most bytes on disk.
    room: u64,
    /// Written so far.
    files: AtomicU64,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    stored: HashMap<Content, Weak<Stored>>,
    bytes: u64,
}

/// A picture that can be decoded, on disk until the last task that needs it is done.
pub(crate) struct Stored {
    pub(crate) content: Content,
    path: PathBuf,
    length: u64,
    pictures: Arc<Pictures>,
}

impl Pictures {
    pub(crate) fn new(dir: &Path, room: u64) -> Arc<Self> {
        Arc::new(Self { dir: dir.to_owned(), room, files: AtomicU64::new(0), held: Mutex::default() })
    }

    /// Checks and stores a picture; what is there already is neither decoded nor written again.
    pub(crate) fn store(self: &Arc<Self>, field: &str, bytes: &[u8]) -> Result<Arc<Stored>, ApiError> {
        let content = Sha256::digest(bytes).into();
        if let Some(stored) = self.find(&content) {
            return Ok(stored);
        }
        frames::check(field, bytes)?;
        let stored = {
            let mut held = self.held();
            let length = bytes.len() as u64;
            if held.bytes + length > self.room {
                return Err(ApiError::busy("the pictures of the waiting tasks fill the room there is for them"));
            }
            held.bytes += length;
            // From here on Drop cleans up. Every file has a name of its own, so that it takes only its own away.
            let path = self.dir.join(format!("{}.picture", self.files.fetch_add(1, Ordering::Relaxed)));
            Arc::new(Stored { content, path, length, pictures: Arc::clone(self) })
        };
        let written = std::fs::write(&stored.path, bytes);
        written.map_err(|e| ApiError::internal(format!("{field}: the picture could not be written to disk: {e}")))?;
        // Who stored the same meanwhile is not waited for: the later one is found from now on.
        self.held().stored.insert(content, Arc::downgrade(&stored));
        Ok(stored)
    }

    fn find(&self, content: &Content) -> Option<Arc<Stored>> {
        self.held().stored.get(content)?.upgrade()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stored {
    pub(crate) fn open(&self) -> Result<Picture, String> {
        let bytes = std::fs::read(&self.path).map_err(|e| format!("a picture could not be read from disk: {e}"))?;
        Picture::decode(&bytes).map_err(|e| e.to_string())
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        let mut held = self.pictures.held();
        held.bytes -= self.length;
        if held.stored.get(&self.content).is_some_and(|stored| stored.strong_count() == 0) {
            held.stored.remove(&self.content);
        }
        drop(held);
        // Gone already if the sandbox was dropped first.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use base64::engine::{Engine, general_purpose::STANDARD};

    use super::*;

    fn files(dir: &Path) -> usize {
        std::fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn a_content_is_stored_once_and_goes_with_its_last_user() {
        let png = STANDARD
            .decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGM4EaABAAMkAUEdGZ/EAAAAAElFTkSuQmCC")
            .unwrap();
        // Whatever follows the end of a picture is another content.
        let other = [&png[..], b"other"].concat();
        let dir = tempfile::tempdir().unwrap();
        let pictures = Pictures::new(dir.path(), 2 * other.len() as u64);

        let held: Vec<_> = (0..50).map(|_| pictures.store("image", &png).unwrap()).collect();
        assert_eq!((pictures.files.load(Ordering::Relaxed), files(dir.path())), (1, 1));
        let second = pictures.store("image", &other).unwrap();
        assert_eq!((pictures.files.load(Ordering::Relaxed), files(dir.path())), (2, 2));
        assert!(pictures.store("image", &[&png[..], b"more"].concat()).is_err(), "there is no more room");
        pictures.store("image", &png).unwrap();

        drop(held);
        assert_eq!(files(dir.path()), 1);
        pictures.store("image", &[&png[..], b"more"].concat()).unwrap();
        drop(second);
        let held = pictures.held();
        assert_eq!((files(dir.path()), held.stored.len(), held.bytes), (0, 0, 0));
    }
}
