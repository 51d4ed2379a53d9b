//! What a [`Store`] must do, in SQL.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Shared, SqliteStore, failed, lock, read};
use crate::batch::{Batch, BatchId, Tally};
use crate::error::{Error, Result};
use crate::job::{Job, JobId};
use crate::state::State;
use crate::store::{Added, Begun, Claim, Entry, Held, Hold, Pending, Store, Which};

impl Store for SqliteStore {
    fn add<'a>(&'a self, job: &'a Job, again: bool) -> Pending<'a, Added> {
        let job = job.clone();
        self.call(move |shared| {
            let text = shared.job_text(&job)?;
            let hold = shared.new_hold(&job.id);
            let same = shared.write(|transaction| {
                if let (Some(same), false) = (paid_for(transaction, &job)?, again) {
                    return Ok(Some(same));
                }
                let new = "INSERT INTO jobs (id, holder, job) VALUES (?, ?, ?)";
                transaction.execute(new, params![job.id.as_str(), hold.token(), text])?;
                Ok(None)
            })?;
            Ok(match same {
                Some(job) => Added::Same(Box::new(job)),
                None => Added::New(hold),
            })
        })
    }

    fn hold<'a>(&'a self, id: &'a JobId) -> Pending<'a, Held> {
        let id = id.clone();
        self.call(move |shared| {
            let hold = shared.new_hold(&id);
            let found = shared.write(|transaction| {
                let held = "SELECT job, holder FROM jobs WHERE id = ?";
                let found = transaction.query_row(held, [id.as_str()], |row| Ok((read(row)?, row.get(1)?)));
                let Some((job, holder)): Option<(Job, Option<String>)> = found.optional()? else { return Ok(None) };
                if holder.is_some_and(|holder| shared.is_held(&holder)) {
                    return Ok(Some((job, false)));
                }
                take(transaction, &hold)?;
                Ok(Some((job, true)))
            })?;
            Ok(match found {
                Some((job, true)) => Held::Yes(hold, Box::new(job)),
                Some((job, false)) => Held::ByAnother(Box::new(job)),
                None => Held::NotFound,
            })
        })
    }

