//! The sandbox, as slow as a service may be: on loopback hardly a kill would come into a submit or a video.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::sleep;

use crate::http::{Answer, Head, read_body};
use crate::kills::journal::Journal;
use crate::script::Step;

/// What of a submit comes before the next pause.
const PIECE: usize = 32 << 10;
/// What a sender gets rid of before it is read.
const BUFFER: u32 = 16 << 10;
const BETWEEN_PIECES: Duration = Duration::from_millis(3);
/// Before and after the service accepts it.
const AROUND: Duration = Duration::from_millis(15);
/// Of a video.
const PIECES: usize = 8;
const BETWEEN_DROPS: Duration = Duration::from_millis(7);

pub(super) struct Service {
    pub(super) journal: Arc<Journal>,
    pub(super) url: String,
}

struct Shared {
    journal: Arc<Journal>,
    url: String,
    upstream: String,
}

impl Service {
    /// Before the sandbox at this URL.
    pub(super) async fn start(base_url: &str) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(BUFFER)?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let listener = socket.listen(64)?;
        let url = format!("http://{}", listener.local_addr()?);
        let journal = Arc::new(Journal::new());
        let upstream = base_url.trim_start_matches("http://").to_owned();
        let shared = Arc::new(Shared { journal: Arc::clone(&journal), url: url.clone(), upstream });
        tokio::spawn(shared.listen(listener));
        Ok(Self { journal, url })
    }
}

impl Shared {
    async fn listen(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let shared = Arc::clone(&self);
            // Whatever breaks here breaks because somebody was killed.
            tokio::spawn(async move { drop(shared.serve(BufReader::new(stream)).await) });
        }
    }

    async fn serve(&self, mut stream: BufReader<TcpStream>) -> io::Result<()> {
        stream.get_ref().set_nodelay(true)?;
        let Some(head) = Head::read(&mut stream).await? else { return Ok(()) };
        match Step::of(&head) {
            Step::Submit => {
                let post = self.journal.arrived();
                let done = self.submit(stream, head, post).await;
                self.journal.ended();
                done
            }
            Step::Poll => self.poll(stream, head).await,
            Step::Download => self.fetch(stream, head).await,
        }
    }

    async fn submit(&self, mut stream: BufReader<TcpStream>, head: Head, post: usize) -> io::Result<()> {
        let (mut body, length) = (Vec::new(), head.length());
        while body.len() < length {
            let piece = read_body(&mut stream, PIECE.min(length - body.len())).await?;
            if piece.is_empty() {
                return Ok(());
            }
            body.extend(piece);
            sleep(BETWEEN_PIECES).await;
        }
        self.journal.came_whole(post, prompt(&body));
        sleep(AROUND).await;
        let answer = Answer::of(&self.upstream, head, &body).await?;
        if answer.status.starts_with("200") {
            self.journal.accepted(post);
        }
        sleep(AROUND).await;
        stream.write_all(&[answer.head(), answer.body].concat()).await?;
        self.journal.answered(post);
        end(stream).await
    }

    async fn poll(&self, mut stream: BufReader<TcpStream>, head: Head) -> io::Result<()> {
        let mut answer = Answer::of(&self.upstream, head, b"").await?;
        let text = String::from_utf8_lossy(&answer.body);
        let links = text.split("signature=").skip(1);
        self.journal.signed(links.map(|rest| rest.split(['"', '&']).next().unwrap_or_default().to_owned()));
        answer.body = text.replace(&format!("http://{}", self.upstream), &self.url).into_bytes();
        stream.write_all(&[answer.head(), answer.body].concat()).await?;
        end(stream).await
    }

    async fn fetch(&self, mut stream: BufReader<TcpStream>, head: Head) -> io::Result<()> {
        self.journal.fetch();
        let answer = Answer::of(&self.upstream, head, b"").await?;
        stream.write_all(&answer.head()).await?;
        for piece in answer.body.chunks(answer.body.len().div_ceil(PIECES).max(1)) {
            stream.write_all(piece).await?;
            sleep(BETWEEN_DROPS).await;
        }
        end(stream).await
    }
}

/// Closed before the other side has read all, it would lose what is still on its way.
async fn end(mut stream: BufReader<TcpStream>) -> io::Result<()> {
    stream.shutdown().await?;
    stream.read_to_end(&mut Vec::new()).await.map(drop)
}

/// It stands behind the pictures.
fn prompt(body: &[u8]) -> Option<String> {
    let end = String::from_utf8_lossy(&body[body.len().saturating_sub(1024)..]).into_owned();
    let text = &end[end.find("\"prompt\":")? + "\"prompt\":".len()..];
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    Some(values.next()?.ok()?.as_str()?.to_owned())
}
