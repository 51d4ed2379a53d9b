//! Polls cost nothing and may be repeated: a fault that passes must not be felt, and one that lasts must lose nothing.

use std::time::Duration;

use crate::cell::Cell;
use crate::cell::Group::Poll as GROUP;
use crate::cell::{Outcome, Resume};
use crate::http::Answer;
use crate::script::Fault::{Closed, Instead, Reset, Silence, Through};
use crate::script::Step::Poll;
use crate::script::Way::{Changed, Drip, HalfBody, HalfHead, Lost, LostByReset, Silent, SilentHalfway};
use crate::script::{Came, Fault, Stage};

use super::{bomb, busy, empty, future, gigantic, html, json, longer, page, past, refusal, shorter};

pub(super) fn cells() -> Vec<Cell> {
    [connection(), unreadable(), refused(), tasks()].concat()
}

fn once(name: &'static str, fault: Fault) -> Cell {
    Cell::new(GROUP, name, Outcome::done()).once(Poll, fault)
}

/// Ends by the wait's own limit, and can be taken up again.
fn lasting(name: &'static str, fault: Fault) -> Cell {
    Cell::new(GROUP, name, Outcome::owed(4)).lasting(Poll, fault).args(&["--timeout", "3s"])
}

fn ends(name: &'static str, fault: Fault, outcome: Outcome) -> Cell {
    Cell::new(GROUP, name, outcome).lasting(Poll, fault)
}

fn connection() -> Vec<Cell> {
    let pause = Duration::from_millis(2);
    vec![
        once("no connection", Closed(Some(Duration::from_secs(2)))),
        lasting("no connection", Closed(None)),
        once("reset after the request", Reset(Came::Whole)),
        lasting("reset after the request", Reset(Came::Whole)),
        once("answer lost", Through(Lost)),
        once("answer lost by a reset", Through(LostByReset)),
        once("half the answer's head", Through(HalfHead)),
        once("half the answer", Through(HalfBody)),
        lasting("half the answer", Through(HalfBody)),
        once("more announced than comes", Through(Changed(longer))),
        once("less announced than comes", Through(Changed(shorter))),
        once("the answer in a hundred pieces", Through(Drip(100, pause))),
        once("silence", Silence).patience(),
        lasting("silence", Silence),
        Cell::new(GROUP, "silence, with less patience", Outcome::owed(4))
            .lasting(Poll, Silence)
            .args(&["--timeout", "5s"])
            .patience(),
        lasting("silence after the request", Through(Silent)),
        lasting("silence in the answer", Through(SilentHalfway)),
    ]
}

