//! Reading many keys at once.

use std::collections::HashSet;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::ConsumerErrorKind;
use futures_util::StreamExt;

use super::bucket::{Bucket, Slot, TRY};
use crate::error::Result;

/// So many values are read at once.
const FETCH: usize = 256;

impl Bucket {
    /// Gives everything that is at the keys of this pattern to `look`, one after another; a key may come twice, the
    /// newer value last. What is added meanwhile is seen or not.
    ///
    /// Gives back a revision until which everything was seen.
    pub(super) async fn each(&self, pattern: &str, mut look: impl FnMut(Slot) -> Result<()>) -> Result<u64> {
        // What is replaced meanwhile, or comes while this process is asleep, may never come: it is asked for by its name.
        let mut unseen = HashSet::new();
        let filter = format!("{}{pattern}", self.subject);
        let subjects = self.stream.info_with_subjects(&filter).await;
        let mut subjects = subjects.map_err(|error| self.link.away(error).into_error())?;
        while let Some(subject) = subjects.next().await {
            unseen.insert(subject.map_err(|error| self.link.away(error).into_error())?.0);
        }
        if unseen.is_empty() {
            return Ok(0);
        }
        let seen = |slot: Slot| {
            unseen.remove(&format!("{}{}", self.subject, slot.key));
            look(slot)
        };
        let until = self.read(pattern, DeliverPolicy::All, seen).await?;
        for subject in unseen {
            look(self.get(subject.strip_prefix(&self.subject).unwrap_or(&subject)).await?)?;
        }
        Ok(until)
    }

    /// The same of what was written after a revision that `each` or this has given back; 0 is before the first.
    pub(super) async fn each_since(
        &self,
        pattern: &str,
        revision: u64,
        look: impl FnMut(Slot) -> Result<()>,
    ) -> Result<u64> {
        if revision == 0 {
            return self.each(pattern, look).await;
        }
        let policy = DeliverPolicy::ByStartSequence { start_sequence: revision + 1 };
        Ok(self.read(pattern, policy, look).await?.max(revision))
    }

    /// That of the last write to the bucket.
    pub(super) async fn last_revision(&self) -> Result<u64> {
        let tries = self.link.tries();
        loop {
            match self.stream.get_info().await {
                Ok(info) => return Ok(info.state.last_sequence),
                Err(error) => tries.next(self.link.away(error)).await?,
            }
        }
    }

    /// The same of the last `most` writes, as far as they are not being replaced at this moment.
    pub(super) async fn each_of_last(&self, most: u64, look: impl FnMut(Slot) -> Result<()>) -> Result<()> {
        let start_sequence = self.last_revision().await?.saturating_sub(most).max(1);
        self.read(">", DeliverPolicy::ByStartSequence { start_sequence }, look).await.map(drop)
    }

    /// The revision of the last that came; 0 where none did.
    async fn read(
        &self,
        pattern: &str,
        deliver_policy: DeliverPolicy,
        mut look: impl FnMut(Slot) -> Result<()>,
    ) -> Result<u64> {
        let config = pull::Config {
            deliver_policy,
            filter_subject: format!("{}{pattern}", self.subject),
            ack_policy: AckPolicy::None,
            inactive_threshold: 4 * TRY,
            ..pull::Config::default()
        };
        let tries = self.link.tries();
        let consumer = loop {
            let error = match self.stream.create_consumer(config.clone()).await {
                Ok(consumer) => break consumer,
                Err(error) => error,
            };
            let failure = match error.kind() {
                ConsumerErrorKind::JetStream(api) => self.link.refused(&api, error),
                _ => self.link.away(error),
            };
            tries.next(failure).await?;
        };
        let broke_off = |why: String| self.link.away(why).into_error();
        let (mut last, mut until) = (0, 0);
        loop {
            let fetch = consumer.fetch().max_messages(FETCH).messages().await;
            let mut messages = fetch.map_err(|error| broke_off(error.to_string()))?;
            let mut count = 0;
            loop {
                let message = match tokio::time::timeout(self.link.patience, messages.next()).await {
                    Ok(Some(Ok(message))) => message,
                    Ok(Some(Err(error))) => return Err(broke_off(error.to_string())),
                    Ok(None) => break,
                    Err(_) => return Err(broke_off("what is in it did not come".to_owned())),
                };
                let info = message.info().map_err(|error| broke_off(error.to_string()))?;
                let (revision, time) = (info.stream_sequence, info.published.unix_timestamp_nanos());
                // None is sent twice.
                if info.consumer_sequence != last + 1 {
                    return Err(broke_off("a part of what is in it was lost".to_owned()));
                }
                (last, until, count) = (info.consumer_sequence, revision, count + 1);
                let headers = message.headers.clone().unwrap_or_default();
                look(self.slot(&message.subject, &headers, message.payload.clone(), revision, time))?;
            }
            if count < FETCH {
                break;
            }
        }
        let _ = self.stream.delete_consumer(&consumer.cached_info().name).await;
        Ok(until)
    }
}
