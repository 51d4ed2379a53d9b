//! Just enough HTTP/1.1 to stand between two who speak it well: one request a connection.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::Result;

/// The body of what is answered to a GET.
///
/// # Errors
///
/// When nothing is, or something else than 200.
pub async fn get(address: &str, path: &str) -> Result<Vec<u8>> {
    let head = Head(vec![format!("GET {path} HTTP/1.1"), format!("host: {address}")]);
    let answer = Answer::of(address, head, b"").await?;
    match answer.status.starts_with("200") {
        true => Ok(answer.body),
        false => Err(format!("{path}: {}: {}", answer.status, String::from_utf8_lossy(&answer.body)).into()),
    }
}

/// The lines before a body, without their ends.
#[derive(Clone, Debug)]
pub(crate) struct Head(Vec<String>);

impl Head {
    /// `None` for what is no HTTP at all, such as the first bytes of TLS.
    pub(crate) async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
        if !stream.fill_buf().await?.first().is_some_and(u8::is_ascii_uppercase) {
            return Ok(None);
        }
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end();
            if line.is_empty() {
                return Ok(Some(Self(lines)));
            }
            lines.push(line.to_owned());
        }
    }

    fn word(&self, index: usize) -> &str {
        self.0.first().and_then(|line| line.split(' ').nth(index)).unwrap_or_default()
    }

    pub(crate) fn method(&self) -> &str {
        self.word(0)
    }

    pub(crate) fn path(&self) -> &str {
        self.word(1)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.0.iter().skip(1).filter_map(|line| line.split_once(':'));
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        let named = |line: &String| line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
        self.0.retain(|line| !named(line));
        self
    }

    pub(crate) fn length(&self) -> usize {
        self.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)
    }

    /// As it is sent on: the connection ends with the answer.
    fn closing(self) -> Vec<u8> {
        let head = self.without("connection").0.join("\r\n");
        format!("{head}\r\nconnection: close\r\n\r\n").into_bytes()
    }
}

/// Reads so much of a body, or what comes of it.
pub(crate) async fn read_body(stream: &mut BufReader<TcpStream>, length: usize) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    stream.take(length as u64).read_to_end(&mut body).await?;
    Ok(body)
}

/// An answer whose every part can be changed.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// What is announced, if not the body's own length.
    pub(crate) announced: Option<usize>,
}

impl Answer {
    pub(crate) fn new(status: &str) -> Self {
        Self { status: status.to_owned(), headers: Vec::new(), body: Vec::new(), announced: None }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    pub(crate) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.into()));
    }

    /// What the service says to this request.
    pub(crate) async fn of(upstream: &str, head: Head, body: &[u8]) -> io::Result<Self> {
        let mut stream = TcpStream::connect(upstream).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&head.closing()).await?;
        stream.write_all(body).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        Self::parse(&bytes).ok_or_else(|| io::Error::other("the sandbox answered with something that is no answer"))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.to_owned();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.filter(|(name, _)| !matches!(*name, "content-length" | "connection"));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Some(Self { status, headers, body: bytes[end + 4..].to_vec(), announced: None })
    }

    pub(crate) fn head(&self) -> Vec<u8> {
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = self.announced.unwrap_or(self.body.len());
        format!("HTTP/1.1 {}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n", self.status)
            .into_bytes()
    }
}
