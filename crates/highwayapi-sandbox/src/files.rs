//! Result links: signed, expiring, served with ranges.

use std::io::SeekFrom;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::engine::{Engine, general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use crate::api::Shared;
use crate::clip::Clip;
use crate::error::{ApiError, Error};

/// Makes and checks links.
pub(crate) struct Links {
    base_url: String,
    ttl: Duration,
    mac: Hmac<Sha256>,
}

impl Links {
    pub(crate) fn new(base_url: String, ttl: Duration) -> Result<Self, Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|e| Error::new("no random key for the links").caused_by(e))?;
        let mac = Hmac::new_from_slice(&key).map_err(|e| Error::new("no key for the links").caused_by(e))?;
        Ok(Self { base_url, ttl, mac })
    }

    pub(crate) fn ttl(&self) -> u64 {
        self.ttl.as_secs()
    }

    pub(crate) fn to(&self, clip: &str) -> String {
        let expires = seconds_now().saturating_add(self.ttl());
        let signature = URL_SAFE_NO_PAD.encode(self.mac(clip, expires).finalize().into_bytes());
        format!("{}/files/{clip}.mp4?expires={expires}&signature={signature}", self.base_url)
    }

    /// The clip that a link names, if it is one of ours and still valid.
    fn check(&self, name: &str, query: &str) -> Result<String, ApiError> {
        let forbidden = |reason, message: &str| ApiError::new(StatusCode::FORBIDDEN, reason, message);
        let invalid = || forbidden("INVALID_LINK", "the link is not as it was given: its signature does not fit");
        let mut values = query.split('&').filter_map(|pair| pair.split_once('='));
        let mut value = |wanted: &str| values.find(|(key, _)| *key == wanted).map(|(_, value)| value);
        let expires: u64 = value("expires").and_then(|text| text.parse().ok()).ok_or_else(invalid)?;
        let signature = value("signature").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or_else(invalid)?;
        let clip = name.strip_suffix(".mp4").ok_or_else(invalid)?;
        // In constant time.
        self.mac(clip, expires).verify_slice(&signature).map_err(|_| invalid())?;
        if seconds_now() >= expires {
            return Err(forbidden("LINK_EXPIRED", "the link has expired: ask task-result again for a fresh one"));
        }
        Ok(clip.to_owned())
    }

    fn mac(&self, clip: &str, expires: u64) -> Hmac<Sha256> {
        self.mac.clone().chain_update(format!("/files/{clip}.mp4?expires={expires}"))
    }
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `GET` and `HEAD` of a link.
pub(crate) async fn serve(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if headers.contains_key(header::AUTHORIZATION) {
        shared.leaked_keys.fetch_add(1, Ordering::Relaxed);
        return Err(ApiError::bad_request(
            "API_KEY_LEAKED",
            "an Authorization header came with a result link: the API key was sent to the file host and has leaked; \
             links are signed, and need no key",
        ));
    }
    let id = shared.links.check(&name, &query.unwrap_or_default())?;
    let gone = || ApiError::new(StatusCode::NOT_FOUND, "FILE_NOT_FOUND", "the clip is no longer kept");
    let clip = shared.clips.get(&id).ok_or_else(gone)?;
    send(&clip, &headers).await.ok_or_else(gone)
}

/// A clip, or the part of it that was asked for; `None` if it is no longer there.
pub(crate) async fn send(clip: &Clip, headers: &HeaderMap) -> Option<Response> {
    let wanted = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let current = headers.get(header::IF_RANGE).is_none_or(|etag| etag.as_bytes() == clip.etag.as_bytes());
    let range = wanted.filter(|_| current).map_or(Range::Whole, |range| Range::parse(range, clip.length));
    let fixed = [
        (header::CONTENT_TYPE, "video/mp4"),
        (header::ACCEPT_RANGES, "bytes"),
        (header::ETAG, &clip.etag),
        // Of the whole clip, also where only a part of it is sent.
        (HeaderName::from_static("repr-digest"), &clip.digest),
        // The link is as good as a password, and the clip never changes under its ETag.
        (header::CACHE_CONTROL, "private"),
    ];
    let (status, start, length, range) = match range {
        Range::Whole => (StatusCode::OK, 0, clip.length, None),
        Range::Part(first, last) => {
            let range = format!("bytes {first}-{last}/{}", clip.length);
            (StatusCode::PARTIAL_CONTENT, first, last - first + 1, Some(range))
        }
        Range::Unsatisfiable => {
            let range = [(header::CONTENT_RANGE, format!("bytes */{}", clip.length))];
            return Some((StatusCode::RANGE_NOT_SATISFIABLE, range).into_response());
        }
    };
    let mut file = File::open(&clip.path).await.ok()?;
    file.seek(SeekFrom::Start(start)).await.ok()?;
    let body = Body::from_stream(ReaderStream::with_capacity(file.take(length), 64 << 10));
    let sized = [(header::CONTENT_LENGTH, length.to_string())];
    let ranged = range.map(|range| [(header::CONTENT_RANGE, range)]);
    Some(match ranged {
        Some(ranged) => (status, fixed, sized, ranged, body).into_response(),
        None => (status, fixed, sized, body).into_response(),
    })
}

/// What a Range header asks of a file.
#[derive(Debug, PartialEq)]
enum Range {
    /// Also where the header is none that is understood: several ranges, another unit, nonsense.
    Whole,
    /// First and last byte.
    Part(u64, u64),
    Unsatisfiable,
}

impl Range {
    fn parse(header: &str, length: u64) -> Self {
        let Some((first, last)) = header.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
            return Self::Whole;
        };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(first) || !digits(last) {
            return Self::Whole;
        }
        // Only digits or nothing, so all that fails is what is too long.
        let number = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap_or(u64::MAX));
        match (number(first), number(last)) {
            (None, None) => Self::Whole,
            (Some(first), Some(last)) if first > last => Self::Whole,
            (Some(first), _) if first >= length => Self::Unsatisfiable,
            (Some(first), last) => Self::Part(first, last.unwrap_or(u64::MAX).min(length - 1)),
            (None, Some(0)) => Self::Unsatisfiable,
            (None, Some(_)) if length == 0 => Self::Unsatisfiable,
            (None, Some(last)) => Self::Part(length.saturating_sub(last), length - 1),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Range::{self, Part, Unsatisfiable, Whole};

    #[test]
    fn ranges() {
        for (header, wanted) in [
            ("bytes=0-", Part(0, 99)),
            ("bytes=0-0", Part(0, 0)),
            ("bytes=10-19", Part(10, 19)),
            ("bytes=90-1000", Part(90, 99)),
            ("bytes=99-", Part(99, 99)),
            ("bytes=100-", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=-1", Part(99, 99)),
            ("bytes=-1000", Part(0, 99)),
            ("bytes=-0", Unsatisfiable),
            ("bytes=0-99999999999999999999999", Part(0, 99)),
            ("bytes=20-10", Whole),
            ("bytes=-", Whole),
            ("bytes=", Whole),
            ("bytes=a-b", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=0-1,5-6", Whole),
            ("lines=0-1", Whole),
        ] {
            assert_eq!(Range::parse(header, 100), wanted, "{header}");
        }
        assert_eq!(Range::parse("bytes=-5", 0), Unsatisfiable);
    }
}
