//! Which process works on a job, and whether it still lives.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// This process, as others see it: a file that it keeps locked. The system lets go of the lock with the process.
pub(super) struct Process {
    name: String,
    holds: AtomicU64,
    folder: Option<PathBuf>,
    /// Only to keep the lock.
    _file: Option<File>,
}

impl Process {
    pub(super) fn begin(folder: PathBuf) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder)?;
        sweep(&folder);
        loop {
            let name = format!("{:016x}", fastrand::u64(..));
            let path = folder.join(&name);
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let file = match options.open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                file => file?,
            };
            file.lock()?;
            // Before the lock it looked like that of a dead process, and another one may have swept it away.
            if is_at(&file, &path) {
                return Ok(Self { name, holds: AtomicU64::new(0), folder: Some(folder), _file: Some(file) });
            }
        }
    }

    /// For a record that no other process sees.
    pub(super) fn alone() -> Self {
        Self { name: "alone".to_owned(), holds: AtomicU64::new(0), folder: None, _file: None }
    }

    /// A new one for each hold.
    pub(super) fn token(&self) -> String {
        format!("{}/{}", self.name, self.holds.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn is_own(&self, token: &str) -> bool {
        name(token) == self.name
    }

    /// Whether the process that made this token lives. Where that cannot be found out, it does: better a job that waits
    /// than one that two work on.
    pub(super) fn is_alive(&self, token: &str) -> bool {
        let Some(folder) = &self.folder else { return false };
        match File::open(folder.join(name(token))) {
            Ok(file) => file.try_lock_shared().is_err(),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = fs::remove_file(folder.join(&self.name));
        }
    }
}

fn name(token: &str) -> &str {
    token.split('/').next().unwrap_or_default()
}

/// Removes what dead processes left.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(file) = File::open(entry.path()) else { continue };
        // Shared: whoever asks at this moment whether that process lives must not take this one for it.
        if file.try_lock_shared().is_ok() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), path.metadata()) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.is_file()
}
