//! What must not get into a file: keys, signatures, pictures, and headers that nobody knows to be harmless.

use reqwest::Url;
use sha2::{Digest, Sha256};

use crate::cassette::format::Link;
use crate::cassette::json::replace;
use crate::hex;

/// Headers whose values are kept. All others are named, and their values are not: a header that nobody here has heard of
/// may be a cookie, or name the account.
const HARMLESS: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-ranges",
    "age",
    "allow",
    "cache-control",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "if-range",
    "keep-alive",
    "last-modified",
    "location",
    "range",
    "repr-digest",
    "retry-after",
    "server",
    "transfer-encoding",
    "user-agent",
    "vary",
    "www-authenticate",
];

/// As in `X-RateLimit-Remaining`.
const HARMLESS_STARTS: &[&str] = &["ratelimit", "x-ratelimit", "x-rate-limit"];

/// A run of letters this long is no word: Base64, or something else that nobody reads.
const RUN: usize = 80;

/// How the Base64 of a PNG, of a JPEG (its slashes escaped or not) and of a JSON web token begins.
const KNOWN_STARTS: &[&str] = &["iVBORw0KGgo", "/9j/", r"\/9j\/", "eyJ"];

/// A key shorter than this is not looked for in texts: it would be found in their words.
const SHORTEST_KEY: usize = 6;

/// The keys that came, in their order.
#[derive(Debug, Default)]
pub(crate) struct Keys(Vec<String>);

impl Keys {
    /// An `Authorization` header with `(key 1)` for the key, which is remembered.
    pub(crate) fn named(&mut self, authorization: &str) -> String {
        let (scheme, key) = match authorization.split_once(' ') {
            Some((scheme, key)) => (format!("{scheme} "), key),
            None if authorization.eq_ignore_ascii_case("bearer") => return authorization.to_owned(),
            None => (String::new(), authorization),
        };
        if key.is_empty() {
            return scheme;
        }
        let at = self.0.iter().position(|known| known == key).unwrap_or_else(|| {
            self.0.push(key.to_owned());
            self.0.len() - 1
        });
        format!("{scheme}(key {})", at + 1)
    }

    /// The text without keys, queries of links, and pictures. What was JSON stays JSON.
    pub(crate) fn clean(&self, text: &str) -> String {
        if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
            return self.clean_words(text);
        }
        replace(text, |string| {
            let cleaned = self.clean_words(string);
            (cleaned != string).then_some(cleaned)
        })
    }

    fn clean_words(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (at, key) in self.0.iter().enumerate().filter(|(_, key)| key.len() >= SHORTEST_KEY) {
            text = text.replace(key, &format!("(key {})", at + 1));
        }
        clean(&text)
    }

    /// Headers in their order, fit to be kept.
    pub(crate) fn headers<'a>(&mut self, headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<(String, String)> {
        headers.map(|(name, value)| (name.to_owned(), self.value(name, value))).collect()
    }

    fn value(&mut self, name: &str, value: &[u8]) -> String {
        let text = String::from_utf8_lossy(value);
        if name == "authorization" {
            return self.named(&text);
        }
        if HARMLESS.contains(&name) || HARMLESS_STARTS.iter().any(|start| name.starts_with(start)) {
            return self.clean(&text);
        }
        hidden(text.chars().count())
    }
}

fn hidden(characters: usize) -> String {
    format!("(redacted, {characters} characters)")
}

/// Whether a header's value was not kept.
pub(crate) fn is_hidden(value: &str) -> bool {
    value.starts_with("(redacted, ")
}

/// `text` without queries of links and without long runs of letters.
pub(crate) fn clean(text: &str) -> String {
    let ends = |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | '<' | '>' | '`');
    let word = |piece: &str| match piece.char_indices().next_back() {
        Some((at, end)) if ends(end) => unsigned(&piece[..at]) + &piece[at..],
        _ => unsigned(piece),
    };
    text.split_inclusive(ends).map(word).collect()
}

/// A word without user, password and query, if it is a link; without Base64.
fn unsigned(word: &str) -> String {
    let link = word.contains("://") || word.contains(r":\/\/");
    match word.split_once(['?', '#']) {
        Some((address, query)) if link || query.contains('=') => {
            format!("{}?{}", shortened(&anonymous(address)), names(query))
        }
        _ if link => shortened(&anonymous(word)),
        _ => shortened(word),
    }
}

/// Without what stands before an `@` in each address.
fn anonymous(address: &str) -> String {
    let separator = if address.contains("://") { "://" } else { r":\/\/" };
    let mut parts = address.split(separator);
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let host = &part[..part.find(['/', '\\']).unwrap_or(part.len())];
        plain.push_str(separator);
        plain.push_str(&part[host.rfind('@').map_or(0, |at| at + 1)..]);
    }
    plain
}

/// The names of a query. Of its values only those are kept that tell when the link ends.
fn names(query: &str) -> String {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let lower = name.to_ascii_lowercase();
        let tells_time = ["expire", "date", "ttl"].iter().any(|part| lower.contains(part));
        let is_time = (1..=20).contains(&value.len())
            && value.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'T' | b'Z'));
        let name = if pair.contains('=') && name.len() <= 40 { name } else { "" };
        if tells_time && is_time { format!("{name}={value}") } else { format!("{name}=(redacted)") }
    };
    query.replace(r"\u0026", "&").split('&').map(pair).collect::<Vec<_>>().join("&")
}

