//! Where clips go, and whether they can: found out before anything is paid for.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf, is_separator};
use std::time::UNIX_EPOCH;

use highwayapi::TaskId;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::sidecar::Sidecar;

/// How names end that have a meaning here.
const OWN: [&str; 4] = [".highway-part", ".highway-part.json", ".highway-new", ".highway-kept"];

/// A file that was there when its user allowed to replace it. What has taken its place since then is not meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Replaceable {
    /// Where it is.
    pub file: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last changed, in nanoseconds since 1970.
    pub modified: u64,
}

impl Replaceable {
    fn new(file: &Path) -> Option<Self> {
        let metadata = file.symlink_metadata().ok()?;
        let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let modified = u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX);
        Some(Self { file: file.to_owned(), size: metadata.len(), modified })
    }

    /// Whether it is still the file that was meant.
    pub(crate) fn is_still(&self, file: &Path) -> bool {
        self.file == file && Self::new(file).as_ref() == Some(self)
    }
}

/// `clip.mp4`, or `clip-2.mp4` for the second of several.
pub fn clip_path(output: &Path, index: usize, count: usize) -> PathBuf {
    if count <= 1 {
        return output.to_owned();
    }
    let mut name = output.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{}", index + 1));
    if let Some(extension) = output.extension() {
        name.push(".");
        name.push(extension);
    }
    output.with_file_name(name)
}

/// The working directory may be another one next time.
pub(crate) fn absolute(path: PathBuf) -> Result<PathBuf> {
    std::path::absolute(&path).map_err(|error| mistake(format!("{} is no path", path.display())).with_source(error))
}

/// Whether `count` clips and their sidecars can be made there, and which files they would replace; those of the task
/// itself may be there already. May block.
pub(crate) fn check(
    output: &Path,
    count: usize,
    overwrite: bool,
    task_id: Option<&TaskId>,
) -> Result<Vec<Replaceable>> {
    let folder = output.parent().unwrap_or(Path::new("/"));
    if output.to_string_lossy().ends_with(is_separator) || output.file_name().is_none() {
        return Err(mistake(format!("{} is a folder; expected a file name", output.display())));
    }
    if !folder.is_dir() {
        return Err(mistake(format!("there is no folder {}", folder.display())));
    }
    let mut replaced = Vec::new();
    for index in 0..count {
        let clip = clip_path(output, index, count);
        let sidecar = Sidecar::path(&clip);
        if clip.is_dir() {
            return Err(mistake(format!("{} is a folder; expected a file name", clip.display())));
        }
        if OWN.iter().any(|ending| clip.to_string_lossy().ends_with(ending)) {
            return Err(mistake(format!("{} ends like a file that is not whole yet", clip.display())));
        }
        if clip.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            return Err(mistake(format!("{} is no regular file, and no video can take its place", clip.display())));
        }
        if sidecar == clip {
            return Err(mistake("a video cannot be named .json; what made it is written there".to_owned()));
        }
        probe(&clip).map_err(|error| {
            mistake(format!("no file can be made at {}; choose another name", clip.display())).with_source(error)
        })?;
        let part = highwayapi::unfinished_download(&clip).filter(|other| Some(other) != task_id);
        if let Some(other) = part {
            return Err(mistake(format!(
                "beside {} is what came of task {other} so far; finish that one first, or choose another name",
                clip.display()
            )));
        }
        let known = Sidecar::of(&clip).ok();
        if task_id.is_some() && known.as_ref().map(|known| &known.task_id) == task_id {
            replaced.extend(Replaceable::new(&clip).filter(|_| overwrite));
            continue;
        }
        if known.is_none() && sidecar.symlink_metadata().is_ok() {
            return Err(mistake(format!(
                "{} is no clip's sidecar, and is not replaced; choose another name",
                sidecar.display()
            )));
        }
        for file in [clip, sidecar] {
            match Replaceable::new(&file) {
                Some(_) if !overwrite => {
                    return Err(mistake(format!(
                        "{} exists already, and is not replaced unless asked; choose another name or overwrite it",
                        file.display()
                    )));
                }
                there => replaced.extend(there),
            }
        }
    }
    Ok(replaced)
}

fn mistake(text: String) -> Error {
    Error::input(format!("output: {text}"))
}

/// Makes a file and removes it: neither permissions nor limits of names tell for certain whether that works.
fn probe(clip: &Path) -> io::Result<()> {
    // The longest of the names that a download makes beside its target, and one that it replaces: whoever is killed here
    // leaves nothing for good.
    let mut path = clip.as_os_str().to_owned();
    path.push(".highway-part.json.new");
    match File::create_new(&path) {
        // Somebody is at it, or was: it can be made.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.and_then(|_| fs::remove_file(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stays_but_what_was_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let clip = folder.path().join("clip.mp4");
        let names = || {
            let entries = fs::read_dir(folder.path()).expect("a folder").flatten();
            entries.map(|entry| entry.file_name()).collect::<Vec<_>>()
        };
        check(&clip, 1, false, None).expect("room");
        assert_eq!(names(), [""; 0]);
        // As left by somebody who was killed while looking, or while writing.
        File::create(folder.path().join("clip.mp4.highway-part.json.new")).expect("a file");
        check(&clip, 1, false, None).expect("room");
        assert_eq!(names(), ["clip.mp4.highway-part.json.new"]);
    }
}
