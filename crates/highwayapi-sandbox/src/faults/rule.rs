//! A rule: which requests meet an effect.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::faults::effect::Effect;
use crate::operation::Operation;
use crate::seed::Seed;

/// One rule of a script, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub(crate) struct Rule {
    /// Unlike those of the other rules, once the rule is in a script.
    pub(crate) name: Option<String>,
    pub(crate) on: Option<Operation>,
    pub(crate) nth: Option<Nth>,
    pub(crate) task: Option<Task>,
    pub(crate) chance: Option<f64>,
    pub(crate) from: Option<Span>,
    pub(crate) until: Option<Span>,
    pub(crate) times: Option<u64>,
    pub(crate) off: bool,
    pub(crate) effect: Effect,
}

/// A request as the rules see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) operation: Operation,
    /// Of a submit the one that the task would have.
    pub(crate) task_number: Option<u64>,
    pub(crate) task_id: Option<&'a str>,
    /// Virtual time since the sandbox began.
    pub(crate) at: Duration,
}

impl Rule {
    /// Whether the rule speaks of such requests at all; `nth` counts these.
    pub(crate) fn fits(&self, call: &Call<'_>) -> bool {
        let on = self.on.map_or_else(|| self.effect.suits(call.operation), |on| on == call.operation);
        let task = match &self.task {
            None => true,
            Some(Task::Number(number)) => call.task_number == Some(*number),
            Some(Task::Id(id)) => call.task_id == Some(id),
        };
        on && task
    }

    /// Whether the `n`-th request that fits, after so many hits, is a hit.
    pub(crate) fn hits(&self, call: &Call<'_>, n: u64, hits: u64, seed: &Seed) -> bool {
        let chance =
            |chance: f64| seed.unit(&format!("fault {}", self.name.as_deref().unwrap_or_default()), n) < chance;
        !self.off
            && self.nth.is_none_or(|nth| nth.holds(n))
            && self.times.is_none_or(|times| hits < times)
            && self.from.is_none_or(|from| call.at >= from.0)
            && self.until.is_none_or(|until| call.at < until.0)
            && self.chance.is_none_or(chance)
    }
}

/// A rule as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on: Option<On>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nth: Option<Nth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<Task>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chance: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    off: bool,
    effect: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    with: Map<String, Value>,
}

/// The operations that faults are for.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum On {
    Submit,
    Poll,
    File,
}

impl TryFrom<Written> for Rule {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { name, on, nth, task, chance, from, until, times, off, effect, with } = written;
        let effect = Effect::read(&effect, with)?;
        let on = on.map(|on| match on {
            On::Submit => Operation::Submit,
            On::Poll => Operation::Poll,
            On::File => Operation::File,
        });
        if let Some(on) = on.filter(|on| !effect.suits(*on)) {
            return Err(format!("on: {on} came, and `{}` is for {}", effect.name(), effect.operations().join(", ")));
        }
        if name.as_ref().is_some_and(|name| !is_name(name)) {
            return Err("name: it must have 1 to 100 letters, digits, - and _".to_owned());
        }
        if let Some(chance) = chance.filter(|chance| !(0.0..=1.0).contains(chance)) {
            return Err(format!("chance: {chance} came, and it must be a number from 0 to 1"));
        }
        let file_only = on == Some(Operation::File) || effect.operations() == ["file"];
        if task.is_some() && file_only {
            return Err("task: a link names a clip, not a task: only submits and polls can be told by it".to_owned());
        }
        if let (Some(from), Some(until)) = (from, until)
            && from >= until
        {
            return Err(format!("until: {until} came, and it must be later than `from`, which is {from}"));
        }
        if times == Some(0) {
            return Err("times: 0 came, and it must be 1 or more; `off = true` switches a rule off".to_owned());
        }
        Ok(Self { name, on, nth, task, chance, from, until, times, off, effect })
    }
}

impl From<Rule> for Written {
    fn from(rule: Rule) -> Self {
        let Rule { name, on, nth, task, chance, from, until, times, off, effect } = rule;
        let on = on.and_then(|on| match on {
            Operation::Submit => Some(On::Submit),
            Operation::Poll => Some(On::Poll),
            Operation::File => Some(On::File),
            Operation::Admin | Operation::Other => None,
        });
        let (effect, with) = (effect.name().to_owned(), effect.with());
        Self { name, on, nth, task, chance, from, until, times, off, effect, with }
    }
}

/// Names go into paths of the admin API.
fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=100).contains(&name.len()) && name.bytes().all(fits)
}

/// Which requests, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nth {
    At(u64),
    Between(u64, u64),
    From(u64),
    Every(u64),
}

impl Nth {
    fn holds(self, n: u64) -> bool {
        match self {
            Self::At(at) => n == at,
            Self::Between(first, last) => (first..=last).contains(&n),
            Self::From(first) => n >= first,
            Self::Every(step) => n.is_multiple_of(step),
        }
    }

    fn read(text: &str) -> Option<Self> {
        let number = |text: &str| text.trim().parse().ok().filter(|number| *number > 0);
        if let Some(step) = text.strip_prefix("every ") {
            return number(step).map(Self::Every);
        }
        match text.split_once('-') {
            Some((first, "")) => number(first).map(Self::From),
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Between(first, last))
            }
            None => number(text).map(Self::At),
        }
    }
}

impl Serialize for Nth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::At(at) => serializer.serialize_u64(*at),
            Self::Between(first, last) => serializer.collect_str(&format_args!("{first}-{last}")),
            Self::From(first) => serializer.collect_str(&format_args!("{first}-")),
            Self::Every(step) => serializer.collect_str(&format_args!("every {step}")),
        }
    }
}

impl<'de> Deserialize<'de> for Nth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let allowed = "a number from 1, or \"2-5\", \"4-\" or \"every 3\"";
        deserializer.deserialize_any(Either { allowed, number: |n| (n > 0).then_some(Self::At(n)), text: Self::read })
    }
}

/// Which task: by its number among the accepted, counted from 1, or by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Number(u64),
    Id(String),
}

impl Serialize for Task {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Id(id) => serializer.serialize_str(id),
        }
    }
}

impl<'de> Deserialize<'de> for Task {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = |text: &str| (!text.is_empty()).then(|| Self::Id(text.to_owned()));
        let number = |n| (n > 0).then_some(Self::Number(n));
        deserializer.deserialize_any(Either { allowed: "a task's number from 1, or its id as text", number, text })
    }
}

/// A length of time, such as `"90s"`, `"5m"` or `"1h 30m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(pub(crate) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let most = Duration::from_secs(365 * 86_400);
        let read = |text: &str| humantime::parse_duration(text).ok().filter(|span| *span <= most).map(Self);
        let allowed = "a time such as \"500ms\", \"90s\", \"5m\" or \"1h 30m\", at most a year";
        deserializer.deserialize_any(Either { allowed, number: |_| None, text: read })
    }
}

/// Reads what may come as a number or as text.
pub(crate) struct Either<N, T> {
    pub(crate) allowed: &'static str,
    pub(crate) number: N,
    pub(crate) text: T,
}

impl<R, N: Fn(u64) -> Option<R>, T: Fn(&str) -> Option<R>> Visitor<'_> for Either<N, T> {
    type Value = R;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.allowed)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<R, E> {
        (self.number)(number).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<R, E> {
        let read = u64::try_from(number).ok().and_then(&self.number);
        read.ok_or_else(|| E::invalid_value(de::Unexpected::Signed(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<R, E> {
        (self.text)(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}
