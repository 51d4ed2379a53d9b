//! Keys and values on the server, changed only by who has seen what was there before.

use std::fmt::Display;
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID};
use async_nats::jetstream::context::{CreateStreamErrorKind, PublishErrorKind};
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::stream::{Config, DiscardPolicy, LastRawMessageErrorKind, Stream};
use async_nats::jetstream::{self, Context, ErrorCode};
use bytes::Bytes;

use crate::error::{Error, Result};

/// By these a value that was removed is told from one that is there, also by other clients of the bucket.
const OPERATION: &str = "KV-Operation";
const ROLLUP: &str = "Nats-Rollup";

/// How long one try may take before the next.
pub(super) const TRY: Duration = Duration::from_secs(2);

/// The connection and how to speak of it.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) context: Context,
    /// The address of the record, for errors.
    pub(super) place: String,
    pub(super) patience: Duration,
}

/// A key-value bucket that other clients can look into.
#[derive(Clone)]
pub(super) struct Bucket {
    pub(super) link: Link,
    pub(super) stream: Stream,
    /// What stands before each key.
    pub(super) subject: String,
}

/// What is at a key.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    pub(super) key: String,
    /// `None` where nothing is, or no longer.
    pub(super) value: Option<Bytes>,
    /// Of the last write; 0 where there was none. It grows with each write to the bucket.
    pub(super) revision: u64,
    /// When the server wrote it, by its own clock, in nanoseconds.
    pub(super) time: i128,
    /// Tells one write from all others.
    nonce: Option<String>,
}

/// What became of a write.
#[derive(Debug)]
pub(super) enum Put {
    /// It is there, with this revision.
    Done(u64),
    /// Somebody else was quicker, with this.
    Changed(Slot),
}

impl Link {
    pub(super) fn new(client: async_nats::Client, place: String, patience: Duration) -> Self {
        let mut context = jetstream::new(client);
        context.set_timeout(TRY.min(patience));
        Self { context, place, patience }
    }

    /// The stream, which is made if it is not there.
    pub(super) async fn stream(&self, config: Config) -> Result<Stream> {
        let tries = self.tries();
        loop {
            let error = match self.context.get_or_create_stream(config.clone()).await {
                Ok(stream) => return Ok(stream),
                Err(error) => error,
            };
            let failure = match error.kind() {
                CreateStreamErrorKind::JetStreamUnavailable => {
                    let text = format!("the server of {} has no JetStream; nats-server -js starts it", self.place);
                    Failure::Final(Error::store(text).with_source(error))
                }
                CreateStreamErrorKind::JetStream(api) => match (api.error_code(), self.refused(&api, error)) {
                    // Somebody else is creating it right now, with other settings: soon it is there.
                    (ErrorCode::STREAM_NAME_EXIST | ErrorCode::STREAM_SUBJECT_OVERLAP, failure) => {
                        Failure::Passing(failure.into_error())
                    }
                    (_, failure) => failure,
                },
                _ => self.away(error),
            };
            tries.next(failure).await?;
        }
    }

    /// Changes what a stream is like.
    pub(super) async fn update(&self, config: Config) -> Result<Stream> {
        let tries = self.tries();
        loop {
            match self.context.update_stream(config.clone()).await {
                Ok(_) => return self.stream(config).await,
                Err(error) => tries.next(self.away(error)).await?,
            }
        }
    }

    /// A bucket whose values live so long; zero is for ever.
    pub(super) async fn bucket(&self, name: &str, replicas: usize, max_age: Duration) -> Result<Bucket> {
        let config = Config {
            name: format!("KV_{name}"),
            subjects: vec![format!("$KV.{name}.>")],
            max_messages_per_subject: 1,
            max_age,
            num_replicas: replicas,
            discard: DiscardPolicy::New,
            allow_rollup: true,
            deny_delete: true,
            allow_direct: true,
            ..Config::default()
        };
        let stream = self.stream(config).await?;
        Ok(Bucket { link: self.clone(), stream, subject: format!("$KV.{name}.") })
    }

