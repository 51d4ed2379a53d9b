//! What can go wrong with one request.

use std::time::Duration;

use serde::de::Deserializer;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::faults::rule::{Either, Span};
use crate::faults::script::told;
use crate::operation::Operation;

/// A fault with its parameters. What each does stands in [`ABOUT`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Effect {
    Reset {
        #[serde(default)]
        at: Came,
    },
    Silence {},
    Status {
        status: u16,
        #[serde(default)]
        body: Body,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        #[serde(default)]
        early: bool,
        #[serde(default)]
        accepted: bool,
    },
    RateLimited {
        #[serde(default)]
        retry_after: RetryAfter,
    },
    Unavailable {
        #[serde(default)]
        retry_after: RetryAfter,
    },
    Redirect {
        #[serde(default = "found")]
        status: u16,
        #[serde(default = "stranger")]
        to: String,
        #[serde(default)]
        accepted: bool,
    },
    LostAnswer {
        #[serde(default)]
        by: By,
    },
    CutAnswer {
        #[serde(default)]
        at: Half,
        #[serde(default)]
        by: By,
    },
    SlowHead {
        #[serde(default = "five_seconds")]
        pause: Span,
    },
    Dribble {
        #[serde(default = "hundred")]
        pieces: u32,
        #[serde(default = "little")]
        pause: Span,
    },
    WrongLength {
        #[serde(default = "thousand")]
        by: i64,
    },
    EarlyHint {},
    Padded {
        #[serde(default = "much")]
        mib: u32,
    },
    ContentType {
        #[serde(default = "octets")]
        value: String,
    },
    Header {
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
        #[serde(default)]
        again: bool,
    },
    BrokenJson {},
    OtherJson {},
    NoTaskId {},
    ModerationError {
        #[serde(default = "illegal_prompt")]
        reason: String,
        #[serde(default = "filtered")]
        message: String,
    },
    ModerationFailure {
        #[serde(default = "prohibited")]
        reason: String,
    },
    TaskFails {
        #[serde(default = "gave_up")]
        reason: String,
    },
    FewerClips {
        #[serde(default = "one")]
        clips: u32,
    },
    Stuck {},
    Queue {
        #[serde(default = "half_an_hour")]
        wait: Span,
    },
    SlowRun {
        #[serde(default = "six_minutes")]
        run: Span,
    },
    UnknownStatus {
        #[serde(default = "pondering")]
        status: String,
    },
    UnknownFields {},
    OddTypes {},
    Nulls {},
    NoVideos {},
    ProgressBackwards {},
    OtherTask {},
    TaskNotFound {},
    BadLinks {
        #[serde(default)]
        to: Nowhere,
    },
    ExpiredLink {},
    RangeIgnored {},
    ChangedEtag {},
    Corrupt {
        #[serde(default)]
        how: Damage,
        #[serde(default)]
        digest: Digest,
    },
}

/// How much of a request comes before something happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Came {
    Head,
    Body,
    #[default]
    Request,
}

/// What an answer that is not the service's consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Body {
    /// In the service's own shape.
    #[default]
    Service,
    Html,
    Text,
    Empty,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum By {
    #[default]
    Close,
    Reset,
    Silence,
}

/// In the middle of what an answer is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Half {
    Head,
    #[default]
    Body,
}

/// Where links lead that are of no use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Nowhere {
    #[default]
    Expired,
    ClosedPort,
    NoUrl,
}

/// What is wrong with an MP4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Damage {
    #[default]
    FlippedByte,
    Truncated,
    LyingBox,
    NoIndex,
}

/// Whether the digest of what the file should be comes with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Digest {
    #[default]
    Gone,
    Kept,
}

/// A wish to be left alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RetryAfter {
    #[default]
    None,
    Seconds(u64),
    /// An HTTP date two seconds from now.
    Date,
    /// 1994.
    Past,
    /// 9999.
    Far,
    Nonsense,
}

impl RetryAfter {
    const WORDS: [(&'static str, Self); 5] = [
        ("none", Self::None),
        ("date", Self::Date),
        ("past", Self::Past),
        ("far", Self::Far),
        ("nonsense", Self::Nonsense),
    ];

    /// What the header says, if it comes at all.
    pub(crate) fn header(self, unix: Duration) -> Option<String> {
        let date = |unix: Duration| httpdate::fmt_http_date(std::time::UNIX_EPOCH + unix);
        match self {
            Self::None => None,
            Self::Seconds(seconds) => Some(seconds.to_string()),
            Self::Date => Some(date(unix + Duration::from_secs(2))),
            Self::Past => Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned()),
            Self::Far => Some("Fri, 31 Dec 9999 23:59:59 GMT".to_owned()),
            Self::Nonsense => Some("soon".to_owned()),
        }
    }
}

