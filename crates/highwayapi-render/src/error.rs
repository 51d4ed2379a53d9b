//! The one error of this crate.

use std::error::Error as StdError;
use std::fmt;

/// Why no clip came out. The message is a sentence; the cause, if a library below reported one, is
/// the [`source`](StdError::source).
pub struct Error {
    kind: Kind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    BadPicture,
    TooManyPixels,
    BadSpec,
    Encoder,
}

impl Error {
    /// The bytes are no readable JPEG or PNG: another format, truncated, or damaged.
    pub fn is_bad_picture(&self) -> bool {
        self.kind == Kind::BadPicture
    }

    /// The picture's header promises more pixels than are decoded here.
    pub fn is_too_many_pixels(&self) -> bool {
        self.kind == Kind::TooManyPixels
    }

    /// The wanted clip is outside what can be rendered: its size or its length.
    pub fn is_bad_spec(&self) -> bool {
        self.kind == Kind::BadSpec
    }

    /// An encoder failed on valid input: nothing the caller could have done better.
    pub fn is_encoder(&self) -> bool {
        self.kind == Kind::Encoder
    }

    pub(crate) fn bad_picture(message: impl Into<String>) -> Self {
        Self::of(Kind::BadPicture, message)
    }

    pub(crate) fn too_many_pixels(message: impl Into<String>) -> Self {
        Self::of(Kind::TooManyPixels, message)
    }

    pub(crate) fn bad_spec(message: impl Into<String>) -> Self {
        Self::of(Kind::BadSpec, message)
    }

    pub(crate) fn encoder(message: impl Into<String>) -> Self {
        Self::of(Kind::Encoder, message)
    }

    pub(crate) fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    fn of(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.kind).field("message", &self.message);
        if let Some(source) = &self.source {
            // A library's own Debug may drag a whole backtrace along; its sentence is enough.
            out.field("source", &format_args!("{source}"));
        }
        out.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
