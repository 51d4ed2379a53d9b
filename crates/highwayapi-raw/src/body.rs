//! The body of a submit, streamed: JSON, Base64 of a picture, JSON, Base64 of the other, JSON.
//!
//! The generated client serialises a request in which each picture's field holds only what stands before the Base64
//! (`data:image/png;base64,`, or nothing). The rest is read, encoded and sent chunk by chunk, so that memory stays flat
//! whatever the pictures' size, and the exact length is known before the first byte leaves.

use std::fmt;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use base64::engine::{Engine, Simd, general_purpose::PAD};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

/// Bytes of a picture that are read and encoded at once: a multiple of three, so that no chunk but the last is padded.
const CHUNK: usize = 48 * 1024;

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
            parts.push(Part::Picture(source));
            from = cut;
        }
        parts.push(Part::Json(Bytes::copy_from_slice(&json[from..])));
        let left = parts.iter().map(Part::len).sum();
        parts.reverse();
        Ok(StreamedBody { parts, reading: None, left, sent: Arc::clone(&self.sent) })
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
    Picture(Arc<dyn Source>),
}

impl Part {
    fn len(&self) -> u64 {
        match self {
            Self::Json(json) => json.len() as u64,
            Self::Picture(source) => source.size().div_ceil(3) * 4,
        }
    }
}

/// The body of a submit, of exactly known length.
pub struct StreamedBody {
    /// What is still to be sent, the next part last.
    parts: Vec<Part>,
    /// The picture that is being sent.
    reading: Option<JoinHandle<io::Result<(Picture, Bytes)>>>,
    left: u64,
    sent: Arc<AtomicU64>,
}

impl Body for StreamedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let data = loop {
            if let Some(reading) = &mut self.reading {
                let read = ready!(Pin::new(reading).poll(context));
                self.reading = None;
                let (picture, data) = match read.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
                    Ok(read) => read,
                    Err(error) => return Poll::Ready(Some(Err(error))),
                };
                if picture.left > 0 {
                    self.reading = Some(picture.read());
                }
                break data;
            }
            match self.parts.pop() {
                None => return Poll::Ready(None),
                Some(Part::Json(json)) => break json,
                Some(Part::Picture(source)) if source.size() == 0 => {}
                Some(Part::Picture(source)) => self.reading = Some(Picture::new(source).read()),
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

/// A picture on its way. Reading may block, so each chunk is read and encoded on a thread for that.
struct Picture {
    source: Arc<dyn Source>,
    reader: Option<Box<dyn Read + Send>>,
    left: u64,
    raw: Vec<u8>,
}

impl Picture {
    fn new(source: Arc<dyn Source>) -> Self {
        let left = source.size();
        Self { source, reader: None, left, raw: Vec::new() }
    }

    fn read(self) -> JoinHandle<io::Result<(Self, Bytes)>> {
        tokio::task::spawn_blocking(|| self.read_blocking())
    }

    fn read_blocking(mut self) -> io::Result<(Self, Bytes)> {
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.source.open()?,
        };
        let expected = self.left.min(CHUNK as u64);
        self.raw.clear();
        let got = reader.by_ref().take(expected).read_to_end(&mut self.raw)? as u64;
        self.left -= got;
        let too_long = self.left == 0 && reader.read(&mut [0])? > 0;
        if got < expected || too_long {
            let size = self.source.size();
            let found = if too_long { "more".to_owned() } else { (size - self.left).to_string() };
            let text = format!("the picture changed while it was sent: {size} bytes expected, {found} found");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        self.reader = Some(reader);

        let mut encoded = vec![0; self.raw.len().div_ceil(3) * 4];
        Simd::standard(PAD).encode_slice(&self.raw, &mut encoded).map_err(io::Error::other)?;
        if self.left == 0 {
            self.raw = Vec::new();
        }
        Ok((self, Bytes::from(encoded)))
    }
}
