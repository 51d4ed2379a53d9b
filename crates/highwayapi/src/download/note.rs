//! The small file beside a part: what the part is a part of.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::reply::Announced;
use crate::TaskId;

/// More than any note has.
const LARGEST: u64 = 64 << 10;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) task_id: TaskId,
    /// The video's place among those of its task.
    pub(super) video: usize,
    #[serde(flatten)]
    pub(super) announced: Announced,
    /// What the user wants of new files, kept for the finished video.
    pub(super) mode: Option<u32>,
    /// Which run of the machine wrote the part. Pages that had not reached the disk when a machine went down may read as
    /// zeros afterwards, at a length that looks right; so a part is continued only within one run.
    pub(super) boot_id: Option<String>,
}

impl Note {
    /// Whether `other`, made for what is to be fetched now, speaks of the same video.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        self.task_id == other.task_id && self.video == other.video
    }

    /// Whether a part of `length` bytes with this note is of use to another download, on a machine in this run.
    pub(super) fn is_of_use(&self, length: u64, boot_id: Option<&str>) -> bool {
        match self.announced.length {
            // The digest tells all, whoever wrote it and when.
            Some(whole) if whole == length && self.announced.sha256.is_some() => length > 0,
            Some(whole) => {
                let same_run = boot_id.is_some() && boot_id == self.boot_id.as_deref();
                (1..=whole).contains(&length) && self.announced.can_be_continued() && same_run
            }
            None => false,
        }
    }

    /// The note there, if it is one and belongs to whom the part belongs to.
    pub(super) fn read(path: &Path, part: &File) -> Option<Self> {
        let named = path.symlink_metadata().ok()?;
        if !named.is_file() || !same_owner(&named, &part.metadata().ok()?) {
            return None;
        }
        let mut bytes = Vec::new();
        File::open(path).ok()?.take(LARGEST).read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Puts it there whole or not at all.
    pub(super) fn write(&self, path: &Path, durable: bool) -> io::Result<()> {
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let new = Path::new(&new);
        // A killed program may have left one. Whoever holds the part is the only one to write it.
        let _ = std::fs::remove_file(new);
        let written = private(OpenOptions::new().write(true).create_new(true)).open(new).and_then(|mut file| {
            file.write_all(&serde_json::to_vec(self)?)?;
            if durable { file.sync_all() } else { Ok(()) }
        });
        written.and_then(|()| std::fs::rename(new, path)).inspect_err(|_| drop(std::fs::remove_file(new)))
    }
}

/// Names this run of the machine, where the system has a name for it.
pub(super) fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

#[cfg(unix)]
fn same_owner(one: &std::fs::Metadata, other: &std::fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(one) == std::os::unix::fs::MetadataExt::uid(other)
}

#[cfg(not(unix))]
fn same_owner(_: &std::fs::Metadata, _: &std::fs::Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> Note {
        let announced = Announced { length: Some(100), validator: Some("\"e\"".to_owned()), sha256: None };
        let boot_id = Some("run".to_owned());
        Note { task_id: "t".parse().expect("an id"), video: 1, announced, mode: Some(0o644), boot_id }
    }

    #[test]
    fn a_part_is_of_use_only_in_the_run_that_wrote_it() {
        let now = Some("run");
        assert!(note().is_of_use(1, now) && note().is_of_use(100, now));
        assert!(!note().is_of_use(0, now) && !note().is_of_use(101, now));
        assert!(!note().is_of_use(50, Some("another")) && !note().is_of_use(50, None));
        let unknown = Note { boot_id: None, ..note() };
        assert!(!unknown.is_of_use(50, now) && !unknown.is_of_use(50, None));
    }

    #[test]
    fn a_part_without_length_or_validator_is_of_no_use() {
        for announced in
            [Announced { length: None, ..note().announced }, Announced { validator: None, ..note().announced }]
        {
            let note = Note { announced, ..note() };
            assert!(!note.is_of_use(50, Some("run")) && !note.is_of_use(100, Some("run")), "{note:?}");
        }
    }

    #[test]
    fn what_is_whole_and_has_a_digest_is_of_use_for_ever() {
        let announced = Announced { length: Some(100), validator: None, sha256: Some("ab".to_owned()) };
        let note = Note { announced, boot_id: None, ..note() };
        assert!(note.is_of_use(100, None) && note.is_of_use(100, Some("another")) && !note.is_of_use(99, Some("run")));
    }

    #[test]
    fn what_is_written_is_read_and_nonsense_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("note");
        let part = File::create(folder.path().join("part")).expect("a part");
        assert_eq!(Note::read(&path, &part), None);
        for durable in [false, true] {
            note().write(&path, durable).expect("a note");
            assert_eq!(Note::read(&path, &part), Some(note()));
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2);
        for nonsense in ["", "{}", "[]", "{\"task_id\":\"t\"}", "\0\0\0\0"] {
            std::fs::write(&path, nonsense).expect("a file");
            assert_eq!(Note::read(&path, &part), None, "{nonsense:?}");
        }
        std::fs::remove_file(&path).expect("a file");
        std::fs::create_dir(&path).expect("a folder");
        assert_eq!(Note::read(&path, &part), None);
    }

    #[cfg(unix)]
    #[test]
    fn it_is_private_and_no_link_is_followed() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().expect("a folder");
        let [path, theirs] = ["note", "theirs"].map(|name| folder.path().join(name));
        note().write(&theirs, false).expect("a note");
        assert_eq!(theirs.metadata().expect("a note").permissions().mode() & 0o777, 0o600);
        symlink(&theirs, &path).expect("a link");
        let part = File::open(&theirs).expect("a file");
        assert_eq!(Note::read(&path, &part), None);
        let other = Note { video: 2, ..note() };
        other.write(&path, false).expect("a note");
        assert_eq!((Note::read(&path, &part), Note::read(&theirs, &part)), (Some(other), Some(note())));
    }
}
