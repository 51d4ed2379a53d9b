//! What an answer of a file host means for the part that is there.

use base64::engine::{Engine, general_purpose::STANDARD};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, DATE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED};
use serde::{Deserialize, Serialize};

/// What a file host says of a whole video.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Announced {
    /// Its length.
    pub(super) length: Option<u64>,
    /// What tells this video from any other that may come to stand behind the link.
    pub(super) validator: Option<String>,
    /// Its SHA-256 in lower-case hex.
    pub(super) sha256: Option<String>,
}

/// What an answer means.
#[derive(Debug, PartialEq)]
pub(super) enum Reply {
    /// The video comes from its first byte on.
    Whole(Announced),
    /// What comes goes on where the part ends.
    Continues,
    /// The part is of something else than what is there now.
    Changed,
    /// The link has expired, or what it named is gone.
    Expired,
    /// Not now.
    Busy,
    /// Asking again would not mend it.
    Refused,
}

impl Reply {
    /// `length` is that of the body, where announced; `asked` says after which byte the answer was asked to begin, and
    /// of which video.
    pub(super) fn read(
        status: StatusCode,
        headers: &HeaderMap,
        length: Option<u64>,
        asked: Option<(u64, &Announced)>,
    ) -> Self {
        match (status.as_u16(), asked) {
            (200, _) => Self::Whole(Announced::read(headers, length)),
            (206, Some((at, part))) if part.goes_on(headers, at) => Self::Continues,
            (206 | 416, Some(_)) => Self::Changed,
            (401 | 403 | 404 | 410, _) => Self::Expired,
            (408 | 425 | 429 | 500..=599, _) => Self::Busy,
            _ => Self::Refused,
        }
    }
}

impl Announced {
    fn read(headers: &HeaderMap, length: Option<u64>) -> Self {
        Self { length, validator: validator(headers), sha256: repr_digest(headers).or_else(|| stored_digest(headers)) }
    }

    /// Whether a part of this can be continued, as far as the file host goes.
    pub(super) fn can_be_continued(&self) -> bool {
        self.length.is_some() && self.validator.is_some()
    }

