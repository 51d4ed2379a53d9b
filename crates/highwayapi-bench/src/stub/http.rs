//! Just enough HTTP/1.1 for a server: heads, bodies of either kind, answers.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::ready;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::machine;

thread_local! {
    /// Where bodies end; one for all connections, because nothing of them is kept.
    static SINK: RefCell<Vec<u8>> = RefCell::new(vec![0; 1 << 20]);
}

/// The lines before a body.
pub(super) struct Head(String);

impl Head {
    pub(super) fn method(&self) -> &str {
        self.0.split(' ').next().unwrap_or_default()
    }

    fn target(&self) -> &str {
        self.0.split(' ').nth(1).unwrap_or_default()
    }

    pub(super) fn path(&self) -> &str {
        self.target().split('?').next().unwrap_or_default()
    }

    pub(super) fn query(&self) -> &str {
        self.target().split_once('?').map(|(_, query)| query).unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.0.lines().skip(1).filter_map(|line| line.split_once(':'));
        headers.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

pub(super) struct Connection<S> {
    stream: S,
    /// What was read of the next request already.
    read: Vec<u8>,
    first_byte: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, read: Vec::new(), first_byte: 0 }
    }

    /// When the first byte of the last head was there.
    pub(super) fn first_byte(&self) -> u64 {
        self.first_byte
    }

    async fn fill(&mut self) -> io::Result<()> {
        self.read.reserve(16 << 10);
        if self.stream.read_buf(&mut self.read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Up to and with `end`.
    async fn until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|window| window == end) {
                return Ok(self.read.drain(..at + end.len()).collect());
            }
            self.fill().await?;
        }
    }

    /// `None` when the client has hung up.
    pub(super) async fn head(&mut self) -> io::Result<Option<Head>> {
        if self.read.is_empty() && self.fill().await.is_err() {
            return Ok(None);
        }
        self.first_byte = machine::now().unwrap_or_default();
        let head = self.until(b"\r\n\r\n").await?;
        Ok(Some(Head(String::from_utf8_lossy(&head).into_owned())))
    }

    /// Takes the body and forgets it; how long it was on the wire.
    pub(super) async fn drain(&mut self, head: &Head) -> io::Result<u64> {
        if head.header("expect").is_some() {
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        if head.header("transfer-encoding").is_none() {
            let length = head.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            self.skip(length).await?;
            return Ok(length);
        }
        let mut drained = 0;
        loop {
            let line = self.until(b"\r\n").await?;
            let text = String::from_utf8_lossy(&line);
            let size = text.trim().split(';').next().and_then(|size| u64::from_str_radix(size, 16).ok());
            let size = size.ok_or(io::ErrorKind::InvalidData)?;
            drained += line.len() as u64 + size + 2;
            if size == 0 {
                // Trailers end with an empty line.
                while self.until(b"\r\n").await?.len() > 2 {}
                return Ok(drained);
            }
            self.skip(size + 2).await?;
        }
    }

    async fn skip(&mut self, length: u64) -> io::Result<()> {
        let here = length.min(self.read.len() as u64);
        self.read.drain(..here as usize);
        let mut left = length - here;
        while left > 0 {
            let stream = &mut self.stream;
            let read = poll_fn(|context| {
                SINK.with_borrow_mut(|sink| {
                    let most = usize::try_from(left).unwrap_or(usize::MAX).min(sink.len());
                    let mut sink = ReadBuf::new(&mut sink[..most]);
                    ready!(Pin::new(&mut *stream).poll_read(context, &mut sink))?;
                    std::task::Poll::Ready(io::Result::Ok(sink.filled().len() as u64))
                })
            });
            match read.await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => left -= read,
            }
        }
        Ok(())
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    pub(super) async fn answer(&mut self, status: u16, kind: &str, body: &[u8]) -> io::Result<()> {
        let head = format!("HTTP/1.1 {status} -\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len());
        self.write(&[head.as_bytes(), body].concat()).await
    }
}
