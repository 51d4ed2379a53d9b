//! The one request that costs money. Where the service saw it, `unknown(1)`: it was paid for, and nobody here can know.

use std::time::Duration;

use crate::cell::Group::Submit as GROUP;
use crate::cell::Outcome;
use crate::cell::{Address, Cell};
use crate::http::Answer;
use crate::script::Came;
use crate::script::Fault::{Closed, Early, Instead, Reset, Silence, Through};
use crate::script::Step::Submit;
use crate::script::Way::{Changed, Drip, HalfBody, HalfHead, Hinted, Lost, LostByReset, Silent, SilentHalfway};
use crate::script::{Fault, Stage};

use super::{bad_gateway, bomb, busy, empty, future, gigantic, html, json, longer, page, past, refusal, shorter};

pub(super) fn cells() -> Vec<Cell> {
    [connection(), lost(), unreadable(), refused(), uncertain()].concat()
}

fn once(name: &'static str, fault: Fault, outcome: Outcome) -> Cell {
    Cell::new(GROUP, name, outcome).once(Submit, fault)
}

fn lasting(name: &'static str, fault: Fault, outcome: Outcome) -> Cell {
    Cell::new(GROUP, name, outcome).lasting(Submit, fault)
}

fn connection() -> Vec<Cell> {
    let second = Duration::from_secs(1);
    vec![
        Cell::new(GROUP, "nothing goes wrong", Outcome::done()),
        once("no connection", Closed(Some(second)), Outcome::done()),
        lasting("no connection", Closed(None), Outcome::free(1).posts(0)),
        Cell::new(GROUP, "certificate that nobody trusts", Outcome::free(1).posts(0)).address(Address::SelfSigned),
        Cell::new(GROUP, "https where HTTP is spoken", Outcome::free(1).posts(0)).address(Address::PlainText),
        once("reset after the request's head", Reset(Came::Head), Outcome::unknown(0)),
        once("reset in the request's body", Reset(Came::Some), Outcome::unknown(0)).large(),
        once("reset after the whole request", Reset(Came::Whole), Outcome::unknown(0)),
        lasting("reset after the whole request", Reset(Came::Whole), Outcome::unknown(0)),
        once("silence; the service never saw it", Silence, Outcome::unknown(0)).patience(),
    ]
}

/// The service accepted; its answer does not arrive.
fn lost() -> Vec<Cell> {
    let pause = Duration::from_millis(20);
    vec![
        once("accepted, and the answer lost", Through(Lost), Outcome::unknown(1)),
        lasting("accepted, and the answer lost", Through(Lost), Outcome::unknown(1)),
        once("accepted, and the connection reset", Through(LostByReset), Outcome::unknown(1)),
        once("accepted, half the answer's head", Through(HalfHead), Outcome::unknown(1)),
        once("accepted, half the answer", Through(HalfBody), Outcome::unknown(1)),
        once("accepted, more announced than comes", Through(Changed(longer)), Outcome::unknown(1)),
        once("accepted, less announced than comes", Through(Changed(shorter)), Outcome::unknown(1)),
        once("accepted, and silence", Through(Silent), Outcome::unknown(1)).patience(),
        once("accepted, silence in the answer", Through(SilentHalfway), Outcome::unknown(1)).patience(),
        once("accepted, the answer byte by byte", Through(Drip(60, pause)), Outcome::done()),
        once("accepted, after an early hint", Through(Hinted), Outcome::done()),
    ]
}

