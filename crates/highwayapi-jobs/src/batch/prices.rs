//! What clips cost, as far as their user says: the service tells no prices.

use highwayapi::{Options, Resolution};
use serde::{Deserialize, Serialize};

use super::Money;
use crate::error::{Error, Result};

/// A user's own list of prices. The first row that fits a request says what it costs; what no row fits has no price.
///
/// ```json
/// {"currency": "USD", "date": "2026-01-02", "prices": [
///   {"resolution": "720p", "generate_audio": false, "per_second": 0.10},
///   {"resolution": "1080p", "per_clip": 1.25}
/// ]}
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PriceTable {
    /// What the amounts are in, such as `USD`. Only shown.
    pub currency: String,
    /// When the prices were looked up. Only shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// The rows.
    pub prices: Vec<Price>,
}

/// One row: what it is for, and an amount for a clip or for a second of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Price {
    /// The resolution that it is for. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    /// Whether it is for clips with sound, or without. Default: both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generate_audio: Option<bool>,
    /// For a clip, however long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_clip: Option<Money>,
    /// For each second of a clip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<Money>,
}

impl PriceTable {
    /// Reads a table in JSON.
    ///
    /// # Errors
    ///
    /// When it is none, or a row does not say what is to be paid, or says it twice.
    pub fn parse(text: &str) -> Result<Self> {
        let table: Self = serde_json::from_str(text)
            .map_err(|error| Error::input(format!("prices: this is no table of prices ({error})")))?;
        for (at, row) in table.prices.iter().enumerate() {
            if row.per_clip.is_some() == row.per_second.is_some() {
                let row = at + 1;
                return Err(Error::input(format!("prices: row {row} must have either per_clip or per_second")));
            }
        }
        Ok(table)
    }

    /// What a request with these options costs, all of its clips together; `None` where the table does not say.
    pub fn price(&self, options: &Options) -> Option<Money> {
        let options = options.resolved();
        let (resolution, audio) = (options.resolution.unwrap_or_default(), options.generate_audio.unwrap_or_default());
        let fits = |row: &&Price| {
            row.resolution.is_none_or(|one| one == resolution) && row.generate_audio.is_none_or(|one| one == audio)
        };
        let row = self.prices.iter().find(fits)?;
        let seconds = options.duration_seconds.unwrap_or_default().value();
        let clip = match (row.per_clip, row.per_second) {
            (Some(clip), _) => clip,
            (None, second) => second?.checked_mul(seconds.into())?,
        };
        clip.checked_mul(options.sample_count.unwrap_or_default().value().into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_row_that_fits_says_it() {
        let table = PriceTable::parse(
            r#"{"currency": "USD", "prices": [
                {"resolution": "720p", "generate_audio": false, "per_second": 0.1},
                {"generate_audio": true, "per_second": "0.15"},
                {"resolution": "1080p", "per_clip": 1.25}
            ]}"#,
        )
        .expect("a table");
        let price = |options| {
            let options: Options = serde_json::from_value(options).expect("options");
            table.price(&options).map(Money::micros)
        };
        assert_eq!(price(json!({})), Some(800_000));
        assert_eq!(price(json!({ "duration_seconds": 4 })), Some(400_000));
        assert_eq!(price(json!({ "duration_seconds": 4, "sample_count": 2 })), Some(800_000));
        assert_eq!(price(json!({ "duration_seconds": 4, "generate_audio": true })), Some(600_000));
        assert_eq!(price(json!({ "duration_seconds": 4, "resolution": "1080p" })), Some(1_250_000));
    }

    #[test]
    fn what_no_row_fits_has_no_price() {
        let table = PriceTable::parse(r#"{"currency": "USD", "prices": [{"resolution": "1080p", "per_clip": 1}]}"#);
        assert_eq!(table.expect("a table").price(&Options::default()), None);
    }

    #[test]
    fn a_row_says_one_amount() {
        for row in ["{}", r#"{"per_clip": 1, "per_second": 1}"#, r#"{"per_minute": 1}"#, r#"{"per_clip": -1}"#] {
            let error = PriceTable::parse(&format!(r#"{{"currency": "USD", "prices": [{row}]}}"#)).expect_err(row);
            assert!(error.is_invalid_input() && error.to_string().starts_with("prices: "), "{error}");
        }
    }
}
