//! Every answer of the service, and what the caller then sees: one table, kept as a snapshot.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use highwayapi::{Error, TaskResult};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::support::{SUBMIT, TASK_RESULT, builder, clip, contract, service, traits};

/// Which call gets the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    Submit,
    Poll,
    /// Polls, and judges what has ended.
    Wait,
}

impl Call {
    pub(crate) fn operation(self) -> &'static str {
        match self {
            Self::Submit => "submit_first_last_frame",
            Self::Poll | Self::Wait => "get_task_result",
        }
    }
}

#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) call: Call,
    pub(crate) status: u16,
    header: Option<(&'static str, &'static str)>,
    body: String,
}

fn row(call: Call, status: u16, body: impl ToString) -> Row {
    Row { call, status, header: None, body: body.to_string() }
}

fn with(call: Call, status: u16, header: (&'static str, &'static str), body: impl ToString) -> Row {
    Row { header: Some(header), ..row(call, status, body) }
}

fn refusal(status: u16, reason: &str) -> Value {
    json!({ "code": status, "reason": reason, "message": "words of the service", "metadata": {} })
}

const HTML: &str = "<html>nginx</html>";

/// Every reason that the contract lists, wherever it comes from.
fn documented() -> Vec<Row> {
    let contract = contract();
    let mut rows = Vec::new();
    for (path, item) in contract["paths"].as_object().expect("paths") {
        let call = if path == SUBMIT { Call::Submit } else { Call::Poll };
        let operation = item.as_object().and_then(|item| item.values().next()).expect("an operation");
        for (status, response) in operation["responses"].as_object().expect("responses") {
            let Some(reference) = response["$ref"].as_str() else { continue };
            let response = contract.pointer(reference.trim_start_matches('#')).expect(reference);
            let status = status.parse().expect("a status");
            let reasons = response["x-reasons"].as_object().expect("reasons").values();
            let reasons = reasons.flat_map(|reasons| reasons.as_array().into_iter().flatten());
            // A poll is told no more by one reason than by another.
            let count = if call == Call::Submit { usize::MAX } else { 1 };
            let reasons = reasons.take(count).map(|reason| reason.as_str().expect("a reason"));
            rows.extend(reasons.map(|reason| row(call, status, refusal(status, reason))));
        }
    }
    rows
}

/// Answers to a submit that no document lists and the world gives all the same.
fn submits() -> Vec<Row> {
    use Call::Submit;
    let busy = || refusal(429, "RATE_LIMIT_EXCEEDED");
    vec![
        row(Submit, 200, json!({ "task_id": "7b8e1d1c" })),
        row(Submit, 200, json!({ "task_id": "7b8e1d1c", "more": { "keys": [1] } })),
        row(Submit, 201, json!({ "task_id": "7b8e1d1c" })),
        row(Submit, 200, json!({ "task_id": "" })),
        row(Submit, 200, json!({ "task_id": "two words" })),
        row(Submit, 200, json!({ "task_id": 123456 })),
        row(Submit, 200, json!({ "task_id": null })),
        row(Submit, 200, json!({ "data": { "taskId": "7b8e1d1c" } })),
        row(Submit, 200, json!({ "message": "no more", "data": { "task_id": "7b8e1d1c" } })),
        row(Submit, 429, json!({ "message": "later", "task_id": "7b8e1d1c" })),
        row(Submit, 200, json!({ "id": "7b8e1d1c" })),
        row(Submit, 200, refusal(400, "ILLEGAL_PROMPT")),
        row(Submit, 200, ""),
        row(Submit, 200, HTML),
        row(Submit, 200, "{\"task_id\":"),
        row(Submit, 201, json!({})),
        row(Submit, 202, ""),
        row(Submit, 204, ""),
        with(Submit, 302, ("location", "/elsewhere"), ""),
        with(Submit, 307, ("location", "/elsewhere"), ""),
        row(Submit, 400, ""),
        row(Submit, 400, json!({ "message": "no reason given" })),
        row(Submit, 400, json!({ "reason": 7, "message": null })),
        row(Submit, 400, refusal(400, "NEVER_HEARD_OF")),
        row(Submit, 400, refusal(400, "PROHIBITED_CONTENT")),
        row(Submit, 401, ""),
        row(Submit, 402, json!({ "message": "pay" })),
        row(Submit, 403, HTML),
        row(Submit, 404, "404 page not found"),
        row(Submit, 408, ""),
        row(Submit, 409, json!({ "message": "the original request is being processed" })),
        row(Submit, 413, HTML),
        row(Submit, 415, ""),
        row(Submit, 422, json!({ "message": "unprocessable" })),
        row(Submit, 425, ""),
        row(Submit, 424, ""),
        row(Submit, 429, HTML),
        with(Submit, 429, ("retry-after", "1"), busy()),
        with(Submit, 429, ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), busy()),
        with(Submit, 429, ("retry-after", "in a while"), busy()),
        with(Submit, 429, ("retry-after", "61"), busy()),
        with(Submit, 429, ("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT"), busy()),
        with(Submit, 429, ("retry-after", "18446744073709551615"), busy()),
        row(Submit, 499, ""),
        row(Submit, 500, ""),
        row(Submit, 502, HTML),
        row(Submit, 503, HTML),
        row(Submit, 503, refusal(503, "SOMETHING_ELSE")),
        with(Submit, 503, ("retry-after", "120"), refusal(503, "SERVICE_NOT_AVAILABLE")),
        row(Submit, 504, HTML),
        row(Submit, 599, json!({ "task_id": "7b8e1d1c" })),
    ]
}

