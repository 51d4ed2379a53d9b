//! What was asked for, without a picture in it: enough to tell whether it is the same again.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use highwayapi::{FirstLastFrame, Frame, Options, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// A request with every default written out. Pictures by their hash, never by their contents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Asked {
    /// The first frame.
    pub image: Picture,
    /// The last frame.
    pub last_image: Picture,
    /// The prompt.
    pub prompt: String,
    /// The options, each default written out.
    #[serde(flatten)]
    pub options: Options,
}

/// A frame, by what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Picture {
    /// A picture that was sent.
    #[non_exhaustive]
    Sent {
        /// SHA-256 of the file, in hexadecimal.
        sha256: String,
        /// Its size in bytes.
        size: u64,
        /// `JPEG` or `PNG`.
        kind: String,
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
    },
    /// A URL for the service to fetch, or a literal text.
    #[non_exhaustive]
    Named {
        /// The URL without user and query, where secrets stand.
        url: String,
        /// SHA-256 of the whole text, in hexadecimal.
        url_sha256: String,
    },
}

impl Asked {
    /// Reads both pictures once. May block.
    pub(crate) fn new(request: &FirstLastFrame) -> io::Result<Self> {
        Ok(Self {
            image: Picture::new(request.image())?,
            last_image: Picture::new(request.last_image())?,
            prompt: request.prompt().to_owned(),
            options: request.options().resolved(),
        })
    }

    /// How many videos were asked for.
    pub fn samples(&self) -> usize {
        self.options.sample_count.unwrap_or_default().value().into()
    }
}

impl Picture {
    /// SHA-256 of the picture or of the text that stands for it, in hexadecimal.
    pub fn sha256(&self) -> &str {
        match self {
            Self::Sent { sha256, .. } => sha256,
            Self::Named { url_sha256, .. } => url_sha256,
        }
    }

    pub(crate) fn new(frame: &Frame) -> io::Result<Self> {
        Ok(match (frame.reader(), frame.kind(), frame.dimensions()) {
            (Some(reader), Some(kind), Some((width, height))) => {
                let (sha256, size) = hash(reader?)?;
                Self::Sent { sha256, size, kind: kind.to_string(), width, height }
            }
            _ => {
                let text = frame.text().unwrap_or_default();
                Self::Named { url: frame.name().to_owned(), url_sha256: hex(&Sha256::digest(text)) }
            }
        })
    }
}

/// The same for the same request to the same service: pictures by content, options with their defaults.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    pub(crate) fn new(service: &str, asked: &Asked) -> Self {
        // An option at its default is left out: one that the API may get later must not make old requests new ones.
        let defaults = fields(&Options::default().resolved());
        let mut options = fields(&asked.options);
        options.retain(|name, value| defaults.get(name) != Some(value));
        let pictures = (asked.image.sha256(), asked.last_image.sha256());
        let text = serde_json::to_string(&(service, pictures, &asked.prompt, options)).unwrap_or_default();
        Self(hex(&Sha256::digest(text)))
    }

    /// That of a task of which nothing else is known.
    pub(crate) fn of_task(service: &str, task_id: &TaskId) -> Self {
        Self(hex(&Sha256::digest(format!("task {service} {task_id}"))))
    }

    /// In hexadecimal.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// In the order of their names, whatever order the JSON library prefers.
fn fields(options: &Options) -> BTreeMap<String, Value> {
    match serde_json::to_value(options) {
        Ok(Value::Object(fields)) => fields.into_iter().collect(),
        _ => BTreeMap::new(),
    }
}

/// Where the pictures came from, so that the user can have them sent again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Pictures {
    /// The file of the first frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<PathBuf>,
    /// The file of the last frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_image: Option<PathBuf>,
}

impl Pictures {
    pub(crate) fn new(request: &FirstLastFrame) -> io::Result<Self> {
        let path = |frame: &Frame| frame.path().map(std::path::absolute).transpose();
        Ok(Self { image: path(request.image())?, last_image: path(request.last_image())? })
    }

    /// The same request again, from the files it came from. May block.
    ///
    /// # Errors
    ///
    /// When a picture is gone or has changed: what is sent must be what was asked for.
    pub(crate) fn request(&self, asked: &Asked) -> Result<FirstLastFrame> {
        let image = frame(self.image.as_deref(), &asked.image).map_err(|why| lost("image", &why))?;
        let last_image =
            frame(self.last_image.as_deref(), &asked.last_image).map_err(|why| lost("last_image", &why))?;
        Ok(FirstLastFrame::new(image, last_image, &asked.prompt).with_options(asked.options.clone()))
    }
}

fn lost(field: &str, why: &str) -> Error {
    Error::input(format!("{field}: {why}, so the same request cannot be sent again; nothing was sent"))
}

fn frame(path: Option<&Path>, wanted: &Picture) -> Result<Frame, String> {
    let found = match (path, wanted) {
        (Some(path), _) => Frame::open(path),
        (None, Picture::Named { url, .. }) => Frame::from_url(url),
        (None, Picture::Sent { .. }) => return Err("the picture did not come from a file".to_owned()),
    };
    let frame = found.map_err(|error| error.to_string())?;
    match Picture::new(&frame) {
        Ok(picture) if picture == *wanted => Ok(frame),
        Ok(_) if path.is_none() => Err("the whole URL is not kept, as it may hold a secret".to_owned()),
        Ok(_) => Err(format!("{} has changed", frame.name())),
        Err(error) => Err(format!("{} cannot be read ({error})", frame.name())),
    }
}

/// SHA-256 in hexadecimal, and the length.
pub(crate) fn hash(mut reader: impl Read) -> io::Result<(String, u64)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            return Ok((hex(&hasher.finalize()), size));
        }
        hasher.update(&buffer[..read]);
        size += read as u64;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
