//! Batches in the record: planned, tried again, cancelled. None of this needs a key or a network, and nothing is sent.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use highwayapi::Frame;

use super::{Batch, BatchId, Frames, Item, PlannedItem, Tally, id_of, newest};
use crate::asked::{Asked, Fingerprint, Picture, Pictures};
use crate::error::{Error, Result};
use crate::job::Job;
use crate::ledger::Ledger;
use crate::state::{Event, State};
use crate::store::{Claim, Entry, Which};
use crate::target::absolute;

/// Ids are made out of names and may be those of other jobs; then others are made. More than once is no chance.
const ROUNDS: u32 = 4;

/// What [`Ledger::retry_failed`] has planned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retried {
    /// Items that were not charged.
    pub refused: u64,
    /// Items whose task failed, which may have been billed.
    pub failed: u64,
    /// Of these, those that were left alone, because that was not asked for.
    pub failed_and_left: u64,
}

impl Ledger {
    /// All batches, the oldest first.
    ///
    /// # Errors
    ///
    /// When the record cannot be read.
    pub async fn batches(&self) -> Result<Vec<Batch>> {
        self.store.batches().await
    }

    /// The batch of this id, name, or unambiguous beginning of an id.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] when there is none, [`Error::is_invalid_input`] when there is more than one.
    pub async fn find_batch(&self, text: &str) -> Result<Batch> {
        let mut batches = self.batches().await?;
        // The newest of a name: it may have been used at another service before.
        let of_id = batches.iter().position(|batch| batch.id.as_str() == text);
        if let Some(at) = of_id.or_else(|| batches.iter().rposition(|batch| batch.name == text)) {
            return Ok(batches.swap_remove(at));
        }
        batches.retain(|batch| text.len() >= 3 && batch.id.as_str().starts_with(text));
        match (batches.pop(), batches.len()) {
            (Some(batch), 0) => Ok(batch),
            (Some(_), more) => {
                Err(Error::input(format!("{} batches begin with {text}; more of it is needed", more + 1)))
            }
            (None, _) => Err(Error::not_found(format!("there is no batch `{}` in the record", text.escape_debug()))),
        }
    }

    /// How many items of a batch are in which state.
    ///
    /// # Errors
    ///
    /// When the record cannot be read.
    pub async fn tally(&self, batch: &BatchId) -> Result<Tally> {
        self.store.tally(batch).await
    }

    /// Writes down a batch and those of its items that are not in the record yet; how many that are. Repeated after
    /// whatever happened, also while the batch is run, it adds what is missing and takes over caps and prices.
    ///
    /// # Errors
    ///
    /// When the batch is cancelled, an item of that id is there that asks for something else, a picture will not do, or a
    /// cap on money is set and something has no price. Nothing is written down then.
    pub async fn plan(&self, batch: &Batch, items: &[PlannedItem], frames: &Frames) -> Result<u64> {
        let there = self.batches().await?.into_iter().find(|there| there.id == batch.id);
        if there.as_ref().is_some_and(|there| there.cancelled) {
            return Err(Error::input(format!("batch `{}` is cancelled; give it another name", batch.name)));
        }
        let unpriced = there.map_or(0, |there| there.spent.unpriced_clips);
        let mut jobs = items.iter().map(|item| planned(batch, item, frames)).collect::<Result<Vec<_>>>()?;
        let mut added = None;
        for round in 0..ROUNDS {
            self.keep_missing(batch, &mut jobs).await?;
            if added.is_none() {
                self.check_cap(batch, unpriced, &jobs).await?;
            }
            if jobs.is_empty() && added.is_some() {
                break;
            }
            for job in &mut jobs {
                let item = job.item.as_ref().map_or("", |item| &item.id);
                job.id = id_of(&[batch.id.as_str(), item, &round.to_string()]);
            }
            self.keep_frames(&jobs).await?;
            self.store.plan(batch, &jobs).await?;
            added.get_or_insert(jobs.len() as u64);
        }
        Ok(added.unwrap_or_default())
    }

    /// Keeps only those of the jobs whose items are not in the record.
    async fn keep_missing(&self, batch: &Batch, jobs: &mut Vec<Job>) -> Result<()> {
        let there = newest(self.store.jobs(Which::Batch(&batch.id)).await?);
        let there: HashMap<_, _> =
            there.iter().filter_map(|entry| Some((entry.job.item.as_ref()?.id.as_str(), &entry.job))).collect();
        let of_item = |job: &Job| there.get(job.item.as_ref()?.id.as_str()).copied();
        for job in &*jobs {
            if let (Some(there), Some(item)) = (of_item(job), &job.item)
                && there.fingerprint != job.fingerprint
            {
                let (id, job) = (item.id.escape_debug(), &there.id);
                return Err(Error::input(format!("id: `{id}` is that of another request in the batch (job {job})")));
            }
        }
        jobs.retain(|job| of_item(job).is_none());
        Ok(())
    }

    /// A cap on money that cannot be kept is none.
    async fn check_cap(&self, batch: &Batch, sent: u64, missing: &[Job]) -> Result<()> {
        if batch.caps.max_spend.is_none() {
            return Ok(());
        }
        let open = self.store.jobs(Which::Batch(&batch.id)).await?.into_iter().map(|entry| entry.job);
        let open = open.filter(|job| job.state == State::Planned).chain(missing.iter().cloned());
        let unpriced = |job: &Job| price(batch, job).is_none();
        let clips = sent + open.filter(unpriced).map(|job| job.samples() as u64).sum::<u64>();
        if clips == 0 {
            return Ok(());
        }
        Err(Error::input(format!(
            "max-spend: the price of {clips} clips is unknown, so no cap on money can be kept; add them to the prices"
        )))
    }

