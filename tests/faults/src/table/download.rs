//! The video is made and paid for: whatever happens here, it can be fetched again, and nothing that is not whole gets
//! its name.

use std::time::Duration;

use crate::cell::Cell;
use crate::cell::Group::Download as GROUP;
use crate::cell::Outcome;
use crate::http::Answer;
use crate::script::Fault::{Closed, Instead, Reset, Silence, Through, Without};
use crate::script::Step::{Download, Poll};
use crate::script::Way::{Changed, Drip, HalfBody, HalfHead, Lost, LostByReset, Silent, SilentHalfway};
use crate::script::{Came, Fault, Stage};

use super::{empty, gzip, html, longer, page, refusal, shorter};

const KEPT: &str = "clip.mp4.highway-part";

pub(super) fn cells() -> Vec<Cell> {
    [connection(), refused(), moved(), other()].concat()
}

/// What comes of a fault that would be over at the next try.
fn passing() -> Outcome {
    Outcome::owed(6)
}

fn once(name: &'static str, fault: Fault) -> Cell {
    Cell::new(GROUP, name, passing()).once(Download, fault)
}

fn lasting(name: &'static str, fault: Fault) -> Cell {
    Cell::new(GROUP, name, Outcome::owed(6)).lasting(Download, fault)
}

fn connection() -> Vec<Cell> {
    let pause = Duration::from_millis(5);
    vec![
        once("no connection", Closed(Some(Duration::from_secs(1)))),
        lasting("no connection", Closed(None)),
        once("reset after the request", Reset(Came::Whole)),
        lasting("reset after the request", Reset(Came::Whole)),
        once("answer lost", Through(Lost)),
        once("answer lost by a reset", Through(LostByReset)),
        once("half the answer's head", Through(HalfHead)),
        once("half the video", Through(HalfBody)),
        lasting("half the video", Through(HalfBody)),
        once("half the video; the host knows no ranges", Through(HalfBody)).nth(2, Download, Without("range")),
        once("half the video, of another version", Through(Changed(half_of_another))),
        once("half the video, of another version; the host does not compare", Through(Changed(half_of_another))).nth(
            2,
            Download,
            Without("if-range"),
        ),
        once("half the video, and then 416", Through(HalfBody)).nth(
            2,
            Download,
            Instead(|_| html("416 Range Not Satisfiable")),
        ),
        once("more announced than comes", Through(Changed(longer))),
        lasting("more announced than comes", Through(Changed(longer))),
        lasting("less announced than comes", Through(Changed(shorter))).ending(Outcome::owed(6).files(KEPT)),
        lasting("5 GB announced", Through(Changed(|answer, _| answer.announced = Some(5 << 30)))),
        once("the video in a hundred pieces", Through(Drip(100, pause))).ending(Outcome::done()),
        once("silence", Silence).patience(),
        lasting("silence", Through(Silent)).patience(),
        lasting("silence in the video", Through(SilentHalfway)).patience(),
    ]
}

fn half_of_another(answer: &mut Answer, _: &Stage) {
    answer.announced = Some(answer.body.len());
    answer.body.truncate(answer.body.len() / 2);
    answer.body.reverse();
    answer.set("etag", "\"another\"");
}

fn refused() -> Vec<Cell> {
    vec![
        once("403: the link expired at once, for the host's clock jumped", Instead(|_| expired())),
        lasting("403: links expire at once", Instead(|_| expired())),
        once("404", Instead(|_| html("404 Not Found"))),
        once("410", Instead(|_| html("410 Gone"))),
        lasting("416", Instead(|_| html("416 Range Not Satisfiable"))),
        once("429, Retry-After 1", Instead(|_| html("429 Too Many Requests").header("retry-after", "1"))),
        lasting("500", Instead(|_| html("500 Internal Server Error"))),
        once("503", Instead(|_| html("503 Service Unavailable"))),
        lasting("503", Instead(|_| html("503 Service Unavailable"))),
    ]
}

fn expired() -> Answer {
    refusal("403 Forbidden", "LINK_EXPIRED", "the link has expired")
}

fn moved() -> Vec<Cell> {
    vec![
        lasting("moved to another host, which must not see the key", Through(Changed(to_file_host)))
            .ending(Outcome::done()),
        lasting("moved round in circles", Through(Changed(in_circles))),
        lasting("moved to a certificate that nobody trusts", Through(Changed(to_self_signed))),
        Cell::new(GROUP, "a link to a certificate that nobody trusts", Outcome::owed(6))
            .lasting(Poll, Through(Changed(link_to_self_signed))),
    ]
}

fn to_file_host(answer: &mut Answer, stage: &Stage) {
    *answer = Answer::new("302 Found").header("location", format!("{}{}", stage.file_host, stage.path));
}

fn in_circles(answer: &mut Answer, stage: &Stage) {
    *answer = Answer::new("302 Found").header("location", format!("{}/files/round", stage.service));
}

fn to_self_signed(answer: &mut Answer, stage: &Stage) {
    *answer = Answer::new("302 Found").header("location", format!("{}/clip.mp4", stage.self_signed));
}

fn link_to_self_signed(answer: &mut Answer, stage: &Stage) {
    let body = String::from_utf8_lossy(&answer.body).replace(&stage.service, &stage.self_signed);
    answer.body = body.into_bytes();
}

/// What comes is no whole MP4.
fn other() -> Vec<Cell> {
    vec![
        once("HTML with 200", Through(Changed(page))),
        lasting("HTML with 200", Through(Changed(page))),
        lasting("JSON with 200", Instead(|_| super::json("{}"))),
        lasting("an empty video", Through(Changed(empty))),
        lasting("a video packed with gzip", Through(Changed(gzip))).ending(Outcome::owed(6).files(KEPT)),
        lasting("a video that was cut before", Through(Changed(cut))).ending(Outcome::owed(6).files(KEPT)),
        lasting("a video whose boxes lie", Through(Changed(lying))).ending(Outcome::owed(6).files(KEPT)),
        lasting("a video without its index", Through(Changed(without_index))).ending(Outcome::owed(6).files(KEPT)),
    ]
}

fn cut(answer: &mut Answer, _: &Stage) {
    answer.body.truncate(answer.body.len() * 2 / 3);
}

/// The size of the second box.
fn lying(answer: &mut Answer, _: &Stage) {
    let second = usize::from(answer.body[3]);
    answer.body[second..second + 4].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
}

fn without_index(answer: &mut Answer, _: &Stage) {
    let named = |window: &[u8]| window == b"moov";
    if let Some(at) = answer.body.windows(4).position(named) {
        answer.body[at..at + 4].copy_from_slice(b"free");
    }
}
