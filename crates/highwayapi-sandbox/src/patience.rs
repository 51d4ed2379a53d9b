//! How long a client may keep the sandbox waiting, in real time: while it sends a body, and while it takes an answer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// Bytes that buy a second.
const PACE: f64 = 1024.0;

/// Time that is spent by waiting and won back by bytes that move: neither a pause nor a trickle can last.
struct Patience {
    limit: Duration,
    left: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self { limit, left: limit, waiting: None }
    }

    /// Ready once it has run out.
    fn spend(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (_, end) = self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(self.left))));
        end.as_mut().poll(cx)
    }

    fn win(&mut self, bytes: usize) {
        if let Some((since, _)) = self.waiting.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        self.left = self.limit.min(self.left + Duration::from_secs_f64(bytes as f64 / PACE));
    }
}

/// A body that breaks off when it comes too slowly.
pub(crate) struct PatientBody {
    inner: Incoming,
    patience: Patience,
}

impl PatientBody {
    pub(crate) fn new(inner: Incoming, limit: Duration) -> Self {
        Self { inner, patience: Patience::new(limit) }
    }
}

impl HttpBody for PatientBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.patience.win(frame.data_ref().map_or(0, Bytes::len));
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(io::Error::other(error)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                ready!(self.patience.spend(cx));
                Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, "it came too slowly"))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A connection that breaks off when its client takes answers too slowly.
pub(crate) struct PatientStream {
    inner: TcpStream,
    patience: Patience,
}

impl PatientStream {
    pub(crate) fn new(inner: TcpStream, limit: Duration) -> Self {
        Self { inner, patience: Patience::new(limit) }
    }

    pub(crate) fn into_inner(self) -> TcpStream {
        self.inner
    }

    fn wrote(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => self.patience.win(bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                ready!(self.patience.spend(cx));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        written
    }
}

impl AsyncRead for PatientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for PatientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.wrote(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.wrote(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
