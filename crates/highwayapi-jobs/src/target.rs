//! Where clips go, and whether they can: found out before anything is paid for.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use highwayapi::TaskId;

use crate::error::{Error, Result};
use crate::sidecar::Sidecar;

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

/// Whether `count` clips and their sidecars can be made there; those of the task itself may be there already. May block.
pub(crate) fn check(output: &Path, count: usize, overwrite: bool, task_id: Option<&TaskId>) -> Result<()> {
    let folder = output.parent().unwrap_or(Path::new("/"));
    if !folder.is_dir() {
        return Err(mistake(format!("there is no folder {}", folder.display())));
    }
    for index in 0..count {
        let clip = clip_path(output, index, count);
        let sidecar = Sidecar::path(&clip);
        if clip.file_name().is_none() || clip.is_dir() {
            return Err(mistake(format!("{} is a folder; expected a file name", clip.display())));
        }
        if sidecar == clip {
            return Err(mistake("a video cannot be named .json; what made it is written there".to_owned()));
        }
        if task_id.is_some() && Sidecar::of(&clip).ok().map(|known| known.task_id).as_ref() == task_id {
            continue;
        }
        let existing = [clip, sidecar].into_iter().find(|path| path.symlink_metadata().is_ok());
        if let (Some(path), false) = (existing, overwrite) {
            return Err(mistake(format!(
                "{} exists already, and is not replaced unless asked; choose another name or overwrite it",
                path.display()
            )));
        }
    }
    probe(&clip_path(output, 0, count)).map_err(|error| {
        mistake(format!("no file can be made in {}; choose another folder", folder.display())).with_source(error)
    })
}

fn mistake(text: String) -> Error {
    Error::input(format!("output: {text}"))
}

/// Makes a file and removes it: permissions alone do not tell whether that works.
fn probe(clip: &Path) -> io::Result<()> {
    // Whoever is killed in between leaves what the job itself will replace and give a name.
    let part = Sidecar::part(clip);
    let path = match File::create_new(&part) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
            let path = clip.with_file_name(format!(".highway-probe-{}-{now}", std::process::id()));
            File::create_new(&path)?;
            path
        }
        made => made.map(|_| part)?,
    };
    fs::remove_file(path)
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
        File::create(Sidecar::part(&clip)).expect("a file");
        check(&clip, 1, false, None).expect("room");
        assert_eq!(names(), ["clip.json.highway-part"]);
    }
}
