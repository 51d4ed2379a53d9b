//! Result links: signed, expiring, served with ranges.

use std::io::SeekFrom;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::engine::{Engine, general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Url;
use sha2::Sha256;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use crate::error::{ApiError, Error};
use crate::ledger::key_name;
use crate::seed::Seed;
use crate::shared::Shared;

/// Makes and checks links. A link names a clip by its task and number, and never a file.
pub(crate) struct Links {
    base_url: String,
    ttl: Duration,
    mac: Hmac<Sha256>,
}

impl Links {
    pub(crate) fn new(base_url: String, ttl: Duration, seed: &Seed) -> Result<Self, Error> {
        let mac = Hmac::new_from_slice(&seed.bytes("links", 0));
        let mac = mac.map_err(|e| Error::new("no key for the links").caused_by(e))?;
        Ok(Self { base_url, ttl, mac })
    }

    pub(crate) fn ttl(&self) -> u64 {
        self.ttl.as_secs()
    }

    /// Good from `now` on, a time since 1970.
    pub(crate) fn to(&self, task_id: &str, sample: u32, now: Duration) -> String {
        let path = format!("/files/{task_id}-{}.mp4", sample + 1);
        let expires = now.as_secs().saturating_add(self.ttl());
        let signature = URL_SAFE_NO_PAD.encode(self.mac(&path, expires).finalize().into_bytes());
        format!("{}{path}?expires={expires}&signature={signature}", self.base_url)
    }

    /// The task and the clip of it that a link names, if it is one of ours and still valid.
    fn check<'a>(&self, name: &'a str, query: &str, now: Duration) -> Result<(&'a str, u32), ApiError> {
        let forbidden = |reason, message: &str| ApiError::new(StatusCode::FORBIDDEN, reason, message);
        let invalid = || forbidden("INVALID_LINK", "the link is not as it was given: its signature does not fit");
        let mut values = query.split('&').filter_map(|pair| pair.split_once('='));
        let mut value = |wanted: &str| values.find(|(key, _)| *key == wanted).map(|(_, value)| value);
        let expires: u64 = value("expires").and_then(|text| text.parse().ok()).ok_or_else(invalid)?;
        let signature = value("signature").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or_else(invalid)?;
        // In constant time.
        self.mac(&format!("/files/{name}"), expires).verify_slice(&signature).map_err(|_| invalid())?;
        if now.as_secs() >= expires {
            return Err(forbidden("LINK_EXPIRED", "the link has expired: ask task-result again for a fresh one"));
        }
        let clip = name.strip_suffix(".mp4").and_then(|clip| clip.rsplit_once('-'));
        let clip = clip.and_then(|(task_id, number)| Some((task_id, number.parse::<u32>().ok()?.checked_sub(1)?)));
        clip.ok_or_else(invalid)
    }

    fn mac(&self, path: &str, expires: u64) -> Hmac<Sha256> {
        self.mac.clone().chain_update(format!("{path}?expires={expires}"))
    }
}

/// Where a key came with a request for a file, and which. An `Authorization` header holds one, whatever it says.
fn leaked(keys: &[String], headers: &HeaderMap, query: &str) -> Option<(String, String)> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let value = String::from_utf8_lossy(value.as_bytes());
        let key = value.rsplit(' ').next().unwrap_or_default().to_owned();
        return Some(("an Authorization header came with a result link: the API key".to_owned(), key));
    }
    let known = |text: &str| keys.iter().find(|key| *key == text).cloned();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        // By itself, or as a word of a cookie or the like.
        if let Some(key) = known(&value).or_else(|| value.split([' ', ';', ',', '=', '"']).find_map(known)) {
            return Some((format!("the API key came with a result link, in the header {name}: it"), key));
        }
    }
    // Decoded as a form; the host matters not.
    let url = Url::parse(&format!("http://localhost/?{query}")).ok()?;
    url.query_pairs().find_map(|(name, value)| {
        let key = known(&value).or_else(|| known(&name))?;
        Some(("the API key came with a result link, in its query: it".to_owned(), key))
    })
}

/// `GET` and `HEAD` of a link. A clip that nobody has asked for yet is rendered first.
pub(crate) async fn serve(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let query = query.unwrap_or_default();
    if let Some((what, key)) = leaked(&shared.keys, &headers, &query) {
        shared.leaked(&key_name(&key), &format!("/files/{name}"));
        let message = format!("{what} was sent to the file host and has leaked; links are signed, and need no key");
        return Err(ApiError::bad_request("API_KEY_LEAKED", message));
    }
    let (task_id, sample) = shared.links.check(&name, &query, shared.clock.unix())?;
    let gone = || ApiError::new(StatusCode::NOT_FOUND, "FILE_NOT_FOUND", "the clip is no longer kept");
    let clip = shared.clip(task_id, sample).await?;

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
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, range).into_response());
        }
    };
    let mut file = File::open(&clip.path).await.map_err(|_| gone())?;
    file.seek(SeekFrom::Start(start)).await.map_err(|_| gone())?;
    let body = Body::from_stream(ReaderStream::with_capacity(file.take(length), 64 << 10));
    let sized = [(header::CONTENT_LENGTH, length.to_string())];
    let ranged = range.map(|range| [(header::CONTENT_RANGE, range)]);
    Ok(match ranged {
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
