//! The body of a submit, streamed: JSON, Base64 of a picture, JSON, Base64 of the other, JSON.
//!
//! The generated client serialises a request in which each picture's field holds only what stands before the Base64
//! (`data:image/png;base64,`, or nothing). The rest is read, encoded and sent chunk by chunk, so that memory stays flat
//! whatever the pictures' size, and the exact length is known before the first byte leaves.

use std::fmt;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use base64::engine::{Engine, Simd, general_purpose::PAD};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Bytes of a picture that make one chunk: few enough that many uploads fit in memory, enough that going to another
/// thread for them is cheap. Like `PIECE` a multiple of three, so that nothing but a picture's end is padded.
const CHUNK: usize = 144 * 1024;

/// Bytes that are read and encoded at once: the processor's nearest cache holds them.
const PIECE: usize = 24 * 1024;

/// A picture of known length that can be read more than once.
pub trait Source: Send + Sync {
    /// Length in bytes.
    fn size(&self) -> u64;

    /// A reader from the first byte on. Called, like the reader itself, where blocking is allowed.
    ///
    /// # Errors
    ///
    /// When the picture is no longer to be had.
    fn open(&self) -> io::Result<Box<dyn Read + Send>>;
}

/// The pictures of one submit, and how many bytes of its body have been handed to the network.
#[derive(Clone, Default)]
pub struct Upload {
    pictures: Vec<(&'static str, Arc<dyn Source>)>,
    sent: Arc<AtomicU64>,
}

impl Upload {
    /// Nothing to pour yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Pours the Base64 of `source` behind what the request holds in `field`.
    pub fn picture(mut self, field: &'static str, source: Arc<dyn Source>) -> Self {
        self.pictures.push((field, source));
        self
    }

    /// Bytes of the body that were handed to the network so far. While it is 0 the service cannot have accepted
    /// anything.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// The body that sends `json` with every picture in its place.
    ///
    /// # Errors
    ///
    /// When `json` lacks the field of a picture.
    pub fn body(&self, json: &[u8]) -> io::Result<StreamedBody> {
        let mut cuts = Vec::with_capacity(self.pictures.len());
        for (field, source) in &self.pictures {
            let cut = end_of_value(json, field).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidInput, format!("the request has no text field `{field}`"))
            })?;
            cuts.push((cut, Arc::clone(source)));
        }
        cuts.sort_by_key(|(cut, _)| *cut);

        let mut parts = Vec::with_capacity(2 * cuts.len() + 1);
        let mut from = 0;
        for (cut, source) in cuts {
            parts.push(Part::Json(Bytes::copy_from_slice(&json[from..cut])));
            parts.push(Part::Picture(Picture::new(source)));
            from = cut;
        }
        parts.push(Part::Json(Bytes::copy_from_slice(&json[from..])));
        let left = parts.iter().map(Part::len).sum();
        parts.reverse();
        let (give_back, buffer) = mpsc::channel(1);
        let _ = give_back.try_send(Vec::new());
        Ok(StreamedBody { parts, reading: None, buffer, give_back, left, sent: Arc::clone(&self.sent) })
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pictures = self.pictures.iter().map(|(field, source)| (field, source.size()));
        f.debug_map().entries(pictures).finish()
    }
}

/// Where the text value of `field` ends. `"field":"` can stand at the field itself only: within a text JSON escapes
/// every quotation mark. A value that needs escapes is none of ours.
fn end_of_value(json: &[u8], field: &str) -> Option<usize> {
    let key = format!("\"{field}\":\"");
    let start = json.windows(key.len()).position(|window| window == key.as_bytes())? + key.len();
    Some(start + json[start..].iter().position(|&byte| byte == b'"')?)
}

enum Part {
    Json(Bytes),
    Picture(Picture),
}

impl Part {
    fn len(&self) -> u64 {
        match self {
            Self::Json(json) => json.len() as u64,
            Self::Picture(picture) => picture.left.div_ceil(3) * 4,
        }
    }
}

