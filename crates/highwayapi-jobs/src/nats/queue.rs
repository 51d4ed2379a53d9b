//! What can be claimed: a message for each job that has something left to do, in the order in which it is to be begun.
//!
//! A message is kept from others while its job is held, and comes again when the process that has it is gone. It says
//! _look at this job_ and no more: who works on it is decided at the job's own key. So one message too many does no harm;
//! and one too few, such as after a crash between a job and its message, is found by a look at the whole batch, which a
//! process takes where the queue has nothing, once a lease.
//!
//! Jobs that were begun have a queue of their own, which comes first.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::{ConsumerErrorKind, Stream};
use async_nats::jetstream::{AckKind, Message};
use bytes::Bytes;
use futures_util::StreamExt;

use super::bucket::{Failure, Link, Refusal};
use super::lock;
use crate::batch::BatchId;
use crate::error::Result;
use crate::job::{Job, JobId};
use crate::state::State;
use crate::store::Claim;

/// A queue of a batch that nobody asked for so long is set up anew when somebody does.
const UNUSED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

pub(super) struct Queue {
    link: Link,
    stream: Stream,
    prefix: String,
    /// How long a message is kept from others without a word from who has it.
    lease: Duration,
    consumers: Mutex<HashMap<String, PullConsumer>>,
    /// The messages by which jobs are held, by the tokens of their holds.
    tickets: Mutex<HashMap<String, Arc<Message>>>,
    /// What this process let go of, which is free for itself at once.
    freed: Mutex<HashMap<BatchId, BTreeSet<Place>>>,
    /// When this process last looked at all of a batch.
    swept: Mutex<HashMap<(BatchId, Claim), Instant>>,
}

/// What comes first is smaller: what was begun, then the numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) is_planned: bool,
    pub(super) number: u64,
    pub(super) id: JobId,
}

impl Place {
    /// Of a job that can be claimed; `None` where nothing is left to do, or it is of no batch.
    pub(super) fn of(job: &Job) -> Option<(BatchId, Self)> {
        let item = job.item.as_ref().filter(|_| Claim::Any.includes(job.state))?;
        let place = Self { is_planned: job.state == State::Planned, number: item.number, id: job.id.clone() };
        Some((item.batch.clone(), place))
    }
}

impl Queue {
    pub(super) fn new(link: Link, stream: Stream, prefix: String, lease: Duration) -> Self {
        let (consumers, tickets) = (Mutex::default(), Mutex::default());
        let (freed, swept) = (Mutex::default(), Mutex::default());
        Self { link, stream, prefix, lease, consumers, tickets, freed, swept }
    }

    /// Offers a job to all.
    pub(super) async fn offer(&self, batch: &BatchId, place: &Place) -> Result<()> {
        let mut headers = HeaderMap::new();
        if place.is_planned {
            // Planned again soon after, it is not offered twice.
            headers.insert(NATS_MESSAGE_ID, place.id.as_str());
        }
        let subject = self.subject(batch, place.is_planned);
        let tries = self.link.tries();
        loop {
            let id = Bytes::copy_from_slice(place.id.as_str().as_bytes());
            match self.link.publish(&subject, headers.clone(), id).await {
                Ok(_) | Err(Refusal::Expected) => return Ok(()),
                Err(Refusal::Full(error)) => return Err(error),
                Err(Refusal::Other(failure)) => tries.next(failure).await?,
            }
        }
    }

