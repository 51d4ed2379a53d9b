//! How long tasks wait and run: drawn from a distribution that its user sets.

use std::f64::consts::TAU;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::error::Error;
use crate::seed::Seed;

/// Nothing runs longer than a week.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

const FORMS: &str = "use a duration (73s), a range (20s..2m), `lognormal MEDIAN SIGMA` (lognormal 73s 0.3) or \
                     `exponential MEAN` (exponential 1m), up to 7 days";

/// A distribution of run times, read from text:
///
/// - `73s`: always the same
/// - `20s..2m`: evenly between the two
/// - `lognormal 73s 0.3`: half of all run shorter than the first; the second is the deviation of the logarithm, from 0 to 3
/// - `exponential 1m`: by its mean
///
/// What is drawn is cut to whole milliseconds and to at most seven days.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunTime(Shape);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Fixed(Duration),
    Between(Duration, Duration),
    Lognormal(Duration, f64),
    Exponential(Duration),
}

impl RunTime {
    /// The `n`-th run time of this purpose.
    pub(crate) fn draw(&self, seed: &Seed, what: &str, n: u64) -> Duration {
        let unit = |part: u64| seed.unit(what, n.wrapping_mul(2).wrapping_add(part));
        // 1 minus it is never 0, whose logarithm there is none of.
        let log = || (1.0 - unit(0)).ln();
        let times = |time: Duration, factor: f64| Duration::try_from_secs_f64(time.as_secs_f64() * factor);
        let drawn = match self.0 {
            Shape::Fixed(time) => Ok(time),
            Shape::Between(least, most) => Ok(least + (most - least).mul_f64(unit(0))),
            Shape::Lognormal(median, sigma) => {
                let normal = (-2.0 * log()).sqrt() * (TAU * unit(1)).cos();
                times(median, (sigma * normal).exp())
            }
            Shape::Exponential(mean) => times(mean, -log()),
        };
        let drawn = drawn.unwrap_or(LONGEST).min(LONGEST);
        Duration::from_millis(drawn.as_millis().try_into().unwrap_or(u64::MAX))
    }
}

impl From<Duration> for RunTime {
    /// Always the same; at most seven days.
    fn from(time: Duration) -> Self {
        Self(Shape::Fixed(time.min(LONGEST)))
    }
}

impl FromStr for RunTime {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::new(format!("{text:?} is no run time: {FORMS}"));
        let time = |text: &str| {
            let time = humantime::parse_duration(text.trim()).map_err(|_| bad())?;
            if time <= LONGEST { Ok(time) } else { Err(bad()) }
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let shape = match words[..] {
            ["lognormal", median, sigma] => {
                let sigma = sigma.parse().ok().filter(|sigma| (0.0..=3.0).contains(sigma)).ok_or_else(bad)?;
                Shape::Lognormal(time(median)?, sigma)
            }
            ["exponential", mean] => Shape::Exponential(time(mean)?),
            _ => match text.split_once("..") {
                Some((least, most)) => {
                    let (least, most) = (time(least)?, time(most)?);
                    if least > most {
                        return Err(bad());
                    }
                    Shape::Between(least, most)
                }
                None => Shape::Fixed(time(text)?),
            },
        };
        Ok(Self(shape))
    }
}

impl fmt::Display for RunTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = humantime::format_duration;
        match self.0 {
            Shape::Fixed(fixed) => write!(f, "{}", time(fixed)),
            Shape::Between(least, most) => write!(f, "{}..{}", time(least), time(most)),
            Shape::Lognormal(median, sigma) => write!(f, "lognormal {} {sigma}", time(median)),
            Shape::Exponential(mean) => write!(f, "exponential {}", time(mean)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn drawn(text: &str) -> Vec<f64> {
        let (time, seed): (RunTime, _) = (text.parse().unwrap(), Seed::new(1));
        let mut drawn: Vec<_> = (0..2000).map(|n| time.draw(&seed, "run", n).as_secs_f64()).collect();
        drawn.sort_by(f64::total_cmp);
        drawn
    }

    #[test]
    fn what_is_drawn_has_the_shape_that_was_asked_for() {
        assert_eq!(drawn("73s")[0], drawn("73s")[1999]);
        let even = drawn("20s..40s");
        assert!(even[0] >= 20.0 && even[1999] < 40.0 && (even[1000] - 30.0).abs() < 1.0, "{even:?}");
        let lognormal = drawn("lognormal 73s 0.3");
        assert!((lognormal[1000] - 73.0).abs() < 3.0, "{}", lognormal[1000]);
        // One deviation up, 16 % are longer.
        assert!((lognormal[1682] - 73.0 * 0.3f64.exp()).abs() < 5.0, "{}", lognormal[1682]);
        let exponential = drawn("exponential 1m");
        assert!((exponential.iter().sum::<f64>() / 2000.0 - 60.0).abs() < 4.0);
        assert!(drawn("lognormal 7days 3")[1999] <= LONGEST.as_secs_f64());
    }

    #[test]
    fn what_is_no_run_time_is_told_what_would_be_one() {
        for text in ["73s", "20s..2m", "lognormal 1m 13s 0.3"] {
            let read = text.parse::<RunTime>();
            assert_eq!(read.is_ok(), !text.contains("13s"), "{text}");
        }
        for text in ["0s", "1ms..1s", "lognormal 73s 0.3", "exponential 1m"] {
            let read: RunTime = text.parse().unwrap();
            assert_eq!(read.to_string().parse::<RunTime>().unwrap(), read, "{text}");
        }
        for bad in
            ["", "x", "-1s", "8days", "2m..1m", "lognormal 73s", "lognormal 73s -1", "lognormal 73s nan", "gamma 1s 2"]
        {
            let message = bad.parse::<RunTime>().unwrap_err().to_string();
            assert!(message.contains("is no run time: use a duration"), "{message}");
        }
    }
}
