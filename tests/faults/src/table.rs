//! The cells: what goes wrong, and what must come of it.

mod download;
mod machine;
mod poll;
mod submit;

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::cell::Cell;
use crate::http::Answer;
use crate::script::Stage;

pub(crate) fn cells() -> Vec<Cell> {
    [submit::cells(), poll::cells(), download::cells(), machine::cells()].concat()
}

/// Something between the client and the service.
fn html(status: &str) -> Answer {
    Answer::new(status).header("content-type", "text/html").body("<html><h1>nginx</h1></html>")
}

/// In the service's own words.
fn refusal(status: &str, reason: &str, message: &str) -> Answer {
    let body = format!(r#"{{"code":0,"reason":"{reason}","message":"{message}","metadata":{{}}}}"#);
    Answer::new(status).header("content-type", "application/json").body(body)
}

fn busy() -> Answer {
    refusal("429 Too Many Requests", "RATE_LIMIT_EXCEEDED", "slow down")
}

fn past() -> Answer {
    busy().header("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")
}

fn future() -> Answer {
    busy().header("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT")
}

fn json(body: impl Into<Vec<u8>>) -> Answer {
    Answer::new("200 OK").header("content-type", "application/json").body(body)
}

/// 24 MiB where a few hundred bytes belong.
fn gigantic(answer: &mut Answer, _: &Stage) {
    answer.body.extend(vec![b' '; 24 << 20]);
}

/// A few KiB that unfold to 24 MiB.
fn bomb(answer: &mut Answer, stage: &Stage) {
    gigantic(answer, stage);
    gzip(answer, stage);
}

fn gzip(answer: &mut Answer, _: &Stage) {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder.write_all(&answer.body).and_then(|()| encoder.finish());
    answer.body = packed.expect("memory takes everything");
    answer.set("content-encoding", "gzip");
}

fn longer(answer: &mut Answer, _: &Stage) {
    answer.announced = Some(answer.body.len() + 1000);
}

fn shorter(answer: &mut Answer, _: &Stage) {
    answer.announced = Some(answer.body.len() / 2);
}

fn empty(answer: &mut Answer, _: &Stage) {
    answer.body.clear();
}

fn page(answer: &mut Answer, _: &Stage) {
    *answer = html("200 OK");
}

fn bad_gateway(answer: &mut Answer, _: &Stage) {
    *answer = html("502 Bad Gateway");
}