impl Serialize for RetryAfter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Seconds(seconds) => serializer.serialize_u64(*seconds),
            other => {
                let word = Self::WORDS.iter().find(|(_, wish)| wish == other);
                serializer.serialize_str(word.map_or("none", |(word, _)| word))
            }
        }
    }
}

impl<'de> Deserialize<'de> for RetryAfter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = |text: &str| Self::WORDS.iter().find(|(word, _)| *word == text).map(|(_, wish)| *wish);
        let allowed = "a number of seconds, or \"none\", \"date\", \"past\", \"far\" or \"nonsense\"";
        deserializer.deserialize_any(Either { allowed, number: |n| Some(Self::Seconds(n)), text })
    }
}

fn found() -> u16 {
    302
}

fn stranger() -> String {
    "http://other-host.invalid/elsewhere".to_owned()
}

fn five_seconds() -> Span {
    Span(Duration::from_secs(5))
}

fn hundred() -> u32 {
    100
}

fn little() -> Span {
    Span(Duration::from_millis(20))
}

fn thousand() -> i64 {
    1000
}

fn much() -> u32 {
    24
}

fn octets() -> String {
    "application/octet-stream".to_owned()
}

fn illegal_prompt() -> String {
    "ILLEGAL_PROMPT".to_owned()
}

fn filtered() -> String {
    "the prompt was refused by the content filter".to_owned()
}

fn prohibited() -> String {
    "PROHIBITED_CONTENT: the content filter refused what was made".to_owned()
}

fn gave_up() -> String {
    "the model gave up".to_owned()
}

fn one() -> u32 {
    1
}

fn half_an_hour() -> Span {
    Span(Duration::from_secs(1800))
}

fn six_minutes() -> Span {
    Span(Duration::from_secs(360))
}

fn pondering() -> String {
    "TASK_STATUS_PONDERING".to_owned()
}

/// What the documentation says of an effect.
pub(crate) struct About {
    pub(crate) name: &'static str,
    /// For which operations it is.
    pub(crate) on: &'static [&'static str],
    pub(crate) says: &'static str,
    /// What `with` may hold, and what holds without it.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(crate) with: &'static str,
}

const ANY: &[&str] = &["submit", "poll", "file"];
const API: &[&str] = &["submit", "poll"];
const SUBMIT: &[&str] = &["submit"];
const POLL: &[&str] = &["poll"];
const FILE: &[&str] = &["file"];

