//! When a worker is killed. What takes long is hit by any clock; what takes a millisecond has to be waited for.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::kills::journal::{Counts, Journal};

/// A worker is killed by then, whatever was waited for.
const LATEST: Duration = Duration::from_millis(1500);
/// How often is looked for what nobody tells.
const GLANCE: Duration = Duration::from_millis(1);

/// What is waited for before the kill.
#[derive(Clone, Copy, Debug)]
enum Sign {
    Nothing,
    /// A `generate` is started.
    Begun,
    /// Something is written to the record.
    Recorded,
    Post,
    Answer,
    Fetch,
    Sidecar,
    Name,
}

/// The moment of a kill.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aim {
    sign: Sign,
    /// The how manieth.
    nth: usize,
    /// How long after it.
    later: Duration,
}

/// What can be looked at.
pub(super) struct Scene<'a> {
    pub(super) folder: &'a Path,
    pub(super) state: &'a Path,
    pub(super) journal: &'a Journal,
    /// How many `generate` were begun.
    pub(super) begun: watch::Receiver<usize>,
}

impl Aim {
    pub(super) fn new(rng: &mut Rng) -> Self {
        // Milliseconds after it.
        let (sign, within) = match rng.u8(..16) {
            0 => (Sign::Nothing, 10..1400),
            1 => (Sign::Nothing, 10..500),
            2 => (Sign::Nothing, 0..60),
            3 => (Sign::Begun, 0..40),
            4 | 5 => (Sign::Recorded, 0..3),
            6 => (Sign::Post, 0..90),
            7..=9 => (Sign::Answer, 0..2),
            10 => (Sign::Fetch, 0..90),
            11..=13 => (Sign::Sidecar, 0..3),
            _ => (Sign::Name, 0..3),
        };
        Self { sign, nth: rng.usize(1..=5), later: Duration::from_millis(rng.u64(within)) }
    }

    pub(super) async fn comes(self, scene: &mut Scene<'_>) {
        let _ = timeout(LATEST, self.sign_comes(scene)).await;
        if !self.later.is_zero() {
            sleep(self.later).await;
        }
    }

    async fn sign_comes(self, scene: &mut Scene<'_>) {
        let count = |count: fn(&Counts) -> usize| {
            let mut counts = scene.journal.counts.subscribe();
            let until = count(&counts.borrow()) + self.nth;
            async move { counts.wait_for(|counts| count(counts) >= until).await.is_ok() }
        };
        match self.sign {
            Sign::Nothing => {}
            Sign::Begun => drop(scene.begun.wait_for(|&begun| begun >= self.nth).await),
            Sign::Post => drop(count(|counts| counts.posts).await),
            Sign::Answer => drop(count(|counts| counts.answers).await),
            Sign::Fetch => drop(count(|counts| counts.fetches).await),
            Sign::Recorded => self.changes(|| written(scene.state)).await,
            Sign::Sidecar => self.grows(|| named(scene.folder, &[".json", ".json.highway-part"])).await,
            Sign::Name => self.grows(|| named(scene.folder, &[".mp4"])).await,
        }
    }

    async fn changes<T: PartialEq>(self, look: impl Fn() -> T) {
        let mut seen = look();
        let mut left = self.nth;
        while left > 0 {
            sleep(GLANCE).await;
            let now = look();
            left -= usize::from(now != seen);
            seen = now;
        }
    }

    async fn grows(self, look: impl Fn() -> usize) {
        let until = look() + self.nth;
        while look() < until {
            sleep(GLANCE).await;
        }
    }
}

fn written(state: &Path) -> Option<(u64, SystemTime)> {
    let log = fs::metadata(state.join("record.sqlite3-wal")).ok()?;
    Some((log.len(), log.modified().ok()?))
}

/// Files whose names end so; of a part of a video's note neither is meant.
fn named(folder: &Path, endings: &[&str]) -> usize {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let is_meant = |name: &str| {
        let stem = endings.iter().find_map(|ending| name.strip_suffix(ending));
        stem.is_some_and(|stem| stem.bytes().all(|letter| letter.is_ascii_digit()))
    };
    names.filter(|name| name.to_str().is_some_and(is_meant)).count()
}
