//! Who works on which job: what is planned, found, taken and claimed.

use std::collections::HashMap;
use std::sync::Arc;

use async_nats::jetstream::{AckKind, Message};
use futures_util::future::try_join_all;

use super::TRIES;
use super::bucket::{Put, Slot};
use super::queue::Place;
use super::row::{Found, Leave, Row, key_of};
use super::shared::{Handle, Shared};
use crate::batch::BatchId;
use crate::error::Result;
use crate::job::Job;
use crate::store::{Claim, Entry, Held, Hold};

/// So many writes of a plan are on their way at once; they arrive in their order.
const AT_ONCE: usize = 64;

/// What became of one try to hold a job.
pub(super) enum Taken {
    Now(Held),
    /// Somebody wrote something else.
    Changed(Slot),
}

impl Handle {
    /// Tries once to hold the job that stands there.
    pub(super) async fn take(self: &Arc<Self>, slot: Slot) -> Result<Taken> {
        let shared = &self.shared;
        let Some(Found { key, revision, added, holder, job }) = shared.found(slot).await? else {
            return Ok(Taken::Now(Held::NotFound));
        };
        if let Some(holder) = &holder
            && shared.is_held(holder).await?
        {
            return Ok(Taken::Now(Held::ByAnother(Box::new(job))));
        }
        let (hold, grip) = self.new_hold(&job.id, key);
        let mut seat = grip.seat.lock().await;
        let row = Row { added: Some(added), holder: Some(grip.token.clone()), job: Some(job.clone()), proposed: None };
        seat.touched = true;
        Ok(match shared.jobs.put(&grip.key, Some(row.text()?), revision).await? {
            Put::Done(revision) => {
                (seat.revision, seat.added) = (revision, Some(added));
                seat.leave = Leave::Job(Box::new(job.clone()));
                drop(seat);
                Taken::Now(Held::Yes(hold, Box::new(job)))
            }
            Put::Changed(slot) => {
                seat.touched = false;
                Taken::Changed(slot)
            }
        })
    }
}

impl Handle {
    /// Holds what comes first of a batch and is free.
    pub(super) async fn claim(self: &Arc<Self>, batch: &BatchId, what: Claim) -> Result<Option<(Hold, Box<Job>)>> {
        let queue = &self.shared.queue;
        loop {
            // What it let go of itself, or found when it looked for it.
            while let Some(place) = queue.take_freed(batch, what) {
                if let Held::Yes(hold, job) = self.take_insistently(batch, &place).await?
                    && what.includes(job.state)
                {
                    return Ok(Some((hold, job)));
                }
            }
            for is_planned in [false, true] {
                if is_planned && what == Claim::Begun {
                    break;
                }
                while let Some(message) = queue.next(batch, is_planned).await? {
                    if let Some(claimed) = self.claim_by(batch, what, message).await? {
                        return Ok(Some(claimed));
                    }
                }
            }
            if !queue.is_to_be_swept(batch, what) {
                return Ok(None);
            }
            let shared = &self.shared;
            let all = shared.those(&format!("{batch}.*"), None, |job| what.includes(job.state)).await?;
            let free = shared.entries(all).await?.into_iter().filter(|entry| !entry.held);
            let places: Vec<_> = free.filter_map(|entry| Some(Place::of(&entry.job)?.1)).collect();
            queue.found(batch, places);
        }
    }

    /// Holds the job that a message of the queue speaks of.
    async fn claim_by(
        self: &Arc<Self>,
        batch: &BatchId,
        what: Claim,
        message: Message,
    ) -> Result<Option<(Hold, Box<Job>)>> {
        let queue = &self.shared.queue;
        let id = std::str::from_utf8(&message.payload).ok().and_then(|id| id.parse().ok());
        let held = match id {
            Some(id) => self.take_insistently(batch, &Place { is_planned: true, number: 0, id }).await?,
            None => Held::NotFound,
        };
        match held {
            Held::Yes(hold, job) if what.includes(job.state) => {
                queue.keep(hold.token(), message);
                return Ok(Some((hold, job)));
            }
            Held::Yes(hold, job) => {
                // One that was put off stands in the wrong queue, and what is at its end in none.
                if let Some((batch, place)) = Place::of(&job) {
                    queue.offer(&batch, &place).await?;
                }
                drop(hold);
                let _ = message.ack_with(AckKind::Ack).await;
            }
            Held::ByAnother(_) => queue.later(&message).await,
            Held::NotFound => {
                let _ = message.ack_with(AckKind::Ack).await;
            }
        }
        Ok(None)
    }

