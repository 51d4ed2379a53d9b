//! Fetching a video: to a part file, checked, synced, and only then under its name.

mod note;
mod part;
mod reply;
mod transfer;
mod write;

use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use self::part::Part;
use self::transfer::Transfer;
use crate::error::Kind;
use crate::{Charged, Error, Result, TaskId, Video};

/// No clip of eight seconds comes near it; what does would fill the disk.
const LARGEST: u64 = 512 << 20;

/// A video that is being fetched; see [`Video::download`]. Does nothing until it is awaited.
///
/// Awaiting it is [`Download::fetch`] and then [`Fetched::keep`].
#[must_use = "does nothing until it is awaited"]
pub struct Download<'a> {
    video: &'a Video,
    target: PathBuf,
    overwrite: bool,
    progress: Option<Progress<'a>>,
}

type Progress<'a> = Box<dyn FnMut(u64, Option<u64>) + Send + 'a>;

/// A video that is there whole, checked and synced, and has not got its name yet; from [`Download::fetch`].
///
/// Dropped, it leaves the part file as it is, and the next download of the same video to the same path takes that over
/// without a request.
#[must_use = "has no name until it is kept"]
pub struct Fetched {
    part: Part,
    task_id: TaskId,
    target: PathBuf,
    overwrite: bool,
    size: u64,
    sha256: String,
}

/// A video that was fetched.
#[derive(Clone, Debug)]
pub struct Saved {
    path: PathBuf,
    size: u64,
    sha256: String,
}

/// The task of which an earlier download has left part of a video beside `target`, or all of it without its name. May
/// block.
///
/// Only a download of that very video takes it over; any other to the same target refuses to begin.
pub fn unfinished_download(target: impl AsRef<Path>) -> Option<TaskId> {
    part::unfinished(target.as_ref())
}

/// Moves what an earlier download of this task left beside one target to where a download to another target takes it
/// over; does nothing where there is none. May block.
///
/// # Errors
///
/// When it cannot be moved, such as to another file system. It is still there then.
pub fn move_unfinished_download(from: impl AsRef<Path>, to: impl AsRef<Path>, task_id: &TaskId) -> io::Result<()> {
    part::relocate(from.as_ref(), to.as_ref(), task_id)
}

impl Saved {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The SHA-256 of its bytes in lower-case hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }
}

impl Fetched {
    /// The name that it gets when it is kept.
    pub fn path(&self) -> &Path {
        &self.target
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The SHA-256 of its bytes in lower-case hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Gives it its name.
    ///
    /// # Errors
    ///
    /// [`Error::is_already_exists`] when the target has come into being meanwhile and is not to be overwritten, and
    /// [`Error::is_file`] when the name cannot be given. The video is kept as the part file then.
    pub async fn keep(self) -> Result<Saved> {
        let Self { part, task_id, target, overwrite, size, sha256 } = self;
        let path = target.clone();
        let kept = blocking(move || {
            check_target(&target, overwrite).map_err(|error| part.waiting(error))?;
            part.keep(&target, overwrite)
        });
        kept.await.map_err(|error| error.with_task(&task_id))?;
        Ok(Saved { path, size, sha256 })
    }
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Fetched");
        debug
            .field("path", &self.target)
            .field("size", &self.size)
            .field("sha256", &self.sha256)
            .finish_non_exhaustive()
    }
}

impl<'a> Download<'a> {
    pub(crate) fn new(video: &'a Video, target: PathBuf) -> Self {
        Self { video, target, overwrite: false, progress: None }
    }

    /// Replaces a file that is there already. Default: false.
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Calls back with the bytes that are there so far, those of an earlier download included, and, where it is
    /// announced, the whole length. The bytes become fewer where the download has to begin anew.
    pub fn on_progress(mut self, progress: impl FnMut(u64, Option<u64>) + Send + 'a) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Brings the video whole, checked and synced into the part file, and does not give it its name yet: for whoever
    /// has something to write down in between.
    ///
    /// # Errors
    ///
    /// As [`Video::download`].
    pub async fn fetch(self) -> Result<Fetched> {
        let task_id = &self.video.task_id;
        self.bring().await.map_err(|error| error.with_task(task_id))
    }

    async fn bring(self) -> Result<Fetched> {
        let Self { video, target, overwrite, progress } = self;
        let (path, task_id, index) = (target.clone(), video.task_id.clone(), video.index());
        let part = blocking(move || {
            check_target(&path, overwrite)?;
            Part::open(&path, task_id, index)
        });
        let (part, size, sha256) = Transfer::new(video, part.await?, progress).run().await?;
        Ok(Fetched { part, task_id: video.task_id.clone(), target, overwrite, size, sha256 })
    }
}

impl<'a> IntoFuture for Download<'a> {
    type Output = Result<Saved>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Saved>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { self.fetch().await?.keep().await })
    }
}

impl fmt::Debug for Download<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("video", self.video).field("target", &self.target).finish_non_exhaustive()
    }
}

/// What keeps its thread waiting goes where that harms nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(file("the work on the file was given up").with_source(error)))
}

fn check_target(target: &Path, overwrite: bool) -> Result<()> {
    if target.is_dir() {
        return Err(file(format!("{} is a directory; expected the name of a file", target.display())));
    }
    if !overwrite && target.symlink_metadata().is_ok() {
        part::tidy(target);
        return Err(exists(target));
    }
    Ok(())
}

fn download(text: impl Into<String>) -> Error {
    Error::new(Kind::Download, Charged::Yes, text)
}

fn file(text: impl Into<String>) -> Error {
    Error::new(Kind::File, Charged::Yes, text)
}

fn exists(target: &Path) -> Error {
    let text = format!("{} exists already and is not overwritten unless asked", target.display());
    Error::new(Kind::Exists, Charged::Yes, text)
}