/// The body of a submit, of exactly known length.
///
/// All chunks of pictures are of one buffer, and each comes only once the one before it was dropped: there is one chunk in
/// memory, however many whoever sends the body would queue.
pub struct StreamedBody {
    /// What is still to be sent, the next part last.
    parts: Vec<Part>,
    /// The picture of which a chunk is being read.
    reading: Option<Reading>,
    /// Comes back from each chunk that was in it.
    buffer: mpsc::Receiver<Vec<u8>>,
    give_back: mpsc::Sender<Vec<u8>>,
    left: u64,
    sent: Arc<AtomicU64>,
}

/// Brings the picture back, and its next chunk.
type Reading = JoinHandle<io::Result<(Picture, Vec<u8>)>>;

impl Body for StreamedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let data = loop {
            if let Some(reading) = &mut self.reading {
                let read = ready!(Pin::new(reading).poll(context));
                self.reading = None;
                let (picture, bytes) = match read.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
                    Ok(read) => read,
                    Err(error) => return Poll::Ready(Some(Err(error))),
                };
                if picture.left > 0 {
                    self.parts.push(Part::Picture(picture));
                }
                break Bytes::from_owner(Chunk { bytes, give_back: self.give_back.clone() });
            }
            match self.parts.pop() {
                None => return Poll::Ready(None),
                Some(Part::Json(json)) => break json,
                Some(Part::Picture(picture)) if picture.left == 0 => {}
                Some(Part::Picture(picture)) => match self.buffer.poll_recv(context) {
                    Poll::Ready(buffer) => self.reading = Some(picture.read(buffer.unwrap_or_default())),
                    Poll::Pending => {
                        self.parts.push(Part::Picture(picture));
                        return Poll::Pending;
                    }
                },
            }
        };
        self.left = self.left.saturating_sub(data.len() as u64);
        self.sent.fetch_add(data.len() as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty() && self.reading.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Part of a picture, encoded. Its buffer goes back when it is dropped.
struct Chunk {
    bytes: Vec<u8>,
    give_back: mpsc::Sender<Vec<u8>>,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let _ = self.give_back.try_send(std::mem::take(&mut self.bytes));
    }
}

/// A picture on its way. Reading may block, so each chunk is read and encoded on a thread for that.
struct Picture {
    source: Arc<dyn Source>,
    /// A lock only because what has a body in it must be `Sync`: nobody shares it.
    reader: Mutex<Option<Box<dyn Read + Send>>>,
    left: u64,
    raw: Vec<u8>,
}

impl Picture {
    fn new(source: Arc<dyn Source>) -> Self {
        let left = source.size();
        Self { source, reader: Mutex::new(None), left, raw: Vec::new() }
    }

    /// Its next chunk, in `buffer`.
    fn read(mut self, mut buffer: Vec<u8>) -> Reading {
        tokio::task::spawn_blocking(move || {
            let size = self.left.min(CHUNK as u64).div_ceil(3) as usize * 4;
            buffer.reserve_exact(size.saturating_sub(buffer.len()));
            buffer.resize(size, 0);
            let mut filled = 0;
            while self.left > 0 && filled < buffer.len() {
                filled += self.read_piece(&mut buffer[filled..])?;
            }
            buffer.truncate(filled);
            Ok((self, buffer))
        })
    }

    /// To the start of `buffer`. How much there is of it then.
    fn read_piece(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let reader = match self.reader.get_mut().unwrap_or_else(PoisonError::into_inner) {
            Some(reader) => reader,
            unopened => unopened.insert(self.source.open()?),
        };
        let expected = self.left.min(PIECE as u64);
        self.raw.clear();
        self.raw.reserve_exact(PIECE);
        let got = reader.by_ref().take(expected).read_to_end(&mut self.raw)? as u64;
        self.left -= got;
        let too_long = self.left == 0 && reader.read(&mut [0])? > 0;
        if got < expected || too_long {
            let size = self.source.size();
            let found = if too_long { "more".to_owned() } else { (size - self.left).to_string() };
            let text = format!("the picture changed while it was sent: {size} bytes expected, {found} found");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }

        Simd::standard(PAD).encode_slice(&self.raw, buffer).map_err(io::Error::other)
    }
}
