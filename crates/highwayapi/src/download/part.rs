//! The file that a video goes to before it is whole.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::note::{Note, boot_id};
use super::reply::Announced;
use super::write::{Hashed, Writer};
use super::{exists, file};
use crate::mp4::{self, NotMp4};
use crate::{Error, Result, TaskId};

/// A download that was dropped a moment ago may still be writing its last bytes.
const PATIENCE: Duration = Duration::from_secs(1);

/// The part, locked against others. When it is dropped, it stays if another download can make use of it.
pub(super) struct Part {
    path: PathBuf,
    note_path: PathBuf,
    file: File,
    note: Note,
    /// As much of it as was hashed while it was written.
    hashed: Hashed,
    /// It has its name, or shall stay as it is.
    done: bool,
}

/// What is wrong with a part that seemed whole.
pub(super) enum Flaw {
    Io(io::Error),
    /// Its digest is not what was announced.
    Digest,
    NotMp4(NotMp4),
}

impl Part {
    /// Takes over what an earlier download of the same video has left, or begins anew.
    pub(super) fn open(target: &Path, task_id: TaskId, video: usize) -> Result<Self> {
        let (path, note_path) = beside(target).ok_or_else(|| file(format!("{} names no file", target.display())))?;
        let unwritable = |error| unwritable(&path, error);
        let busy = || match path.is_symlink() {
            true => file(format!("{} is a link, which is not followed; it has to go first", path.display())),
            false => file(format!("{} is being fetched by another program", target.display())),
        };
        let note = Note { task_id, video, announced: Announced::default(), mode: None, boot_id: boot_id() };

        match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => {
                if !holds(&file, &path).map_err(unwritable)? {
                    return Err(busy());
                }
                Self::begun(file, path.clone(), note_path, note).map_err(unwritable)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_symlink() => Err(busy()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let left = OpenOptions::new().read(true).write(true).open(&path).map_err(unwritable)?;
                if !holds(&left, &path).map_err(unwritable)? {
                    return Err(busy());
                }
                make_private(&left).map_err(unwritable)?;
                let length = left.metadata().map_err(unwritable)?.len();
                let known = Note::read(&note_path, &left)
                    .filter(|known| known.is_of(&note) && known.is_of_use(length, note.boot_id.as_deref()));
                match known {
                    Some(known) if !is_shared(&left).map_err(unwritable)? => {
                        let note = Note { boot_id: note.boot_id, ..known };
                        Ok(Self { path, note_path, file: left, note, hashed: Hashed::default(), done: false })
                    }
                    // Perhaps the only one of its kind, and paid for.
                    None if unfinished(target).is_some_and(|other| other != note.task_id) => {
                        let text =
                            format!("{} is what came of another task so far; it has to go first", path.display());
                        Err(file(text))
                    }
                    _ => {
                        // Not written over: it may have another name too, and its permissions say nothing of what the
                        // user wants of new files.
                        std::fs::remove_file(&path).map_err(unwritable)?;
                        let options = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
                        let new = options.map_err(|error| match error.kind() {
                            io::ErrorKind::AlreadyExists => busy(),
                            _ => unwritable(error),
                        })?;
                        if !holds(&new, &path).map_err(unwritable)? {
                            return Err(busy());
                        }
                        Self::begun(new, path.clone(), note_path, note).map_err(unwritable)
                    }
                }
            }
            Err(error) => Err(unwritable(error)),
        }
    }

