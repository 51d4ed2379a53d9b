//! How far batches are, without reading all of them each time: what was written since then is added to what is known.
//!
//! Of each job only its item and its state are kept, so that ten thousand take a megabyte or two.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::bucket::Slot;
use super::row::{Found, Row};
use super::shared::Shared;
use crate::batch::{BatchId, Tally};
use crate::error::Result;
use crate::job::Job;
use crate::state::State;

/// So often all of a batch is read anew: a key that was removed says nothing of it afterwards.
const ANEW: Duration = Duration::from_secs(10 * 60);

/// What is known of each batch that was asked for.
pub(super) type Tallies = tokio::sync::Mutex<HashMap<BatchId, Known>>;

pub(super) struct Known {
    begun: Instant,
    /// Everything that was written until this revision was seen.
    seen: u64,
    lines: HashMap<String, Line>,
    /// Keys of which another key decides what is there.
    open: HashSet<String>,
}

struct Line {
    added: u64,
    item: String,
    state: State,
}

impl Shared {
    pub(super) async fn tally(&self, batch: &BatchId) -> Result<Tally> {
        let mut tallies = self.tallies.lock().await;
        let last = self.jobs.last_revision().await?;
        // A server that has lost its disk begins anew, too.
        let known = tallies.remove(batch).filter(|known| known.begun.elapsed() < ANEW && known.seen <= last);
        let mut known = known.unwrap_or_else(Known::new);
        if known.seen < last {
            let seen = known.seen;
            let look = |slot: Slot| {
                let row = self.row(&slot)?;
                known.look(slot, row);
                Ok(())
            };
            known.seen = self.jobs.each_since(&format!("{batch}.*"), seen, look).await?;
        }
        for key in std::mem::take(&mut known.open) {
            let slot = self.jobs.get(&key).await?;
            let is_open = self.row(&slot)?.is_some_and(|row| row.proposed.is_some());
            match self.found(slot).await? {
                Some(Found { added, job, .. }) => known.put(&key, added, &job),
                None => drop(known.lines.remove(&key)),
            }
            if is_open {
                known.open.insert(key);
            }
        }
        let tally = known.tally();
        // Only what was read to its end is worth keeping.
        tallies.insert(batch.clone(), known);
        Ok(tally)
    }
}

impl Known {
    fn new() -> Self {
        Self { begun: Instant::now(), seen: 0, lines: HashMap::new(), open: HashSet::new() }
    }

    fn look(&mut self, slot: Slot, row: Option<Row>) {
        let is_open = row.as_ref().is_some_and(|row| row.proposed.is_some());
        match row {
            Some(Row { job: Some(job), added, .. }) => self.put(&slot.key, added.unwrap_or(slot.revision), &job),
            _ => drop(self.lines.remove(&slot.key)),
        }
        if is_open {
            self.open.insert(slot.key);
        } else {
            self.open.remove(&slot.key);
        }
    }

    fn put(&mut self, key: &str, added: u64, job: &Job) {
        let Some(item) = &job.item else { return };
        match self.lines.get_mut(key) {
            Some(line) => line.state = job.state,
            None => drop(self.lines.insert(key.to_owned(), Line { added, item: item.id.clone(), state: job.state })),
        }
    }

    /// Each item counts by its newest job.
    fn tally(&self) -> Tally {
        let mut newest: HashMap<&str, &Line> = HashMap::new();
        for line in self.lines.values() {
            let there = newest.entry(&line.item).or_insert(line);
            if there.added < line.added {
                *there = line;
            }
        }
        let mut tally = Tally::default();
        newest.into_values().for_each(|line| tally.add(line.state, 1));
        tally
    }
}
