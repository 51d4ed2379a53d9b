//! What of a sandbox outlives it: a document, and a log of what happened since it was written.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::tasks::{MAX_FINISHED, Task};

/// The form of the document. One of another form is refused.
/// In a folder: the sandbox, and what one sandbox at a time holds.
const FILE: &str = "sandbox.jsonl";
const LOCK: &str = "lock";

const VERSION: u32 = 1;

/// Bytes of events after which the document is written anew.
const LONG: u64 = 64 << 20;

/// No time of a document lies beyond this: the year 2286.
const LATEST: u64 = 10_000_000_000_000;

/// All that a sandbox has to know of the one before it. Times are milliseconds since it began, but for that time itself.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    pub(crate) version: u32,
    pub(crate) seed: u64,
    /// Milliseconds since 1970.
    pub(crate) began: u64,
    pub(crate) now: u64,
    pub(crate) accepted: u64,
    pub(crate) ledger: Value,
    pub(crate) tasks: Vec<Task>,
    /// Base64 by SHA-256. In a folder the pictures are files.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) pictures: BTreeMap<String, String>,
}

/// What happened since the document was written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Event {
    /// A submit was accepted.
    Accepted(Box<Task>),
    /// A task whose clips decide when it ends has ended.
    Done { task_id: String, begins: Option<u64>, ends: u64, fails: Option<String> },
    /// The clock was moved by hand.
    Clock { now: u64 },
    /// The key of this name came with a result link.
    Leak { key: String, path: String, at: u64 },
}

/// What a sandbox before this one has left.
pub(crate) type Before = (Document, Vec<Event>);

impl Document {
    pub(crate) fn new(seed: u64, began: u64, now: u64) -> Self {
        let (ledger, tasks, pictures) = (Value::Null, Vec::new(), BTreeMap::new());
        Self { version: VERSION, seed, began, now, accepted: 0, ledger, tasks, pictures }
    }

    /// Reads and checks one; an error names the field.
    pub(crate) fn read(value: &Value) -> Result<Self, Error> {
        let version = value.get("version").and_then(Value::as_u64);
        if version != Some(VERSION.into()) {
            return Err(Error::new(format!(
                "version: it must be {VERSION}, the one that this sandbox reads and writes"
            )));
        }
        let document: Self = read(value)?;
        document.check()?;
        Ok(document)
    }

    fn check(&self) -> Result<(), Error> {
        let wrong = |what: String| Err(Error::new(what));
        for (name, time) in [("began", self.began), ("now", self.now)] {
            if time > LATEST {
                return wrong(format!("{name}: {time} is more than {LATEST}"));
            }
        }
        // As many may be open as their sandbox allowed; this one forgets none of them.
        if self.tasks.len() > 20 * MAX_FINISHED {
            return wrong(format!("tasks: {} came, and at most {} are taken", self.tasks.len(), 20 * MAX_FINISHED));
        }
        let (mut ids, mut numbers) = (HashSet::new(), HashSet::new());
        for (at, task) in self.tasks.iter().enumerate() {
            let wrong = |field: &str, what: &str| Err(Error::new(format!("tasks[{at}].{field}: {what}")));
            if task.size().is_none() {
                return wrong("width", "clips of this width and height cannot be made");
            }
            if !(1..=60).contains(&task.seconds) {
                return wrong("seconds", "it must be from 1 to 60");
            }
            if task.clips > task.samples || task.samples > 100 {
                return wrong("clips", "there cannot be so many");
            }
            if task.number > self.accepted || !numbers.insert(task.number) {
                return wrong("number", "it must be one of its own, from 1 to `accepted`");
            }
            if !ids.insert(&task.task_id) {
                return wrong("task_id", "another task has it, too");
            }
            let order = [Some(task.submitted), task.begins, task.ends];
            if !order.iter().flatten().is_sorted() || order.iter().flatten().any(|time| *time > 2 * LATEST) {
                return wrong("submitted", "it must come before `begins`, and that before `ends`");
            }
        }
        Ok(())
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Error> {
    serde_path_to_error::deserialize(value).map_err(|e| Error::new(format!("{}: {}", e.path(), e.inner())))
}

/// The folder of a sandbox, which no other one uses meanwhile: `sandbox.jsonl` holds the document in its first line and
/// an event in each further one, `pictures` the pictures by their SHA-256, `clips` what was rendered last.
///
/// What was appended is the system's: it survives the end of the process, however that comes, but not the loss of power.
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    length: u64,
    /// How long it was when the document was written.
    document: u64,
    lock: File,
    closed: bool,
}

impl Log {
    /// Opens a folder, or makes it. Gives what stands there, or None where nothing does.
    pub(crate) fn open(dir: &Path) -> Result<(Self, Option<Before>), Error> {
        let failed =
            |e: io::Error| Error::new(format!("state: the folder {} cannot be used", dir.display())).caused_by(e);
        if !is_free(dir).map_err(failed)? {
            return Err(Error::new(format!(
                "state: the folder {} holds something else than a sandbox: name one that is empty, or a new one",
                dir.display()
            )));
        }
        for folder in [dir.to_owned(), dir.join("pictures"), dir.join("clips")] {
            private_dir(&folder).map_err(failed)?;
        }
        let lock =
            open(&dir.join(LOCK), OpenOptions::new().write(true).create(true).truncate(false)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(Error::new(format!("state: another sandbox uses the folder {}", dir.display())));
            }
            Err(fs::TryLockError::Error(e)) => return Err(failed(e)),
        }
        let path = dir.join(FILE);
        let mut options = OpenOptions::new();
        let file = open(&path, options.read(true).append(true).create(true)).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let stands = if length == 0 { None } else { Some(replay(&file, &path)?) };
        Ok((Self { path, file, length, document: length, lock, closed: false }, stands))
    }

