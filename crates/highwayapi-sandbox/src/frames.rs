//! Image strings: from the request's text to a picture's bytes.

use std::time::Duration;

use axum::http::StatusCode;
use base64::engine::{Engine, Simd, general_purpose::PAD};
use highwayapi_render::Picture;
use reqwest::Url;

use crate::error::{ApiError, Error};

const FETCH_TIME: Duration = Duration::from_secs(20);

/// Reads image strings as the user of the sandbox allowed.
pub(crate) struct Frames {
    /// None where nothing may be fetched: it reads all root certificates.
    http: Option<reqwest::Client>,
    allowed: Vec<Origin>,
    bare_base64: bool,
    max_bytes: usize,
}

/// A host, or a host and port, or a scheme, host and port that pictures may be fetched from.
struct Origin {
    scheme: Option<String>,
    host: String,
    port: Option<u16>,
}

impl Frames {
    pub(crate) fn new(allow_fetch: &[String], bare_base64: bool, max_bytes: usize) -> Result<Self, Error> {
        let allowed = allow_fetch.iter().map(|text| Origin::parse(text)).collect::<Result<Vec<_>, _>>()?;
        let http = || {
            let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
            let http = builder.timeout(FETCH_TIME).build();
            http.map_err(|e| Error::new("the client that fetches pictures cannot be made").caused_by(e))
        };
        let http = if allowed.is_empty() { None } else { Some(http()?) };
        Ok(Self { http, allowed, bare_base64, max_bytes })
    }

    /// Whether the string names a picture rather than holding it.
    pub(crate) fn is_url(text: &str) -> bool {
        starts(text, "http://") || starts(text, "https://")
    }

    /// The bytes that the string holds; not looked at yet.
    pub(crate) fn decode(&self, field: &str, text: &str) -> Result<Vec<u8>, ApiError> {
        let start = if starts(text, "data:") {
            let comma = text.find(',').unwrap_or(text.len());
            // Shown only if it is not one of these two, and then shortened.
            let kind = &text["data:".len()..comma];
            if comma == text.len() || !["image/png;base64", "image/jpeg;base64"].contains(&&*kind.to_lowercase()) {
                let kind: String = kind.chars().take(40).collect();
                return Err(not_an_image(
                    field,
                    format!(
                        "a data URI that starts with \"data:{kind}\" is not taken; \
                     it must start with \"data:image/png;base64,\" or \"data:image/jpeg;base64,\""
                    ),
                ));
            }
            comma + 1
        } else if self.bare_base64 {
            0
        } else {
            return Err(not_an_image(
                field,
                "neither a data URI (data:image/png;base64,…) nor an http(s) URL; \
                 bare Base64 is taken only where Builder::accept_bare_base64 says so",
            ));
        };
        let encoded = &text.as_bytes()[start..];
        // Four characters are at most three bytes, at least one.
        if encoded.len() / 4 * 3 > self.max_bytes + 2 {
            return Err(too_large(field, self.max_bytes));
        }
        let decoded = Simd::standard(PAD).decode(encoded);
        let decoded = decoded.map_err(|e| not_an_image(field, format!("the Base64 cannot be read: {e}")))?;
        if decoded.len() > self.max_bytes { Err(too_large(field, self.max_bytes)) } else { Ok(decoded) }
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

impl Origin {
    fn parse(text: &str) -> Result<Self, Error> {
        let bad =
            || Error::new(format!("{text:?} is not an address to fetch from: use host, host:port or http://host:port"));
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, text),
        };
        let url = Url::parse(&format!("{}://{rest}", scheme.as_deref().unwrap_or("http"))).map_err(|_| bad())?;
        let host = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")).ok_or_else(bad)?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || rest.contains('@') {
            return Err(bad());
        }
        // `http://host` means its port 80; a mere `host` means any port.
        let says_port = rest.rsplit(']').next().is_some_and(|end| end.contains(':'));
        let port = (says_port || scheme.is_some()).then(|| url.port_or_known_default()).flatten();
        Ok(Self { host: host.to_owned(), port, scheme })
    }

    fn covers(&self, url: &Url) -> bool {
        self.scheme.as_deref().is_none_or(|scheme| scheme == url.scheme())
            && url.host_str() == Some(&self.host)
            && (self.port.is_none() || self.port == url.port_or_known_default())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_address_covers_what_it_says_and_no_more() {
        let covers = |allowed: &str, url: &str| Origin::parse(allowed).unwrap().covers(&url.parse().unwrap());
        for (allowed, url) in [
            ("example.com", "http://example.com/a.png"),
            ("EXAMPLE.com", "https://example.com:8443/a.png?x"),
            ("example.com:80", "http://example.com/"),
            ("http://example.com", "http://example.com:80/"),
            ("[::1]:9", "http://[::1]:9/"),
            ("[::1]", "http://[::1]:9/"),
        ] {
            assert!(covers(allowed, url), "{allowed} {url}");
        }
        for (allowed, url) in [
            ("example.com", "http://example.com.evil.org/"),
            ("example.com", "http://sub.example.com/"),
            ("example.com", "http://example.com@evil.org/"),
            ("example.com:80", "http://example.com:81/"),
            ("http://example.com", "https://example.com/"),
            ("http://example.com", "http://example.com:81/"),
        ] {
            assert!(!covers(allowed, url), "{allowed} {url}");
        }
        for bad in ["", "http://", "ftp://example.com", "example.com/path", "a b", "user@example.com"] {
            assert!(Origin::parse(bad).is_err(), "{bad}");
        }
    }
}