    /// For one call that may be tried several times.
    pub(super) fn tries(&self) -> Tries {
        Tries { begun: Instant::now(), patience: self.patience }
    }

    /// Publishes to a stream, once.
    pub(super) async fn publish(&self, subject: &str, headers: HeaderMap, value: Bytes) -> Result<PublishAck, Refusal> {
        let done = match self.context.publish_with_headers(subject.to_owned(), headers, value).await {
            Ok(sent) => sent.await,
            Err(error) => Err(error),
        };
        let error = match done {
            Ok(ack) => return Ok(ack),
            Err(error) => error,
        };
        // What the server said, where it said anything.
        let api = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<jetstream::Error>());
        Err(match (error.kind(), api) {
            (PublishErrorKind::WrongLastSequence, _) => Refusal::Expected,
            (_, Some(api)) if api.error_code() == ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT => Refusal::Expected,
            // So it says both of a full disk and of a full subject.
            (_, Some(api)) if api.error_code() == ErrorCode::STREAM_STORE_FAILED => {
                Refusal::Full(self.refused(api, &error).into_error())
            }
            (_, Some(api)) => Refusal::Other(self.refused(api, &error)),
            (PublishErrorKind::MaxPayloadExceeded, _) => {
                let text = format!("more is to be written than the server of {} takes", self.place);
                Refusal::Other(Failure::Final(Error::store(text).with_source(error)))
            }
            _ => Refusal::Other(self.away(error)),
        })
    }

    /// The server does not answer, or is not ready yet.
    pub(super) fn away(&self, source: impl Display) -> Failure {
        let text = format!("the record {} cannot be reached", self.place);
        Failure::Passing(Error::store(text).with_source(source.to_string()))
    }

    /// The server says why it will not.
    pub(super) fn refused(&self, api: &jetstream::Error, source: impl Display) -> Failure {
        let full = [
            ErrorCode::STORAGE_RESOURCES_EXCEEDED,
            ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
            ErrorCode::INSUFFICIENT_RESOURCES,
            ErrorCode::STREAM_STORE_FAILED,
        ];
        let text = match api.error_code() {
            ErrorCode::CLUSTER_NOT_AVAILABLE => return self.away(source),
            code if full.contains(&code) => {
                format!("the record {} cannot be written; the server's disk or its share of it may be full", self.place)
            }
            ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
                format!("the account that is used for {} has no JetStream", self.place)
            }
            _ => format!("the record {} cannot be used", self.place),
        };
        Failure::Final(Error::store(text).with_source(source.to_string()))
    }

    pub(super) fn damaged(&self, source: serde_json::Error) -> Error {
        let text = format!("the record {} is damaged, or was written by a later version of this program", self.place);
        Error::store(text).with_source(source)
    }
}

/// Why something was not published.
pub(super) enum Refusal {
    /// The last write was not the one that was expected.
    Expected,
    /// There is no room.
    Full(Error),
    Other(Failure),
}

/// Why a try did not work.
pub(super) enum Failure {
    /// Another may.
    Passing(Error),
    /// Nor will another.
    Final(Error),
}

impl Failure {
    /// Where there is no further try.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Passing(error) | Self::Final(error) => error,
        }
    }
}

/// The tries of one call, until it works, cannot work, or patience is at its end.
pub(super) struct Tries {
    begun: Instant,
    patience: Duration,
}

impl Tries {
    /// Returns when it is time for the next, or with why there is none.
    pub(super) async fn next(&self, failure: Failure) -> Result<()> {
        match failure {
            Failure::Passing(_) if self.begun.elapsed() < self.patience => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok(())
            }
            failure => Err(failure.into_error()),
        }
    }
}

