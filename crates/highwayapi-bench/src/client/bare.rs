//! The physical limit: the same bytes moved by a loop that does nothing else. No errors are told apart, nothing is
//! checked, nothing can be taken up again.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use base64::engine::{Engine, Simd, general_purpose::PAD};

use super::mark::Mark;
use super::{Call, PROMPT, Said, tasks, unsupported};
use crate::Result;

const VERSION: &str = "a bare loop";
/// A multiple of three.
const CHUNK: usize = 48 << 10;

pub(super) fn call(base: &str, call: Call) -> Result<Said> {
    let Some(address) = base.strip_prefix("http://") else {
        return Ok(unsupported("the bare loop speaks no TLS"));
    };
    match call {
        Call::Submit { count: 1, first, last } => {
            let mark = Mark::set()?;
            submit(address, &first, &last)?;
            mark.said(VERSION)
        }
        Call::Poll { count } => {
            let mut stream = connect(address)?;
            let mut answer = vec![0; 4 << 10];
            let mut poll = |count| -> Result<()> {
                for _ in 0..count {
                    stream.write_all(b"GET /v3/async/task-result?task_id=running HTTP/1.1\r\n\r\n")?;
                    let length = stream.read(&mut answer)?;
                    accepted(&answer[..length])?;
                }
                Ok(())
            };
            poll(tasks::WARM_UP)?;
            let mark = Mark::set()?;
            poll(count)?;
            mark.said(VERSION)
        }
        Call::Download { file } => {
            let mark = Mark::set()?;
            download(address, &file)?;
            mark.said(VERSION)
        }
        Call::Submit { .. } | Call::Tasks { .. } => Ok(unsupported("one call at a time")),
    }
}

fn connect(address: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn submit(address: &str, first: &Path, last: &Path) -> Result<()> {
    let before = r#"{"image":"data:image/png;base64,"#;
    let between = r#"","last_image":"data:image/png;base64,"#;
    let after = format!(r#"","prompt":"{PROMPT}"}}"#);
    let encoded = |path: &Path| Result::Ok(fs::metadata(path)?.len().div_ceil(3) * 4);
    let length = (before.len() + between.len() + after.len()) as u64 + encoded(first)? + encoded(last)?;
    let mut stream = connect(address)?;
    let head = format!(
        "POST /v3/async/veo-3.1-fast-generate-firstlastframe HTTP/1.1\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{before}"
    );
    stream.write_all(head.as_bytes())?;
    pour(first, &mut stream)?;
    stream.write_all(between.as_bytes())?;
    pour(last, &mut stream)?;
    stream.write_all(after.as_bytes())?;
    let mut answer = [0; 4 << 10];
    let length = stream.read(&mut answer)?;
    accepted(&answer[..length])
}

fn accepted(answer: &[u8]) -> Result<()> {
    if answer.starts_with(b"HTTP/1.1 200 ") { Ok(()) } else { Err("the stub did not accept it".into()) }
}

/// One read, one pass of Base64, one copy into the socket.
fn pour(path: &Path, stream: &mut TcpStream) -> Result<()> {
    let base64 = Simd::standard(PAD);
    let mut file = File::open(path)?;
    let (mut read, mut encoded) = (vec![0; CHUNK], vec![0; CHUNK / 3 * 4]);
    loop {
        let mut length = 0;
        while length < CHUNK {
            match file.read(&mut read[length..])? {
                0 => break,
                more => length += more,
            }
        }
        let written = base64.encode_slice(&read[..length], &mut encoded)?;
        stream.write_all(&encoded[..written])?;
        if length < CHUNK {
            return Ok(());
        }
    }
}

fn download(address: &str, path: &Path) -> Result<()> {
    let mut stream = connect(address)?;
    stream.write_all(b"GET /files/clip.mp4 HTTP/1.1\r\n\r\n")?;
    let mut file = File::create(path)?;
    let mut buffer = vec![0; 64 << 10];
    let first = stream.read(&mut buffer)?;
    accepted(&buffer[..first])?;
    let head = buffer[..first].windows(4).position(|window| window == b"\r\n\r\n").ok_or("no head")? + 4;
    let text = String::from_utf8_lossy(&buffer[..head]).into_owned();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).ok_or("no length")?;
    let mut left = length.parse::<usize>()? - (first - head);
    file.write_all(&buffer[head..first])?;
    while left > 0 {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Err("the stub hung up".into());
        }
        file.write_all(&buffer[..read])?;
        left -= read;
    }
    Ok(())
}