    /// The next message, if there is one at this moment.
    pub(super) async fn next(&self, batch: &BatchId, is_planned: bool) -> Result<Option<Message>> {
        let name = self.consumer_name(batch, is_planned);
        let tries = self.link.tries();
        loop {
            let failure = match self.consumer(batch, is_planned).await {
                Ok(consumer) => match self.pull(&consumer).await {
                    Ok(message) => return Ok(message),
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            // It may be gone with what the server lost.
            lock(&self.consumers).remove(&name);
            tries.next(failure).await?;
        }
    }

    async fn pull(&self, consumer: &PullConsumer) -> Result<Option<Message>, Failure> {
        let batch = consumer.fetch().max_messages(1).messages().await;
        let mut messages = batch.map_err(|error| self.link.away(error))?;
        let soon = self.link.patience.min(Duration::from_secs(2));
        match tokio::time::timeout(soon, messages.next()).await {
            Ok(Some(Ok(message))) => Ok(Some(message)),
            Ok(None) => Ok(None),
            Ok(Some(Err(error))) => Err(self.link.away(error)),
            Err(error) => Err(self.link.away(error)),
        }
    }

    async fn consumer(&self, batch: &BatchId, is_planned: bool) -> Result<PullConsumer, Failure> {
        let name = self.consumer_name(batch, is_planned);
        if let Some(consumer) = lock(&self.consumers).get(&name) {
            return Ok(consumer.clone());
        }
        let config = pull::Config {
            durable_name: Some(name.clone()),
            filter_subject: self.subject(batch, is_planned),
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.lease,
            max_ack_pending: -1,
            inactive_threshold: UNUSED,
            ..pull::Config::default()
        };
        let made = self.stream.create_consumer(config).await.map_err(|error| match error.kind() {
            ConsumerErrorKind::JetStream(api) => self.link.refused(&api, error),
            _ => self.link.away(error),
        });
        made.inspect(|consumer| drop(lock(&self.consumers).insert(name, consumer.clone())))
    }

    /// Keeps a message from others as long as its job is held.
    pub(super) fn keep(&self, token: &str, message: Message) {
        lock(&self.tickets).insert(token.to_owned(), Arc::new(message));
    }

    /// Tells the server that all that is kept is still being worked on.
    pub(super) async fn refresh(&self) {
        let tickets: Vec<_> = lock(&self.tickets).values().cloned().collect();
        for ticket in tickets {
            let _ = ticket.ack_with(AckKind::Progress).await;
        }
    }

    /// Lets this process claim what it has just let go of.
    pub(super) fn free(&self, job: &Job) {
        if let Some((batch, place)) = Place::of(job) {
            lock(&self.freed).entry(batch).or_default().insert(place);
        }
    }

    /// Adds what can be claimed of a batch.
    pub(super) fn found(&self, batch: &BatchId, places: impl IntoIterator<Item = Place>) {
        lock(&self.freed).entry(batch.clone()).or_default().extend(places);
    }

    /// The first of what this process knows to be free.
    pub(super) fn take_freed(&self, batch: &BatchId, what: Claim) -> Option<Place> {
        let mut freed = lock(&self.freed);
        let places = freed.get_mut(batch)?;
        let first = places.first().filter(|place| what == Claim::Any || !place.is_planned)?.clone();
        places.remove(&first);
        Some(first)
    }

    /// Whether it is time to look at all of a batch for this, which is then counted as done.
    pub(super) fn is_to_be_swept(&self, batch: &BatchId, what: Claim) -> bool {
        let (mut swept, this) = (lock(&self.swept), (batch.clone(), what));
        let is_due = swept.get(&this).is_none_or(|at| at.elapsed() >= self.lease);
        if is_due {
            swept.insert(this, Instant::now());
        }
        is_due
    }

    /// What has to be there before a job is free: an offer, where it has none in the queue that it belongs to now.
    pub(super) async fn before_release(&self, token: &str, job: &Job) -> Result<()> {
        match Place::of(job) {
            Some((batch, place)) if !place.is_planned && !self.has_ticket(token, &batch, &place) => {
                self.offer(&batch, &place).await
            }
            _ => Ok(()),
        }
    }

    /// Gives the message of a hold back to the queue, or takes it away where it is of no more use.
    pub(super) async fn after_release(&self, token: &str, job: Option<&Job>) {
        let place = job.and_then(Place::of);
        let is_in_place = place.is_some_and(|(batch, place)| self.has_ticket(token, &batch, &place));
        let ticket = lock(&self.tickets).remove(token);
        if let Some(ticket) = ticket {
            let _ = ticket.ack_with(if is_in_place { AckKind::Nak(None) } else { AckKind::Ack }).await;
        }
    }

    /// Leaves a message whose job somebody holds alone for a while.
    pub(super) async fn later(&self, message: &Message) {
        let _ = message.ack_with(AckKind::Nak(Some(self.lease / 4))).await;
    }

    fn has_ticket(&self, token: &str, batch: &BatchId, place: &Place) -> bool {
        let subject = self.subject(batch, place.is_planned);
        lock(&self.tickets).get(token).is_some_and(|ticket| ticket.subject.as_str() == subject)
    }

    fn subject(&self, batch: &BatchId, is_planned: bool) -> String {
        format!("{}.queue.{batch}.{}", self.prefix, if is_planned { "planned" } else { "begun" })
    }

    fn consumer_name(&self, batch: &BatchId, is_planned: bool) -> String {
        format!("{batch}-{}", if is_planned { "planned" } else { "begun" })
    }
}
