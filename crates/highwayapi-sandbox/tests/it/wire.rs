//! A client that sees every byte, and how a connection ends.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;

/// For what comes sooner or later.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// For what never comes.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Reset,
    /// Nothing came any more, and the connection is there.
    Silent,
}

/// All that came, and how it ended.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: End,
}

impl Seen {
    fn split(&self) -> Option<usize> {
        self.bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
    }

    /// Status and headers, in small letters; half a head is whole here.
    pub(crate) fn head(&self) -> String {
        let end = self.split().unwrap_or(self.bytes.len());
        String::from_utf8_lossy(&self.bytes[..end]).to_lowercase()
    }

    pub(crate) fn status(&self) -> Option<u16> {
        self.head().split(' ').nth(1)?.parse().ok()
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let head = self.head();
        head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).map(str::to_owned)
    }

    pub(crate) fn announced(&self) -> usize {
        self.header("content-length").unwrap().parse().unwrap()
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.split().map_or(&[], |at| &self.bytes[at..])
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(self.body()).unwrap()
    }
}

pub(crate) fn address(sandbox: &Sandbox) -> String {
    sandbox.base_url().trim_start_matches("http://").to_owned()
}

/// A request's bytes; the connection shall end with its answer.
pub(crate) fn text(sandbox: &Sandbox, line: &str, fault: &str, body: &str) -> String {
    let mut text = format!("{line} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", address(sandbox));
    if !line.contains("/files/") {
        text.push_str(&format!("authorization: Bearer {}\r\n", sandbox.api_key()));
    }
    if !fault.is_empty() {
        text.push_str(&format!("x-sandbox-fault: {fault}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
    }
    format!("{text}\r\n{body}")
}

pub(crate) async fn raw(sandbox: &Sandbox, request: &str, patience: Duration) -> Seen {
    let mut stream = TcpStream::connect(address(sandbox)).await.unwrap();
    if stream.write_all(request.as_bytes()).await.is_err() {
        return Seen { bytes: Vec::new(), end: End::Reset };
    }
    rest(&mut stream, patience).await
}

pub(crate) async fn rest(stream: &mut TcpStream, patience: Duration) -> Seen {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    let end = loop {
        match timeout(patience, stream.read(&mut buffer)).await {
            Err(_) => break End::Silent,
            Ok(Ok(0)) => break End::Closed,
            Ok(Ok(count)) => bytes.extend_from_slice(&buffer[..count]),
            Ok(Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                break End::Reset;
            }
        }
    };
    Seen { bytes, end }
}