/// Without Base64 and other long runs.
fn shortened(word: &str) -> String {
    let is_run = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-' | b'\\');
    let mut short = String::with_capacity(word.len().min(1 << 10));
    let mut rest = word;
    while !rest.is_empty() {
        let length = rest.bytes().take_while(|&byte| is_run(byte)).count();
        let (run, after) = rest.split_at(length);
        let secret = run.len() >= RUN || (run.len() >= 16 && KNOWN_STARTS.iter().any(|start| run.starts_with(start)));
        match secret {
            true => short.push_str(&format!("({length} characters, SHA-256 {})", &digest(run.as_bytes())[..12])),
            false => short.push_str(run),
        }
        let other = after.find(|letter: char| letter.is_ascii() && is_run(letter as u8)).unwrap_or(after.len());
        short.push_str(&after[..other]);
        rest = &after[other..];
    }
    short
}

/// A result link as it is kept: its host, its kind of file, the names of its query.
pub(crate) fn link(url: &Url) -> Link {
    let path = url.path();
    let kind = path.rsplit_once('.').map(|(_, kind)| kind);
    let kind =
        kind.filter(|kind| (1..=5).contains(&kind.len()) && kind.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let mut kept = format!("{}/(path)", url.origin().ascii_serialization());
    if let Some(kind) = kind {
        kept.push_str(&format!(".{kind}"));
    }
    if let Some(query) = url.query() {
        kept.push_str(&format!("?{}", names(query)));
    }
    Link { id: digest(url.as_str().as_bytes())[..16].to_owned(), url: kept }
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn keys_signatures_and_pictures_are_gone() {
        let mut keys = Keys::default();
        assert_eq!(keys.named("Bearer sk-secret"), "Bearer (key 1)");
        assert_eq!(keys.named("sk-other"), "(key 2)");
        assert_eq!(keys.named("Bearer sk-secret"), "Bearer (key 1)");
        assert_eq!((keys.named("Bearer"), keys.named("Bearer ")), ("Bearer".to_owned(), "Bearer ".to_owned()));
        for (text, wanted) in [
            ("bad key sk-secret, \"sk-other\"", "bad key (key 1), \"(key 2)\""),
            (
                "see https://u:p@f.example/c.mp4?X-Amz-Expires=3600&X-Amz-Signature=abc#x now",
                "see https://f.example/c.mp4?X-Amz-Expires=3600&X-Amz-Signature=(redacted) now",
            ),
            (
                r#"{"u":"https:\/\/u:p@f.example\/c.mp4?e=1\u0026sig=abc"}"#,
                r#"{"u":"https://f.example/c.mp4?e=(redacted)&sig=(redacted)"}"#,
            ),
            (r#"{"a": 1.0, "b":"x?a=\"q\" \u00e9"}"#, r#"{"a": 1.0, "b":"x?a=(redacted)\"q\" é"}"#),
            (r#"cut: "https:\/\/u:p@f.example\/c?e=1"#, r#"cut: "https:\/\/f.example\/c?e=(redacted)"#),
            ("f.example/c.mp4?sig=abc", "f.example/c.mp4?sig=(redacted)"),
            ("https://f.example/?secret", "https://f.example/?=(redacted)"),
            ("Expires=1&Expires=secret", "Expires=1&Expires=secret"),
            ("is it so? yes é", "is it so? yes é"),
            ("data:image/png;base64,iVBORw0KGgoAAAANS", "data:image/png;base64,(17 characters, SHA-256 3f59b471c0b6)"),
            (r"x:\/9j\/4AAQSkZJRg==", r"x:(18 characters, SHA-256 18a660535c33)"),
            ("7b8e1d1c-52ab-4f7c-9c3e-0a6c5f6f2d11", "7b8e1d1c-52ab-4f7c-9c3e-0a6c5f6f2d11"),
        ] {
            assert_eq!(keys.clean(text), wanted);
        }
        let run = "Zm9v".repeat(20);
        assert!(!keys.clean(&format!("echo:{run}é{run}")).contains("Zm9v"));
    }

    #[test]
    fn only_harmless_headers_keep_their_values() {
        let mut keys = Keys::default();
        let came = [
            ("authorization", "Bearer sk-secret"),
            ("content-type", "application/json"),
            ("location", "https://f.example/a?sig=abc"),
            ("x-ratelimit-remaining", "49"),
            ("set-cookie", "session=abc"),
            ("x-trace", "abc"),
            ("server", "sk-secret"),
        ];
        let kept = keys.headers(came.iter().map(|(name, value)| (*name, value.as_bytes())));
        let values: Vec<&str> = kept.iter().map(|(_, value)| value.as_str()).collect();
        let hidden = ["(redacted, 11 characters)", "(redacted, 3 characters)"];
        let plain = ["Bearer (key 1)", "application/json", "https://f.example/a?sig=(redacted)", "49"];
        assert_eq!(values, [&plain[..], &hidden, &["(key 1)"]].concat());
    }

    #[test]
    fn a_link_keeps_what_tells_and_not_what_opens() {
        let kept = |url: &str| link(&url.parse().unwrap());
        let one = kept("https://u:p@f.example:8/secret/path.mp4?Expires=1790000000&Signature=abc");
        assert_eq!(one.url, "https://f.example:8/(path).mp4?Expires=1790000000&Signature=(redacted)");
        assert_ne!(one.id, kept("https://u:p@f.example:8/secret/path.mp4?Expires=1790000000&Signature=abd").id);
        assert_eq!(kept("https://f.example/token.secretsecret").url, "https://f.example/(path)");
    }
}
