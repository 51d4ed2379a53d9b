//! Batches in the record: planned, found, counted, ended. None of this needs a key or a network.

use std::collections::HashSet;
use std::path::PathBuf;

use super::{Batch, BatchId, FrameSource, Frames, Item, PlannedItem, Tally, id_of};
use crate::asked::{Fingerprint, Picture, Pictures};
use crate::error::{Error, Result};
use crate::job::Job;
use crate::jobs::blocking;
use crate::ledger::Ledger;
use crate::state::State;

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
        if let Some(at) = batches.iter().rposition(|batch| batch.id.as_str() == text || batch.name == text) {
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

    /// Writes a batch down with its items, to be sent by whoever works on it. What is there of it already stays as it is:
    /// planned again, a longer manifest adds what is new. Makes the folders that clips go to.
    ///
    /// # Errors
    ///
    /// When a picture will not do, a folder cannot be made, or the record cannot be written.
    pub async fn plan(&self, batch: &Batch, items: &[PlannedItem], frames: &Frames) -> Result<()> {
        let jobs = items.iter().map(|item| job(batch, item, frames)).collect::<Result<Vec<_>>>()?;
        let folders: HashSet<PathBuf> =
            jobs.iter().filter_map(|job| job.output.as_deref()?.parent().map(PathBuf::from)).collect();
        let made = blocking(move || folders.iter().try_for_each(std::fs::create_dir_all)).await?;
        made.map_err(|error| Error::input("output: a folder for clips cannot be made").with_source(error))?;
        let mut kept = HashSet::new();
        for (picture, file) in jobs.iter().flat_map(files) {
            if kept.insert(picture.sha256()) {
                self.store.keep_frame(picture.sha256(), file).await?;
            }
        }
        self.store.plan(batch, &jobs).await
    }

    /// Ends a batch for good: nothing more of it is sent. What was sent stays as it is.
    ///
    /// # Errors
    ///
    /// When there is no such batch, or the record cannot be written.
    pub async fn cancel(&self, batch: &BatchId) -> Result<()> {
        self.store.cancel(batch).await
    }
}

/// The pictures of a job that are files, and where they are.
fn files(job: &Job) -> impl Iterator<Item = (&Picture, &PathBuf)> {
    let both = job.asked.as_ref().zip(job.pictures.as_ref());
    both.into_iter().flat_map(|(asked, pictures)| {
        let ends = [(&asked.image, pictures.image.as_ref()), (&asked.last_image, pictures.last_image.as_ref())];
        ends.into_iter().filter_map(|(picture, file)| Some((picture, file?)))
    })
}

/// The first job of an item. Its id goes by the item's, so that it is planned once.
fn job(batch: &Batch, item: &PlannedItem, frames: &Frames) -> Result<Job> {
    let (_, asked) = frames.request(item).map_err(|problems| {
        Error::input(format!("{}: {}", item.place, problems.first().map(String::as_str).unwrap_or_default()))
    })?;
    let path = |source: &FrameSource| match source {
        FrameSource::File(file) => Some(file.clone()),
        FrameSource::Url(_) => None,
    };
    Ok(Job {
        id: id_of(&[batch.id.as_str(), &item.id]),
        state: State::Planned,
        attempt: 0,
        item: Some(Item::new(batch.id.clone(), &item.id, item.number, &item.output)),
        price: batch.prices.as_ref().and_then(|prices| prices.price(&item.options)),
        fingerprint: Some(Fingerprint::new(&batch.service, &asked)),
        asked: Some(asked),
        pictures: Some(Pictures { image: path(&item.image), last_image: path(&item.last_image) }),
        output: Some(batch.base.join(&item.output)),
        ..Job::new(&batch.service)
    })
}
