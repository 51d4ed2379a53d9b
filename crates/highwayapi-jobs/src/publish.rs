//! Giving a file its name when all of it is on disk: nothing half-written ever has it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Fills a new file beside `to` and gives it that name. Only with `replace` may there be a file already.
pub(crate) fn publish(to: &Path, replace: bool, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut new = to.as_os_str().to_owned();
    new.push(".highway-new");
    let new = PathBuf::from(new);
    // What a killed process left, or a link that somebody planted: in no case is it written to.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::create_new(&new)?;
    let published = fill(&mut file).and_then(|()| file.sync_all()).and_then(|()| match replace {
        true => fs::rename(&new, to),
        false => name_new(&new, to),
    });
    if published.is_err() {
        let _ = fs::remove_file(&new);
    }
    sync_folder(to);
    published
}

/// Names it without replacing what may have come into being meanwhile.
fn name_new(new: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(new, to) {
        Ok(()) => fs::remove_file(new),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // A file system without hard links.
        Err(_) if to.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(new, to),
    }
}

/// Makes the new name durable, where the system can.
fn sync_folder(file: &Path) {
    if let Some(Ok(folder)) = file.parent().map(File::open) {
        let _ = folder.sync_all();
    }
}
