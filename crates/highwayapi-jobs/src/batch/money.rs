//! Amounts of money, exact to a millionth of whatever the currency is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Error;

const UNIT: u64 = 1_000_000;

/// An amount in millionths of a currency's unit; never below zero. As text: `0.10`, `12`, `0.000125`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Money(u64);

impl Money {
    /// So many millionths.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// In millionths.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// The sum; `None` where it is too large to be counted.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// So many times as much; `None` where it is too large to be counted.
    pub fn checked_mul(self, times: u64) -> Option<Self> {
        self.0.checked_mul(times).map(Self)
    }

    /// The difference, or nothing.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl FromStr for Money {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::input(format!("`{}` is no amount; expected something like 12.50", text.escape_debug()));
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(bad());
        }
        if fraction.trim_end_matches('0').len() > 6 {
            let text = text.escape_debug();
            return Err(Error::input(format!("`{text}` is too exact; amounts are counted in millionths")));
        }
        let fraction = format!("{:0<6}", fraction.trim_end_matches('0'));
        let whole = whole.parse().ok().and_then(|whole: u64| whole.checked_mul(UNIT));
        let sum = whole.zip(fraction.parse().ok()).and_then(|(whole, fraction)| whole.checked_add(fraction));
        sum.map(Self).ok_or_else(bad)
    }
}

/// With two decimals, or as many as it takes.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:06}", self.0 % UNIT);
        let fraction = format!("{:0<2}", fraction.trim_end_matches('0'));
        f.pad(&format!("{}.{fraction}", self.0 / UNIT))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From text, or from a number as it is written.
impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "an amount such as 12.50")]
        enum Written {
            Text(String),
            Whole(u64),
            Number(f64),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Text(text) => text,
            Written::Whole(whole) => whole.to_string(),
            // The shortest text that means this number: what was written.
            Written::Number(number) => number.to_string(),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_exactly_or_not_at_all() {
        for (text, micros, shown) in [
            ("0", 0, "0.00"),
            ("12", 12_000_000, "12.00"),
            ("0.1", 100_000, "0.10"),
            ("0.000125", 125, "0.000125"),
            ("3.1500000000", 3_150_000, "3.15"),
            ("18446744073709.551615", u64::MAX, "18446744073709.551615"),
        ] {
            let money: Money = text.parse().expect(text);
            assert_eq!((money.micros(), money.to_string().as_str()), (micros, shown));
        }
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "0.0000001", "18446744073709.551616", "٣"] {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_means_what_is_written() {
        for (json, micros) in [("0.1", 100_000), ("\"0.1\"", 100_000), ("3", 3_000_000), ("0.15", 150_000)] {
            assert_eq!(serde_json::from_str::<Money>(json).expect(json).micros(), micros);
        }
        for json in ["-1", "1e-9", "true", "null"] {
            assert!(serde_json::from_str::<Money>(json).is_err(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_as_the_same(micros: u64) {
            let money = Money::from_micros(micros);
            prop_assert_eq!(money.to_string().parse::<Money>().expect("an amount"), money);
        }
    }
}
