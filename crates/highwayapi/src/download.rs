//! Fetching a video: to a part file, checked, synced, and only then under its name.

use std::fmt;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::future::{Future, IntoFuture};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use reqwest::StatusCode;
use tokio::io::AsyncWriteExt;

use crate::error::Kind;
use crate::{Charged, Error, Result, Video, mp4};

/// No clip of eight seconds comes near it; what does would fill the disk.
const LARGEST: u64 = 4 << 30;

/// A video that is being fetched; see [`Video::download`]. Does nothing until it is awaited.
#[must_use = "does nothing until it is awaited"]
pub struct Download<'a> {
    video: &'a Video,
    target: PathBuf,
    overwrite: bool,
    progress: Option<Progress<'a>>,
}

type Progress<'a> = Box<dyn FnMut(u64, Option<u64>) + Send + 'a>;

/// A video that was fetched.
#[derive(Clone, Debug)]
pub struct Saved {
    path: PathBuf,
    size: u64,
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

    /// Calls back with the bytes fetched so far and, where it is announced, the whole length.
    pub fn on_progress(mut self, progress: impl FnMut(u64, Option<u64>) + Send + 'a) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    async fn run(mut self) -> Result<Saved> {
        let fetched = match self.check_target() {
            Ok(()) => self.fetch().await,
            Err(error) => Err(error),
        };
        fetched.map_err(|error| error.with_task(&self.video.task_id))
    }

    fn check_target(&self) -> Result<()> {
        let target = self.target.display();
        if self.target.is_dir() {
            return Err(file(format!("{target} is a directory; expected the name of a file")));
        }
        if !self.overwrite && self.target.symlink_metadata().is_ok() {
            return Err(exists(&self.target));
        }
        Ok(())
    }

    async fn fetch(&mut self) -> Result<Saved> {
        let part = Part::open(&self.target)?;
        let size = self.pour(&part).await?;
        let (target, overwrite) = (self.target.clone(), self.overwrite);
        let finished = tokio::task::spawn_blocking(move || part.finish(&target, overwrite)).await;
        finished.unwrap_or_else(|error| Err(file("the video could not be checked").with_source(error)))?;
        Ok(Saved { path: self.target.clone(), size })
    }

    async fn pour(&mut self, part: &Part) -> Result<u64> {
        let request = self.video.client.0.files.get(self.video.url());
        let mut response = request.send().await.map_err(broken)?;
        refuse(response.status())?;
        let length = response.content_length();
        let unwritable =
            |error: io::Error| file(format!("{} cannot be written", part.path.display())).with_source(error);
        let mut out = tokio::fs::File::from_std(part.file.try_clone().map_err(unwritable)?);
        let mut done = 0;
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            out.write_all(&chunk).await.map_err(unwritable)?;
            done += chunk.len() as u64;
            if done > LARGEST {
                return Err(download(format!(
                    "the video has more than {LARGEST} bytes, which none of this service has"
                )));
            }
            if let Some(progress) = &mut self.progress {
                progress(done, length);
            }
        }
        out.flush().await.map_err(unwritable)?;
        match length {
            Some(length) if length != done => {
                Err(download(format!("the video broke off: {done} of {length} bytes came")))
            }
            _ => Ok(done),
        }
    }
}

impl<'a> IntoFuture for Download<'a> {
    type Output = Result<Saved>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Saved>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Download<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("video", self.video).field("target", &self.target).finish_non_exhaustive()
    }
}

/// The file that a video goes to before it is whole. Removed when it does not become one.
struct Part {
    path: PathBuf,
    file: File,
    /// What the user wants of new files, kept for the finished video.
    permissions: Permissions,
    finished: bool,
}

impl Part {
    fn open(target: &Path) -> Result<Self> {
        let name = target.file_name().ok_or_else(|| file(format!("{} names no file", target.display())))?;
        let mut part_name = name.to_owned();
        part_name.push(".highway-part");
        let path = target.with_file_name(part_name);
        let unwritable =
            |error: io::Error| self::file(format!("{} cannot be written", path.display())).with_source(error);
        let busy = || self::file(format!("{} is being fetched by another program", target.display()));

        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(busy()),
            // Some file systems know no locks; without one all is as before there were any.
            Err(TryLockError::Error(_)) => {}
        }
        // Another program may have finished with it in between, and a link may lead anywhere.
        if !is_at(&file, &path).map_err(unwritable)? {
            return Err(busy());
        }
        let permissions = file.metadata().map_err(unwritable)?.permissions();
        make_private(&file).map_err(unwritable)?;
        file.set_len(0).map_err(unwritable)?;
        Ok(Self { path, file, permissions, finished: false })
    }

    fn finish(mut self, target: &Path, overwrite: bool) -> Result<()> {
        mp4::check(&self.file).map_err(|what| {
            let error = download(format!("what the file host sent {what}"));
            if what.is_another_format() {
                return error;
            }
            // It is paid for and whole as far as was announced: perhaps somebody can make use of it.
            self.finished = true;
            error.ending(&format!("It is kept as {}.", self.path.display()))
        })?;
        let failed = |error: io::Error| file(format!("{} cannot be completed", target.display())).with_source(error);
        self.file.set_permissions(self.permissions.clone()).map_err(failed)?;
        self.file.sync_all().map_err(failed)?;
        if overwrite {
            std::fs::rename(&self.path, target).map_err(failed)?;
        } else {
            rename_new(&self.path, target).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => exists(target),
                _ => failed(error),
            })?;
        }
        self.finished = true;
        sync_folder(target);
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.finished {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// What is not whole yet is for its user alone.
#[cfg(unix)]
fn make_private(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn make_private(_: &File) -> io::Result<()> {
    Ok(())
}

/// Whether the path still names this very file, and not through a link.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (open, named) = (file.metadata()?, path.symlink_metadata()?);
    Ok(open.dev() == named.dev() && open.ino() == named.ino())
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    Ok(path.symlink_metadata()?.is_file())
}

/// Renames without replacing what may have come into being meanwhile.
fn rename_new(part: &Path, target: &Path) -> io::Result<()> {
    match std::fs::hard_link(part, target) {
        Ok(()) => std::fs::remove_file(part),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // A file system without hard links.
        Err(_) if target.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => std::fs::rename(part, target),
    }
}

/// Makes the new name durable, where the system can.
fn sync_folder(target: &Path) {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

fn refuse(status: StatusCode) -> Result<()> {
    if status == StatusCode::OK {
        return Ok(());
    }
    let hint = match status.as_u16() {
        401 | 403 | 404 | 410 => ": the link may have expired, and polling the task again may bring a new one",
        _ => "",
    };
    Err(download(format!("the file host answered with {status}{hint}")).with_status(status.as_u16()))
}

fn broken(error: reqwest::Error) -> Error {
    let error = error.without_url();
    let text = if error.is_connect() {
        "the file host cannot be reached"
    } else if error.is_redirect() {
        "the file host redirects and never comes to an end"
    } else if error.is_timeout() {
        "the file host stopped sending"
    } else if error.is_builder() {
        "the service gave a link that is no URL"
    } else {
        "the video broke off"
    };
    download(text).with_source(error)
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