/// Every effect, in the order of the documentation.
#[rustfmt::skip]
pub(crate) const ABOUT: &[About] = &[
    About { name: "reset", on: ANY, says: "The connection is reset; the service never sees the request.",
        with: "`at`: `request` (after all of it), `body` (in its middle), `head` (before the body is read)" },
    About { name: "silence", on: ANY, says: "Nothing is ever answered; the service never sees the request.", with: "" },
    About { name: "status", on: ANY, says: "Something else answers. Unless `accepted`, the service never sees the request.",
        with: "`status` (needed); `body`: `service` (its error shape), `html`, `text`, `empty`; `reason`, `message`: words of it; `early`: before the body is read; `accepted`: after the service did its work" },
    About { name: "rate_limited", on: ANY, says: "429 `RATE_LIMIT_EXCEEDED`; nothing is accepted.",
        with: "`retry_after`: `none`, seconds, `date` (in 2 s), `past` (1994), `far` (9999), `nonsense`" },
    About { name: "unavailable", on: ANY, says: "503 `SERVICE_NOT_AVAILABLE`; nothing is accepted.",
        with: "`retry_after`, likewise" },
    About { name: "redirect", on: ANY, says: "Sent to another host, which has no business with it.",
        with: "`status`: 302; `to`: `http://other-host.invalid/elsewhere`; `accepted`: after the service did its work" },
    About { name: "lost_answer", on: ANY, says: "The service does its work (a submit is billed), and its answer never comes.",
        with: "`by`: `close`, `reset`, `silence`" },
    About { name: "cut_answer", on: ANY, says: "The service does its work, and half of its answer comes.",
        with: "`at`: `body`, `head`; `by`: `close`, `reset`, `silence`" },
    About { name: "slow_head", on: ANY, says: "The answer begins only after a pause.", with: "`pause`: 5s" },
    About { name: "dribble", on: ANY, says: "The answer's body comes in pieces, with a pause after each.",
        with: "`pieces`: 100; `pause`: 20ms" },
    About { name: "wrong_length", on: ANY, says: "So many bytes more are announced than come; less than 0: fewer.", with: "`by`: 1000" },
    About { name: "early_hint", on: ANY, says: "A `103 Early Hints` comes before the answer.", with: "" },
    About { name: "padded", on: ANY, says: "So many MiB of spaces come after the answer.", with: "`mib`: 24, at most 1024" },
    About { name: "content_type", on: ANY, says: "The answer calls itself something else.", with: "`value`: `application/octet-stream`" },
    About { name: "header", on: ANY, says: "The answer bears a header, or lacks one where no value is given.",
        with: "`name` (needed); `value`; `again`: beside what is there" },
    About { name: "broken_json", on: API, says: "The service does its work, and answers with half of its JSON.", with: "" },
    About { name: "other_json", on: API, says: "The service does its work, and answers with JSON of another kind.", with: "" },
    About { name: "no_task_id", on: SUBMIT, says: "The submit is accepted, and the id in its answer is empty.", with: "" },
    About { name: "moderation_error", on: SUBMIT, says: "400: the content filter refuses; nothing is accepted.",
        with: "`reason`: `ILLEGAL_PROMPT`; `message`" },
    About { name: "moderation_failure", on: SUBMIT, says: "The task is accepted and fails: the content filter refused what was made.",
        with: "`reason`: `PROHIBITED_CONTENT: …`" },
    About { name: "task_fails", on: SUBMIT, says: "The task is accepted and fails.", with: "`reason`: `the model gave up`" },
    About { name: "fewer_clips", on: SUBMIT, says: "The task succeeds with at most so many clips.", with: "`clips`: 1" },
    About { name: "stuck", on: SUBMIT, says: "The task runs and never ends.", with: "" },
    About { name: "queue", on: SUBMIT, says: "The task waits before it runs.", with: "`wait`: 30m" },
    About { name: "slow_run", on: SUBMIT, says: "The task runs for so long.", with: "`run`: 6m" },
    About { name: "unknown_status", on: POLL, says: "The task is in a state that no page tells of.", with: "`status`: `TASK_STATUS_PONDERING`" },
    About { name: "unknown_fields", on: POLL, says: "The answer has fields that no page tells of.", with: "" },
    About { name: "odd_types", on: POLL, says: "Numbers come as text, and text as numbers.", with: "" },
    About { name: "nulls", on: POLL, says: "Whatever may be missing is null.", with: "" },
    About { name: "no_videos", on: POLL, says: "The task succeeds, and there is no video.", with: "" },
    About { name: "progress_backwards", on: POLL, says: "An unfinished task's progress falls from hit to hit, and it is queued again.", with: "" },
    About { name: "other_task", on: POLL, says: "The answer is that of the task polled before, if there is one.", with: "" },
    About { name: "task_not_found", on: POLL, says: "404 `TASK_NOT_FOUND`, as if the task had vanished.", with: "" },
    About { name: "bad_links", on: POLL, says: "The links lead nowhere.", with: "`to`: `expired`, `closed_port`, `no_url`" },
    About { name: "expired_link", on: FILE, says: "403 `LINK_EXPIRED`, however young the link.", with: "" },
    About { name: "range_ignored", on: FILE, says: "The whole file comes, whatever part was asked for.", with: "" },
    About { name: "changed_etag", on: FILE, says: "The file is another version now: another ETag, and `If-Range` does not fit.", with: "" },
    About { name: "corrupt", on: FILE, says: "What comes is no whole MP4 as it was made.",
        with: "`how`: `flipped_byte`, `truncated`, `lying_box`, `no_index`; `digest`: `gone`, `kept`" },
];

impl Effect {
    /// From its name and parameters; the complaint names the field, what came and what is allowed.
    pub(crate) fn read(name: &str, with: Map<String, Value>) -> Result<Self, String> {
        let effect: Self = serde_path_to_error::deserialize(json!({ name: with })).map_err(|e| {
            let at = told(e.path());
            let field = at.strip_prefix(name).unwrap_or(&at).trim_start_matches(": ");
            let message = e.inner().to_string();
            match field {
                "" if ABOUT.iter().all(|about| about.name != name) => format!("effect: {message}"),
                "" => format!("with: {message}"),
                field => format!("with: {field}: {message}"),
            }
        })?;
        effect.check().map_err(|why| format!("with: {why}"))?;
        Ok(effect)
    }

