//! Many requests as one piece of work: what is common to them, what they may cost, and what they have cost so far.
//!
//! An item of a batch is a [`Job`] like any other, with an [`Item`] that says where it belongs.

mod check;
mod event;
mod finding;
mod frames;
mod item;
mod manifest;
mod money;
mod plan;
mod prices;
mod report;
mod runner;
mod tally;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::job::{Job, JobId};
use crate::store::Entry;
use crate::time;

pub use check::{Against, Checked, Totals, check};
pub use event::{BatchEvent, Ending, Outcome};
pub use finding::{Finding, Weight};
pub use frames::Frames;
pub use item::{FrameSource, Place, PlannedItem};
#[cfg(feature = "schemars")]
pub use manifest::schema as manifest_schema;
pub use manifest::{Format, Manifest, Reading};
pub use money::Money;
pub use plan::Retried;
pub use prices::{Price, PriceTable};
pub use report::{Head, Report, Row};
pub use runner::Runner;
pub use tally::Tally;

/// Names a batch in the record: `b-` and eight letters and digits, such as `b-k3f9x2ab`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchId(String);

impl BatchId {
    /// The same for the same name at the same service, so that whoever plans a batch anew finds what is there of it.
    pub fn of(service: &str, name: &str) -> Self {
        Self(format!("b-{}", id_of(&[service, name])))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BatchId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.strip_prefix("b-").map(str::parse::<JobId>) {
            Some(Ok(_)) => Ok(Self(text.to_owned())),
            _ => {
                let text = text.escape_debug();
                Err(Error::input(format!("`{text}` is no batch's id; expected something like b-k3f9x2ab")))
            }
        }
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The same id for the same words.
pub(crate) fn id_of(words: &[&str]) -> JobId {
    let mut hasher = Sha256::new();
    for word in words {
        hasher.update((word.len() as u64).to_be_bytes());
        hasher.update(word);
    }
    JobId::from_bits(hasher.finalize().iter().take(8).fold(0, |bits, &byte| bits << 8 | u64::from(byte)))
}

/// Where a job belongs in its batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Item {
    /// Its batch.
    pub batch: BatchId,
    /// Its name in the batch. A further job for the same item, after one that failed, has the same.
    pub id: String,
    /// Its place: those with smaller numbers are begun first.
    pub number: u64,
    /// Where its video goes, as it was said, relative to [`Batch::base`].
    pub output: PathBuf,
}

impl Item {
    /// An item of a batch.
    pub fn new(batch: BatchId, id: impl Into<String>, number: u64, output: impl Into<PathBuf>) -> Self {
        Self { batch, id: id.into(), number, output: output.into() }
    }
}

/// A batch, as the record keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Batch {
    /// Its name in the record.
    pub id: BatchId,
    /// What its user calls it.
    pub name: String,
    /// Base URL of the service that all of it is for.
    pub service: String,
    /// The folder that outputs are relative to, absolute on the machine where it was planned.
    pub base: PathBuf,
    /// What it may cost.
    #[serde(default)]
    pub caps: Caps,
    /// What its user says that clips cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<PriceTable>,
    /// What was sent so far, and so may have been paid for.
    #[serde(default)]
    pub spent: Spent,
    /// Whether its user ended it: nothing more of it is begun.
    #[serde(default)]
    pub cancelled: bool,
    /// When it was first planned.
    #[serde(with = "time")]
    pub created_at: SystemTime,
}

/// What a batch may cost at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Caps {
    /// Clips. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_clips: Option<u64>,
    /// Money, in the currency of [`Batch::prices`]. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_spend: Option<Money>,
}

impl Caps {
    /// At most so many clips and so much money; `None` is no limit.
    pub fn new(max_clips: Option<u64>, max_spend: Option<Money>) -> Self {
        Self { max_clips, max_spend }
    }
}

/// What was sent of a batch: counted before it is sent, and taken back only where it is certain that it was not charged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spent {
    /// Clips.
    #[serde(default)]
    pub clips: u64,
    /// What those cost whose price is known.
    #[serde(default)]
    pub money: Money,
    /// Those among the clips whose price is unknown.
    #[serde(default)]
    pub unpriced_clips: u64,
}

impl Batch {
    /// A batch of which nothing was sent yet.
    pub fn new(service: &str, name: &str, base: impl Into<PathBuf>) -> Self {
        Self {
            id: BatchId::of(service, name),
            name: name.to_owned(),
            service: service.to_owned(),
            base: base.into(),
            caps: Caps::default(),
            prices: None,
            spent: Spent::default(),
            cancelled: false,
            created_at: SystemTime::now(),
        }
    }

