//! Which processes live: each refreshes a key that the server forgets by itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::bucket::Bucket;
use super::lock;
use crate::error::Result;

/// This process, as others see it.
pub(super) struct Pulse {
    bucket: Bucket,
    name: String,
    holds: AtomicU64,
    /// How long the server remembers a beat.
    pub(super) lease: Duration,
    /// When the last beat that is known to have arrived was begun.
    beaten: Mutex<Instant>,
    pub(super) back: Back,
}

/// When this process last came back to the server after it had lost it.
pub(super) type Back = Arc<Mutex<Option<Instant>>>;

impl Pulse {
    pub(super) async fn begin(bucket: Bucket, back: Back) -> Result<Self> {
        // That of the bucket, whoever made it: all must mean the same.
        let lease = bucket.stream.cached_info().config.max_age;
        let name = format!("{:016x}", fastrand::u64(..));
        let pulse = Self { bucket, name, holds: AtomicU64::new(0), lease, beaten: Mutex::new(Instant::now()), back };
        pulse.beat().await?;
        Ok(pulse)
    }

    pub(super) async fn beat(&self) -> Result<()> {
        let begun = Instant::now();
        self.bucket.set(&self.name, Vec::new()).await?;
        *lock(&self.beaten) = begun;
        Ok(())
    }

    /// Returns with half a lease left in which nobody takes a job away. An error if that cannot be had.
    pub(super) async fn refresh(&self) -> Result<()> {
        // A clock of this machine, which only measures how long ago it was.
        if lock(&self.beaten).elapsed() < self.lease / 2 { Ok(()) } else { self.beat().await }
    }

    /// All jobs of this process are free from here on.
    pub(super) async fn end(&self) -> Result<()> {
        let slot = self.bucket.get(&self.name).await?;
        self.bucket.put(&self.name, None, slot.revision).await.map(drop)
    }

    /// A new one for each hold.
    pub(super) fn token(&self) -> String {
        format!("{}/{}", self.name, self.holds.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn is_own(&self, token: &str) -> bool {
        name(token) == self.name
    }

    /// Whether the process that made this token lives.
    pub(super) async fn is_alive(&self, token: &str) -> Result<bool> {
        // Who has just come back gives all others the time to come back, too.
        if lock(&self.back).is_some_and(|back| back.elapsed() < self.lease) {
            return Ok(true);
        }
        Ok(self.bucket.get(name(token)).await?.value.is_some())
    }
}

fn name(token: &str) -> &str {
    token.split('/').next().unwrap_or_default()
}
