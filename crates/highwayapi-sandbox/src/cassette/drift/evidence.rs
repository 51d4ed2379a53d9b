//! What of a cassette tells something, and how it is put.

use serde_json::Value;

use crate::cassette::drift::report::{kind_of, shown};
use crate::cassette::drift::seen::{Call, Seen};
use crate::cassette::format::{Form, Operation};

pub(crate) const SUCCEED: &str = "TASK_STATUS_SUCCEED";

/// Bytes of a picture that is near what is allowed.
pub(crate) const LARGE: u64 = 19_000_000;

/// A side shorter than this may be too small a picture.
const SMALL: u32 = 64;

/// Most requests that an answer names.
const NAMED: usize = 6;

pub(crate) fn is_api(call: &Call<'_>) -> bool {
    call.request.operation != Operation::File
}

/// What each call tells, with its number.
pub(crate) fn told<'a, 'b: 'a>(
    calls: impl Iterator<Item = &'a Call<'b>>,
    tells: impl Fn(&Call<'b>) -> Option<String>,
) -> Vec<String> {
    grouped(calls.filter_map(|call| Some((tells(call)?, call.n))))
}

/// The same answer once, with the numbers of all its requests.
pub(crate) fn grouped(answers: impl Iterator<Item = (String, u64)>) -> Vec<String> {
    let mut groups: Vec<(String, Vec<u64>)> = Vec::new();
    for (answer, n) in answers {
        match groups.iter_mut().find(|(known, _)| *known == answer) {
            Some((_, numbers)) => numbers.push(n),
            None => groups.push((answer, vec![n])),
        }
    }
    groups.into_iter().map(|(answer, numbers)| format!("{answer} ({})", listed(&numbers))).collect()
}

fn listed(numbers: &[u64]) -> String {
    let some: Vec<String> = numbers.iter().take(NAMED).map(|n| format!("#{n}")).collect();
    format!("{}{}", some.join(" "), if numbers.len() > NAMED { " …" } else { "" })
}

pub(crate) fn outcomes<'a, 'b: 'a>(calls: impl Iterator<Item = &'a Call<'b>>) -> Vec<String> {
    told(calls, |call| Some(call.outcome()))
}

/// What became of submits with a good key, by something that they asked for.
pub(crate) fn by_value<'b>(seen: &Seen<'b>, value: impl Fn(&Call<'b>) -> Option<String>) -> Vec<String> {
    let keyed = seen.submits().filter(|call| seen.has_good_key(call));
    told(keyed, |call| Some(format!("{}: {}", value(call)?, call.outcome())))
}

/// The values that came when a task had succeeded.
pub(crate) fn values(seen: &Seen<'_>, pointer: &str) -> Vec<String> {
    let name = pointer.rsplit('/').next().unwrap_or_default();
    told(seen.in_state(SUCCEED), |call| Some(format!("{name}: {}", shown(call.at(pointer)?))))
}

/// The types that came.
pub(crate) fn kinds<'a, 'b: 'a>(calls: impl Iterator<Item = &'a Call<'b>>, pointer: &str) -> Vec<String> {
    told(calls, |call| {
        let kind = match call.at(pointer) {
            None => "missing",
            Some(Value::Array(items)) if items.is_empty() => "an empty array",
            Some(Value::Object(fields)) if fields.is_empty() => "an empty object",
            Some(value) => kind_of(value),
        };
        Some(format!("{}: {kind}", &pointer[1..]))
    })
}

/// Submits of which a picture was sent so.
pub(crate) fn sent<'a, 'b>(seen: &'a Seen<'b>, form: Form) -> impl Iterator<Item = &'a Call<'b>> {
    let picture = move |call: &&Call<'_>| call.pictures().iter().any(|picture| picture.sent == form);
    seen.submits().filter(|call| seen.has_good_key(call)).filter(picture)
}

/// Bytes of the larger picture.
pub(crate) fn largest(call: &Call<'_>) -> u64 {
    call.pictures().iter().filter_map(|picture| picture.size).max().unwrap_or_default()
}

/// A picture that is none, or a very small one.
pub(crate) fn odd_picture(call: &Call<'_>) -> Option<String> {
    call.pictures().iter().find_map(|picture| match (picture.readable, picture.width, picture.height) {
        (Some(true), Some(width), Some(height)) if width.min(height) < SMALL => Some(format!("{width} × {height}")),
        (Some(false), Some(_), _) => Some("half a picture".to_owned()),
        (Some(false), None, _) => Some("no picture".to_owned()),
        _ => None,
    })
}

/// The first value of a request that the page does not allow.
pub(crate) fn wrong_value(asked: &Value) -> Option<String> {
    let number = |name: &str, allowed: &[i64]| {
        let value = asked[name].as_i64().filter(|value| !allowed.contains(value))?;
        Some(format!("{name} {value}"))
    };
    let resolution = || asked["resolution"].as_str().filter(|text| !["720p", "1080p"].contains(text));
    number("sample_count", &[1, 2, 3, 4])
        .or_else(|| number("duration_seconds", &[4, 6, 8]))
        .or_else(|| resolution().map(|text| format!("resolution {text}")))
        .or_else(|| asked["prompt"].is_null().then(|| "no prompt".to_owned()))
}

/// `1080p, 4 s`, where both are allowed.
pub(crate) fn size_and_length(asked: &Value) -> Option<String> {
    let (resolution, seconds) =
        (asked["resolution"].as_str().unwrap_or("720p"), asked["duration_seconds"].as_u64().unwrap_or(8));
    wrong_value(asked).is_none().then(|| format!("{resolution}, {seconds} s"))
}
