//! Reading what the service answers when it is not what was hoped for.

use std::time::{Duration, SystemTime};

use highwayapi_raw as raw;
use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::error::Kind;
use crate::redact::clean;
use crate::retry::retry_after;
use crate::{Charged, Error, tls};

/// An answer outside the contract's 200, read in full.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    /// The body, if it is JSON.
    pub(crate) json: Option<Value>,
}

impl Answer {
    /// Waits for the body no longer than `patience`.
    pub(crate) async fn read(response: Response, patience: Duration) -> Self {
        let status = response.status();
        let retry_after = retry_after(response.headers(), SystemTime::now());
        // A body that breaks off or never comes says no less than none: the status has been seen.
        let body = tokio::time::timeout(patience, response.bytes()).await;
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        Self { status, retry_after, json: json(&body) }
    }

    /// A 200 that is not what the contract says.
    pub(crate) fn not_as_agreed(body: &[u8]) -> Self {
        Self { status: StatusCode::OK, retry_after: None, json: json(body) }
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.json.as_ref()?.get(field)?.as_str().filter(|text| !text.is_empty())
    }

    /// The service's word for what is wrong. Without it the answer comes from something in between.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.text("reason")
    }

    /// The id of a task that was accepted after all, whatever the form around it: it is paid for.
    pub(crate) fn task_id(&self) -> Option<String> {
        let json = self.json.as_ref().filter(|_| self.status.is_success())?;
        // Where something is wrong as well, an id may be anyone's.
        let depth = if self.reason().is_some() || self.text("message").is_some() { 0 } else { 2 };
        id(json, depth)
    }

    /// An id in an answer that accepts nothing: it may help whoever has to find out.
    pub(crate) fn mentioned_id(&self) -> Option<String> {
        id(self.json.as_ref()?, 2)
    }

    /// For an answer of 200.
    pub(crate) fn into_unreadable(self, what: &str, error: &serde_json::Error, key: &str) -> Error {
        if self.reason().is_some() || self.text("message").is_some() {
            return self.into_error(what, Charged::Unknown, key);
        }
        unreadable(what, Charged::Unknown, error)
    }

    pub(crate) fn into_error(self, what: &str, charged: Charged, key: &str) -> Error {
        let status = self.status.as_u16();
        let reason = self.reason().map(|reason| clean(reason, key));
        let message = self.text("message").map(|message| clean(message, key));
        let mentioned = self.mentioned_id().map(|id| clean(&id, key)).filter(|id| !id.is_empty());
        let mut text = format!("{what} was answered with {status}");
        match (&reason, &message) {
            (Some(reason), Some(message)) => text.push_str(&format!(" {reason}: {message}")),
            (Some(one), None) | (None, Some(one)) => text.push_str(&format!(": {one}")),
            (None, None) => {
                if let Some(phrase) = self.status.canonical_reason() {
                    text.push_str(&format!(" {phrase}"));
                }
                text.push_str(", and not in the service's own words: something in between may have answered");
            }
        }
        if let Some(id) = mentioned {
            text.push_str(&format!("; the answer names task {id}"));
        }
        let kind =
            if self.status.is_client_error() || self.status.is_server_error() { Kind::Refused } else { Kind::Answer };
        Error::new(kind, charged, text).with_status(status).with_reason(reason).with_retry_after(self.retry_after)
    }
}

/// Also behind the mark that some systems put before text.
pub(crate) fn json(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)).ok()
}

/// The first id of a task, so many objects deep at most.
fn id(json: &Value, depth: u32) -> Option<String> {
    let object = json.as_object()?;
    let own = ["task_id", "taskId"].iter().find_map(|name| match object.get(*name)? {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    own.or_else(|| object.values().find_map(|inner| id(inner, depth.checked_sub(1)?)))
}

/// An answer of 200 that is not what the contract says, or any failure without an answer.
pub(crate) fn failure(
    error: raw::Error<()>,
    what: &str,
    base_url: &str,
    charged: Charged,
    silent_for: Duration,
) -> Error {
    match error {
        raw::Error::CommunicationError(error) => {
            let error = error.without_url();
            let (kind, text) = if tls::is_why(&error) {
                (Kind::Tls, format!("{what} was not sent: the certificate or the TLS of {base_url} was refused"))
            } else if error.is_connect() {
                (Kind::Network, format!("{what} found no connection to {base_url}"))
            } else if error.is_timeout() {
                return silence(what, charged, silent_for);
            } else if error.is_builder() {
                (Kind::Config, format!("{what} could not be put together"))
            } else {
                (Kind::Network, format!("{what} broke off before it was answered"))
            };
            Error::new(kind, charged, text).with_source(error)
        }
        raw::Error::ResponseBodyError(error) => {
            Error::new(Kind::Network, charged, format!("the answer to {what} broke off"))
                .with_source(error.without_url())
        }
        raw::Error::InvalidResponsePayload(_, error) => unreadable(what, charged, &error),
        // The remaining arms speak of the request; they carry no answer and no URL.
        raw::Error::Custom(text) | raw::Error::InvalidRequest(text) => Error::input(text),
        _ => Error::new(Kind::Answer, charged, format!("{what} was answered with something unknown")),
    }
}

fn unreadable(what: &str, charged: Charged, error: &serde_json::Error) -> Error {
    let nothing = (error.line(), error.column()) == (1, 0);
    let found = if nothing { "nothing else" } else { "something that the contract does not know" };
    Error::new(Kind::Answer, charged, format!("{what} was answered with 200 and {found}"))
        .with_status(200)
        .with_source(Unreadable::from(error))
}

pub(crate) fn silence(what: &str, charged: Charged, silent_for: Duration) -> Error {
    Error::new(Kind::Silence, charged, format!("{what} was not answered for {} s", silent_for.as_secs_f32()))
}

/// Where JSON cannot be read. serde's own text may quote the value that it found.
#[derive(Debug)]
struct Unreadable {
    line: usize,
    column: usize,
}

impl From<&serde_json::Error> for Unreadable {
    fn from(error: &serde_json::Error) -> Self {
        Self { line: error.line(), column: error.column() }
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not as expected at line {} column {}", self.line, self.column)
    }
}

impl std::error::Error for Unreadable {}
