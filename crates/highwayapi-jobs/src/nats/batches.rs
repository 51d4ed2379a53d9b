//! The records of batches: what is common to their jobs, and what was spent.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::TRIES;
use super::bucket::{Put, Slot};
use super::shared::Shared;
use crate::batch::{Batch, BatchId};
use crate::error::{Error, Result};
use crate::job::Job;

/// What stands at a batch's key.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    /// The revision of its first write, which is its place among all; unknown until the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    added: Option<u64>,
    batch: Batch,
}

/// What became of counting a job.
pub(super) enum Counted {
    Yes,
    Cancelled,
    CapReached,
}

impl Shared {
    /// Changes the record of a batch, whoever changes it at the same time; `None` leaves it as it is.
    async fn change_batch<T>(
        &self,
        id: &BatchId,
        mut change: impl FnMut(Option<Batch>) -> Result<(Option<Batch>, T)>,
    ) -> Result<T> {
        let mut slot = self.batches.get(id.as_str()).await?;
        for _ in 0..TRIES {
            let row = self.batch_row(&slot)?;
            let added = row.as_ref().map(|row| row.added.unwrap_or(slot.revision));
            let (batch, done) = change(row.map(|row| row.batch))?;
            let Some(batch) = batch else { return Ok(done) };
            let text = serde_json::to_vec(&Row { added, batch }).map_err(|error| {
                Error::store("a batch cannot be written down; is a file's name no Unicode?").with_source(error)
            })?;
            match self.batches.put(id.as_str(), Some(text), slot.revision).await? {
                Put::Done(_) => return Ok(done),
                Put::Changed(now) => slot = now,
            }
        }
        Err(self.too_busy())
    }

    fn batch_row(&self, slot: &Slot) -> Result<Option<Row>> {
        let Some(value) = &slot.value else { return Ok(None) };
        serde_json::from_slice(value).map(Some).map_err(|error| self.link.damaged(error))
    }

    pub(super) async fn all_batches(&self) -> Result<Vec<Batch>> {
        let mut rows = HashMap::new();
        let look = |slot: Slot| {
            if let Some(row) = self.batch_row(&slot)? {
                rows.insert(slot.key, (row.added.unwrap_or(slot.revision), row.batch));
            }
            Ok(())
        };
        self.batches.each(">", look).await?;
        let mut rows: Vec<_> = rows.into_values().collect();
        rows.sort_by_key(|(added, _)| *added);
        Ok(rows.into_iter().map(|(_, batch)| batch).collect())
    }

    pub(super) async fn put_batch(&self, batch: &Batch) -> Result<()> {
        self.change_batch(&batch.id, |there| {
            Ok((Some(there.map_or_else(|| batch.clone(), |there| there.planned_again(batch))), ()))
        })
        .await
    }

    pub(super) async fn cancel_batch(&self, id: &BatchId) -> Result<()> {
        self.change_batch(id, |there| Ok((Some(Batch { cancelled: true, ..there.ok_or_else(|| no(id))? }), ()))).await
    }

    pub(super) async fn is_cancelled(&self, job: &Job) -> Result<bool> {
        let Some(item) = &job.item else { return Ok(false) };
        let row = self.batch_row(&self.batches.get(item.batch.as_str()).await?)?;
        Ok(row.ok_or_else(|| no(&item.batch))?.batch.cancelled)
    }

    /// Counts a job that is about to be sent.
    pub(super) async fn count(&self, job: &Job) -> Result<Counted> {
        let Some(item) = &job.item else { return Ok(Counted::Yes) };
        self.change_batch(&item.batch, |there| {
            let there = there.ok_or_else(|| no(&item.batch))?;
            if there.cancelled {
                return Ok((None, Counted::Cancelled));
            }
            Ok(there.counted(job).map_or((None, Counted::CapReached), |batch| (Some(batch), Counted::Yes)))
        })
        .await
    }

    /// Takes a job back that was counted and is known not to be charged.
    pub(super) async fn uncount(&self, job: &Job) -> Result<()> {
        let Some(item) = &job.item else { return Ok(()) };
        self.change_batch(&item.batch, |there| Ok((Some(there.ok_or_else(|| no(&item.batch))?.refunded(job)), ())))
            .await
    }
}

fn no(id: &BatchId) -> Error {
    Error::not_found(format!("there is no batch {id} in the record"))
}