/// Answers to one poll.
fn polls() -> Vec<Row> {
    use Call::Poll;
    let task = |fields: Value| {
        let mut task = json!({ "status": "TASK_STATUS_PROCESSING" });
        task.as_object_mut().expect("a task").extend(fields.as_object().expect("fields").clone());
        json!({ "task": task })
    };
    let extra = |extra: Value| json!({ "task": { "status": "TASK_STATUS_QUEUED" }, "extra": extra });
    let videos = |videos: Value| json!({ "task": { "status": "TASK_STATUS_SUCCEED" }, "videos": videos });
    let link = "https://files.example.com/clip.mp4";
    vec![
        row(Poll, 200, task(json!({ "status": "TASK_STATUS_QUEUED", "task_id": "t1" }))),
        row(Poll, 200, task(json!({ "status": "TASK_STATUS_QUEUED", "task_id": "of another" }))),
        row(Poll, 200, task(json!({ "status": "TASK_STATUS_QUEUED", "task_id": "", "progress_percent": [1] }))),
        row(Poll, 200, task(json!({ "progress_percent": 40, "eta": 12.5 }))),
        row(Poll, 200, task(json!({ "progress_percent": "40", "eta": " 12.5 " }))),
        row(Poll, 200, task(json!({ "progress_percent": null, "eta": null, "reason": null, "task_type": null }))),
        row(Poll, 200, task(json!({ "progress_percent": 140, "eta": -3 }))),
        row(Poll, 200, task(json!({ "progress_percent": -1, "eta": 0 }))),
        row(Poll, 200, task(json!({ "progress_percent": "NaN", "eta": "soon" }))),
        row(Poll, 200, task(json!({ "status": "TASK_STATUS_ON_HOLD", "unheard": { "of": [] } }))),
        row(Poll, 200, task(json!({ "status": "" }))),
        row(Poll, 200, extra(json!(null))),
        row(Poll, 200, extra(json!({}))),
        row(Poll, 200, extra(json!({ "seed": "42", "debug_info": { "submit_time_ms": "1763790000000" } }))),
        row(Poll, 200, extra(json!({ "seed": 4294967295u32, "debug_info": { "submit_time_ms": 1763790000000u64 } }))),
        row(Poll, 200, extra(json!({ "seed": null, "debug_info": null, "more": 1 }))),
        row(Poll, 200, extra(json!({ "seed": "none" }))),
        row(Poll, 200, extra(json!({ "seed": -1 }))),
        row(Poll, 200, extra(json!({ "seed": 1.5 }))),
        row(Poll, 200, extra(json!({ "debug_info": { "request_info": { "of": true } } }))),
        row(Poll, 200, extra(json!({ "debug_info": "none" }))),
        row(Poll, 200, videos(json!([{ "video_url": link, "video_type": 4 }]))),
        row(
            Poll,
            200,
            json!({ "task": { "status": "TASK_STATUS_QUEUED", "task_type": 7 }, "images": ["x"], "audios": 1 }),
        ),
        row(Poll, 200, extra(json!({ "debug_info": { "complete_time_ms": null, "request_info": "" } }))),
        row(Poll, 200, videos(json!([{ "video_url": link, "video_url_ttl": "3600", "video_type": "mp4" }]))),
        row(Poll, 200, videos(json!([{ "video_url": link, "video_url_ttl": 3600, "nsfw_detection_result": null }]))),
        row(Poll, 200, videos(json!([{ "video_url": link, "video_url_ttl": "0" }, { "video_url": link }]))),
        row(Poll, 200, videos(json!([{ "video_url": link, "video_url_ttl": null }, { "video_url": "" }]))),
        row(Poll, 200, videos(json!([{ "video_url": null }, {}]))),
        row(
            Poll,
            200,
            json!({ "task": { "status": "TASK_STATUS_SUCCEED" }, "images": null, "videos": null, "audios": null }),
        ),
        row(
            Poll,
            200,
            json!({ "task": { "status": "TASK_STATUS_QUEUED" }, "images": [{ "image_url_ttl": 9 }], "audios": [{}] }),
        ),
        row(Poll, 200, task(json!({ "status": "TASK_STATUS_FAILED", "reason": "", "error": "out of luck" }))),
        row(Poll, 200, json!({})),
        row(Poll, 200, json!({ "task": null })),
        row(Poll, 200, json!({ "task": {} })),
        row(Poll, 200, json!([])),
        row(Poll, 200, ""),
        row(Poll, 200, HTML),
        row(Poll, 201, task(json!({}))),
        row(Poll, 204, ""),
        with(Poll, 302, ("location", "/elsewhere"), ""),
        row(Poll, 401, ""),
        row(Poll, 404, "404 page not found"),
        with(Poll, 429, ("retry-after", "7"), ""),
        row(Poll, 502, HTML),
    ]
}

