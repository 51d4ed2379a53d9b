//! The same requests, asked of a sandbox in this process.

use std::collections::HashMap;
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::Value;

use crate::Sandbox;
use crate::api::{SUBMIT, TASK_RESULT};
use crate::cassette::drift::report::{Findings, Kind, kind_of, shown};
use crate::cassette::drift::seen::{Call, Seen};
use crate::cassette::drift::stand_in;
use crate::cassette::format::Operation;
use crate::cassette::redact::is_hidden;
use crate::clock::Clock;
use crate::error::Error;
use crate::tasks::Task;

/// What depends on the service's own day, not on the request.
const OF_THE_DAY: &[u16] = &[402, 408, 429, 500, 502, 503, 504];

/// Below here everybody may say what they like.
const FREE: &str = "/metadata";

struct Asked {
    status: u16,
    body: Option<Value>,
}

pub(crate) async fn check(seen: &Seen<'_>, findings: &mut Findings) -> Result<(), Error> {
    // On a clock that stands still nothing is rendered.
    let sandbox = Sandbox::builder().clock(Clock::stepped()).run_time(Duration::from_secs(1)).start().await?;
    let http = Client::builder().no_proxy().build();
    let http = http.map_err(|e| Error::new("the client for the sandbox cannot be made").caused_by(e))?;
    let failed = |e| Error::new("the sandbox in this process does not answer").caused_by(e);
    let answers = every_state();
    // Recorded tasks, and those of the sandbox that stand for them.
    let mut tasks: HashMap<String, String> = HashMap::new();
    for call in &seen.calls {
        if call.request.operation == Operation::File || call.answer.is_none() {
            continue;
        }
        let known = call.task().is_none_or(|task| call.status() != Some(200) || tasks.contains_key(task));
        if known {
            let asked = ask(&http, &sandbox, seen, call, &tasks).await.map_err(failed)?;
            if let (Some(recorded), Some(id)) =
                (call.accepted(), asked.body.as_ref().and_then(|body| body["task_id"].as_str()))
            {
                tasks.insert(recorded.to_owned(), id.to_owned());
            }
            compare(call, &asked, findings);
        }
        if let (Some(state), Some(body)) = (call.state(), &call.body)
            && let Some(sample) = answers.iter().find(|sample| sample["task"]["status"] == state)
        {
            shape(call, body, sample, "", findings);
        }
    }
    Ok(())
}

/// What the sandbox answers to a poll, in each state.
fn every_state() -> Vec<Value> {
    let task = Task {
        number: 1,
        task_id: String::new(),
        key: String::new(),
        request: String::new(),
        prompt: String::new(),
        seed: 0,
        image: [0; 32],
        last_image: [0; 32],
        width: 1280,
        height: 720,
        seconds: 4,
        audio: false,
        samples: 1,
        clips: 1,
        submitted: 0,
        begins: Some(1),
        ends: Some(2),
        stuck: false,
        fails: None,
        rendered: 0.0,
        pair: None,
    };
    let failed = Task { fails: Some("a reason".to_owned()), ..task.clone() };
    let answer =
        |task: &Task, now| task.answer(now, Duration::ZERO, |_| "https://files.example/clip.mp4".to_owned(), 3600);
    let mut answers: Vec<Value> = (0..3).map(|now| answer(&task, now)).collect();
    answers.push(answer(&failed, 2));
    answers
}

