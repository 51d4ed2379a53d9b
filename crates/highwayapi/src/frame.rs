//! A frame of a request: a picture of known kind, size and dimensions, or the text that stands for one.

pub(crate) mod header;

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::engine::{Engine, Simd, general_purpose::PAD};
use bytes::Bytes;
use highwayapi_raw::body::Source;

use crate::redact::{clean, plain_url};
use crate::{AspectRatio, Error, Result};

pub use header::PictureKind;
use header::{Header, HeaderError};

/// What the service takes. The page says "20 MB" and not which; this is the larger reading, so that nothing acceptable
/// is refused here.
const MAX_BYTES: u64 = 20 * 1024 * 1024;
/// Above the smaller reading a picture is sent with a warning.
const SURE_BYTES: u64 = 20_000_000;
const ALLOWED: &str = "a JPEG or PNG of up to 20 MB";

/// A first or last frame.
///
/// The kind is told by the first bytes, never by a name; size and dimensions come from the header. A picture is never
/// decoded and never held in memory whole, unless it was given as bytes or as a data URI. It is sent as a data URI,
/// which this service is known to take (seen in public, not on the given page); see [`Frame::bare_base64`] and
/// [`Frame::literal`] for other ways.
///
/// A frame is cheap to clone.
#[derive(Clone)]
pub struct Frame {
    name: String,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Picture { header: Header, source: Arc<dyn Source>, path: Option<PathBuf>, bare: bool },
    Url(String),
    Literal(String),
}

/// How a frame goes into the request.
pub(crate) enum Sent<'a> {
    Text(&'a str),
    Picture { before: &'static str, source: &'a Arc<dyn Source> },
}