    /// Whether these headers are of a partial answer that begins at `at` and belongs to this.
    fn goes_on(&self, headers: &HeaderMap, at: u64) -> bool {
        // Said once more, and the same: a host that passes over `If-Range` may send a part of anything.
        let agrees = |name, ours: &str| text(headers, name).is_some_and(|theirs| theirs == ours);
        let unchanged = match &self.validator {
            Some(etag) if etag.starts_with('"') => agrees(ETAG, etag),
            Some(date) => agrees(LAST_MODIFIED, date) && !headers.contains_key(ETAG),
            None => false,
        };
        let same = |theirs: String| self.sha256.as_ref().is_none_or(|ours| *ours == theirs);
        let range = text(headers, CONTENT_RANGE).and_then(content_range);
        unchanged
            && repr_digest(headers).is_none_or(same)
            && range.is_some_and(|(first, total)| first == at && Some(total) == self.length)
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// A strong `ETag`, or the time of the last change where there is no `ETag` at all. A weak one says that bytes may differ.
fn validator(headers: &HeaderMap) -> Option<String> {
    if headers.contains_key(ETAG) {
        let strong = |etag: &&str| etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"');
        return text(headers, ETAG).filter(strong).map(str::to_owned);
    }
    let modified = text(headers, LAST_MODIFIED)?;
    let time = httpdate::parse_http_date(modified).ok()?;
    // What was changed within the second of the answer may be changed again within the same.
    let now = text(headers, DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    now.is_none_or(|now| now > time).then(|| modified.to_owned())
}

/// The first byte and the whole length out of `bytes 10-99/100`.
fn content_range(text: &str) -> Option<(u64, u64)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, total): (u64, u64, u64) = (first.parse().ok()?, last.parse().ok()?, total.parse().ok()?);
    (first <= last && last < total).then_some((first, total))
}

/// Of the whole video, whatever part of it an answer brings (RFC 9530).
fn repr_digest(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all("repr-digest").into_iter().filter_map(|value| value.to_str().ok());
    let members = values.flat_map(|value| value.split(',')).map(str::trim);
    let mut digests = members.filter_map(|member| member.strip_prefix("sha-256=:")?.split_once(':'));
    // Of a name that comes twice the last counts.
    hex_of_base64(digests.next_back()?.0)
}

/// What some stores keep; with a number behind it, it is made of the digests of parts.
fn stored_digest(headers: &HeaderMap) -> Option<String> {
    hex_of_base64(text(headers, HeaderName::from_static("x-amz-checksum-sha256"))?)
}

fn hex_of_base64(text: &str) -> Option<String> {
    let bytes = STANDARD.decode(text).ok()?;
    (bytes.len() == 32).then(|| hex(&bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for &(name, value) in lines {
            headers.append(name, value.parse().expect("a value"));
        }
        headers
    }

    fn announced(lines: &[(&'static str, &str)]) -> Announced {
        match Reply::read(StatusCode::OK, &headers(lines), Some(100), None) {
            Reply::Whole(announced) => announced,
            other => panic!("{other:?}"),
        }
    }

    fn part() -> Announced {
        Announced { length: Some(100), validator: Some("\"e\"".to_owned()), sha256: Some(HEX.to_owned()) }
    }

    #[test]
    fn statuses_in_a_word_each() {
        let read = |status, asked| {
            let status = StatusCode::from_u16(status).expect("a status");
            Reply::read(status, &HeaderMap::new(), None, asked)
        };
        for (statuses, reply) in [
            (&[401, 403, 404, 410][..], Reply::Expired),
            (&[408, 425, 429, 500, 502, 503, 504, 599], Reply::Busy),
            (&[201, 204, 206, 300, 304, 400, 402, 405, 416, 418, 451], Reply::Refused),
        ] {
            assert!(statuses.iter().all(|&status| read(status, None) == reply), "{reply:?}");
        }
        let part = part();
        assert_eq!(read(416, Some((10, &part))), Reply::Changed);
        assert_eq!(read(206, Some((10, &part))), Reply::Changed);
        assert_eq!(read(200, Some((10, &part))), Reply::Whole(Announced::default()));
    }

    #[test]
    fn a_partial_answer_must_fit_exactly() {
        let reply = |part: &Announced, lines: &[_]| {
            Reply::read(StatusCode::PARTIAL_CONTENT, &headers(lines), Some(90), Some((10, part)))
        };
        let range = ("content-range", "bytes 10-99/100");
        let etag = ("etag", "\"e\"");
        let digest = format!("sha-256=:{BASE64}:");
        for lines in [
            &[range, etag][..],
            &[("content-range", "bytes 10-50/100"), etag],
            &[range, etag, ("repr-digest", &digest)],
            &[range, etag, ("last-modified", MODIFIED)],
        ] {
            assert_eq!(reply(&part(), lines), Reply::Continues, "{lines:?}");
        }
        for lines in [
            &[][..],
            &[etag],
            &[range],
            &[range, ("last-modified", MODIFIED)],
            &[("content-range", "bytes 0-99/100"), etag],
            &[("content-range", "bytes 11-99/100"), etag],
            &[("content-range", "bytes 10-99/101"), etag],
            &[("content-range", "bytes 10-99/*"), etag],
            &[("content-range", "bytes 10-100/100"), etag],
            &[("content-range", "bytes */100"), etag],
            &[("content-range", "pages 10-99/100"), etag],
            &[range, ("etag", "\"f\"")],
            &[range, ("etag", "W/\"e\"")],
            &[range, etag, ("repr-digest", "sha-256=:HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=:")],
        ] {
            assert_eq!(reply(&part(), lines), Reply::Changed, "{lines:?}");
        }
        let dated = Announced { validator: Some(MODIFIED.to_owned()), ..part() };
        assert_eq!(reply(&dated, &[range, ("last-modified", MODIFIED)]), Reply::Continues);
        assert_eq!(reply(&dated, &[range, ("last-modified", "Sun, 06 Nov 1994 08:49:38 GMT")]), Reply::Changed);
    }

    #[test]
    fn validators() {
        fn validator(lines: &[(&'static str, &str)]) -> Option<String> {
            announced(lines).validator
        }
        let modified = ("last-modified", MODIFIED);
        assert_eq!(validator(&[("etag", "\"e\""), modified]).as_deref(), Some("\"e\""));
        assert_eq!(validator(&[modified]).as_deref(), Some(MODIFIED));
        assert_eq!(validator(&[modified, ("date", "Sun, 06 Nov 1994 08:49:38 GMT")]).as_deref(), Some(MODIFIED));
        for none in [
            &[][..],
            &[("etag", "W/\"e\"")],
            &[("etag", "W/\"e\""), modified],
            &[("etag", "e")],
            &[("etag", "\"\"")],
            &[("last-modified", "lately")],
            &[modified, ("date", MODIFIED)],
        ] {
            assert_eq!(validator(none), None, "{none:?}");
        }
    }

    #[test]
    fn digests() {
        fn digest(name: &'static str, value: &str) -> Option<String> {
            announced(&[(name, value)]).sha256
        }
        let with = |text: &str| text.replace("DIGEST", BASE64);
        for value in ["sha-256=:DIGEST:", "sha-512=:AAAA:, sha-256=:DIGEST:", "sha-256=:AAAA:,sha-256=:DIGEST:;a=1"] {
            assert_eq!(digest("repr-digest", &with(value)).as_deref(), Some(HEX), "{value}");
        }
        assert_eq!(digest("x-amz-checksum-sha256", BASE64).as_deref(), Some(HEX));
        for value in ["", "sha-256=DIGEST", "sha-256=:AAAA:", "sha-256=:*:", "sha-512=:DIGEST:", "SHA-256=:DIGEST:"] {
            assert_eq!(digest("repr-digest", &with(value)), None, "{value}");
        }
        assert_eq!(digest("x-amz-checksum-sha256", &with("DIGEST-3")), None);
    }
}
