//! What a request may ask for beyond its frames and prompt. Closed: only what the contract allows can be said.

use std::fmt;
use std::str::FromStr;

use highwayapi_raw::{integers, types};
use serde::{Deserialize, Serialize};

/// An enum of the contract. The match over the generated enum is exhaustive: a value that is added to the contract stops
/// this crate compiling until it is named here.
macro_rules! closed_enum {
    (
        $(#[$doc:meta])*
        $name:ident as $wire:ty = $raw:ty {
            $($(#[$variant_doc:meta])* $variant:ident = $raw_variant:ident $value:literal,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "Wire", into = "Wire")]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* #[doc = concat!("`", $value, "` to the API.")] $variant,)*
        }

        impl $name {
            /// All allowed values, in the contract's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// As the API writes it.
            pub fn value(self) -> $wire {
                match self {
                    $(Self::$variant => $value,)*
                }
            }

            pub(crate) fn to_raw(self) -> $raw {
                match self {
                    $(Self::$variant => <$raw>::$raw_variant,)*
                }
            }
        }

        /// The contract's default.
        impl Default for $name {
            fn default() -> Self {
                match <$raw>::default() {
                    $(<$raw>::$raw_variant => Self::$variant,)*
                }
            }
        }

        /// As the API spells it.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.value().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = NotAllowed;

            fn from_str(text: &str) -> Result<Self, NotAllowed> {
                let found = Self::ALL.iter().find(|allowed| allowed.to_string() == text);
                found.copied().ok_or_else(|| NotAllowed::new(text, Self::ALL))
            }
        }

        impl TryFrom<Wire> for $name {
            type Error = NotAllowed;

            fn try_from(wire: Wire) -> Result<Self, NotAllowed> {
                let found = Self::ALL.iter().find(|allowed| Wire::from(**allowed) == wire);
                found.copied().ok_or_else(|| NotAllowed::new(&wire.to_string(), Self::ALL))
            }
        }

        impl From<$name> for Wire {
            fn from(value: $name) -> Self {
                value.value().into()
            }
        }

        #[cfg(feature = "schemars")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "enum": Self::ALL })
            }
        }
    };
}

closed_enum! {
    /// Output resolution. Default: [`Resolution::P720`].
    Resolution as &'static str = types::Resolution {
        /// 1280×720, or 720×1280 (as Google has it, not on the given page).
        P720 = X720p "720p",
        /// 1920×1080, or 1080×1920 (likewise).
        P1080 = X1080p "1080p",
    }
}

closed_enum! {
    /// Shape of the video. Default: [`AspectRatio::Landscape`].
    AspectRatio as &'static str = types::AspectRatio {
        /// Wider than high.
        Landscape = X169 "16:9",
        /// Higher than wide.
        Portrait = X916 "9:16",
    }
}

closed_enum! {
    /// Length of the video in seconds. Default: [`DurationSeconds::Eight`].
    DurationSeconds as u8 = integers::DurationSeconds {
        /// Four seconds.
        Four = X4 4,
        /// Six seconds.
        Six = X6 6,
        /// Eight seconds.
        Eight = X8 8,
    }
}

closed_enum! {
    /// How many videos to make; each is likely paid for (inferred). Default: [`SampleCount::One`].
    SampleCount as u8 = integers::SampleCount {
        /// One video.
        One = X1 1,
        /// Two videos.
        Two = X2 2,
        /// Three videos.
        Three = X3 3,
        /// Four videos.
        Four = X4 4,
    }
}

closed_enum! {
    /// Whether people may be generated. Default: [`PersonGeneration::AllowAdult`].
    PersonGeneration as &'static str = types::PersonGeneration {
        /// Adults may be shown.
        AllowAdult = AllowAdult "allow_adult",
        /// No people.
        Disallow = Disallow "disallow",
    }
}

/// A value of a closed enum as it stands in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Wire {
    Number(i64),
    Text(String),
}

impl From<u8> for Wire {
    fn from(number: u8) -> Self {
        Self::Number(number.into())
    }
}

impl From<&'static str> for Wire {
    fn from(text: &'static str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// A value that the contract does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAllowed {
    text: String,
}

impl NotAllowed {
    fn new(came: &str, allowed: &[impl fmt::Display]) -> Self {
        let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        Self { text: format!("`{came}` is not allowed; expected {}", allowed.join(", ")) }
    }
}

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for NotAllowed {}

/// The optional fields of a request, under the API's names. What is `None` is not sent, and the service's default holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema), schemars(transform = show_defaults))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Options {
    /// The same seed with the same parameters gives the same result.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schemars", schemars(range(min = 0, max = 4294967295u32)))]
    pub seed: Option<u32>,
    /// Output resolution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    /// Shape of the video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aspect_ratio: Option<AspectRatio>,
    /// How many videos to make; each is likely paid for (inferred).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_count: Option<SampleCount>,
    /// Lets the service improve the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enhance_prompt: Option<bool>,
    /// Makes an audio track.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generate_audio: Option<bool>,
    /// What should not appear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negative_prompt: Option<String>,
    /// Length of the video in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<DurationSeconds>,
    /// Whether people may be generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person_generation: Option<PersonGeneration>,
}

impl Options {
    /// The same with the contract's defaults written out: what the service will go by. Seed and negative prompt have
    /// none.
    pub fn resolved(&self) -> Self {
        Self {
            seed: self.seed,
            resolution: Some(self.resolution.unwrap_or_default()),
            aspect_ratio: Some(self.aspect_ratio.unwrap_or_default()),
            sample_count: Some(self.sample_count.unwrap_or_default()),
            enhance_prompt: Some(self.enhance_prompt.unwrap_or(true)),
            generate_audio: Some(self.generate_audio.unwrap_or(false)),
            negative_prompt: self.negative_prompt.clone(),
            duration_seconds: Some(self.duration_seconds.unwrap_or_default()),
            person_generation: Some(self.person_generation.unwrap_or_default()),
        }
    }
}

#[cfg(feature = "schemars")]
fn show_defaults(schema: &mut schemars::Schema) {
    let defaults = serde_json::to_value(Options::default().resolved()).unwrap_or_default();
    let properties = schema.get_mut("properties").and_then(serde_json::Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        if let Some(property) = property.as_object_mut() {
            property.remove("default");
            if let Some(default) = defaults.get(name) {
                property.insert("default".to_owned(), default.clone());
            }
        }
    }
}