    fn save<'a>(&'a self, hold: &'a Hold, job: &'a Job) -> Pending<'a, ()> {
        self.save_with(hold, job, |_, _| Ok(()))
    }

    fn jobs<'a>(&'a self, which: Which<'a>) -> Pending<'a, Vec<Entry>> {
        let (condition, wanted) = match which {
            Which::All => ("?1 = ''", Some("")),
            Which::Ran(_) => ("?1 = '' AND run_ms IS NOT NULL", Some("")),
            // What begins so is sorted in between: no letter of an id comes after `z`.
            Which::Named(beginning) => ("id BETWEEN ?1 AND ?1 || '{'", Some(beginning)),
            Which::Task(id) => ("task_id = ?1", Some(id.as_str())),
            Which::Same(fingerprint) => ("fingerprint = ?1", Some(fingerprint.as_str())),
            // Nothing else can have been written down.
            Which::Output(path) => ("output = ?1", path.to_str()),
            Which::Batch(batch) => ("batch = ?1", Some(batch.as_str())),
        };
        let (wanted, limit) = (wanted.map(str::to_owned), if let Which::Ran(most) = which { most } else { usize::MAX });
        self.call(move |shared| {
            // One statement reads one state, whoever writes meanwhile.
            let rows = || {
                let connection = lock(&shared.connection);
                let find = format!("SELECT job, holder FROM jobs WHERE {condition} ORDER BY rowid DESC LIMIT ?2");
                let mut find = connection.prepare(&find)?;
                let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                let rows = find.query_map(params![wanted, limit], |row| Ok((read(row)?, row.get(1)?)))?;
                rows.collect::<rusqlite::Result<Vec<(Job, Option<String>)>>>()
            };
            let rows = rows().map_err(|error| failed(&shared.place, error))?;
            let entry = |(job, holder): (Job, Option<String>)| {
                Entry::new(job, holder.is_some_and(|holder| shared.is_held(&holder)))
            };
            Ok(rows.into_iter().rev().map(entry).collect())
        })
    }

    fn remove(&self, hold: Hold) -> Pending<'_, ()> {
        let grip = self.0.grip(&hold);
        self.call(move |shared| {
            let Some(grip) = grip else { return Err(shared.not_held()) };
            let remove = "DELETE FROM jobs WHERE id = ? AND holder = ?";
            let removed = shared.write(|transaction| transaction.execute(remove, [grip.id.as_str(), &grip.token]))?;
            drop(hold);
            if removed == 1 { Ok(()) } else { Err(shared.not_held()) }
        })
    }

    fn plan<'a>(&'a self, batch: &'a Batch, jobs: &'a [Job]) -> Pending<'a, ()> {
        let (batch, jobs) = (batch.clone(), jobs.to_vec());
        self.call(move |shared| {
            let texts = jobs.iter().map(|job| shared.job_text(job)).collect::<Result<Vec<_>>>()?;
            // Before the transaction, for what cannot be written is to be said in words.
            shared.text(&batch, format_args!("batch {}", batch.id))?;
            shared.write(|transaction| {
                let there = read_batch(transaction, &batch.id).optional()?;
                write_batch(transaction, &there.map_or_else(|| batch.clone(), |there| there.planned_again(&batch)))?;
                let mut add =
                    transaction.prepare("INSERT INTO jobs (id, job) VALUES (?, ?) ON CONFLICT (id) DO NOTHING")?;
                for (job, text) in jobs.iter().zip(texts) {
                    add.execute(params![job.id.as_str(), text])?;
                }
                Ok(())
            })
        })
    }

    fn batches(&self) -> Pending<'_, Vec<Batch>> {
        self.call(|shared| {
            let rows = || {
                let connection = lock(&shared.connection);
                let mut all = connection.prepare("SELECT batch FROM batches ORDER BY rowid")?;
                all.query_map([], read)?.collect::<rusqlite::Result<Vec<Batch>>>()
            };
            rows().map_err(|error| failed(&shared.place, error))
        })
    }

    fn cancel<'a>(&'a self, batch: &'a BatchId) -> Pending<'a, ()> {
        let id = batch.clone();
        self.call(move |shared| {
            let found = shared.write(|transaction| {
                let Some(batch) = read_batch(transaction, &id).optional()? else { return Ok(false) };
                write_batch(transaction, &Batch { cancelled: true, ..batch })?;
                Ok(true)
            })?;
            if found { Ok(()) } else { Err(Error::not_found(format!("there is no batch {id} in the record"))) }
        })
    }

    fn claim<'a>(&'a self, batch: &'a BatchId, what: Claim) -> Pending<'a, Option<(Hold, Box<Job>)>> {
        let batch = batch.clone();
        self.call(move |shared| {
            shared.write(|transaction| {
                let begun = State::ALL.iter().filter(|&&state| state != State::Planned);
                for &state in begun.chain(&[State::Planned]).filter(|&&state| what.includes(state)) {
                    if let Some(job) = free(shared, transaction, &batch, state)? {
                        let hold = shared.new_hold(&job.id);
                        take(transaction, &hold)?;
                        return Ok(Some((hold, Box::new(job))));
                    }
                }
                Ok(None)
            })
        })
    }

    fn begin<'a>(&'a self, hold: &'a Hold, job: &'a Job, again: bool) -> Pending<'a, Begun> {
        let (grip, job) = (self.0.grip(hold), job.clone());
        self.call(move |shared| {
            let Some(grip) = grip else { return Err(shared.not_held()) };
            let text = shared.job_text(&job)?;
            let begun = shared.write(|transaction| {
                let held = "SELECT 1 FROM jobs WHERE id = ? AND holder = ?";
                if !transaction.prepare(held)?.exists([grip.id.as_str(), &grip.token])? {
                    return Ok(None);
                }
                let batch = job.item.as_ref().map(|item| read_batch(transaction, &item.batch)).transpose()?;
                if batch.as_ref().is_some_and(|batch| batch.cancelled) {
                    return Ok(Some(Begun::Cancelled));
                }
                if let (Some(same), false) = (paid_for(transaction, &job)?, again) {
                    return Ok(Some(Begun::Same(Box::new(same))));
                }
                if let Some(batch) = batch {
                    let Some(counted) = batch.counted(&job) else { return Ok(Some(Begun::CapReached)) };
                    write_batch(transaction, &counted)?;
                }
                transaction.execute("UPDATE jobs SET job = ? WHERE id = ?", [&text, job.id.as_str()])?;
                Ok(Some(Begun::Yes))
            })?;
            begun.ok_or_else(|| shared.not_held())
        })
    }

    fn refund<'a>(&'a self, hold: &'a Hold, job: &'a Job) -> Pending<'a, ()> {
        self.save_with(hold, job, |transaction, job| match &job.item {
            Some(item) => write_batch(transaction, &read_batch(transaction, &item.batch)?.refunded(job)),
            None => Ok(()),
        })
    }

    fn tally<'a>(&'a self, batch: &'a BatchId) -> Pending<'a, Tally> {
        let batch = batch.clone();
        self.call(move |shared| {
            let tally = || {
                let connection = lock(&shared.connection);
                // With `max`, the other columns are those of its row.
                let count = "SELECT state, count(*) FROM
                    (SELECT state, max(rowid) FROM jobs WHERE batch = ? GROUP BY item) GROUP BY state";
                let mut count = connection.prepare(count)?;
                let mut rows = count.query([batch.as_str()])?;
                let mut tally = Tally::default();
                while let Some(row) = rows.next()? {
                    let name: String = row.get(0)?;
                    let state = State::ALL.iter().find(|state| state.to_string() == name);
                    let items: i64 = row.get(1)?;
                    tally.add(*state.ok_or(rusqlite::Error::InvalidQuery)?, items.unsigned_abs());
                }
                Ok(tally)
            };
            tally().map_err(|error| failed(&shared.place, error))
        })
    }
}