    /// Once this returns, the event outlives the process.
    pub(crate) fn append(&mut self, event: &Event) -> io::Result<()> {
        self.check_open()?;
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        if let Err(e) = self.file.write_all(&line) {
            // Half a line must not become the beginning of the next one.
            self.file.set_len(self.length)?;
            return Err(e);
        }
        self.length += line.len() as u64;
        Ok(())
    }

    pub(crate) fn is_long(&self) -> bool {
        self.length - self.document > LONG
    }

    /// Puts the document in the place of all that stands there; whoever dies meanwhile leaves the old or the new.
    pub(crate) fn rewrite(&mut self, document: &Document) -> io::Result<()> {
        self.check_open()?;
        let part = self.path.with_extension("part");
        let _ = fs::remove_file(&part);
        let file = open(&part, OpenOptions::new().append(true).create_new(true))?;
        let mut writer = io::BufWriter::new(&file);
        serde_json::to_writer(&mut writer, document)?;
        writer.write_all(b"\n")?;
        writer.flush()?;
        drop(writer);
        fs::rename(&part, &self.path)?;
        self.length = file.metadata()?.len();
        (self.file, self.document) = (file, self.length);
        Ok(())
    }

    /// Leaves the folder to the next sandbox, and takes nothing any more.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        let _ = self.lock.unlock();
    }

    fn check_open(&self) -> io::Result<()> {
        if self.closed { Err(io::Error::other("the sandbox is stopping")) } else { Ok(()) }
    }
}

fn replay(file: &File, path: &Path) -> Result<Before, Error> {
    let (mut document, mut events) = (None, Vec::new());
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let wrong = |e: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(format!("state: line {number} of {} cannot be read", path.display())).caused_by(e)
        };
        lines.read_until(b'\n', &mut line).map_err(|e| wrong(e.into()))?;
        // Nothing, or what a sandbox was writing when it was killed: nobody was told that it was kept.
        if line.pop() != Some(b'\n') {
            break;
        }
        let value: Value = serde_json::from_slice(&line).map_err(|e| wrong(e.into()))?;
        match document {
            None => document = Some(Document::read(&value).map_err(|e| wrong(e.into()))?),
            Some(_) => events.push(read(&value).map_err(|e| wrong(e.into()))?),
        }
    }
    match document {
        Some(document) => Ok((document, events)),
        None => Err(Error::new(format!("state: {} is not a sandbox's", path.display()))),
    }
}

