//! Answers of the API that are not as they should be.

use serde_json::{Value, json};

use crate::faults::effect::{Effect, Nowhere};

/// Changes the answer to a poll. `count` says how often the rule was met.
pub(crate) fn change(effect: &Effect, count: u64, body: &mut Value) {
    match effect {
        Effect::UnknownStatus { status } => {
            body["task"]["status"] = status.as_str().into();
            body["videos"] = json!([]);
        }
        Effect::UnknownFields {} => {
            for part in ["/task", "/extra", "/videos/0", ""] {
                if let Some(Value::Object(fields)) = body.pointer_mut(part) {
                    fields.insert("nsfw_detection_result".to_owned(), Value::Null);
                    fields.insert("x_unheard_of".to_owned(), json!({ "deep": [1, { "deeper": true }] }));
                }
            }
        }
        Effect::OddTypes {} => odd_types(body),
        Effect::Nulls {} => nulls(body),
        Effect::NoVideos {} => {
            body["task"]["status"] = "TASK_STATUS_SUCCEED".into();
            body["videos"] = json!([]);
        }
        Effect::ProgressBackwards {} => {
            let status = body["task"]["status"].as_str().unwrap_or_default();
            if status == "TASK_STATUS_QUEUED" || status == "TASK_STATUS_PROCESSING" {
                let again = if count.is_multiple_of(2) { "TASK_STATUS_QUEUED" } else { "TASK_STATUS_PROCESSING" };
                body["task"]["status"] = again.into();
                body["task"]["progress_percent"] = 90_u64.saturating_sub(10 * count).into();
            }
        }
        Effect::BadLinks { to } => {
            for video in videos(body) {
                let link = video["video_url"].as_str().unwrap_or_default();
                let file = link.split('?').next().unwrap_or_default();
                video["video_url"] = match to {
                    Nowhere::Expired => format!("{file}?expires=1&signature=expired").into(),
                    Nowhere::ClosedPort => "http://127.0.0.1:1/clip.mp4".into(),
                    Nowhere::NoUrl => "clips/7".into(),
                };
            }
        }
        _ => {}
    }
}

fn videos(body: &mut Value) -> impl Iterator<Item = &mut Value> {
    body["videos"].as_array_mut().into_iter().flatten()
}

fn odd_types(body: &mut Value) {
    let times =
        ["submit_time_ms", "execute_time_ms", "complete_time_ms"].map(|time| format!("/extra/debug_info/{time}"));
    for at in ["/task/eta", "/task/progress_percent", "/extra/seed"].into_iter().chain(times.iter().map(String::as_str))
    {
        if let Some(value) = body.pointer_mut(at) {
            turn(value);
        }
    }
    videos(body).for_each(|video| turn(&mut video["video_url_ttl"]));
}

/// A number into text, and text that is a number into one.
fn turn(value: &mut Value) {
    *value = match &*value {
        Value::Number(number) => number.to_string().into(),
        Value::String(text) => text.parse::<u64>().map_or(Value::Null, Value::from),
        other => other.clone(),
    };
}

fn nulls(body: &mut Value) {
    for at in ["/task/reason", "/task/task_type", "/task/eta", "/task/progress_percent", "/extra", "/images", "/audios"]
    {
        if let Some(value) = body.pointer_mut(at) {
            *value = Value::Null;
        }
    }
    if body["videos"].as_array().is_some_and(Vec::is_empty) {
        body["videos"] = Value::Null;
    }
    videos(body).for_each(|video| video["video_url_ttl"] = Value::Null);
}
