//! What a client hears whose request is in no cassette: what would have been.

use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::cassette::format::{Exchange, Operation, Picture};
use crate::cassette::redact::Keys;
use crate::cassette::request::Told;
use crate::error::ApiError;

/// Most requests that are named.
const NAMED: usize = 5;

/// The same submit came more often than it was recorded.
pub(crate) fn no_more(exchanges: &[Exchange], known: &[usize]) -> ApiError {
    let numbers: Vec<String> = known.iter().map(|&at| format!("#{}", exchanges[at].request.n)).collect();
    let times = if known.len() == 1 { "once".to_owned() } else { format!("{} times", known.len()) };
    refused(format!("this submit was recorded {times} ({}), and came once more", numbers.join(", ")))
}

/// No request like this one was recorded.
pub(crate) fn instead(exchanges: &[Exchange], operation: &Operation, subject: &str, told: &Told) -> ApiError {
    let alike: Vec<&Exchange> = exchanges.iter().filter(|exchange| exchange.request.operation == *operation).collect();
    if *operation == Operation::Poll {
        let mut tasks: Vec<&str> = alike.iter().map(|exchange| &*exchange.request.subject).collect();
        tasks.dedup();
        let more = if tasks.len() > NAMED { ", …" } else { "" };
        tasks.truncate(NAMED);
        return refused(format!("{subject:?} was not asked for when this was recorded; it was {}{more}", some(&tasks)));
    }
    let differences = alike.iter().map(|exchange| (exchange.request.n, differences(exchange, told)));
    match differences.min_by_key(|(_, fields)| fields.len()) {
        Some((n, fields)) => refused(format!(
            "this submit is in no cassette; the recorded one that is most like it is #{n}, which differs in: {}",
            fields.join("; ")
        )),
        None => refused("this submit is in no cassette: no submit was recorded".to_owned()),
    }
}

fn some(tasks: &[&str]) -> String {
    if tasks.is_empty() { "nothing".to_owned() } else { tasks.join(", ") }
}

fn refused(message: String) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "NOT_IN_CASSETTE", message)
}

/// `seed: 7 was recorded, 8 came`.
fn differences(recorded: &Exchange, came: &Told) -> Vec<String> {
    let was = fields(recorded.request.body.as_deref().unwrap_or_default(), &recorded.request.pictures);
    let is = fields(&Keys::default().clean(&came.text), &came.pictures);
    let (Some(was), Some(is)) = (was, is) else { return vec!["the body, one of which is no JSON object".to_owned()] };
    let mut names: Vec<&String> = was.keys().chain(is.keys()).collect();
    names.sort();
    names.dedup();
    let shown = |value: Option<&Value>| value.map_or("nothing".to_owned(), |value| short(&value.to_string()));
    let differing = names.into_iter().filter(|name| was.get(*name) != is.get(*name));
    differing
        .map(|name| format!("{name}: {} was recorded, {} came", shown(was.get(name)), shown(is.get(name))))
        .collect()
}

fn fields(body: &str, pictures: &[Picture]) -> Option<Map<String, Value>> {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(body) else { return None };
    for picture in pictures {
        let content = picture.sha256.as_deref().unwrap_or_default();
        let told =
            format!("{} {}", serde_json::to_value(picture.sent).ok()?.as_str()?, &content[..content.len().min(12)]);
        fields.insert(picture.field.clone(), told.into());
    }
    Some(fields)
}

fn short(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