fn unreadable() -> Vec<Cell> {
    vec![
        once("HTML", Through(Changed(page))),
        lasting("HTML", Through(Changed(page))),
        once("an empty answer", Through(Changed(empty))),
        once("broken JSON", Instead(|_| json(r#"{"task":{"status":"#))),
        once("other JSON", Instead(|_| json(r#"{"tasks":[]}"#))),
        lasting("other JSON", Instead(|_| json(r#"{"tasks":[]}"#))),
        once("24 MiB", Through(Changed(gigantic))),
        lasting("24 MiB", Through(Changed(gigantic))),
        once("a gzip bomb", Through(Changed(bomb))),
        once("sent to another host (302)", Instead(moved)),
        lasting("sent to another host (302)", Instead(moved)),
    ]
}

fn moved(stage: &Stage) -> Answer {
    Answer::new("302 Found").header("location", format!("{}/elsewhere", stage.stranger))
}

fn refused() -> Vec<Cell> {
    vec![
        once("408", Instead(|_| Answer::new("408 Request Timeout"))),
        once("425", Instead(|_| Answer::new("425 Too Early"))),
        once("429", Instead(|_| busy())),
        lasting("429", Instead(|_| busy())),
        once("429, Retry-After 1", Instead(|_| busy().header("retry-after", "1"))),
        once("429, Retry-After in 1994: the clock jumped", Instead(|_| past())),
        once("429, Retry-After nonsense", Instead(|_| busy().header("retry-after", "soon"))),
        lasting("429, Retry-After in 9999: the clock jumped", Instead(|_| future())),
        lasting("429, Retry-After 99999", Instead(|_| busy().header("retry-after", "99999"))),
        once("500", Instead(|_| refusal("500 Internal Server Error", "INTERNAL", "oops"))),
        lasting("500, with the key in its words", Instead(|_| echo())),
        once("502", Instead(|_| html("502 Bad Gateway"))),
        once("503", Instead(|_| refusal("503 Service Unavailable", "SERVICE_NOT_AVAILABLE", "try later"))),
        once("504", Instead(|_| html("504 Gateway Timeout"))),
        ends("401", Instead(|_| refusal("401 Unauthorized", "FAILED_TO_AUTH", "no")), Outcome::owed(5)),
        ends("403", Instead(|_| html("403 Forbidden")), Outcome::owed(5)),
        Cell::new(GROUP, "401 after an answer: the key was withdrawn", Outcome::owed(5))
            .nth(1, Poll, Instead(|_| task("TASK_STATUS_PROCESSING", "")))
            .nth(2, Poll, Instead(|_| refusal("401 Unauthorized", "FAILED_TO_AUTH", "no"))),
    ]
}

fn tasks() -> Vec<Cell> {
    let vanished = || Instead(|_| refusal("404 Not Found", "TASK_NOT_FOUND", "task not found"));
    vec![
        Cell::new(GROUP, "the status goes backwards", Outcome::done())
            .nth(1, Poll, Instead(|_| task("TASK_STATUS_PROCESSING", r#","progress_percent":80"#)))
            .nth(2, Poll, Instead(|_| task("TASK_STATUS_QUEUED", r#","progress_percent":0"#))),
        once("progress that is no number", Instead(|_| task("TASK_STATUS_PROCESSING", r#","progress_percent":"NaN""#))),
        once("an unknown status", Instead(|_| task("TASK_STATUS_PONDERING", ""))),
        lasting("an unknown status", Instead(|_| task("TASK_STATUS_PONDERING", ""))),
        once("the task vanishes and comes back", vanished()),
        lasting("the task is gone for good", vanished()).stays().ending(Outcome::owed(4).resume(Resume::Ends)),
        lasting("the task takes longer than is waited", Instead(|_| task("TASK_STATUS_PROCESSING", ""))),
        ends("the task fails", Through(Changed(failed)), Outcome::given_up()).stays(),
        ends("the task succeeds without a video", Through(Changed(without_video)), Outcome::given_up()).stays(),
        Cell::new(GROUP, "fewer videos than were asked for", Outcome::done().files("clip-1.json, clip-1.mp4 whole"))
            .lasting(Poll, Through(Changed(one_video)))
            .args(&["--sample-count=2"]),
        Cell::new(
            GROUP,
            "more videos than were asked for",
            Outcome::done().files("clip-1.json, clip-1.mp4 whole, clip-2.json, clip-2.mp4 whole"),
        )
        .lasting(Poll, Through(Changed(twice))),
        ends("a link that is none", Through(Changed(no_link)), Outcome::unfetched()),
    ]
}

fn task(status: &str, more: &str) -> Answer {
    json(format!(r#"{{"task":{{"status":"{status}"{more}}}}}"#))
}

fn failed(answer: &mut Answer, _: &Stage) {
    *answer = json(r#"{"task":{"status":"TASK_STATUS_FAILED","reason":"the model gave up"}}"#);
}

fn without_video(answer: &mut Answer, _: &Stage) {
    *answer = json(r#"{"task":{"status":"TASK_STATUS_SUCCEED"},"videos":[]}"#);
}

fn one_video(answer: &mut Answer, _: &Stage) {
    edit(answer, |videos| videos.truncate(1));
}

fn twice(answer: &mut Answer, _: &Stage) {
    edit(answer, |videos| videos.extend(videos.clone()));
}

fn no_link(answer: &mut Answer, _: &Stage) {
    let link = |video: &mut serde_json::Value| video["video_url"] = "clips/7".into();
    edit(answer, |videos| videos.iter_mut().for_each(link));
}

fn edit(answer: &mut Answer, change: impl Fn(&mut Vec<serde_json::Value>)) {
    let mut body: serde_json::Value = serde_json::from_slice(&answer.body).expect("the sandbox speaks JSON");
    if let Some(videos) = body["videos"].as_array_mut() {
        change(videos);
    }
    answer.body = body.to_string().into_bytes();
}

fn echo() -> Answer {
    refusal("500 Internal Server Error", "INTERNAL", &format!("Bearer {} is mine", crate::secrets::KEY))
}
