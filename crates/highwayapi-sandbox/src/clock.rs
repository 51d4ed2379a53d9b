//! The sandbox's own time: as the machine's, quicker or slower, or moved by hand.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::error::Error;

/// Where a stepped clock begins: 2026-01-01T00:00:00Z, in seconds since 1970.
const STEPPED_START: Duration = Duration::from_secs(1_767_225_600);

/// What a clock may be sped up or slowed down by.
const SPEEDS: std::ops::RangeInclusive<f64> = 0.001..=1_000_000.0;

/// A stepped clock goes no further than this from its beginning: a hundred years.
const FURTHEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Longest sleep at once; a slow clock sleeps several times.
const DAY: Duration = Duration::from_secs(86_400);

/// The time that a sandbox lives in: all times of its answers, the expiry of its links and the run times of its tasks.
///
/// Clones are the same clock: a test keeps one and gives the other to [`Builder::clock`](crate::Builder::clock).
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    mode: Mode,
    speed: f64,
    /// When the clock began, by the machine's clock.
    started: Instant,
    /// The virtual time since 1970 at which it began.
    origin: Duration,
    /// Nanoseconds that the origin was put later by `resume`.
    skipped: AtomicU64,
    /// Virtual time since the beginning of a stepped clock.
    stepped: watch::Sender<Duration>,
}

/// How a clock moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As the machine's.
    Real,
    /// So many times as quick.
    Scaled,
    /// Only by `advance`.
    Stepped,
}

impl Mode {
    #[cfg_attr(not(test), allow(dead_code))]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Scaled => "scaled",
            Self::Stepped => "stepped",
        }
    }
}

impl Clock {
    /// The machine's clock.
    pub fn real() -> Self {
        Self::new(Mode::Real, 1.0)
    }

    /// A clock that is `speed` times as quick as the machine's, from 0.001 to 1,000,000.
    ///
    /// # Errors
    ///
    /// When `speed` is none of these.
    pub fn scaled(speed: f64) -> Result<Self, Error> {
        if SPEEDS.contains(&speed) {
            return Ok(Self::new(Mode::Scaled, speed));
        }
        let (least, most) = (SPEEDS.start(), SPEEDS.end());
        Err(Error::new(format!("speed: {speed} came, and it must be a number from {least} to {most}")))
    }

    /// A clock that stands still at 2026-01-01T00:00:00Z until it is [advanced](Self::advance).
    pub fn stepped() -> Self {
        Self::new(Mode::Stepped, 0.0)
    }

    fn new(mode: Mode, speed: f64) -> Self {
        let system = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let origin = if mode == Mode::Stepped { STEPPED_START } else { system() };
        let (started, skipped, stepped) = (Instant::now(), AtomicU64::new(0), watch::Sender::default());
        Self(Arc::new(Inner { mode, speed, started, origin, skipped, stepped }))
    }

    /// Virtual time since the clock began.
    pub fn now(&self) -> Duration {
        match self.0.mode {
            Mode::Real => self.0.started.elapsed(),
            Mode::Scaled => self.0.started.elapsed().mul_f64(self.0.speed),
            Mode::Stepped => *self.0.stepped.borrow(),
        }
    }

    /// Virtual time since 1970.
    pub fn unix(&self) -> Duration {
        self.0.origin + Duration::from_nanos(self.0.skipped.load(Ordering::Relaxed)) + self.now()
    }

    /// Moves a stepped clock on, and wakes who waits for that time.
    ///
    /// # Errors
    ///
    /// When the clock moves by itself, or would come further than a hundred years from its beginning.
    pub fn advance(&self, by: Duration) -> Result<(), Error> {
        if self.0.mode != Mode::Stepped {
            return Err(Error::new("the clock moves by itself: only a stepped clock can be advanced"));
        }
        let mut fits = false;
        self.0.stepped.send_if_modified(|now| {
            let next = now.checked_add(by).filter(|next| *next <= FURTHEST);
            fits = next.is_some();
            next.map(|next| *now = next).is_some()
        });
        if fits { Ok(()) } else { Err(Error::new("the clock goes no further than a hundred years from its beginning")) }
    }

    /// Returns once the clock shows this virtual time, counted as by [`now`](Self::now).
    #[cfg_attr(not(test), allow(dead_code))]
    pub(crate) async fn sleep_until(&self, at: Duration) {
        if self.0.mode == Mode::Stepped {
            // The sender lives as long as the clock.
            let _ = self.0.stepped.subscribe().wait_for(|now| *now >= at).await;
            return;
        }
        while let Some(left) = at.checked_sub(self.now()).filter(|left| !left.is_zero()) {
            let real = Duration::try_from_secs_f64(left.as_secs_f64() / self.0.speed);
            tokio::time::sleep(real.unwrap_or(DAY).min(DAY)).await;
        }
    }

    /// Goes on from a time that a sandbox before this one has seen: time never goes back.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(crate) fn resume(&self, unix: Duration) {
        let behind = unix.saturating_sub(self.unix()).as_nanos().try_into().unwrap_or(u64::MAX);
        // As far as the time since 1970 can be told in 64 bits of nanoseconds, and not into its overflow.
        let most = FURTHEST.as_nanos() as u64;
        self.0.skipped.fetch_add(behind.min(most), Ordering::Relaxed);
    }

    #[cfg_attr(not(test), allow(dead_code))]
    pub(crate) fn mode(&self) -> Mode {
        self.0.mode
    }

    /// 1 for the machine's own pace, 0 for a stepped clock.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(crate) fn speed(&self) -> f64 {
        self.0.speed
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::real()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("mode", &self.0.mode).field("speed", &self.0.speed).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn a_stepped_clock_moves_by_hand_alone() {
        let clock = Clock::stepped();
        assert_eq!((clock.now(), clock.unix()), (Duration::ZERO, STEPPED_START));
        assert_eq!((clock.mode().name(), clock.speed()), ("stepped", 0.0));
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(HOUR).await }
        });
        tokio::task::yield_now().await;
        clock.advance(HOUR / 2).unwrap();
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        clock.advance(HOUR / 2).unwrap();
        waiting.await.unwrap();
        assert_eq!((clock.now(), clock.unix()), (HOUR, STEPPED_START + HOUR));
        assert!(clock.advance(Duration::MAX).is_err());
        assert_eq!(clock.now(), HOUR, "what goes too far moves nothing");
    }

    #[tokio::test]
    async fn a_scaled_clock_is_so_many_times_as_quick() {
        let clock = Clock::scaled(100_000.0).unwrap();
        let real = Instant::now();
        clock.sleep_until(HOUR).await;
        assert!(clock.now() >= HOUR);
        assert!(real.elapsed() >= Duration::from_millis(36), "an hour is 36 ms");
        assert!(clock.advance(HOUR).is_err());
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e7] {
            assert!(Clock::scaled(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn time_never_goes_back() {
        let clock = Clock::stepped();
        clock.resume(STEPPED_START + HOUR);
        assert_eq!((clock.now(), clock.unix()), (Duration::ZERO, STEPPED_START + HOUR));
        clock.resume(STEPPED_START);
        clock.resume(STEPPED_START + HOUR);
        assert_eq!(clock.unix(), STEPPED_START + HOUR);
        clock.resume(Duration::MAX);
        assert!(clock.unix() > STEPPED_START + HOUR);
    }
}
