//! Image strings: from the request's text to a picture's bytes.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use base64::engine::{Engine, Simd, general_purpose::PAD};
use highwayapi_render::{Picture, PictureKind, inspect};
use reqwest::Url;

use crate::addresses::{Addresses, Origin};
use crate::error::{ApiError, Error};

const FETCH_TIME: Duration = Duration::from_secs(20);

/// Reads image strings as the user of the sandbox allowed.
pub(crate) struct Frames {
    /// None where nothing may be fetched: it reads all root certificates.
    http: Option<reqwest::Client>,
    allowed: Arc<[Origin]>,
    lenient: bool,
    max_bytes: usize,
}

impl Frames {
    pub(crate) fn new(allow_fetch: &[String], lenient: bool, max_bytes: usize) -> Result<Self, Error> {
        let allowed = allow_fetch.iter().map(|text| Origin::parse(text)).collect::<Result<Arc<[_]>, _>>()?;
        let http = || {
            let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
            let http = builder.timeout(FETCH_TIME).dns_resolver(Addresses(Arc::clone(&allowed))).build();
            http.map_err(|e| Error::new("the client that fetches pictures cannot be made").caused_by(e))
        };
        let http = if allowed.is_empty() { None } else { Some(http()?) };
        Ok(Self { http, allowed, lenient, max_bytes })
    }

    /// Whether the string names a picture rather than holding it.
    pub(crate) fn is_url(text: &str) -> bool {
        starts(text, "http://") || starts(text, "https://")
    }

    /// The bytes that the string holds; not looked at yet, but for whether they are of the kind that the string says.
    pub(crate) fn decode(&self, field: &str, text: &str) -> Result<Vec<u8>, ApiError> {
        let (kind, start) = self.announced(field, text)?;
        let encoded = &text.as_bytes()[start..];
        // Four characters are at most three bytes, at least one.
        if encoded.len() / 4 * 3 > self.max_bytes + 2 {
            return Err(too_large(field, self.max_bytes));
        }
        let decoded = Simd::standard(PAD).decode(encoded);
        let decoded = decoded.map_err(|e| not_an_image(field, format!("the Base64 cannot be read: {e}")))?;
        if decoded.len() > self.max_bytes {
            return Err(too_large(field, self.max_bytes));
        }
        match (kind, inspect(&decoded)) {
            (Some(said), Ok((found, ..))) if said != found => {
                let name = |kind| if kind == PictureKind::Png { "PNG" } else { "JPEG" };
                let (said, found) = (name(said), name(found));
                Err(not_an_image(field, format!("the data URI says {said}, and the picture is a {found}")))
            }
            _ => Ok(decoded),
        }
    }

    /// Which kind of picture the string says that it holds, and where the Base64 begins.
    fn announced(&self, field: &str, text: &str) -> Result<(Option<PictureKind>, usize), ApiError> {
        if !starts(text, "data:") {
            let what = "neither a data URI (data:image/png;base64,…) nor an http(s) URL; \
                        bare Base64 is taken only where the sandbox is lenient";
            return if self.lenient { Ok((None, 0)) } else { Err(not_an_image(field, what)) };
        }
        let comma = text.find(',').unwrap_or(text.len());
        let head = text["data:".len()..comma].to_lowercase();
        let kind = match (&head[..], comma < text.len()) {
            ("image/png;base64", true) => Some(PictureKind::Png),
            ("image/jpeg;base64", true) => Some(PictureKind::Jpeg),
            (_, true) if self.lenient && head.ends_with(";base64") => None,
            _ => {
                // Never the whole of it: it may be the picture.
                let head: String = text["data:".len()..comma].chars().take(40).collect();
                let what = format!(
                    "a data URI that starts with \"data:{head}\" is not taken; \
                     it must start with \"data:image/png;base64,\" or \"data:image/jpeg;base64,\""
                );
                return Err(not_an_image(field, what));
            }
        };
        Ok((kind.filter(|_| !self.lenient), comma + 1))
    }

    /// The bytes that the string names; not looked at yet.
    pub(crate) async fn fetch(&self, field: &str, text: &str) -> Result<Vec<u8>, ApiError> {
        let refuse = |what: String| ApiError::invalid(format!("{field}: {what}"));
        let url = Url::parse(text).map_err(|e| refuse(format!("the URL cannot be read: {e}")))?;
        // Never the whole URL in a message: its query may be a signature.
        let origin = url.origin().ascii_serialization();
        let allowed = self.allowed.iter().any(|allowed| allowed.covers(&url));
        let Some(http) = self.http.as_ref().filter(|_| allowed) else {
            return Err(refuse(format!(
                "{origin} is not fetched: this sandbox fetches pictures only from the addresses it was allowed; \
                 start it with --allow-fetch {origin} (in Rust: Builder::allow_fetch), or send a data URI"
            )));
        };
        let failed = |e: reqwest::Error| {
            let why = if e.is_timeout() { "it took too long".to_owned() } else { root_cause(&e) };
            refuse(format!("nothing came from {origin}: {why}"))
        };
        let mut answer = http.get(url).send().await.map_err(failed)?;
        match answer.status() {
            StatusCode::OK => {}
            status if status.is_redirection() => {
                return Err(refuse(format!("{origin} answered {status}: redirects are not followed")));
            }
            status => return Err(refuse(format!("{origin} answered {status}"))),
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > self.max_bytes {
                return Err(too_large(field, self.max_bytes));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

fn starts(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Decodes the picture to know that it can be, and forgets the pixels.
pub(crate) fn check(field: &str, bytes: &[u8]) -> Result<(), ApiError> {
    match Picture::decode(bytes) {
        Ok(_) => Ok(()),
        Err(e) if e.is_too_many_pixels() => {
            Err(ApiError::bad_request("IMAGE_EXCEEDS_MAX_RESOLUTION", format!("{field}: {e}")))
        }
        Err(e) => Err(not_an_image(field, e.to_string())),
    }
}

/// Work that keeps a core busy, away from the threads that answer.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::internal("the sandbox is stopping"))
}

fn not_an_image(field: &str, what: impl std::fmt::Display) -> ApiError {
    ApiError::bad_request("INVALID_IMAGE_FORMAT", format!("{field}: {what}"))
}

fn too_large(field: &str, max_bytes: usize) -> ApiError {
    let what = format!("{field}: the picture has more than {max_bytes} bytes, the most that is allowed");
    ApiError::bad_request("IMAGE_FILE_EXCEEDS_MAX_SIZE", what)
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}
