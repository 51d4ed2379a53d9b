//! A server that does exactly what it is told, also what no HTTP server would do.

use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What it does next. After the last step it closes the connection.
#[derive(Clone)]
pub(crate) enum Step {
    /// Reads a request's head, and no more of the body than came along with it.
    Head,
    /// Reads a request whole.
    Request,
    /// Reads at least so many bytes.
    Bytes(usize),
    /// Sends this.
    Send(Vec<u8>),
    /// Breaks the connection in a way that the client's system notices.
    Reset,
    /// Does nothing, for ever.
    Silence,
}

/// An answer, complete.
pub(crate) fn answer(status: &str, body: impl AsRef<[u8]>) -> Step {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
    Step::Send([head.as_bytes(), body].concat())
}

/// These bytes.
pub(crate) fn send(bytes: impl AsRef<[u8]>) -> Step {
    Step::Send(bytes.as_ref().to_vec())
}

pub(crate) struct Server {
    url: String,
    /// What came over each connection.
    came: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Server {
    /// Treats every connection to the same steps.
    pub(crate) async fn start(steps: impl Into<Vec<Step>>) -> Self {
        Self::each(vec![steps.into()]).await
    }

    /// Treats each connection to steps of its own, and all further ones to the last.
    pub(crate) async fn each(scripts: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self::on(listener, scripts)
    }

    pub(crate) fn on(listener: TcpListener, scripts: Vec<Vec<Step>>) -> Self {
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let came = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&came);
        tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.expect("a connection");
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(Vec::new());
                let steps = scripts[connection.min(scripts.len() - 1)].clone();
                tokio::spawn(Connection { stream, came: Vec::new() }.run(steps, connection, Arc::clone(&seen)));
            }
        });
        Self { url, came }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn connections(&self) -> usize {
        self.came().len()
    }

    /// How often this stood on the wire.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.came().iter().map(|came| String::from_utf8_lossy(came).matches(text).count()).sum()
    }

    /// All that came, connection by connection.
    pub(crate) fn came(&self) -> Vec<Vec<u8>> {
        self.came.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Connection {
    stream: TcpStream,
    came: Vec<u8>,
}

impl Connection {
    async fn run(mut self, steps: Vec<Step>, index: usize, seen: Arc<Mutex<Vec<Vec<u8>>>>) {
        for step in steps {
            match step {
                Step::Head => self.read_until(|came| head_end(came).is_some()).await,
                Step::Request => self.read_until(is_whole).await,
                Step::Bytes(count) => self.read_until(|came| came.len() >= count).await,
                Step::Send(bytes) => drop(self.stream.write_all(&bytes).await),
                Step::Reset => return self.stream.set_zero_linger().expect("a reset"),
                Step::Silence => pending().await,
            }
            // After every step: whoever has the answer can count what led to it.
            seen.lock().unwrap_or_else(PoisonError::into_inner)[index].clone_from(&self.came);
        }
    }

    async fn read_until(&mut self, enough: impl Fn(&[u8]) -> bool) {
        while !enough(&self.came) && self.stream.read_buf(&mut self.came).await.is_ok_and(|read| read > 0) {}
    }
}

fn head_end(came: &[u8]) -> Option<usize> {
    came.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn is_whole(came: &[u8]) -> bool {
    let Some(end) = head_end(came) else { return false };
    let head = String::from_utf8_lossy(&came[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    came.len() >= end + length.unwrap_or(0)
}
