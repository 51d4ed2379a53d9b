//! Pictures of the tasks: on disk, each content once, bounded in bytes.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use highwayapi_render::Picture;
use sha2::{Digest, Sha256};

use crate::error::ApiError;
use crate::{frames, hex};

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
    /// From now on no file is removed: the next sandbox needs them.
    left: AtomicBool,
}

#[derive(Default)]
struct Held {
    stored: HashMap<Content, Weak<Stored>>,
    bytes: u64,
}

/// A picture that can be decoded, on disk until the last task that needs it lets go of it.
pub(crate) struct Stored {
    pub(crate) content: Content,
    path: PathBuf,
    length: u64,
    pictures: Arc<Pictures>,
}

impl Pictures {
    pub(crate) fn new(dir: &Path, room: u64) -> Arc<Self> {
        let (files, held, left) = (AtomicU64::new(0), Mutex::default(), AtomicBool::new(false));
        Arc::new(Self { dir: dir.to_owned(), room, files, held, left })
    }

    /// Checks and stores a picture; what is there already is neither decoded nor written again. Where there is no room,
    /// `make_room` may let go of some that are needed least, and says whether it did.
    pub(crate) fn store(
        self: &Arc<Self>,
        field: &str,
        bytes: &[u8],
        make_room: impl Fn() -> bool,
    ) -> Result<Arc<Stored>, ApiError> {
        let content = Sha256::digest(bytes).into();
        if let Some(stored) = self.find(&content) {
            return Ok(stored);
        }
        frames::check(field, bytes)?;
        let length = bytes.len() as u64;
        while !self.reserve(length) {
            if !make_room() {
                return Err(ApiError::busy("the pictures of the waiting tasks fill the room there is for them"));
            }
        }
        let path = self.dir.join(hex::encode(&content));
        // Every file is written under a name of its own: what has its final name is whole.
        let part = self.dir.join(format!("{}.part", self.files.fetch_add(1, Ordering::Relaxed)));
        let written = std::fs::write(&part, bytes);
        let mut held = self.held();
        if let Some(same) = held.stored.get(&content).and_then(Weak::upgrade) {
            // Somebody else was quicker with it.
            held.bytes -= length;
            drop(held);
            let _ = std::fs::remove_file(part);
            return Ok(same);
        }
        if let Err(e) = written.and_then(|()| std::fs::rename(&part, &path)) {
            held.bytes -= length;
            drop(held);
            let _ = std::fs::remove_file(part);
            return Err(ApiError::internal(format!("{field}: the picture could not be written to disk: {e}")));
        }
        Ok(self.hold(&mut held, content, path, length))
    }

    /// A picture that a sandbox before this one has stored, if it is there.
    pub(crate) fn find_stored(self: &Arc<Self>, content: &Content) -> Option<Arc<Stored>> {
        if let Some(stored) = self.find(content) {
            return Some(stored);
        }
        let path = self.dir.join(hex::encode(content));
        let length = std::fs::metadata(&path).ok()?.len();
        let mut held = self.held();
        held.bytes += length;
        Some(self.hold(&mut held, *content, path, length))
    }

    /// Removes all files that no task needs.
    pub(crate) fn sweep(&self) {
        let held = self.held();
        let names: HashSet<String> = held.stored.keys().map(|content| hex::encode(content)).collect();
        for entry in std::fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            if !entry.file_name().to_str().is_some_and(|name| names.contains(name)) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Leaves all files where they are from now on.
    pub(crate) fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    fn reserve(&self, length: u64) -> bool {
        let mut held = self.held();
        let fits = held.bytes + length <= self.room;
        if fits {
            held.bytes += length;
        }
        fits
    }

    fn hold(self: &Arc<Self>, held: &mut Held, content: Content, path: PathBuf, length: u64) -> Arc<Stored> {
        let stored = Arc::new(Stored { content, path, length, pictures: Arc::clone(self) });
        held.stored.insert(content, Arc::downgrade(&stored));
        stored
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
        Picture::decode(&self.bytes()?).map_err(|e| e.to_string())
    }

    /// The file as it came.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.path).map_err(|e| format!("a picture could not be read from disk: {e}"))
    }

    /// Its length in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        // Under the lock to the end: who stores the same once more must find either this file or none.
        let mut held = self.pictures.held();
        held.bytes -= self.length;
        if held.stored.get(&self.content).is_some_and(|stored| stored.strong_count() == 0) {
            held.stored.remove(&self.content);
            if !self.pictures.left.load(Ordering::Relaxed) {
                // Gone already if the sandbox was dropped first.
                let _ = std::fs::remove_file(&self.path);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cell::RefCell;

    use base64::engine::{Engine, general_purpose::STANDARD};

    use super::*;

    fn files(dir: &Path) -> usize {
        std::fs::read_dir(dir).unwrap().count()
    }

    fn png() -> Vec<u8> {
        STANDARD
            .decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGM4EaABAAMkAUEdGZ/EAAAAAElFTkSuQmCC")
            .unwrap()
    }

    #[test]
    fn a_content_is_stored_once_and_goes_with_its_last_user() {
        let png = png();
        // Whatever follows the end of a picture is another content.
        let other = [&png[..], b"other"].concat();
        let dir = tempfile::tempdir().unwrap();
        let pictures = Pictures::new(dir.path(), 2 * other.len() as u64);
        let store = |bytes: &[u8]| pictures.store("image", bytes, || false);

        let held: Vec<_> = (0..50).map(|_| store(&png).unwrap()).collect();
        assert_eq!((pictures.files.load(Ordering::Relaxed), files(dir.path())), (1, 1));
        let second = store(&other).unwrap();
        assert_eq!((pictures.files.load(Ordering::Relaxed), files(dir.path())), (2, 2));
        assert!(store(&[&png[..], b"more"].concat()).is_err(), "there is no more room");
        store(&png).unwrap();

        drop(held);
        assert_eq!(files(dir.path()), 1);
        store(&[&png[..], b"more"].concat()).unwrap();
        drop(second);
        let held = pictures.held();
        assert_eq!((files(dir.path()), held.stored.len(), held.bytes), (0, 0, 0));
    }

    #[test]
    fn who_needs_it_least_makes_room() {
        let (png, dir) = (png(), tempfile::tempdir().unwrap());
        let pictures = Pictures::new(dir.path(), png.len() as u64 + 1);
        let old = RefCell::new(Some(pictures.store("image", &png, || false).unwrap()));
        let other = [&png[..], b"x"].concat();
        let stored = pictures.store("image", &other, || old.take().is_some()).unwrap();
        assert_eq!((stored.length(), files(dir.path())), (other.len() as u64, 1));
    }

    #[test]
    fn the_next_sandbox_finds_what_it_needs_and_removes_the_rest() {
        let (png, dir) = (png(), tempfile::tempdir().unwrap());
        let first = Pictures::new(dir.path(), 1 << 20);
        let kept = first.store("image", &png, || false).unwrap();
        let other = first.store("image", &[&png[..], b"other"].concat(), || false).unwrap();
        let content = kept.content;
        first.leave();
        drop((kept, other));
        assert_eq!(files(dir.path()), 2);

        let next = Pictures::new(dir.path(), 1 << 20);
        let found = next.find_stored(&content).unwrap();
        next.sweep();
        assert_eq!((found.bytes().unwrap(), files(dir.path())), (png, 1));
        assert!(next.find_stored(&[0; 32]).is_none());
    }
}