/// Answers that end a wait.
fn waits() -> Vec<Row> {
    use Call::Wait;
    let failed = |fields: Value| {
        let mut task = json!({ "status": "TASK_STATUS_FAILED" });
        task.as_object_mut().expect("a task").extend(fields.as_object().expect("fields").clone());
        json!({ "task": task })
    };
    let done = |rest: Value| {
        let mut answer = json!({ "task": { "status": "TASK_STATUS_SUCCEED", "progress_percent": 0 } });
        answer.as_object_mut().expect("an answer").extend(rest.as_object().expect("fields").clone());
        answer
    };
    vec![
        row(Wait, 200, done(json!({ "videos": [{ "video_url": "https://files.example.com/clip.mp4" }] }))),
        row(Wait, 200, done(json!({}))),
        row(Wait, 200, done(json!({ "videos": [] }))),
        row(Wait, 200, done(json!({ "videos": [{ "video_url": "" }] }))),
        row(Wait, 200, json!({ "task": { "status": "TASK_STATUS_SUCCEED", "reason": "all were filtered" } })),
        row(Wait, 200, failed(json!({ "reason": "the prompt was refused" }))),
        row(Wait, 200, failed(json!({ "reason": "PROHIBITED_CONTENT" }))),
        row(Wait, 200, failed(json!({ "reason": "", "error": "out of luck", "message": "not read" }))),
        row(Wait, 200, failed(json!({ "reason": null, "error": "", "message": "trace 8f2a" }))),
        row(Wait, 200, failed(json!({}))),
        row(Wait, 400, refusal(400, "INVALID_REQUEST_BODY")),
        row(Wait, 401, refusal(401, "FAILED_TO_AUTH")),
        row(Wait, 403, refusal(403, "INVALID_API_KEY")),
        row(Wait, 404, refusal(404, "TASK_NOT_FOUND")),
    ]
}

