//! Writing down what comes, hashed on the way.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use super::reply::hex;

/// Bytes that wait to be written before no more are taken from the network.
const ROOM: usize = 128 << 10;

/// Writes behind what is there, on a thread where that may block: one batch at a time, of all that has come since the one
/// before it was begun. So what comes slowly is written at once, and what comes fast in few batches.
pub(super) struct Writer {
    end: Option<End>,
    writing: Option<Writing>,
    /// Copied: what came is in a buffer of the HTTP library, which uses that again only if nobody has it.
    waiting: Vec<u8>,
    /// Bytes that are waiting or being written.
    held: usize,
}

/// Brings back the end, and the buffer of the batch.
type Writing = JoinHandle<io::Result<(End, Vec<u8>)>>;

/// The end of what is there.
struct End {
    file: File,
    at: u64,
    hashed: Hashed,
}

/// A digest of the first so many bytes.
#[derive(Default)]
pub(super) struct Hashed {
    length: u64,
    digest: Sha256,
}

impl Writer {
    /// `hashed` is of what is there already, or of the beginning of it.
    pub(super) fn behind(mut file: File, hashed: Hashed) -> io::Result<Self> {
        let at = file.seek(SeekFrom::End(0))?;
        Ok(Self { end: Some(End { file, at, hashed }), writing: None, waiting: Vec::new(), held: 0 })
    }

    /// Whether more should be taken from the network by now.
    pub(super) fn has_room(&self) -> bool {
        self.held < ROOM
    }

    /// Has it written as soon as can be.
    pub(super) fn write(&mut self, chunk: &[u8]) {
        self.held += chunk.len();
        self.waiting.reserve_exact(chunk.len());
        self.waiting.extend_from_slice(chunk);
        self.begin();
    }

    /// Returns when a batch is written, and never where there is none. How many bytes are there then.
    pub(super) async fn written(&mut self) -> io::Result<u64> {
        let Some(writing) = &mut self.writing else { return std::future::pending().await };
        let written = writing.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        self.writing = None;
        let (end, buffer) = written?;
        let at = end.at;
        self.end = Some(end);
        if self.waiting.is_empty() {
            self.waiting = buffer;
        }
        self.held = self.waiting.len();
        self.begin();
        Ok(at)
    }

    pub(super) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// What was hashed of what is written.
    pub(super) fn hashed(self) -> Hashed {
        self.end.map(|end| end.hashed).unwrap_or_default()
    }

    fn begin(&mut self) {
        if !self.waiting.is_empty()
            && let Some(mut end) = self.end.take()
        {
            let mut batch = std::mem::take(&mut self.waiting);
            self.writing = Some(tokio::task::spawn_blocking(move || {
                end.write(&batch)?;
                batch.clear();
                Ok((end, batch))
            }));
        }
    }
}

impl End {
    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        self.file.write_all(batch)?;
        if self.hashed.length == self.at {
            self.hashed.add(batch);
        }
        self.at += batch.len() as u64;
        Ok(())
    }
}

impl Hashed {
    fn add(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// Length and digest of the whole file, of which only what is not hashed yet is read.
    pub(super) fn with_rest_of(mut self, mut file: &File) -> io::Result<(u64, String)> {
        file.seek(SeekFrom::Start(self.length))?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok((self.length, hex(&self.digest.finalize()))),
                read => self.add(&buffer[..read]),
            }
        }
    }
}