    fn begun(file: File, path: PathBuf, note_path: PathBuf, note: Note) -> io::Result<Self> {
        let mode = mode(&file)?;
        let note = Note { mode, ..note };
        let part = Self { path, note_path, file, note, hashed: Hashed::default(), done: false };
        make_private(&part.file)?;
        remove(&part.note_path)?;
        Ok(part)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn announced(&self) -> &Announced {
        &self.note.announced
    }

    pub(super) fn length(&self) -> Result<u64> {
        self.file.metadata().map(|metadata| metadata.len()).map_err(|error| self.unwritable(error))
    }

    /// Whether it has all bytes that were announced.
    pub(super) fn is_whole(&self) -> Result<bool> {
        Ok(self.announced().length == Some(self.length()?))
    }

    /// Whether another download can go on from here.
    pub(super) fn is_of_use(&self) -> bool {
        self.length().is_ok_and(|length| self.note.is_of_use(length, self.note.boot_id.as_deref()))
    }

    /// Makes room for a video of which this was announced. The note is there before the first byte.
    pub(super) fn begin(&mut self, announced: Announced) -> Result<()> {
        self.empty()?;
        self.note.announced = announced;
        self.note.write(&self.note_path, false).map_err(|error| unwritable(&self.note_path, error))
    }

    /// Forgets all that came.
    pub(super) fn empty(&mut self) -> Result<()> {
        self.note.announced = Announced::default();
        self.hashed = Hashed::default();
        // In this order: what the old note says is never said of new bytes.
        remove(&self.note_path).and_then(|()| self.file.set_len(0)).map_err(|error| self.unwritable(error))
    }

    /// To write behind what is there.
    pub(super) fn writer(&mut self) -> Result<Writer> {
        let hashed = std::mem::take(&mut self.hashed);
        let writer = self.file.try_clone().and_then(|file| Writer::behind(file, hashed));
        writer.map_err(|error| self.unwritable(error))
    }

    /// What the writer has hashed need not be read again.
    pub(super) fn written(&mut self, hashed: Hashed) {
        self.hashed = hashed;
    }

    pub(super) fn unwritable(&self, error: io::Error) -> Error {
        unwritable(&self.path, error)
    }

    /// It could not be looked at or made durable: without room it waits, else nothing about it is sure.
    pub(super) fn unchecked(&mut self, error: io::Error) -> Error {
        let error = self.unwritable(error);
        if !error.is_disk_full() {
            let _ = self.empty();
        }
        error
    }

    /// Looks whether it is the video that was announced, and makes it durable. Gives its length and digest.
    pub(super) async fn check(&mut self) -> Result<(u64, String), Flaw> {
        let (file, mut note) = (self.file.try_clone()?, self.note.clone());
        let (path, note_path) = (self.path.clone(), self.note_path.clone());
        let hashed = std::mem::take(&mut self.hashed);
        let check = move || {
            let (length, sha256) = hashed.with_rest_of(&file)?;
            if note.announced.sha256.as_ref().is_some_and(|announced| *announced != sha256) {
                return Err(Flaw::Digest);
            }
            mp4::check(&file).map_err(Flaw::NotMp4)?;
            file.sync_all()?;
            note.announced.length = Some(length);
            note.announced.sha256 = Some(sha256.clone());
            note.write(&note_path, true)?;
            sync_folder(&path);
            Ok((note, length, sha256))
        };
        let checked = tokio::task::spawn_blocking(check).await;
        let (note, length, sha256) = checked.unwrap_or_else(|error| Err(Flaw::Io(io::Error::other(error))))?;
        self.note = note;
        Ok((length, sha256))
    }

    /// Leaves it to whoever can make use of it, where no download touches it. Where that is.
    pub(super) fn leave(&mut self) -> PathBuf {
        let kept = self.path.with_extension("highway-kept");
        self.note.announced = Announced::default();
        self.done = true;
        let _ = remove(&self.note_path);
        if std::fs::rename(&self.path, &kept).is_ok() { kept } else { self.path.clone() }
    }

    /// Says where it waits, whole, for a name.
    pub(super) fn waiting(&self, error: Error) -> Error {
        error.ending(&format!("The video is whole and kept as {}.", self.path.display()))
    }

    /// Gives it its name.
    pub(super) fn keep(mut self, target: &Path, overwrite: bool) -> Result<()> {
        let failed = |error: io::Error| file(format!("{} cannot be completed", target.display())).with_source(error);
        set_mode(&self.file, self.note.mode).map_err(failed)?;
        let named = if overwrite { std::fs::rename(&self.path, target) } else { rename_new(&self.path, target) };
        if let Err(error) = named {
            // It waits for another try.
            let _ = make_private(&self.file);
            return Err(self.waiting(match error.kind() {
                io::ErrorKind::AlreadyExists => exists(target),
                _ => failed(error),
            }));
        }
        // A rename between two names of one file leaves both.
        if is_at(&self.file, &self.path).is_ok_and(|there| there) {
            let _ = remove(&self.path);
        }
        self.done = true;
        let _ = remove(&self.note_path);
        sync_folder(target);
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.done && !self.is_of_use() {
            let _ = std::fs::remove_file(&self.note_path);
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl From<io::Error> for Flaw {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The part of a target, and the note about it.
fn beside(target: &Path) -> Option<(PathBuf, PathBuf)> {
    let name = target.file_name()?;
    let beside = |ending: &str| {
        let mut name = name.to_owned();
        name.push(ending);
        target.with_file_name(name)
    };
    Some((beside(".highway-part"), beside(".highway-part.json")))
}

fn unwritable(path: &Path, error: io::Error) -> Error {
    let why = match error.kind() {
        io::ErrorKind::StorageFull => ": the disk is full",
        io::ErrorKind::QuotaExceeded => ": the quota is used up",
        io::ErrorKind::FileTooLarge => ": files may not be that large",
        _ => "",
    };
    file(format!("{} cannot be written{why}", path.display())).with_source(error)
}

/// Locks it; false when it is another's, or no longer what stands there.
fn holds(file: &File, path: &Path) -> io::Result<bool> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(PATIENCE / 50),
            Err(TryLockError::WouldBlock) => return Ok(false),
            // Some file systems know no locks; without one all is as before there were any.
            Ok(()) | Err(TryLockError::Error(_)) => break,
        }
    }
    // Another program may have finished with it in between, and a link may lead anywhere.
    match is_at(file, path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        other => other,
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// What is not whole yet is for its user alone.
#[cfg(unix)]
fn make_private(file: &File) -> io::Result<()> {
    set_mode(file, Some(0o600))
}

#[cfg(not(unix))]
fn make_private(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn set_mode(file: &File, mode: Option<u32>) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    mode.map_or(Ok(()), |mode| file.set_permissions(std::fs::Permissions::from_mode(mode & 0o777)))
}

#[cfg(not(unix))]
fn set_mode(_: &File, _: Option<u32>) -> io::Result<()> {
    Ok(())
}

/// What the user wants of new files, seen on a new file.
#[cfg(unix)]
fn mode(file: &File) -> io::Result<Option<u32>> {
    use std::os::unix::fs::PermissionsExt;
    Ok(Some(file.metadata()?.permissions().mode() & 0o777))
}

#[cfg(not(unix))]
fn mode(_: &File) -> io::Result<Option<u32>> {
    Ok(None)
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

/// Whether it has another name, such as that of a finished video.
#[cfg(unix)]
fn is_shared(file: &File) -> io::Result<bool> {
    Ok(std::os::unix::fs::MetadataExt::nlink(&file.metadata()?) > 1)
}

#[cfg(not(unix))]
fn is_shared(_: &File) -> io::Result<bool> {
    Ok(false)
}

/// The task of which there is part of a video beside `target`, or all of it without its name.
pub(super) fn unfinished(target: &Path) -> Option<TaskId> {
    let (path, note_path) = beside(target)?;
    let part = File::open(&path).ok()?;
    let note = Note::read(&note_path, &part)?;
    note.is_of_use(part.metadata().ok()?.len(), boot_id().as_deref()).then_some(note.task_id)
}

/// Moves what came of this task's video so far to another target that has nothing yet.
pub(super) fn relocate(from: &Path, to: &Path, task_id: &TaskId) -> io::Result<()> {
    let (Some((path, note_path)), Some((new, new_note))) = (beside(from), beside(to)) else { return Ok(()) };
    if unfinished(from).as_ref() != Some(task_id) || new.symlink_metadata().is_ok() {
        return Ok(());
    }
    // In this order: a part without its note is of no use, a note without its part harms nobody.
    std::fs::rename(&note_path, new_note)?;
    std::fs::rename(path, new)
}

/// Removes what is left of a download that was ended while it gave its video this very name.
pub(super) fn tidy(target: &Path) {
    let Some((path, note_path)) = beside(target) else { return };
    let Ok(file) = File::open(target) else { return };
    match is_at(&file, &path) {
        // Two names of one file.
        Ok(true) if is_shared(&file).is_ok_and(|shared| shared) => drop((remove(&path), remove(&note_path))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => drop(remove(&note_path)),
        _ => {}
    }
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
