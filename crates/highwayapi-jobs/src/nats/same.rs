//! The same is begun once: the key of a fingerprint names the jobs that may have been paid for.
//!
//! No write changes two keys at once. So a job that is to be begun is first _proposed_ in its own row, which changes
//! nothing yet; then the fingerprint's key is made to name the proposal, if since it was read no other was named: that
//! one write decides. Whoever breaks off before it has begun nothing, whoever breaks off after it has begun the job, and
//! every reader of the row sees which. Last the row is written without the proposal, which shows that the job is still
//! held. Of two that propose at once one is named first; the other reads the key anew, finds it, and looks at its row,
//! which was there before its name was.

use super::TRIES;
use super::bucket::Put;
use super::row::{Leave, Named, Proposed, Row, Seat};
use super::shared::{Grip, Shared};
use crate::asked::Fingerprint;
use crate::error::{Error, Result};
use crate::job::Job;

impl Shared {
    /// Makes a job that is held be `job`, unless the same may have been paid for: then that. `now` is what its row holds
    /// until then, none if it is to be added.
    pub(super) async fn begin_once(
        &self,
        grip: &Grip,
        seat: &mut Seat,
        now: Option<Job>,
        job: &Job,
        again: bool,
    ) -> Result<Option<Job>> {
        if let Some(fingerprint) = &job.fingerprint {
            let nonce = format!("{:016x}", fastrand::u64(..));
            let proposed = Some(Proposed { nonce: nonce.clone(), job: job.clone() });
            self.write(grip, seat, Row { job: now.clone(), proposed, ..Row::default() }).await?;
            let name = Named { key: grip.key.clone(), nonce };
            if let Some(same) = self.name(fingerprint, name, again, true).await? {
                match now {
                    Some(_) => self.write(grip, seat, Row { job: now, ..Row::default() }).await?,
                    None => self.erase(grip, seat).await?,
                }
                return Ok(Some(same));
            }
        }
        // Nobody takes it away before a request is on its way; and that it was not taken away shows in this write.
        self.pulse.refresh().await?;
        self.write(grip, seat, Row { job: Some(job.clone()), ..Row::default() }).await?;
        seat.leave = Leave::Job(Box::new(job.clone()));
        Ok(None)
    }

    /// Has the fingerprint's key name a proposal, unless it names another job that is paid: then the newest of those.
    async fn name(
        &self,
        fingerprint: &Fingerprint,
        name: Named,
        again: bool,
        is_proposed: bool,
    ) -> Result<Option<Job>> {
        let key = self.key_of_same(fingerprint);
        let mut slot = self.same.get(&key).await?;
        for _ in 0..TRIES {
            let mut names = self.named(&slot)?;
            if names.contains(&name) {
                return Ok(None);
            }
            names.retain(|other| other.key != name.key);
            if !again {
                if let Some(same) = self.newest_paid(&names).await? {
                    return Ok(Some(same));
                }
                // None of them is paid, and none will be without being named anew.
                names.clear();
            }
            // Who was taken for dead and wakes up here must not displace what the next one has proposed. If that comes
            // after this look, it finds the key changed.
            if is_proposed && !self.still_proposes(&name).await? {
                return Err(self.not_held());
            }
            names.push(name.clone());
            let text = serde_json::to_vec(&names).map_err(|error| self.link.damaged(error))?;
            match self.same.put(&key, Some(text), slot.revision).await? {
                Put::Done(_) => return Ok(None),
                Put::Changed(now) => slot = now,
            }
        }
        Err(self.too_busy())
    }

    async fn still_proposes(&self, name: &Named) -> Result<bool> {
        let row = self.row(&self.jobs.get(&name.key).await?)?;
        Ok(row.and_then(|row| row.proposed).is_some_and(|proposed| proposed.nonce == name.nonce))
    }

    /// Has the fingerprint's key name a job that is paid without having been proposed.
    pub(super) async fn name_as_it_is(&self, fingerprint: &Fingerprint, key: &str) -> Result<()> {
        let name = Named { key: key.to_owned(), nonce: String::new() };
        self.name(fingerprint, name, true, false).await.map(drop)
    }

    /// The newest job of this fingerprint, other than the one at `but`, that is paid.
    pub(super) async fn paid(&self, fingerprint: &Fingerprint, but: &str) -> Result<Option<Job>> {
        let mut names = self.named(&self.same.get(&self.key_of_same(fingerprint)).await?)?;
        names.retain(|name| name.key != but);
        self.newest_paid(&names).await
    }

    async fn newest_paid(&self, names: &[Named]) -> Result<Option<Job>> {
        let mut newest = None;
        for name in names {
            if let Some(found) = self.found(self.jobs.get(&name.key).await?).await?
                && found.job.is_paid()
                && newest.as_ref().is_none_or(|(added, _)| *added < found.added)
            {
                newest = Some((found.added, found.job));
            }
        }
        Ok(newest.map(|(_, job)| job))
    }

    /// Takes the name of a job that is no more from its fingerprint's key.
    pub(super) async fn unname(&self, fingerprint: &Fingerprint, gone: &str) -> Result<()> {
        let key = self.key_of_same(fingerprint);
        let mut slot = self.same.get(&key).await?;
        for _ in 0..TRIES {
            let mut names = self.named(&slot)?;
            names.retain(|name| name.key != gone);
            let text = serde_json::to_vec(&names).map_err(|error| self.link.damaged(error))?;
            match self.same.put(&key, (!names.is_empty()).then_some(text), slot.revision).await? {
                Put::Done(_) => return Ok(()),
                Put::Changed(now) => slot = now,
            }
        }
        Err(self.too_busy())
    }

    pub(super) fn too_busy(&self) -> Error {
        Error::store(format!("the record {} is being written by others all the time", self.link.place))
    }
}