/// The service accepted; what arrives is something else.
fn unreadable() -> Vec<Cell> {
    let changed = |name, change| once(name, Through(Changed(change)), Outcome::unknown(1));
    vec![
        changed("accepted, answered with HTML", page),
        changed("accepted, answered with nothing", empty),
        changed("accepted, answered with 24 MiB", gigantic),
        changed("accepted, answered with a gzip bomb", bomb),
        changed("accepted, answered with broken JSON", |answer, _| *answer = json(r#"{"task_id":"#)),
        changed("accepted, answered with other JSON", |answer, _| *answer = json(r#"{"job":{"number":7}}"#)),
        changed("accepted, answered with an empty id", |answer, _| *answer = json(r#"{"task_id":""}"#)),
        changed("accepted, answered with 502", bad_gateway),
        changed("accepted, sent to another host (302)", |answer, stage| *answer = moved("302 Found", stage)),
        changed("accepted, sent to another host (307)", |answer, stage| *answer = moved("307 Moved", stage)),
        once("accepted, answered with 201", Through(Changed(created)), Outcome::done()),
    ]
}

fn moved(status: &str, stage: &Stage) -> Answer {
    Answer::new(status).header("location", format!("{}/elsewhere", stage.stranger))
}

fn created(answer: &mut Answer, _: &Stage) {
    answer.status = "201 Created".to_owned();
}

/// The service, or what stands before it, says that it did not take it.
fn refused() -> Vec<Cell> {
    let refused = |name, answer, code| once(name, Instead(answer), Outcome::free(code));
    vec![
        refused("400, with all that was sent in its words", |_| echo("400 Bad Request"), 2),
        refused("401", |_| refusal("401 Unauthorized", "FAILED_TO_AUTH", "no"), 5),
        refused("402", |_| refusal("402 Payment Required", "NOT_ENOUGH_BALANCE", "empty"), 5),
        refused("403", |_| refusal("403 Forbidden", "INVALID_API_KEY", "no"), 5),
        once("403 before the body was read", Early(|_| html("403 Forbidden")), Outcome::free(5)).large(),
        refused("404", |_| Answer::new("404 Not Found").body("404 page not found"), 1),
        refused("413", |_| html("413 Payload Too Large"), 2),
        refused("422", |_| refusal("422 Unprocessable Entity", "ILLEGAL_PROMPT", "no"), 1),
        once("429", Instead(|_| busy()), Outcome::done().posts(2)),
        lasting("429", Instead(|_| busy()), Outcome::free(1).posts(4)).within(20),
        once("429, Retry-After 1", Instead(|_| busy().header("retry-after", "1")), Outcome::done().posts(2)),
        once("429, Retry-After nonsense", Instead(|_| busy().header("retry-after", "soon")), Outcome::done().posts(2)),
        once("429, Retry-After in 1994: the clock jumped", Instead(|_| past()), Outcome::done().posts(2)),
        once("429, Retry-After in 9999: the clock jumped", Instead(|_| future()), Outcome::free(1)),
        once("429, Retry-After 99999", Instead(|_| busy().header("retry-after", "99999")), Outcome::free(1)),
        once("503 in the service's words", Instead(|_| unavailable()), Outcome::done().posts(2)),
        lasting("503 in the service's words", Instead(|_| unavailable()), Outcome::free(1).posts(4)).within(20),
    ]
}

/// It says something, and not that it did not take it. Here it did not, which nobody can know.
fn uncertain() -> Vec<Cell> {
    let uncertain = |name, answer| once(name, Instead(answer), Outcome::unknown(0));
    vec![
        uncertain("408", |_| Answer::new("408 Request Timeout")),
        uncertain("409", |_| Answer::new("409 Conflict")),
        uncertain("425", |_| Answer::new("425 Too Early")),
        uncertain("500", |_| refusal("500 Internal Server Error", "INTERNAL", "oops")),
        uncertain("502", |_| html("502 Bad Gateway")),
        uncertain("503, not in the service's words", |_| html("503 Service Unavailable")),
        uncertain("504", |_| html("504 Gateway Timeout")),
        lasting("504", Instead(|_| html("504 Gateway Timeout")), Outcome::unknown(0)),
    ]
}

fn echo(status: &str) -> Answer {
    let key = crate::secrets::KEY;
    let link = format!("https://files.example.com/clip.mp4?signature={key}");
    refusal(status, "INVALID_REQUEST_BODY", &format!("Bearer {key} asked for {link}"))
}

fn unavailable() -> Answer {
    refusal("503 Service Unavailable", "SERVICE_NOT_AVAILABLE", "try later")
}