pub(crate) fn rows() -> Vec<Row> {
    [documented(), submits(), polls(), waits()].concat()
}

impl Row {
    /// Gives the answer and tells what came of it: two or three lines.
    async fn seen(self) -> String {
        let mut answer = ResponseTemplate::new(self.status).set_body_string(&self.body);
        let mut text = format!("{:?} {}", self.call, self.status).to_lowercase();
        if let Some((name, value)) = self.header {
            answer = answer.insert_header(name, value);
            write!(text, " {name}: {value}").expect("writes");
        }
        // What is the same in every refusal is not what a reader looks for.
        let body = self.body.replace(r#""message":"words of the service","metadata":{},"#, "… ");
        write!(text, " {body}").expect("writes");

        let server = service(answer).await;
        let client = builder(&server.uri()).wait_timeout(Duration::from_secs(60)).build().expect("a client");
        let task = client.task("t1".parse().expect("an id"));
        let outcome = match self.call {
            Call::Submit => client.submit(&clip()).await.map(|task| format!("task {}", task.id())),
            Call::Poll => task.poll().await.map(|result| told(&result)),
            Call::Wait => task.wait().await.map(|result| told(&result)),
        };
        let requests = server.received_requests().await.expect("requests");
        let (method, path) = if self.call == Call::Submit { ("POST", SUBMIT) } else { ("GET", TASK_RESULT) };
        for request in &requests {
            assert_eq!((request.method.as_str(), request.url.path()), (method, path), "{text}");
        }
        let sent = format!("{method}×{}", requests.len());
        match outcome {
            Ok(outcome) => write!(text, "\n  {sent} ok: {outcome}"),
            Err(error) => write!(text, "\n  {sent} {}{}\n  {error}", traits(&error), noted(&error)),
        }
        .expect("writes");
        text
    }
}

fn told(result: &TaskResult) -> String {
    let mut text = format!("{:?}", result.status());
    let facts = [
        result.progress_percent().map(|percent| format!("{percent} %")),
        result.eta().map(|eta| format!("eta {eta:?}")),
        result.seed().map(|seed| format!("seed {seed}")),
        result.reason().map(|reason| format!("reason {reason:?}")),
    ];
    for fact in facts.into_iter().flatten() {
        write!(text, ", {fact}").expect("writes");
    }
    for video in result.videos() {
        write!(text, ", video for {:?}", video.ttl()).expect("writes");
    }
    text
}

/// What an error carries along.
fn noted(error: &Error) -> String {
    let mut text = String::new();
    if let Some(status) = error.status() {
        write!(text, ", status {status}").expect("writes");
    }
    if let Some(reason) = error.reason() {
        write!(text, ", reason {reason:?}").expect("writes");
    }
    if let Some(task_id) = error.task_id() {
        write!(text, ", task {task_id}").expect("writes");
    }
    match error.retry_after() {
        None => {}
        // Until a date far off; how long exactly depends on today.
        Some(pause) if pause > Duration::from_secs(400 * 24 * 3600) => text.push_str(", retry after years"),
        Some(pause) => write!(text, ", retry after {pause:?}").expect("writes"),
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn table() {
    // All at once: some rows pause before they send again.
    let rows: Vec<_> = rows().into_iter().map(|row| tokio::spawn(row.seen())).collect();
    let mut table = Vec::new();
    for row in rows {
        table.push(row.await.expect("a row"));
    }
    insta::assert_snapshot!(table.join("\n"));
}

#[test]
fn no_answer_of_the_contract_is_missing() {
    let tested: BTreeSet<_> = rows().iter().map(|row| (row.call.operation(), row.status.to_string())).collect();
    let contract = contract();
    for item in contract["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("operations").values() {
            let id = operation["operationId"].as_str().expect("an operationId");
            for status in operation["responses"].as_object().expect("responses").keys() {
                assert!(tested.contains(&(id, status.clone())), "{id} answered with {status} has no row in the table");
            }
        }
    }
}
