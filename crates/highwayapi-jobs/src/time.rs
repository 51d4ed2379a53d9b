//! Times in the record: RFC 3339, to the millisecond, for people who look into it.

use std::time::{Duration, SystemTime};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

/// The last second of 9999.
const LATEST: Duration = Duration::from_secs(253_402_300_799);

pub(crate) fn serialize<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    // A clock may stand anywhere; what can be written is from 1970 to 9999.
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().min(LATEST);
    serializer.collect_str(&humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + since))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
    humantime::parse_rfc3339(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// The same where there may be none.
pub(crate) mod optional {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::serialize(time, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
        super::deserialize(deserializer).map(Some)
    }
}
