//! When to try again: pure functions of what was seen.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Between two tries. Where a single call is asked to wait longer, its caller is told instead.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// What a service asks for may be more than clocks count; longer than this nobody waits.
pub(crate) const LONGEST_WISH: Duration = Duration::from_secs(24 * 60 * 60);

/// What `Retry-After` asks for, in seconds or as a date; nonsense is as good as none.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    // Rust would read a sign, too.
    if text.starts_with(|letter: char| letter.is_ascii_digit())
        && let Ok(seconds) = text.parse()
    {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// A wish that is too long to be slept through, as a sentence.
pub(crate) fn left_alone(asked: Duration) -> String {
    match asked.as_secs() {
        seconds @ ..=86_400 => format!("It asks to be left alone for {seconds} s."),
        _ => "It asks to be left alone for more than a day.".to_owned(),
    }
}

/// Pause before the next try after `failures` in a row: doubling from half a second up to `longest`, of which a random
/// half is kept, so that many clients do not come back at once. What the service asked for is kept to.
pub(crate) fn backoff(failures: u32, asked: Option<Duration>, longest: Duration) -> Duration {
    let full = Duration::from_millis(500).saturating_mul(1 << failures.saturating_sub(1).min(16)).min(longest);
    let jittered = full.mul_f64(0.5 + fastrand::f64() / 2.0);
    asked.map_or(jittered, |asked| asked.max(jittered))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(value: &str) -> Option<Duration> {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
        let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().expect("a header"))]);
        retry_after(&headers, now)
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Sun, 06 Nov 1994 08:50:37 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(after("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn nonsense_is_no_retry_after() {
        for nonsense in ["", "soon", "-3", "+3", "1.5", "99999999999999999999999", "Sun, 99 Nov 1994 08:50:37 GMT"] {
            assert_eq!(after(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn backoff_grows_and_stays_in_its_bounds() {
        let longest = Duration::from_secs(8);
        for failures in 1..100 {
            let full = Duration::from_millis(500) * (1 << (failures - 1).min(4));
            let pause = backoff(failures, None, longest);
            assert!(pause >= full / 2 && pause <= full, "{failures}: {pause:?}");
        }
        assert!(backoff(1, Some(Duration::from_secs(20)), longest) >= Duration::from_secs(20));
    }
}