    fn check(&self) -> Result<(), String> {
        let allowed = |fits: bool, what: String| if fits { Ok(()) } else { Err(what) };
        match self {
            Self::Status { status, .. } => {
                allowed((200..600).contains(status), format!("status: {status} came, and it must be from 200 to 599"))
            }
            Self::Redirect { status, to, .. } => {
                let kind = format!("status: {status} came, and it must be from 300 to 399");
                allowed((300..400).contains(status), kind)?;
                let fits = axum::http::HeaderValue::from_str(to).is_ok();
                allowed(fits, format!("to: {to:?} came, and no header can hold it"))
            }
            Self::Dribble { pieces, pause } => {
                allowed((1..=10_000).contains(pieces), format!("pieces: {pieces} came, and 1 to 10000 are allowed"))?;
                allowed(pause.0 <= MAX_PAUSE, too_long(pause))
            }
            Self::SlowHead { pause } => allowed(pause.0 <= MAX_PAUSE, too_long(pause)),
            Self::Padded { mib } => {
                allowed((1..=1024).contains(mib), format!("mib: {mib} came, and 1 to 1024 are allowed"))
            }
            Self::WrongLength { by } => allowed(*by != 0, "by: 0 came, and that would be right".to_owned()),
            Self::FewerClips { clips } => allowed(*clips < 4, format!("clips: {clips} came, and 0 to 3 are allowed")),
            Self::ContentType { value } => {
                let fits = axum::http::HeaderValue::from_str(value).is_ok();
                allowed(fits, format!("value: {value:?} came, and no header can hold it"))
            }
            Self::Header { name, value, .. } => {
                let named = axum::http::HeaderName::from_bytes(name.as_bytes()).is_ok();
                allowed(named, format!("name: {name:?} came, and that is no header's name"))?;
                let fits = value.as_ref().is_none_or(|value| axum::http::HeaderValue::from_str(value).is_ok());
                allowed(fits, format!("value: {value:?} came, and no header can hold it"))
            }
            _ => Ok(()),
        }
    }

    fn parts(&self) -> (String, Map<String, Value>) {
        // Its own form is an object with its name as the one key, and an object behind it.
        let Ok(Value::Object(parts)) = serde_json::to_value(self) else { return Default::default() };
        let Some((name, Value::Object(with))) = parts.into_iter().next() else { return Default::default() };
        (name, with)
    }

    fn about(&self) -> Option<&'static About> {
        let (name, _) = self.parts();
        ABOUT.iter().find(|about| about.name == name)
    }

    pub(crate) fn name(&self) -> &'static str {
        self.about().map_or("", |about| about.name)
    }

    /// All its parameters.
    pub(crate) fn with(&self) -> Map<String, Value> {
        self.parts().1
    }

    pub(crate) fn operations(&self) -> &'static [&'static str] {
        self.about().map_or(&[], |about| about.on)
    }

    pub(crate) fn suits(&self, operation: Operation) -> bool {
        self.operations().contains(&operation.name())
    }
}

/// Longest pause of an answer.
const MAX_PAUSE: Duration = Duration::from_secs(3600);

fn too_long(pause: &Span) -> String {
    format!("pause: {pause} came, and at most 1h is allowed")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_effect_is_described() {
        let unknown = Effect::read("?", Map::new()).unwrap_err();
        let known: Vec<&str> = unknown.split('`').skip(1).step_by(2).skip(1).collect();
        let described: Vec<&str> = ABOUT.iter().map(|about| about.name).collect();
        assert_eq!(known, described);
    }

    #[test]
    fn every_effect_is_written_as_it_is_read() {
        for about in ABOUT {
            let needed = match about.name {
                "status" => json!({ "status": 502 }),
                "header" => json!({ "name": "x-odd" }),
                _ => json!({}),
            };
            let effect = Effect::read(about.name, needed.as_object().unwrap().clone()).unwrap();
            assert_eq!(Effect::read(effect.name(), effect.with()).unwrap(), effect);
            for parameter in effect.with().keys() {
                let described = about.with.contains(&format!("`{parameter}`"));
                assert!(described, "{}: {parameter} is not described", about.name);
            }
        }
    }
}
