//! One budget of requests for all who use a record.
//!
//! Each request takes a place in a stream whose messages live for a minute and of which the server takes only so many: it
//! is the server that counts, by its own clock, and no worker's clock has a say. Each process asks for one turn at a time,
//! so that all get as many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RawMessageErrorKind, RetentionPolicy, Stream};
use bytes::Bytes;

use super::TRIES;
use super::bucket::{Bucket, Link, Put, Refusal, Slot, safe};
use super::lock;
use crate::error::Result;

/// A second more than the minute that is promised: what leaves evenly may arrive closer.
const WINDOW: Duration = Duration::from_secs(61);
/// What the vendor's documentation speaks of.
const REQUESTS_PER_MINUTE: u32 = 50;
/// No more often a process asks for a place.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// Longer than that nobody is kept away.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

pub(super) struct Turns {
    link: Link,
    stream: Stream,
    prefix: String,
    pauses: Bucket,
    /// How far apart evenly spread requests are: so often it is asked for a place.
    apart: Duration,
    /// Who of this process asks, for each service.
    lines: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Turns {
    pub(super) async fn begin(link: &Link, prefix: &str, replicas: usize, rate: Option<u32>) -> Result<Self> {
        let mut config = Config {
            name: format!("{prefix}-turns"),
            subjects: vec![format!("{prefix}.turns.*")],
            retention: RetentionPolicy::Limits,
            max_age: WINDOW,
            max_messages_per_subject: rate.unwrap_or(REQUESTS_PER_MINUTE).into(),
            discard: DiscardPolicy::New,
            discard_new_per_subject: true,
            num_replicas: replicas,
            ..Config::default()
        };
        let mut stream = link.stream(config.clone()).await?;
        if let Some(rate) = rate
            && stream.cached_info().config.max_messages_per_subject != i64::from(rate)
        {
            config = Config { max_messages_per_subject: rate.into(), ..stream.cached_info().config.clone() };
            stream = link.update(config).await?;
        }
        let count = stream.cached_info().config.max_messages_per_subject.max(1);
        let apart = (WINDOW / u32::try_from(count).unwrap_or(u32::MAX)).max(SHORTEST_PAUSE);
        let pauses = link.bucket(&format!("{prefix}-pauses"), replicas, LONGEST_PAUSE).await?;
        let (link, prefix) = (link.clone(), prefix.to_owned());
        Ok(Self { link, stream, prefix, pauses, apart, lines: Mutex::default() })
    }

    /// Returns when a request may be sent to this service.
    pub(super) async fn turn(&self, service: &str) -> Result<()> {
        let line = Arc::clone(lock(&self.lines).entry(service.to_owned()).or_default());
        let _turn = line.lock().await;
        loop {
            let place = self.place(service).await?;
            match self.pause(service, place).await? {
                // The place is lost: by when it is over there may be others.
                Some(left) => tokio::time::sleep(left).await,
                None => return Ok(()),
            }
        }
    }

    /// Takes a place as soon as there is one.
    async fn place(&self, service: &str) -> Result<u64> {
        let subject = format!("{}.turns.{}", self.prefix, safe(service));
        let mut tries = self.link.tries();
        loop {
            match self.link.publish(&subject, HeaderMap::new(), Bytes::new()).await {
                Ok(ack) => return Ok(ack.sequence),
                // So it says of a full disk, too; then the next write to the record will say so.
                Err(Refusal::Full(_) | Refusal::Expected) => {
                    tokio::time::sleep(self.apart.mul_f64(0.25 + 0.5 * fastrand::f64())).await;
                    tries = self.link.tries();
                }
                Err(Refusal::Other(failure)) => tries.next(failure).await?,
            }
        }
    }

    /// How much is left of a pause that the service asked for, at the time of this place. All times are the server's.
    async fn pause(&self, service: &str, place: u64) -> Result<Option<Duration>> {
        let Some(end) = end(&self.pauses.get(&safe(service)).await?) else { return Ok(None) };
        let tries = self.link.tries();
        let now = loop {
            let error = match self.stream.get_raw_message(place).await {
                Ok(message) => break message.time.unix_timestamp_nanos(),
                Err(error) => error,
            };
            let failure = match error.kind() {
                // So old that it is forgotten: the pause has to be asked after anew.
                RawMessageErrorKind::NoMessageFound => return Ok(Some(Duration::ZERO)),
                RawMessageErrorKind::JetStream(api) => self.link.refused(&api, error),
                _ => self.link.away(error),
            };
            tries.next(failure).await?;
        };
        Ok(u64::try_from(end - now).ok().filter(|&left| left > 0).map(Duration::from_nanos))
    }

    /// Lets nobody go for so long.
    pub(super) async fn hold_off(&self, service: &str, pause: Duration) -> Result<()> {
        let key = safe(service);
        let mut slot = self.pauses.get(&key).await?;
        let mut pause = pause.min(LONGEST_PAUSE);
        for _ in 0..TRIES {
            let before = end(&slot);
            let text = pause.as_nanos().to_string();
            if let Put::Changed(now) = self.pauses.put(&key, Some(text.into()), slot.revision).await? {
                slot = now;
                continue;
            }
            slot = self.pauses.get(&key).await?;
            // Only now that it was written is it known what time it is there.
            match before.map(|before| u64::try_from(before - slot.time)) {
                Some(Ok(left)) if Duration::from_nanos(left) > pause => pause = Duration::from_nanos(left),
                _ => return Ok(()),
            }
        }
        // All of these asked for one.
        Ok(())
    }
}

/// When a pause is over, by the server's clock, in nanoseconds.
fn end(slot: &Slot) -> Option<i128> {
    let asked: i128 = std::str::from_utf8(slot.value.as_deref()?).ok()?.parse().ok()?;
    Some(slot.time + asked)
}
