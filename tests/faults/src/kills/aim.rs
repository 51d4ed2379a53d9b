//! When a worker is killed. What takes long is hit by any clock; what takes a millisecond has to be waited for.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use fastrand::Rng;
use tokio::sync::watch;
use tokio::task::yield_now;
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
        // Microseconds after it.
        let (sign, within) = match rng.u8(..16) {
            0 => (Sign::Nothing, 10_000..1_400_000),
            1 => (Sign::Nothing, 10_000..500_000),
            2 => (Sign::Nothing, 0..60_000),
            3 => (Sign::Begun, 0..40_000),
            4 | 5 => (Sign::Recorded, 0..3000),
            6 => (Sign::Post, 0..90_000),
            7..=9 => (Sign::Answer, 0..2000),
            10 => (Sign::Fetch, 0..90_000),
            11 => (Sign::Sidecar, 0..3000),
            12 | 13 => (Sign::Sidecar, 0..500),
            14 => (Sign::Name, 0..500),
            _ => (Sign::Name, 0..3000),
        };
        Self { sign, nth: rng.usize(1..=5), later: Duration::from_micros(rng.u64(within)) }
    }

    pub(super) async fn comes(self, scene: &mut Scene<'_>) {
        let _ = timeout(LATEST, self.sign_comes(scene)).await;
        // No clock wakes anybody for less than a millisecond.
        let sign = Instant::now();
        sleep(self.later.saturating_sub(2 * GLANCE)).await;
        while sign.elapsed() < self.later {
            yield_now().await;
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
            Sign::Sidecar => self.grows(scene.folder, |files| files.sidecars).await,
            Sign::Name => self.grows(scene.folder, |files| files.clips).await,
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

    /// Looks without a pause when it is near: what comes then takes less than a glance.
    async fn grows(self, folder: &Path, count: impl Fn(&Files) -> usize) {
        let until = count(&Files::of(folder)) + self.nth;
        loop {
            let files = Files::of(folder);
            if count(&files) >= until {
                return;
            }
            match files.being_written > 0 || files.sidecars > files.clips {
                true => yield_now().await,
                false => sleep(GLANCE).await,
            }
        }
    }
}

fn written(state: &Path) -> Option<(u64, SystemTime)> {
    let log = fs::metadata(state.join("record.sqlite3-wal")).ok()?;
    Some((log.len(), log.modified().ok()?))
}

/// How many there are.
#[derive(Default)]
struct Files {
    being_written: usize,
    sidecars: usize,
    clips: usize,
}

impl Files {
    fn of(folder: &Path) -> Self {
        let mut files = Self::default();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            match name.trim_start_matches(|letter: char| letter.is_ascii_digit()) {
                ".json.highway-part" => files.being_written += 1,
                ".json" => files.sidecars += 1,
                ".mp4" => files.clips += 1,
                _ => {}
            }
        }
        files
    }
}
