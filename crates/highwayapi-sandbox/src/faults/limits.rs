//! How many requests a key may send in a minute.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use sha2::{Digest, Sha256};

const MINUTE: Duration = Duration::from_secs(60);

/// Keys that are remembered at once; whoever invents more gets them all counted as one.
const MAX_KEYS: usize = 1000;

/// The requests of the last minute, by key.
#[derive(Default)]
pub(crate) struct Windows(HashMap<[u8; 32], VecDeque<Duration>>);

impl Windows {
    /// Counts a request, or says how long it is until one more is allowed. What is refused does not count.
    pub(crate) fn count(&mut self, key: &[u8], most: u32, now: Duration) -> Result<(), Duration> {
        // What lies ahead was sent before the clock began anew.
        let is_over = |sent: &Duration| *sent + MINUTE <= now || *sent > now;
        let mut key: [u8; 32] = Sha256::digest(key).into();
        if self.0.len() >= MAX_KEYS && !self.0.contains_key(&key) {
            self.0.retain(|_, sent| sent.back().is_some_and(|last| !is_over(last)));
            if self.0.len() >= MAX_KEYS {
                key = [0; 32];
            }
        }
        let sent = self.0.entry(key).or_default();
        while sent.front().is_some_and(is_over) {
            sent.pop_front();
        }
        if let Some(oldest) = sent.front().filter(|_| sent.len() >= most as usize) {
            return Err(*oldest + MINUTE - now);
        }
        sent.push_back(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_window_slides() {
        let mut windows = Windows::default();
        assert_eq!(windows.count(b"a", 2, SECOND), Ok(()));
        assert_eq!(windows.count(b"a", 2, 11 * SECOND), Ok(()));
        assert_eq!(windows.count(b"a", 2, 21 * SECOND), Err(40 * SECOND));
        assert_eq!(windows.count(b"b", 2, 21 * SECOND), Ok(()), "each key has its own");
        assert_eq!(windows.count(b"a", 2, 60 * SECOND), Err(SECOND));
        assert_eq!(windows.count(b"a", 2, 61 * SECOND), Ok(()));
        assert_eq!(windows.count(b"a", 2, 61 * SECOND), Err(10 * SECOND));
    }

    #[test]
    fn keys_that_are_made_up_fill_no_memory() {
        let mut windows = Windows::default();
        for n in 0..5000_u32 {
            let _ = windows.count(&n.to_be_bytes(), 10, SECOND);
        }
        assert!(windows.0.len() <= MAX_KEYS + 1);
        assert!(windows.count(b"one more", 10, SECOND).is_err());
        assert_eq!(windows.count(b"one more", 10, 100 * SECOND), Ok(()), "who has gone is forgotten");
    }
}
