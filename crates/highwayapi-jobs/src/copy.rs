//! Copying a clip, so that nothing half-written ever has its name.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Copies a file to a new name. `before_naming` is called when all of it is on disk.
pub(crate) fn copy(
    from: &Path,
    to: &Path,
    overwrite: bool,
    before_naming: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    if !overwrite && to.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let mut part = to.as_os_str().to_owned();
    part.push(".highway-part");
    let part = PathBuf::from(part);
    let mut file = File::create(&part)?;
    let copied = io::copy(&mut File::open(from)?, &mut file)
        .and_then(|_| file.sync_all())
        .and_then(|()| before_naming())
        .and_then(|()| if overwrite { fs::rename(&part, to) } else { name_new(&part, to) });
    let _ = fs::remove_file(&part);
    copied
}

/// Names it without replacing what may have come into being meanwhile.
fn name_new(part: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(part, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // A file system without hard links.
        Err(_) if to.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(part, to),
        done => done,
    }
}
