//! The sandbox's own time: as the machine's, quicker or slower, or moved by hand.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::error::Error;

/// Where a stepped clock begins: 2026-01-01T00:00:00Z, in seconds since 1970.
const STEPPED_START: Duration = Duration::from_secs(1_767_225_600);

/// What a clock may be sped up or slowed down by.
const SPEEDS: std::ops::RangeInclusive<f64> = 0.001..=1_000_000.0;

/// A stepped clock goes no further than this from its beginning: a hundred years.
const FURTHEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The time that a sandbox lives in: all times of its answers, the expiry of its links and the run times of its tasks.
///
/// For [`Builder::clock`](crate::Builder::clock). Clones are the same clock.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    mode: Mode,
    speed: f64,
    beginning: Mutex<Beginning>,
}

/// How the virtual time follows from the machine's.
struct Beginning {
    /// Virtual time since 1970 at which the sandbox began.
    unix: Duration,
    /// Virtual time that had passed since then at the moment `started`; of a stepped clock all of it.
    passed: Duration,
    started: Instant,
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

    /// A clock that stands still at 2026-01-01T00:00:00Z until [`Sandbox::advance`](crate::Sandbox::advance) moves it.
    pub fn stepped() -> Self {
        Self::new(Mode::Stepped, 0.0)
    }

    fn new(mode: Mode, speed: f64) -> Self {
        let beginning = Mutex::new(Beginning::of(mode));
        Self(Arc::new(Inner { mode, speed, beginning }))
    }

    /// Virtual time since the sandbox began.
    pub fn now(&self) -> Duration {
        let beginning = self.beginning();
        beginning.passed + beginning.started.elapsed().mul_f64(self.0.speed)
    }

    /// Virtual time since 1970.
    pub fn unix(&self) -> Duration {
        self.began() + self.now()
    }

    /// Virtual time since 1970 at which the sandbox began.
    pub(crate) fn began(&self) -> Duration {
        self.beginning().unix
    }

    /// The same in whole milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now().as_millis().try_into().unwrap_or(u64::MAX)
    }

    fn beginning(&self) -> MutexGuard<'_, Beginning> {
        self.0.beginning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves a stepped clock on.
    ///
    /// # Errors
    ///
    /// When the clock moves by itself, or would come further than a hundred years from its beginning.
    pub(crate) fn advance(&self, by: Duration) -> Result<(), Error> {
        if self.0.mode != Mode::Stepped {
            return Err(Error::new("the clock moves by itself: only a stepped clock can be advanced"));
        }
        let mut beginning = self.beginning();
        let next = beginning.passed.checked_add(by).filter(|next| *next <= FURTHEST);
        beginning.passed =
            next.ok_or_else(|| Error::new("the clock goes no further than a hundred years from its beginning"))?;
        Ok(())
    }

    /// Goes on for a sandbox that began then and has seen `now`. A clock that moves by itself has moved meanwhile; a stepped
    /// one stood still. Time never goes back.
    pub(crate) fn resume(&self, began: Duration, now: Duration) {
        let meanwhile = match self.0.mode {
            Mode::Stepped => Duration::ZERO,
            Mode::Real | Mode::Scaled => system().saturating_sub(began).mul_f64(self.0.speed),
        };
        *self.beginning() = Beginning { unix: began, passed: now.max(meanwhile), started: Instant::now() };
    }

    /// Begins anew.
    pub(crate) fn restart(&self) {
        *self.beginning() = Beginning::of(self.0.mode);
    }

    pub(crate) fn mode(&self) -> Mode {
        self.0.mode
    }

    /// 1 for the machine's own pace, 0 for a stepped clock.
    pub(crate) fn speed(&self) -> f64 {
        self.0.speed
    }
}

impl Beginning {
    fn of(mode: Mode) -> Self {
        let unix = if mode == Mode::Stepped { STEPPED_START } else { system() };
        Self { unix, passed: Duration::ZERO, started: Instant::now() }
    }
}

/// The machine's time since 1970.
fn system() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
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

    #[test]
    fn a_stepped_clock_moves_by_hand_alone() {
        let clock = Clock::stepped();
        assert_eq!((clock.now(), clock.unix()), (Duration::ZERO, STEPPED_START));
        assert_eq!((clock.mode().name(), clock.speed()), ("stepped", 0.0));
        let same = clock.clone();
        same.advance(HOUR / 2).unwrap();
        std::thread::sleep(Duration::from_millis(1));
        same.advance(HOUR / 2).unwrap();
        assert_eq!((clock.now(), clock.unix()), (HOUR, STEPPED_START + HOUR));
        assert!(clock.advance(Duration::MAX).is_err());
        assert_eq!(clock.now(), HOUR, "what goes too far moves nothing");
    }

    #[test]
    fn a_scaled_clock_is_so_many_times_as_quick() {
        let clock = Clock::scaled(100_000.0).unwrap();
        std::thread::sleep(Duration::from_millis(36));
        assert!(clock.now() >= HOUR, "an hour is 36 ms");
        let slow = Clock::scaled(0.001).unwrap();
        assert!(slow.now() < Duration::from_secs(1));
        assert!(clock.advance(HOUR).is_err());
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e7] {
            assert!(Clock::scaled(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn time_never_goes_back() {
        let clock = Clock::stepped();
        clock.resume(STEPPED_START, HOUR);
        assert_eq!((clock.now(), clock.unix()), (HOUR, STEPPED_START + HOUR));
        clock.restart();
        assert_eq!((clock.now(), clock.unix()), (Duration::ZERO, STEPPED_START));

        // It began an hour ago, and had come no further than that.
        let clock = Clock::scaled(2.0).unwrap();
        clock.resume(system() - HOUR, HOUR);
        assert!((2 * HOUR..3 * HOUR).contains(&clock.now()), "{:?}", clock.now());
        // The machine's clock was put back meanwhile.
        clock.resume(system() + HOUR, HOUR);
        assert!(clock.now() >= HOUR);
    }
}
