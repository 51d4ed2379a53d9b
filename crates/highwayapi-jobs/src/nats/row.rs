//! What stands at a job's key, and what it means.

use serde::{Deserialize, Serialize};

use super::bucket::Slot;
use super::shared::Shared;
use crate::asked::Fingerprint;
use crate::error::{Error, Result};
use crate::job::{Job, JobId};

/// A job, who works on it, and what it is to be next.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Row {
    /// The revision of its first write, which is its place among all; unknown until the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) added: Option<u64>,
    /// The process and the hold that works on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) holder: Option<String>,
    /// None until it is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) job: Option<Job>,
    /// What `job` is as soon as the key of its fingerprint names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) proposed: Option<Proposed>,
}

/// A job as it is to be, if no other of its fingerprint was quicker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Proposed {
    /// By this the fingerprint's key names it.
    pub(super) nonce: String,
    pub(super) job: Job,
}

/// One of those that a fingerprint's key names: a proposal that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Named {
    pub(super) key: String,
    pub(super) nonce: String,
}

/// A row in which nothing is open, and where it was read.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) key: String,
    pub(super) revision: u64,
    pub(super) added: u64,
    pub(super) holder: Option<String>,
    pub(super) job: Job,
}

/// What a hold knows of its job's key.
#[derive(Debug, Default)]
pub(super) struct Seat {
    /// Whether anything may have been written in its name.
    pub(super) touched: bool,
    /// That of its last write.
    pub(super) revision: u64,
    pub(super) added: Option<u64>,
    pub(super) leave: Leave,
}

/// What is to stand there when the hold ends.
#[derive(Clone, Debug, Default)]
pub(super) enum Leave {
    /// What stands there then: a write failed that may have come about all the same.
    #[default]
    AsItIs,
    /// The job as its holder was told that it is.
    Job(Box<Job>),
    /// Nothing: its addition did not come to its end.
    Nothing,
}

/// Where a job is kept.
pub(super) fn key_of(job: &Job) -> String {
    match &job.item {
        Some(item) => format!("{}.{}", item.batch, job.id),
        None => alone(&job.id),
    }
}

/// Where one is kept that is of no batch.
fn alone(id: &JobId) -> String {
    format!("one.{id}")
}

impl Row {
    pub(super) fn text(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| {
            Error::store("a job cannot be written down; is a file's name no Unicode?").with_source(error)
        })
    }
}

impl Shared {
    /// Where this job is, and what is there.
    pub(super) async fn slot_of(&self, id: &JobId) -> Result<Slot> {
        let slot = self.jobs.get(&alone(id)).await?;
        if slot.value.is_some() { Ok(slot) } else { self.jobs.get(&format!("*.{id}")).await }
    }

    pub(super) fn row(&self, slot: &Slot) -> Result<Option<Row>> {
        let Some(value) = &slot.value else { return Ok(None) };
        serde_json::from_slice(value).map(Some).map_err(|error| self.jobs.link.damaged(error))
    }

    /// What a key holds; `None` where no job is, or one whose addition was not accepted.
    pub(super) async fn found(&self, slot: Slot) -> Result<Option<Found>> {
        let Some(mut row) = self.row(&slot)? else { return Ok(None) };
        if let Some(Proposed { nonce, job }) = row.proposed.take() {
            let accepted = match &job.fingerprint {
                Some(fingerprint) => {
                    let named = self.named(&self.same.get(&self.key_of_same(fingerprint)).await?)?;
                    named.iter().any(|named| named.key == slot.key && named.nonce == nonce)
                }
                None => true,
            };
            row.job = if accepted { Some(job) } else { row.job };
        }
        let Row { added, holder, job: Some(job), .. } = row else { return Ok(None) };
        let Slot { key, revision, .. } = slot;
        Ok(Some(Found { key, revision, added: added.unwrap_or(revision), holder, job }))
    }

    pub(super) fn key_of_same(&self, fingerprint: &Fingerprint) -> String {
        super::bucket::safe(fingerprint.as_str())
    }

    pub(super) fn named(&self, slot: &Slot) -> Result<Vec<Named>> {
        let Some(value) = &slot.value else { return Ok(Vec::new()) };
        serde_json::from_slice(value).map_err(|error| self.same.link.damaged(error))
    }
}
