//! The scenarios that come with the sandbox.

use crate::error::Error;
use crate::faults::script::{Script, invalid};

macro_rules! scenarios {
    ($($name:literal),+ $(,)?) => {
        /// In the order of the documentation.
        pub(crate) const NAMES: &[&str] = &[$($name),+];
        const TEXTS: &[&str] = &[$(include_str!(concat!("scenarios/", $name, ".toml"))),+];
    };
}

scenarios!(
    "bad-friday",
    "lost-answers",
    "rate-limited",
    "slow-queue",
    "moderation",
    "flaky-downloads",
    "expiring-links",
    "half-broken-proxy",
    "odd-answers",
    "drip",
);

pub(crate) fn load(name: &str) -> Result<Script, Error> {
    let found = NAMES.iter().zip(TEXTS).find(|(known, _)| **known == name);
    let Some((_, text)) = found else {
        return Err(invalid(format!("scenario: {name:?} came, and there are {}", NAMES.join(", "))));
    };
    Script::from_toml(text)
}