async fn ask(
    http: &Client,
    sandbox: &Sandbox,
    seen: &Seen<'_>,
    call: &Call<'_>,
    tasks: &HashMap<String, String>,
) -> reqwest::Result<Asked> {
    let subject = call.task().and_then(|task| tasks.get(task)).map(|id| format!("task_id={id}"));
    let target = match call.request.operation {
        Operation::Submit => SUBMIT.to_owned(),
        _ => format!("{TASK_RESULT}?{}", subject.as_deref().unwrap_or(&call.request.subject)),
    };
    let method = Method::from_bytes(call.request.method.as_bytes()).unwrap_or(Method::GET);
    let mut request = http.request(method, format!("{}{target}", sandbox.base_url()));
    for (name, value) in call.request.headers.iter().filter(|(_, value)| !is_hidden(value)) {
        request = match name.as_str() {
            "content-type" => request.header(name, value),
            "authorization" if seen.has_good_key(call) => request.bearer_auth(sandbox.api_key()),
            "authorization" => request.header(name, value),
            _ => request,
        };
    }
    if let Some(body) = &call.request.body {
        request = request.body(with_pictures(call, body));
    }
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    Ok(Asked { status, body: serde_json::from_slice(&answer.bytes().await?).ok() })
}

fn with_pictures(call: &Call<'_>, body: &str) -> String {
    let mut body = body.to_owned();
    for (at, picture) in call.pictures().iter().enumerate() {
        let text = Value::String(stand_in::text(picture, call.accepted().is_some())).to_string();
        body = body.replace(&format!("\"(picture {})\"", at + 1), &text);
    }
    body
}

fn compare(call: &Call<'_>, asked: &Asked, findings: &mut Findings) {
    let (Some(status), Some(body)) = (call.status(), &call.body) else { return };
    let of_the_day = |status: u16, reason: Option<&str>| {
        OF_THE_DAY.contains(&status) || reason.is_some_and(|reason| reason.contains("BALANCE"))
    };
    if of_the_day(status, call.reason()) {
        return;
    }
    let reason = asked.body.as_ref().and_then(|body| body["reason"].as_str());
    let said =
        |status: u16, reason: Option<&str>| format!("{status} {}", reason.unwrap_or_default()).trim_end().to_owned();
    let (came, expected) = (said(status, call.reason()), said(asked.status, reason));
    if came != expected && !findings.has(call, "status") {
        findings.add(Kind::Sandbox, call, "status", came, format!("{expected}{}", told(asked)));
    } else if let (None, Some(sample)) = (call.state(), &asked.body) {
        shape(call, body, sample, "", findings);
    }
}

/// What the sandbox complains of.
fn told(asked: &Asked) -> String {
    let message = asked.body.as_ref().and_then(|body| body["message"].as_str());
    message.map(|message| format!(": {}", shown(&message.into()))).unwrap_or_default()
}

/// Fields that only one has, and values of another type.
fn shape(call: &Call<'_>, came: &Value, sample: &Value, at: &str, findings: &mut Findings) {
    if at == FREE {
        return;
    }
    match (came, sample) {
        (Value::Object(came), Value::Object(sample)) => {
            for (name, value) in came {
                let inside = format!("{at}/{name}");
                match sample.get(name) {
                    Some(sample) => shape(call, value, sample, &inside, findings),
                    None if !findings.has(call, &inside) => {
                        findings.add(Kind::Sandbox, call, inside, kind_of(value), "the sandbox does not send it");
                    }
                    None => {}
                }
            }
            for (name, value) in sample.iter().filter(|(name, _)| !came.contains_key(*name)) {
                let sends = format!("the sandbox sends {}", article(kind_of(value)));
                findings.add(Kind::Sandbox, call, format!("{at}/{name}"), "nothing", sends);
            }
        }
        (Value::Array(came), Value::Array(sample)) => {
            if let Some(sample) = sample.first() {
                came.iter().for_each(|came| shape(call, came, sample, &format!("{at}/*"), findings));
            }
        }
        _ if kind_of(came) != kind_of(sample) && !findings.has(call, at) => {
            let sends = format!("the sandbox sends {}", article(kind_of(sample)));
            findings.add(Kind::Sandbox, call, at, format!("{} ({})", article(kind_of(came)), shown(came)), sends);
        }
        _ => {}
    }
}

fn article(kind: &str) -> String {
    match kind {
        "null" => "null".to_owned(),
        "array" | "object" => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}
