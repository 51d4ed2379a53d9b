//! What is to be said of a manifest before anything is paid for.

use std::fmt;

use crate::batch::Place;

/// Something that was found in a manifest. Displays as `clips.yaml:7: seed: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// How much it matters.
    pub weight: Weight,
    /// Where.
    pub place: Place,
    /// Of which item, where it is one's.
    pub item: Option<String>,
    /// What: the field, what came, what is allowed.
    pub text: String,
}

/// How much a [`Finding`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Weight {
    /// To be mended before the batch can be run.
    Problem,
    /// Allowed, but it may not give what was meant.
    Warning,
    /// Good to know.
    Note,
}

impl Finding {
    pub(crate) fn new(weight: Weight, place: Place, item: Option<&str>, text: impl Into<String>) -> Self {
        Self { weight, place, item: item.map(str::to_owned), text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = match self.weight {
            Weight::Problem => "",
            Weight::Warning => "warning: ",
            Weight::Note => "note: ",
        };
        write!(f, "{}: {weight}{}", self.place, self.text)
    }
}