    /// For a [`crate::Store`]: this batch, which is in the record, as it is after it was planned once more. What was spent
    /// and whether it is cancelled stay.
    #[must_use]
    pub fn planned_again(&self, anew: &Self) -> Self {
        Self { spent: self.spent, cancelled: self.cancelled, created_at: self.created_at, ..anew.clone() }
    }

    /// For a [`crate::Store`]: this batch with a job counted that is about to be sent; `None` if that would pass a cap. A cap
    /// on money is passed by whatever has no price.
    #[must_use]
    pub fn counted(&self, job: &Job) -> Option<Self> {
        let clips = self.spent.clips.checked_add(job.samples() as u64)?;
        let (money, unpriced_clips) = match job.price {
            Some(price) => (self.spent.money.checked_add(price)?, self.spent.unpriced_clips),
            None => (self.spent.money, self.spent.unpriced_clips + job.samples() as u64),
        };
        let fits = self.caps.max_clips.is_none_or(|most| clips <= most)
            && self.caps.max_spend.is_none_or(|most| unpriced_clips == 0 && money <= most);
        fits.then(|| Self { spent: Spent { clips, money, unpriced_clips }, ..self.clone() })
    }

    /// For a [`crate::Store`]: this batch without a job that was counted and is known not to be charged.
    #[must_use]
    pub fn refunded(&self, job: &Job) -> Self {
        let (clips, Spent { money, unpriced_clips, .. }) = (job.samples() as u64, self.spent);
        let (money, unpriced_clips) = match job.price {
            Some(price) => (money.saturating_sub(price), unpriced_clips),
            None => (money, unpriced_clips.saturating_sub(clips)),
        };
        let clips = self.spent.clips.saturating_sub(clips);
        Self { spent: Spent { clips, money, unpriced_clips }, ..self.clone() }
    }
}

/// The newest job of each item of a batch, in the order of the items' numbers. `entries` are in the order in which they
/// were added; those that belong to no batch are left out.
pub fn newest(entries: Vec<Entry>) -> Vec<Entry> {
    let mut newest: std::collections::HashMap<String, Entry> = std::collections::HashMap::new();
    for entry in entries {
        if let Some(item) = &entry.job.item {
            newest.insert(item.id.clone(), entry);
        }
    }
    let mut newest: Vec<_> = newest.into_values().collect();
    newest.sort_by(|one, other| place(one).cmp(&place(other)));
    newest
}

/// By number, and by name where several have the same.
fn place(entry: &Entry) -> Option<(u64, &str)> {
    entry.job.item.as_ref().map(|item| (item.number, item.id.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(price: Option<u64>) -> Job {
        Job { price: price.map(Money::from_micros), ..Job::new("https://example.com") }
    }

    fn batch(max_clips: Option<u64>, max_spend: Option<u64>) -> Batch {
        let caps = Caps::new(max_clips, max_spend.map(Money::from_micros));
        Batch { caps, ..Batch::new("https://example.com", "mine", "/tmp") }
    }

    #[test]
    fn an_id_goes_by_service_and_name() {
        let id = BatchId::of("https://example.com", "mine");
        assert_eq!(id, BatchId::of("https://example.com", "mine"));
        assert_eq!(id.as_str().parse::<BatchId>().expect("an id"), id);
        for other in [("https://example.co", "mmine"), ("https://example.com", "yours")] {
            assert_ne!(BatchId::of(other.0, other.1), id);
        }
        assert!("k3f9x2ab".parse::<BatchId>().is_err());
    }

    #[test]
    fn caps_are_reached_and_never_passed() {
        let mut batch = batch(Some(2), Some(150));
        batch = batch.counted(&job(Some(100))).expect("room");
        assert!(batch.counted(&job(Some(51))).is_none(), "money");
        batch = batch.counted(&job(Some(50))).expect("room");
        assert!(batch.counted(&job(Some(0))).is_none(), "clips");
        assert_eq!((batch.spent.clips, batch.spent.money.micros()), (2, 150));
        assert_eq!(batch.refunded(&job(Some(50))).spent.money.micros(), 100);
    }

    #[test]
    fn a_cap_on_money_takes_nothing_without_a_price() {
        assert!(batch(None, Some(1000)).counted(&job(None)).is_none());
        let mut batch = batch(None, None).counted(&job(None)).expect("no cap");
        assert_eq!(batch.spent, Spent { clips: 1, money: Money::default(), unpriced_clips: 1 });
        // Set later: what was sent before may have cost anything.
        batch.caps.max_spend = Some(Money::from_micros(1000));
        assert!(batch.counted(&job(Some(1))).is_none());
        assert!(batch.refunded(&job(None)).counted(&job(Some(1))).is_some());
    }
}