/// Whether a sandbox may have the folder: what it removes there at its start must not be somebody's own. One that was killed
/// before it wrote anything leaves its lock and empty folders.
fn is_free(dir: &Path) -> io::Result<bool> {
    if dir.join(FILE).exists() {
        return Ok(true);
    }
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let is_empty = entry.file_type()?.is_dir() && fs::read_dir(entry.path())?.next().is_none();
        if !is_empty && entry.file_name() != LOCK {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Pictures, prompts and clips are their user's: nobody else may look in.
fn private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Document {
        Document { ledger: json!({}), ..Document::new(7, 1000, 0) }
    }

    fn clock(now: u64) -> Event {
        Event::Clock { now }
    }

    fn clocks(events: &[Event]) -> Vec<u64> {
        events.iter().filter_map(|event| if let Event::Clock { now } = event { Some(*now) } else { None }).collect()
    }

    #[test]
    fn half_a_line_is_what_nobody_was_told() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, stands) = Log::open(dir.path()).unwrap();
        assert!(stands.is_none());
        log.rewrite(&document()).unwrap();
        log.append(&clock(1)).unwrap();
        log.append(&clock(2)).unwrap();
        drop(log);
        let path = dir.path().join("sandbox.jsonl");
        let whole = fs::read(&path).unwrap();
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for end in first..=whole.len() {
            fs::write(&path, &whole[..end]).unwrap();
            let (_, stands) = Log::open(dir.path()).unwrap();
            let (document, events) = stands.unwrap();
            let lines = whole[first..end].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!((document.seed, clocks(&events)), (7, [1, 2][..lines].to_vec()), "{end} bytes");
        }
        for broken in [&whole[..first - 1], b"{}\n", b"\n", b"no sandbox's\n"] {
            fs::write(&path, broken).unwrap();
            let error = Log::open(dir.path()).err().unwrap().to_string();
            assert!(error.starts_with("state: "), "{error}");
        }
    }

    #[test]
    fn what_is_somebodys_own_stays() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("clips")).unwrap();
        fs::write(dir.path().join("lock"), "").unwrap();
        Log::open(dir.path()).unwrap();
        fs::remove_file(dir.path().join(FILE)).unwrap();
        fs::write(dir.path().join("clips/mine.mp4"), "").unwrap();
        let error = Log::open(dir.path()).err().unwrap().to_string();
        assert!(error.contains("holds something else than a sandbox"), "{error}");
    }

    #[test]
    fn a_folder_is_one_sandboxs_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = Log::open(dir.path()).unwrap();
        let error = Log::open(dir.path()).err().unwrap().to_string();
        assert!(error.starts_with("state: another sandbox uses the folder"), "{error}");
        drop(first);
        Log::open(dir.path()).unwrap();
    }

    #[test]
    fn a_new_document_takes_the_place_of_all_that_happened() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, _) = Log::open(dir.path()).unwrap();
        log.rewrite(&document()).unwrap();
        log.append(&clock(1)).unwrap();
        log.rewrite(&Document { now: 5, ..document() }).unwrap();
        log.append(&clock(6)).unwrap();
        drop(log);
        let (document, events) = Log::open(dir.path()).unwrap().1.unwrap();
        assert_eq!((document.now, clocks(&events)), (5, vec![6]));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let task = json!({
            "number": 1, "task_id": "a", "key": "k", "request": "", "prompt": "", "seed": 1,
            "image": "0".repeat(64), "last_image": "0".repeat(64), "width": 1280, "height": 720, "seconds": 8,
            "audio": false, "samples": 1, "clips": 1, "submitted": 5, "begins": null, "ends": null, "stuck": false,
            "fails": null,
        });
        let mut good = serde_json::to_value(document()).unwrap();
        good["accepted"] = json!(2);
        good["tasks"] = json!([task, task]);
        good["tasks"][1]["number"] = json!(2);
        good["tasks"][1]["task_id"] = json!("b");
        assert!(Document::read(&good).is_ok());
        let mut messages = Vec::new();
        for (at, value) in [
            ("/version", json!(2)),
            ("/now", json!("soon")),
            ("/now", json!(u64::MAX)),
            ("/tasks/1/width", json!(1)),
            ("/tasks/1/seconds", json!(1000)),
            ("/tasks/1/image", json!("../../etc/passwd")),
            ("/tasks/1/number", json!(1)),
            ("/tasks/1/task_id", json!("a")),
            ("/tasks/1/begins", json!(4)),
            ("/tasks/1/clips", json!(2)),
            ("/pictures", json!([])),
        ] {
            let mut broken = good.clone();
            match broken.pointer_mut(at) {
                Some(field) => *field = value,
                None => broken["pictures"] = value,
            }
            messages.push(Document::read(&broken).err().unwrap().to_string());
        }
        insta::assert_snapshot!(messages.join("\n"));
    }
}