impl SqliteStore {
    /// Writes down a job that is held, and what goes with it.
    fn save_with<'a>(
        &'a self,
        hold: &'a Hold,
        job: &'a Job,
        also: fn(&Transaction<'_>, &Job) -> rusqlite::Result<()>,
    ) -> Pending<'a, ()> {
        let (grip, job) = (self.0.grip(hold), job.clone());
        self.call(move |shared| {
            let Some(grip) = grip else { return Err(shared.not_held()) };
            let text = shared.job_text(&job)?;
            let saved = shared.write(|transaction| {
                let save = "UPDATE jobs SET job = ? WHERE id = ? AND holder = ?";
                let saved = transaction.execute(save, [&text, grip.id.as_str(), &grip.token])?;
                if saved == 1 {
                    also(transaction, &job)?;
                }
                Ok(saved)
            })?;
            if saved == 1 { Ok(()) } else { Err(shared.not_held()) }
        })
    }
}

impl Shared {
    fn job_text(&self, job: &Job) -> Result<String> {
        self.text(job, format_args!("job {}", job.id))
    }
}

/// The newest other job of the same request that is or may be paid for.
fn paid_for(transaction: &Transaction<'_>, job: &Job) -> rusqlite::Result<Option<Job>> {
    let Some(fingerprint) = &job.fingerprint else { return Ok(None) };
    let same = "SELECT job FROM jobs WHERE fingerprint = ? AND id != ? ORDER BY rowid DESC";
    let mut same = transaction.prepare(same)?;
    for row in same.query_map([fingerprint.as_str(), job.id.as_str()], read::<Job>)? {
        let row = row?;
        if row.is_paid() {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// The first job in a state that nobody holds.
fn free(
    shared: &Arc<Shared>,
    transaction: &Transaction<'_>,
    batch: &BatchId,
    state: State,
) -> rusqlite::Result<Option<Job>> {
    let all = "SELECT rowid, holder FROM jobs WHERE batch = ? AND state = ? ORDER BY number, rowid";
    let mut all = transaction.prepare(all)?;
    let mut rows = all.query([batch.as_str(), &state.to_string()])?;
    while let Some(row) = rows.next()? {
        let holder: Option<String> = row.get(1)?;
        if holder.is_some_and(|holder: String| shared.is_held(&holder)) {
            continue;
        }
        let row: i64 = row.get(0)?;
        return transaction.query_row("SELECT job FROM jobs WHERE rowid = ?", [row], read).map(Some);
    }
    Ok(None)
}

fn take(transaction: &Transaction<'_>, hold: &Hold) -> rusqlite::Result<()> {
    let take = "UPDATE jobs SET holder = ? WHERE id = ?";
    transaction.execute(take, [hold.token(), hold.id().as_str()]).map(drop)
}

fn read_batch(transaction: &Transaction<'_>, id: &BatchId) -> rusqlite::Result<Batch> {
    transaction.query_row("SELECT batch FROM batches WHERE id = ?", [id.as_str()], read)
}

fn write_batch(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    let text =
        serde_json::to_string(batch).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let write = "INSERT INTO batches (id, batch) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET batch = excluded.batch";
    transaction.execute(write, [batch.id.as_str(), &text]).map(drop)
}
