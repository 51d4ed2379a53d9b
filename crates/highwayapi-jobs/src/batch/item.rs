//! One clip of a batch before anything is written down of it: what the manifest says, with every default filled in.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwayapi::{FirstLastFrame, Frame, Options, Result};

/// A clip that a manifest asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedItem {
    /// Its name, of which there is one in a batch. The same manifest gives the same names.
    pub id: String,
    /// Its place in the manifest, from 1.
    pub number: u64,
    /// Where the clip goes: as the manifest says, relative to the manifest's folder.
    pub output: PathBuf,
    /// The first frame.
    pub image: FrameSource,
    /// The last frame.
    pub last_image: FrameSource,
    /// The prompt.
    pub prompt: String,
    /// What is set beyond that; what is `None` is the service's default.
    pub options: Options,
    /// Where the manifest asks for it.
    pub place: Place,
}

impl PlannedItem {
    /// The request, with the headers of both pictures read. May block.
    ///
    /// # Errors
    ///
    /// When a picture will not do, or the prompt is empty; each names its field.
    pub fn request(&self) -> Result<FirstLastFrame> {
        let image = self.image.open().map_err(|error| error.for_field("image"))?;
        let last_image = self.last_image.open().map_err(|error| error.for_field("last_image"))?;
        let request = FirstLastFrame::new(image, last_image, &self.prompt).with_options(self.options.clone());
        request.check()?;
        Ok(request)
    }

    /// How many videos it asks for.
    pub fn samples(&self) -> usize {
        self.options.sample_count.unwrap_or_default().value().into()
    }
}

/// Where a frame comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FrameSource {
    /// A file, by a path that is absolute or relative to the working directory.
    File(PathBuf),
    /// An `http` or `https` URL that the service fetches itself.
    Url(String),
}

impl FrameSource {
    /// As a manifest writes it: a URL, or a path relative to the manifest's folder.
    pub(crate) fn new(text: &str, base: &Path) -> Self {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("http" | "https") => Self::Url(text.to_owned()),
            _ => Self::File(base.join(text)),
        }
    }

    /// The path or the URL.
    pub fn text(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Url(url) => url.clone(),
        }
    }

    /// The frame. May block.
    ///
    /// # Errors
    ///
    /// As [`Frame::open`] and [`Frame::from_url`].
    pub fn open(&self) -> Result<Frame> {
        match self {
            Self::File(path) => Frame::open(path),
            Self::Url(url) => Frame::from_url(url),
        }
    }
}

/// Where in a manifest something stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The manifest.
    pub file: Arc<Path>,
    /// The line, from 1; 0 where it is the whole file.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file.display()),
            line => write!(f, "{}:{line}", self.file.display()),
        }
    }
}
