//! The format: what a user writes, read and checked.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_path_to_error::{Path, Segment};

use crate::error::Error;
use crate::faults::effect::ABOUT;
use crate::faults::rule::Rule;
use crate::faults::scenario;

/// Rules of one script.
pub(crate) const MAX_RULES: usize = 1000;

/// What shall go wrong, and when: limits and rules, the first of which that fits wins.
///
/// ```
/// # fn main() -> Result<(), highwayapi_sandbox::Error> {
/// let script = highwayapi_sandbox::Script::from_toml(
///     r#"
///     name = "the third answer is lost"
///
///     [[fault]]
///     on = "submit"
///     nth = 3
///     effect = "lost_answer"
///     "#,
/// )?;
/// # let _ = script; Ok(()) }
/// ```
///
/// The format and all effects are in `docs/sandbox-faults.md`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    advice: String,
    #[serde(default, skip_serializing_if = "Limits::are_none")]
    pub(crate) limits: Limits,
    #[serde(default, rename = "fault")]
    pub(crate) rules: Vec<Rule>,
}

/// What an account may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// Submits and polls of one key within any minute of the sandbox's time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) requests_per_minute: Option<u32>,
    /// Tasks of all keys that wait or run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) open_tasks: Option<u64>,
    /// What a refusal says of when to come again.
    #[serde(default)]
    pub(crate) retry_after: Wish,
}

impl Limits {
    fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether and how a refusal says when to come again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wish {
    #[default]
    None,
    Seconds,
    Date,
    Nonsense,
}

impl Script {
    /// Reads a script in TOML.
    ///
    /// # Errors
    ///
    /// When it is none; the message names the line, the rule, the field, what came and what is allowed.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let refused = |at: &str, e: &toml::de::Error| {
            let line = e.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            invalid(format!("{line}{}{}", before(at), e.message()))
        };
        let read = toml::Deserializer::parse(text).map_err(|e| refused("", &e))?;
        let script: Self = serde_path_to_error::deserialize(read).map_err(|e| refused(&told(e.path()), e.inner()))?;
        script.checked()
    }

    /// Reads a script in JSON, of the same form.
    ///
    /// # Errors
    ///
    /// As [`from_toml`](Self::from_toml).
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let mut read = serde_json::Deserializer::from_str(text);
        let script: Self = serde_path_to_error::deserialize(&mut read)
            .map_err(|e| invalid(format!("{}{}", before(&told(e.path())), e.inner())))?;
        read.end().map_err(|e| invalid(e.to_string()))?;
        script.checked()
    }

    /// One of the scenarios that come with the sandbox, by its name.
    ///
    /// # Errors
    ///
    /// When there is none of that name; the message lists all.
    pub fn scenario(name: &str) -> Result<Self, Error> {
        scenario::load(name)
    }

    /// The scenarios that come with the sandbox.
    pub fn scenarios() -> Vec<Self> {
        scenario::NAMES.iter().filter_map(|name| scenario::load(name).ok()).collect()
    }

    /// Every effect by its name, with what it does.
    pub fn effects() -> Vec<(&'static str, &'static str)> {
        ABOUT.iter().map(|about| (about.name, about.says)).collect()
    }

    /// What it is called; may be empty.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What happens; may be empty.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// What a client should do; may be empty.
    pub fn advice(&self) -> &str {
        &self.advice
    }

    /// Gives every rule a name of its own, or says what is wrong.
    pub(crate) fn checked(mut self) -> Result<Self, Error> {
        if self.rules.len() > MAX_RULES {
            return Err(invalid(format!(
                "fault: {} rules came, and at most {MAX_RULES} are allowed",
                self.rules.len()
            )));
        }
        if self.limits.requests_per_minute == Some(0) {
            return Err(invalid("limits: requests_per_minute: 0 came, and it must be 1 or more".to_owned()));
        }
        let mut names = HashSet::new();
        for (index, rule) in self.rules.iter().enumerate() {
            if let Some(name) = &rule.name
                && !names.insert(name.clone())
            {
                return Err(invalid(format!("fault {}: name: {name:?} is another rule's already", index + 1)));
            }
        }
        for rule in &mut self.rules {
            if rule.name.is_none() {
                let name = free_name(rule.effect.name(), |name| names.contains(name));
                names.insert(name.clone());
                rule.name = Some(name);
            }
        }
        Ok(self)
    }
}

/// The effect's, with a number from the second on.
pub(crate) fn free_name(effect: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut name = effect.to_owned();
    for n in 2.. {
        if !taken(&name) {
            break;
        }
        name = format!("{effect}-{n}");
    }
    name
}

impl Rule {
    /// Reads one rule in JSON.
    pub(crate) fn from_json(text: &str) -> Result<Self, Error> {
        let mut read = serde_json::Deserializer::from_str(text);
        let rule: Self = serde_path_to_error::deserialize(&mut read)
            .map_err(|e| invalid(format!("{}{}", before(&told(e.path())), e.inner())))?;
        read.end().map_err(|e| invalid(e.to_string()))?;
        Ok(rule)
    }
}

pub(crate) fn invalid(what: String) -> Error {
    Error::new(format!("the faults cannot be used: {what}"))
}

/// `fault 2: nth`, as people count and name.
pub(crate) fn told(path: &Path) -> String {
    let part = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(format!("{}", index + 1)),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    };
    let parts: Vec<String> = path.iter().filter_map(part).collect();
    let text = parts.join(": ");
    match text.strip_prefix("fault: ") {
        Some(rest) => format!("fault {rest}"),
        None => text,
    }
}

fn before(at: &str) -> String {
    if at.is_empty() { String::new() } else { format!("{at}: ") }
}
