//! The video is made and paid for: a fault that passes is not felt, after one that lasts it is fetched later, and nothing
//! that is not whole gets its name.

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

/// For whoever can make use of it; no resume does.
const LEFT: &str = "clip.mp4.highway-kept";
/// Where a resume goes on from.
const KEPT: &str = "clip.mp4.highway-part for resuming";
/// A port where nobody ever listens.
const NOWHERE: &str = "http://127.0.0.1:1";

pub(super) fn cells() -> Vec<Cell> {
    [connection(), refused(), moved(), other(), altered()].concat()
}

fn once(name: &'static str, fault: Fault) -> Cell {
    Cell::new(GROUP, name, Outcome::done()).once(Download, fault)
}

fn lasting(name: &'static str, fault: Fault) -> Cell {
    Cell::new(GROUP, name, Outcome::unfetched()).lasting(Download, fault).within(40)
}

/// What came before the fault is kept, and of use.
fn keeping(name: &'static str, fault: Fault) -> Cell {
    lasting(name, fault).ending(Outcome::unfetched().files(KEPT)).sparing()
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
        once("half the video", Through(HalfBody)).sparing(),
        keeping("half the video", Through(HalfBody)),
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
        lasting("more announced than comes", Through(Changed(longer))).ending(Outcome::unfetched().files(KEPT)),
        lasting("less announced than comes", Through(Changed(shorter))),
        lasting("5 GB announced", Through(Changed(|answer, _| answer.announced = Some(5 << 30)))),
        once("the video in a hundred pieces", Through(Drip(100, pause))).sparing(),
        once("silence", Silence).patience(),
        lasting("silence", Through(Silent)).patience(),
        keeping("silence in the video", Through(SilentHalfway)).patience(),
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
        // The first two links stay as dead as they are.
        Cell::new(GROUP, "links that have expired, until a third is asked for", Outcome::done())
            .nth(1, Poll, Through(Changed(expired_link)))
            .nth(2, Poll, Through(Changed(expired_link))),
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

fn expired_link(answer: &mut Answer, stage: &Stage) {
    let link = format!("{}/files/expired.mp4?expires=1&signature=x\"", stage.service);
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    if let Some(at) = body.find(&format!("{}/files/", stage.service)) {
        let end = body[at..].find('"').map_or(body.len(), |end| at + end + 1);
        answer.body = [&body[..at], &link, &body[end..]].concat().into_bytes();
    }
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
        Cell::new(GROUP, "a link to a certificate that nobody trusts", Outcome::unfetched())
            .lasting(Poll, Through(Changed(link_to_self_signed))),
        Cell::new(GROUP, "a link to a host that is gone", Outcome::unfetched())
            .lasting(Poll, Through(Changed(link_to_nowhere))),
        Cell::new(GROUP, "of two links one leads nowhere", Outcome::unfetched().files("clip-1.json, clip-1.mp4 whole"))
            .lasting(Poll, Through(Changed(one_link_to_nowhere)))
            .args(&["--sample-count=2"]),
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

fn link_to_nowhere(answer: &mut Answer, stage: &Stage) {
    let body = String::from_utf8_lossy(&answer.body).replace(&stage.service, NOWHERE);
    answer.body = body.into_bytes();
}

fn one_link_to_nowhere(answer: &mut Answer, stage: &Stage) {
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    if let Some(at) = body.rfind(&stage.service) {
        let body = [&body[..at], NOWHERE, &body[at + stage.service.len()..]].concat();
        answer.body = body.into_bytes();
    }
}

/// What comes is no whole MP4.
fn other() -> Vec<Cell> {
    vec![
        once("HTML with 200", Through(Changed(page))).ending(Outcome::unfetched()),
        lasting("HTML with 200", Through(Changed(page))),
        lasting("JSON with 200", Instead(|_| super::json("{}"))),
        lasting("an empty video", Through(Changed(empty))),
        lasting("a video packed with gzip", Through(Changed(packed))).ending(Outcome::unfetched().files(LEFT)),
        lasting("a video that was cut before", Through(Changed(cut))).ending(Outcome::unfetched().files(LEFT)),
        lasting("a video whose boxes lie", Through(Changed(lying))).ending(Outcome::unfetched().files(LEFT)),
        lasting("a video without its index", Through(Changed(without_index))).ending(Outcome::unfetched().files(LEFT)),
    ]
}

fn altered() -> Vec<Cell> {
    let flipped = "clip.json, clip.mp4 with a flipped byte";
    vec![
        once("a wrong digest", Through(Changed(wrong_digest))),
        lasting("a wrong digest", Through(Changed(wrong_digest))),
        once("a flipped byte, with a digest", Through(Changed(flip))),
        lasting("a flipped byte, with a digest", Through(Changed(flip))),
        // Nothing tells it from what the service made.
        lasting("a flipped byte, and no digest to tell", Through(Changed(flip_untold)))
            .ending(Outcome::done().files(flipped)),
    ]
}

fn wrong_digest(answer: &mut Answer, _: &Stage) {
    answer.set("repr-digest", format!("sha-256=:{}=:", "A".repeat(43)));
}

/// In the pictures, where no box tells.
fn flip(answer: &mut Answer, _: &Stage) {
    let middle = answer.body.len() / 2;
    answer.body[middle] ^= 1;
}

fn flip_untold(answer: &mut Answer, stage: &Stage) {
    flip(answer, stage);
    untold(answer);
}

/// Without the digest, which would tell before anything else does.
fn untold(answer: &mut Answer) {
    answer.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("repr-digest"));
}

fn packed(answer: &mut Answer, stage: &Stage) {
    untold(answer);
    gzip(answer, stage);
}

fn cut(answer: &mut Answer, _: &Stage) {
    untold(answer);
    answer.body.truncate(answer.body.len() * 2 / 3);
}

/// The size of the second box.
fn lying(answer: &mut Answer, _: &Stage) {
    untold(answer);
    let second = usize::from(answer.body[3]);
    answer.body[second..second + 4].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
}

fn without_index(answer: &mut Answer, _: &Stage) {
    untold(answer);
    let named = |window: &[u8]| window == b"moov";
    if let Some(at) = answer.body.windows(4).position(named) {
        answer.body[at..at + 4].copy_from_slice(b"free");
    }
}