    async fn take_insistently(self: &Arc<Self>, batch: &BatchId, place: &Place) -> Result<Held> {
        let mut slot = self.shared.jobs.get(&format!("{batch}.{}", place.id)).await?;
        for _ in 0..TRIES {
            match self.take(slot).await? {
                Taken::Now(held) => return Ok(held),
                Taken::Changed(now) => slot = now,
            }
        }
        Err(self.shared.too_busy())
    }
}

impl Shared {
    /// Writes down jobs that nobody holds, as far as they are not there, and offers what can be claimed of them.
    pub(super) async fn plan(&self, jobs: Vec<Job>) -> Result<()> {
        for some in jobs.chunks(AT_ONCE) {
            try_join_all(some.iter().map(|job| self.write_planned(job))).await?;
        }
        // Also what was there: whoever wrote it may not have come to this.
        let mut places: Vec<_> = jobs.iter().filter_map(Place::of).collect();
        places.sort_unstable();
        for some in places.chunks(AT_ONCE) {
            try_join_all(some.iter().map(|(batch, place)| self.queue.offer(batch, place))).await?;
        }
        Ok(())
    }

    async fn write_planned(&self, job: &Job) -> Result<()> {
        let (key, mut revision) = (key_of(job), 0);
        let text = Row { job: Some(job.clone()), ..Row::default() }.text()?;
        loop {
            match self.jobs.put(&key, Some(text.clone()), revision).await? {
                Put::Done(_) => break,
                Put::Changed(slot) if slot.value.is_some() => return Ok(()),
                // One that was removed may come again.
                Put::Changed(slot) => revision = slot.revision,
            }
        }
        match &job.fingerprint {
            Some(fingerprint) if job.is_paid() => self.name_as_it_is(fingerprint, &key).await,
            _ => Ok(()),
        }
    }

    /// The jobs at these keys that are asked for, of the last `most` writes or of all, in the order in which they were added.
    pub(super) async fn those(
        &self,
        pattern: &str,
        most: Option<u64>,
        wanted: impl Fn(&Job) -> bool,
    ) -> Result<Vec<Found>> {
        let mut slots: HashMap<String, Slot> = HashMap::new();
        let look = |slot: Slot| {
            // A newer one takes the place of an older one, also where it is no longer wanted.
            let row = self.row(&slot)?;
            let open = row.as_ref().is_some_and(|row| row.proposed.is_some());
            if open || row.and_then(|row| row.job).is_some_and(|job| wanted(&job)) {
                slots.insert(slot.key.clone(), slot);
            } else {
                slots.remove(&slot.key);
            }
            Ok(())
        };
        match most {
            Some(most) => self.jobs.each_of_last(most, look).await?,
            None => drop(self.jobs.each(pattern, look).await?),
        }
        let mut all = Vec::with_capacity(slots.len());
        for slot in slots.into_values() {
            all.extend(self.found(slot).await?.filter(|found| wanted(&found.job)));
        }
        all.sort_by_key(|found| found.added);
        Ok(all)
    }

    /// Each with whether somebody holds it.
    pub(super) async fn entries(&self, all: Vec<Found>) -> Result<Vec<Entry>> {
        let mut entries = Vec::with_capacity(all.len());
        let mut known: HashMap<String, bool> = HashMap::new();
        for Found { holder, job, .. } in all {
            let held = match holder {
                None => false,
                Some(holder) if self.pulse.is_own(&holder) => self.is_held(&holder).await?,
                Some(holder) => {
                    let process = holder.split('/').next().unwrap_or_default().to_owned();
                    match known.get(&process) {
                        Some(&held) => held,
                        None => {
                            let held = self.is_held(&holder).await?;
                            known.insert(process, held);
                            held
                        }
                    }
                }
            };
            entries.push(Entry::new(job, held));
        }
        Ok(entries)
    }
}