impl Bucket {
    /// What is at a key now, as the server knows that all writes go through. A pattern finds the last that was written.
    pub(super) async fn get(&self, key: &str) -> Result<Slot> {
        let subject = format!("{}{key}", self.subject);
        let tries = self.link.tries();
        loop {
            let error = match self.stream.get_last_raw_message_by_subject(&subject).await {
                Ok(message) => {
                    let time = message.time.unix_timestamp_nanos();
                    let (subject, headers) = (&message.subject, &message.headers);
                    return Ok(self.slot(subject, headers, message.payload, message.sequence, time));
                }
                Err(error) => error,
            };
            let failure = match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => {
                    return Ok(Slot { key: key.to_owned(), ..Slot::default() });
                }
                LastRawMessageErrorKind::JetStream(api) => self.link.refused(&api, error),
                _ => self.link.away(error),
            };
            tries.next(failure).await?;
        }
    }

    /// Writes a value, or removes it, if the last write was this one. Where an answer is lost it finds out whether it
    /// came about.
    pub(super) async fn put(&self, key: &str, value: Option<Vec<u8>>, revision: u64) -> Result<Put> {
        let nonce = format!("{:016x}", fastrand::u64(..));
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, revision.to_string());
        // By this the server, too, knows a second try.
        headers.insert(NATS_MESSAGE_ID, nonce.as_str());
        if value.is_none() {
            headers.insert(OPERATION, "PURGE");
            headers.insert(ROLLUP, "sub");
        }
        let is_removed = value.is_none();
        let value = Bytes::from(value.unwrap_or_default());
        let written = self.publish(key, headers, value).await?;
        if let Some(revision) = written {
            if is_removed {
                // What is left of it is of no more use, and does no harm where it stays.
                let subject = format!("{}{key}", self.subject);
                let _ = self.stream.purge().filter(subject).sequence(revision + 1).await;
            }
            return Ok(Put::Done(revision));
        }
        let slot = self.get(key).await?;
        Ok(if slot.nonce == Some(nonce) { Put::Done(slot.revision) } else { Put::Changed(slot) })
    }

    /// Writes a value whatever was there before.
    pub(super) async fn set(&self, key: &str, value: Vec<u8>) -> Result<u64> {
        let written = self.publish(key, HeaderMap::new(), value.into()).await?;
        written.ok_or_else(|| Error::store(format!("the record {} cannot be used", self.link.place)))
    }

    /// The revision; `None` where another one was expected.
    async fn publish(&self, key: &str, headers: HeaderMap, value: Bytes) -> Result<Option<u64>> {
        let subject = format!("{}{key}", self.subject);
        let tries = self.link.tries();
        loop {
            match self.link.publish(&subject, headers.clone(), value.clone()).await {
                Ok(ack) => return Ok(Some(ack.sequence)),
                Err(Refusal::Expected) => return Ok(None),
                Err(Refusal::Full(error)) => return Err(error),
                Err(Refusal::Other(failure)) => tries.next(failure).await?,
            }
        }
    }

    pub(super) fn slot(&self, subject: &str, headers: &HeaderMap, payload: Bytes, revision: u64, time: i128) -> Slot {
        let nonce = headers.get(NATS_MESSAGE_ID).map(|nonce| nonce.as_str().to_owned());
        let value = headers.get(OPERATION).is_none().then_some(payload);
        let key = subject.strip_prefix(&self.subject).unwrap_or(subject).to_owned();
        Slot { key, value, revision, time, nonce }
    }
}

/// A text as part of a key: letters and digits stay, all else is written in hexadecimal. No two come to the same.
pub(super) fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => safe.push(byte.into()),
            _ => safe.push_str(&format!("={byte:02x}")),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn keys_are_safe_and_tell_apart() {
        assert_eq!(safe("b-k3f9"), "b-k3f9");
        assert_eq!(safe("https://a.b/*>"), "https=3a=2f=2fa=2eb=2f=2a=3e");
        assert_ne!(safe("a=2eb"), safe("a.b"));
    }
}
