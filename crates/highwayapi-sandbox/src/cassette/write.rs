//! Writing a cassette, line by line, each whole on disk before anything else happens.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::cassette::format::{Head, Line, VERSION};
use crate::error::Error;

pub(crate) struct Writer {
    file: Mutex<File>,
    began: Instant,
    exchanges: AtomicU64,
}

impl Writer {
    /// A new file, which only its owner can read; never one that is there already.
    pub(crate) fn create(path: &Path, upstream: &str) -> Result<Self, Error> {
        let file = private(path).map_err(|e| {
            let why = match e.kind() {
                std::io::ErrorKind::AlreadyExists => "is there already, and nothing is recorded over it",
                _ => "cannot be written",
            };
            Error::new(format!("{} {why}", path.display())).caused_by(e)
        })?;
        let writer = Self { file: Mutex::new(file), began: Instant::now(), exchanges: AtomicU64::new(0) };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let head = Head { version: VERSION, began_unix_ms: now.as_millis() as u64, upstream: upstream.to_owned() };
        writer.write(&Line::Cassette(head))?;
        Ok(writer)
    }

    /// The number of a new exchange.
    pub(crate) fn number(&self) -> u64 {
        self.exchanges.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Milliseconds since the cassette began.
    pub(crate) fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// Returns once the line is on disk.
    pub(crate) fn write(&self, line: &Line) -> Result<(), Error> {
        let failed = |e: Box<dyn std::error::Error + Send + Sync>| {
            Error::new("the cassette cannot be written any more").caused_by(e)
        };
        let mut text = serde_json::to_vec(line).map_err(|e| failed(e.into()))?;
        text.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&text).and_then(|()| file.sync_data()).map_err(|e| failed(e.into()))
    }
}

/// Creates a file that only its owner can read.
pub(crate) fn private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
