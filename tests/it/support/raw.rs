//! A server that does exactly what it is told, also what no HTTP server would do.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
    /// Sends these bytes one by one, with a pause before each.
    Trickle(Vec<u8>, Duration),
    /// Answers with what the request's range asks of this, and breaks off after so many bytes of it.
    Host(Arc<Hosted>, usize),
    /// Breaks the connection in a way that the client's system notices.
    Reset,
    /// Does nothing, for ever.
    Silence,
}

/// A file and the lines that a file host puts into the head of its answers.
pub(crate) struct Hosted {
    pub(crate) bytes: Vec<u8>,
    pub(crate) head: String,
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
    /// Bytes of hosted files that went out.
    hosted: Arc<AtomicUsize>,
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
        let hosted = Arc::new(AtomicUsize::new(0));
        let (seen, sent) = (Arc::clone(&came), Arc::clone(&hosted));
        tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.expect("a connection");
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(Vec::new());
                let steps = scripts[connection.min(scripts.len() - 1)].clone();
                let connection_to_it = Connection { stream, came: Vec::new(), hosted: Arc::clone(&sent) };
                tokio::spawn(connection_to_it.run(steps, connection, Arc::clone(&seen)));
            }
        });
        Self { url, came, hosted }
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

    /// How many bytes of hosted files went over the wire.
    pub(crate) fn hosted(&self) -> usize {
        self.hosted.load(Ordering::Relaxed)
    }

    /// All that came, connection by connection.
    pub(crate) fn came(&self) -> Vec<Vec<u8>> {
        self.came.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Connection {
    stream: TcpStream,
    came: Vec<u8>,
    hosted: Arc<AtomicUsize>,
}

impl Connection {
    async fn run(mut self, steps: Vec<Step>, index: usize, seen: Arc<Mutex<Vec<Vec<u8>>>>) {
        for step in steps {
            match step {
                Step::Head => self.read_until(|came| head_end(came).is_some()).await,
                Step::Request => self.read_until(is_whole).await,
                Step::Bytes(count) => self.read_until(|came| came.len() >= count).await,
                Step::Send(bytes) => drop(self.stream.write_all(&bytes).await),
                Step::Trickle(bytes, pause) => {
                    for byte in bytes {
                        tokio::time::sleep(pause).await;
                        drop(self.stream.write_all(&[byte]).await);
                    }
                }
                Step::Host(file, most) => self.serve(&file, most).await,
                Step::Reset => return self.stream.set_zero_linger().expect("a reset"),
                Step::Silence => pending().await,
            }
            // After every step: whoever has the answer can count what led to it.
            seen.lock().unwrap_or_else(PoisonError::into_inner)[index].clone_from(&self.came);
        }
    }

    async fn serve(&mut self, file: &Hosted, most: usize) {
        let Hosted { bytes, head } = file;
        self.read_until(|came| head_end(came).is_some()).await;
        let came = String::from_utf8_lossy(&self.came).to_ascii_lowercase();
        let wanted = came.lines().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
        let from: usize = wanted.unwrap_or(0);
        let status = match wanted {
            Some(from) => {
                format!("206 Partial Content\r\ncontent-range: bytes {from}-{}/{1}", bytes.len() - 1, bytes.len())
            }
            None => "200 OK".to_owned(),
        };
        let head = format!("HTTP/1.1 {status}\r\n{head}content-length: {}\r\n\r\n", bytes.len() - from);
        let body = &bytes[from..bytes.len().min(from.saturating_add(most))];
        self.hosted.fetch_add(body.len(), Ordering::Relaxed);
        drop(self.stream.write_all(&[head.as_bytes(), body].concat()).await);
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