    async fn keep_frames(&self, jobs: &[Job]) -> Result<()> {
        let mut kept = HashSet::new();
        for job in jobs {
            let (Some(asked), Some(pictures)) = (&job.asked, &job.pictures) else { continue };
            for (picture, file) in [(&asked.image, &pictures.image), (&asked.last_image, &pictures.last_image)] {
                if let (Picture::Sent { sha256, .. }, Some(file)) = (picture, file)
                    && kept.insert(sha256)
                {
                    self.store.keep_frame(sha256, file).await?;
                }
            }
        }
        Ok(())
    }

    /// Plans further jobs for those items of a batch that came to nothing: those that were refused, which cost nothing,
    /// and only with `again` those whose task failed, for they may have been billed. What is unknown is left alone.
    ///
    /// # Errors
    ///
    /// When there is no such batch, it is cancelled, or the record cannot be read or written.
    pub async fn retry_failed(&self, id: &BatchId, again: bool) -> Result<Retried> {
        let batch = self.find_batch(id.as_str()).await?;
        if batch.cancelled {
            return Err(Error::input(format!("batch `{}` is cancelled", batch.name)));
        }
        let mut retried = Retried::default();
        let mut jobs = Vec::new();
        for Entry { job, .. } in newest(self.those(Which::Batch(id)).await?) {
            match job.state {
                State::Refused => retried.refused += 1,
                State::Failed if again => retried.failed += 1,
                State::Failed => {
                    retried.failed_and_left += 1;
                    continue;
                }
                _ => continue,
            }
            jobs.push(Job {
                // The same for the same, so that two that do this at once plan it once.
                id: id_of(&[id.as_str(), job.id.as_str()]),
                item: job.item,
                price: job.price,
                // Its user's word for one that cost nothing in the end is not used up.
                again: job.again || job.state == State::Failed,
                fingerprint: job.fingerprint,
                asked: job.asked,
                pictures: job.pictures,
                output: job.output,
                ..Job::new(&job.service)
            });
        }
        self.store.plan(&batch, &jobs).await?;
        Ok(retried)
    }

    /// Ends a batch: nothing more of it is begun, by nobody, and what is planned is dropped; how many that are here. What
    /// was sent goes on and is paid for, and may be finished: the API knows no cancel.
    ///
    /// # Errors
    ///
    /// When there is no such batch, or the record cannot be read or written.
    pub async fn cancel(&self, id: &BatchId) -> Result<u64> {
        self.store.cancel(id).await?;
        let (mut dropped, mut begun) = (0, Vec::new());
        while let Some((hold, job)) = self.store.claim(id, Claim::Any).await? {
            let mut held = self.holding(hold, *job).await?;
            if held.job.state == State::Planned {
                held.apply(Event::Cancelled, Some(CANCELLED.to_owned())).await?;
                dropped += 1;
            } else if held.job.state.is_unfinished() {
                // Held for so long that it does not come again.
                begun.push(held);
            }
        }
        Ok(dropped)
    }
}

/// Why something was not sent.
pub(crate) const CANCELLED: &str = "its batch was cancelled before it was sent";

/// What its user says that a job costs.
pub(crate) fn price(batch: &Batch, job: &Job) -> Option<super::Money> {
    batch.prices.as_ref()?.price(&job.asked.as_ref()?.options)
}

/// An item as it is written down; its id is still to be made.
fn planned(batch: &Batch, item: &PlannedItem, frames: &Frames) -> Result<Job> {
    let of_item = |text: &str| Error::input(format!("{}: {text}", item.place));
    let (request, asked) = frames.request(item).map_err(|problems| of_item(&problems.join("; ")))?;
    request.check().map_err(|error| of_item(&error.to_string()))?;
    for (field, frame) in [("image", request.image()), ("last_image", request.last_image())] {
        is_kept(frame).map_err(|why| of_item(&format!("{field}: {why}")))?;
    }
    let pictures = Pictures::new(&request)
        .map_err(|error| of_item("a picture's path cannot be made absolute").with_source(error))?;
    let fingerprint = Fingerprint::new(&batch.service, &asked);
    let job = Job::new(&batch.service);
    Ok(Job {
        item: Some(Item::new(batch.id.clone(), &item.id, item.number, &item.output)),
        fingerprint: Some(fingerprint),
        output: Some(output(&batch.base, &item.output)?),
        pictures: Some(pictures),
        price: batch.prices.as_ref().and_then(|prices| prices.price(&item.options)),
        asked: Some(Asked { options: item.options.resolved(), ..asked }),
        ..job
    })
}

/// Where an item's video goes.
pub(crate) fn output(base: &Path, output: &Path) -> Result<std::path::PathBuf> {
    absolute(base.join(output))
}

/// It is sent later, from what the record says of it.
fn is_kept(frame: &Frame) -> Result<(), String> {
    match frame.text() {
        Some(url) if url != frame.name() => Err(format!(
            "of {} only this is kept in the record, as the rest may hold a secret; a batch needs a URL without user and \
             query, or a file",
            frame.name()
        )),
        _ => Ok(()),
    }
}