impl Frame {
    /// A picture in a file. It is opened again, and must be unchanged, when the request is sent.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is a directory, empty, over 20 MB, neither JPEG nor PNG, or ends within its header.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let metadata = path.metadata().map_err(|error| unreadable(&name, error))?;
        if metadata.is_dir() {
            return Err(Error::input(format!("{name} is a directory; expected {ALLOWED}")));
        }
        if !metadata.is_file() {
            let text = format!("{name} is no regular file, and a pipe cannot be read twice; expected {ALLOWED}");
            return Err(Error::input(text));
        }
        let mut frame = Self::picture(name, FileSource { path: path.to_owned(), size: metadata.len() })?;
        if let Content::Picture { path: opened, .. } = &mut frame.content {
            *opened = Some(path.to_owned());
        }
        Ok(frame)
    }

    /// A picture in memory.
    ///
    /// # Errors
    ///
    /// As [`Frame::open`].
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self> {
        Self::picture("the picture".to_owned(), BytesSource(bytes.into()))
    }

    /// A picture of `size` bytes from wherever `open` reads it. `open` is called now, for the header, and again
    /// whenever the request is sent, on a thread where it may block.
    ///
    /// # Errors
    ///
    /// As [`Frame::open`].
    pub fn from_reader<R: Read + Send + 'static>(
        size: u64,
        open: impl Fn() -> io::Result<R> + Send + Sync + 'static,
    ) -> Result<Self> {
        let open = move || open().map(|reader| Box::new(reader) as Box<dyn Read + Send>);
        Self::picture("the picture".to_owned(), ReaderSource { size, open })
    }

    /// A picture that the service fetches itself.
    ///
    /// # Errors
    ///
    /// When it is not an `http` or `https` URL with a host.
    pub fn from_url(url: &str) -> Result<Self> {
        let expected = "expected an http or https URL with a host";
        // It may be a whole picture, taken for a URL by mistake.
        let shown = || clean(url, "");
        let parsed = reqwest::Url::parse(url)
            .map_err(|error| Error::input(format!("`{}` is no URL ({error}); {expected}", shown())))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(Error::input(format!("`{}` has the scheme `{}`; {expected}", shown(), parsed.scheme())));
        }
        // Parsers take `http:///first.png` for a host called `first.png`.
        let authority = url.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
        if authority.is_empty() || authority.starts_with('/') {
            return Err(Error::input(format!("`{}` has no host; {expected}", shown())));
        }
        Ok(Self { name: plain_url(url), content: Content::Url(url.to_owned()) })
    }

    /// A picture as `data:image/png;base64,…` or `data:image/jpeg;base64,…`. It is decoded, so that it can be checked.
    ///
    /// # Errors
    ///
    /// When it is not such a URI, and as [`Frame::open`].
    pub fn from_data_uri(uri: &str) -> Result<Self> {
        let expected = "expected data:image/png;base64,… or data:image/jpeg;base64,…";
        let (media_type, base64) =
            uri.split_once(',').ok_or_else(|| Error::input(format!("the data URI has no comma; {expected}")))?;
        let media_type = media_type.to_ascii_lowercase();
        if !matches!(media_type.as_str(), "data:image/png;base64" | "data:image/jpeg;base64") {
            let media_type: String = clean(&media_type, "").chars().take(60).collect();
            return Err(Error::input(format!("the data URI begins with `{media_type}`; {expected}")));
        }
        let bytes = Simd::standard(PAD).decode(base64).map_err(|error| {
            let error = error.to_string();
            Error::input(format!("the data URI is not Base64 ({}); {expected}", error.trim_end_matches('.')))
        })?;
        Self::picture("the data URI".to_owned(), BytesSource(bytes.into()))
    }

    /// Any text, sent exactly as it is and not checked: for what the service takes and this crate does not know.
    pub fn literal(text: impl Into<String>) -> Self {
        Self { name: "a literal text".to_owned(), content: Content::Literal(text.into()) }
    }

    /// Sends bare Base64 instead of a data URI. The page allows "Base64" without saying which; on this host other
    /// models were seen to refuse it.
    pub fn bare_base64(mut self) -> Self {
        if let Content::Picture { bare, .. } = &mut self.content {
            *bare = true;
        }
        self
    }

    /// What to call it: the path, the URL without user and query, or what else it came from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that it was opened from.
    pub fn path(&self) -> Option<&Path> {
        match &self.content {
            Content::Picture { path, .. } => path.as_deref(),
            _ => None,
        }
    }

    /// Kind of the picture; unknown for a URL and a literal.
    pub fn kind(&self) -> Option<PictureKind> {
        self.header().map(|header| header.kind)
    }

    /// Width and height in pixels as the header states them; a turn noted in EXIF is not applied. Unknown for a URL and
    /// a literal.
    pub fn dimensions(&self) -> Option<(u32, u32)> {
        self.header().map(|header| (header.width, header.height))
    }

    /// Size in bytes; unknown for a URL and a literal.
    pub fn size(&self) -> Option<u64> {
        match &self.content {
            Content::Picture { source, .. } => Some(source.size()),
            _ => None,
        }
    }

    /// The URL or the literal, where that is what is sent.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Picture { .. } => None,
            Content::Url(text) | Content::Literal(text) => Some(text),
        }
    }

    /// Reads the picture again from its beginning; `None` for a URL and a literal. May block.
    ///
    /// # Errors
    ///
    /// When it is no longer to be had.
    pub fn reader(&self) -> Option<io::Result<Box<dyn Read + Send>>> {
        match &self.content {
            Content::Picture { source, .. } => Some(source.open()),
            _ => None,
        }
    }

    fn picture(name: String, source: impl Source + 'static) -> Result<Self> {
        let size = source.size();
        if size == 0 {
            return Err(Error::input(format!("{name} is empty; expected {ALLOWED}")));
        }
        if size > MAX_BYTES {
            return Err(Error::input(format!("{name} has {size} bytes; expected {ALLOWED} ({MAX_BYTES} bytes)")));
        }
        let reader = source.open().map_err(|error| unreadable(&name, error))?;
        let header = Header::read(BufReader::new(reader.take(size))).map_err(|error| match error {
            HeaderError::Io(error) => unreadable(&name, error),
            HeaderError::Unknown => Error::input(format!("{name} is neither a JPEG nor a PNG; expected {ALLOWED}")),
            HeaderError::Broken(kind, what) => {
                Error::input(format!("{name} begins like a {kind} but {what}; expected {ALLOWED}"))
            }
        })?;
        Ok(Self { name, content: Content::Picture { header, source: Arc::new(source), path: None, bare: false } })
    }

    /// Whether the picture can still be had; may block. Found out before the first byte is sent, it costs nothing.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.content {
            Content::Picture { source, .. } => source.open().map(drop).map_err(|error| unreadable(&self.name, error)),
            _ => Ok(()),
        }
    }

    fn header(&self) -> Option<&Header> {
        match &self.content {
            Content::Picture { header, .. } => Some(header),
            _ => None,
        }
    }

    pub(crate) fn sent(&self) -> Sent<'_> {
        match &self.content {
            Content::Picture { header, source, bare, .. } => {
                let before = match (bare, header.kind) {
                    (true, _) => "",
                    (false, PictureKind::Png) => "data:image/png;base64,",
                    (false, PictureKind::Jpeg) => "data:image/jpeg;base64,",
                };
                Sent::Picture { before, source }
            }
            Content::Url(text) | Content::Literal(text) => Sent::Text(text),
        }
    }

    pub(crate) fn warnings(&self, field: &str, ratio: AspectRatio) -> Vec<String> {
        let Content::Picture { header, source, .. } = &self.content else { return Vec::new() };
        let (width, height) = (header.width, header.height);
        let (across, down) = match ratio {
            AspectRatio::Landscape => (16, 9),
            AspectRatio::Portrait => (9, 16),
        };
        let mut warnings = Vec::new();
        if source.size() > SURE_BYTES {
            warnings.push(format!(
                "{field}: {} has {} bytes; the service may read its limit of 20 MB as {SURE_BYTES} bytes",
                self.name,
                source.size()
            ));
        }
        let (wide, high) = (u64::from(width) * down, u64::from(height) * across);
        // A few rows or columns off, as encoders round them, is nothing to speak of.
        if wide.abs_diff(high) * 50 > wide.max(high) {
            warnings.push(format!(
                "{field}: {} is {width}×{height}, not {ratio}; the service may pad or crop it",
                self.name
            ));
        }
        warnings
    }
}

fn unreadable(name: &str, error: io::Error) -> Error {
    Error::input(format!("{name} cannot be read; expected {ALLOWED}")).with_source(error)
}

/// Says what it is, never what it holds.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Frame");
        debug.field("from", &self.name);
        if let Content::Picture { header, source, .. } = &self.content {
            debug.field("kind", &header.kind).field("size", &source.size());
            debug.field("dimensions", &(header.width, header.height));
        }
        debug.finish()
    }
}

struct FileSource {
    path: PathBuf,
    size: u64,
}

impl Source for FileSource {
    fn size(&self) -> u64 {
        self.size
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        let file = File::open(&self.path)?;
        if file.metadata()?.len() != self.size {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it has changed since it was first opened"));
        }
        Ok(Box::new(file))
    }
}

struct BytesSource(Bytes);

impl Source for BytesSource {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(self.0.clone())))
    }
}

struct ReaderSource<F> {
    size: u64,
    open: F,
}

impl<F: Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync> Source for ReaderSource<F> {
    fn size(&self) -> u64 {
        self.size
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        (self.open)()
    }
}
