//! A stand-in for the service, in a process of its own: takes whatever comes as fast as it can, keeps nothing of it but
//! counts, and answers so that clients of this and of other APIs are content.

mod answers;
mod book;
mod clip;
mod http;
mod remote;
mod tls;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

use self::answers::{Answer, Answers};
use self::book::Book;
use self::clip::Clip;
use self::http::{Connection, Head};
pub(crate) use self::remote::{Remote, control};
use crate::Result;

/// Below this path the harness talks to the stub; nothing of that is counted.
const CONTROL: &str = "/bench/";
/// A task that is done and has a small video.
const SMALL: &str = "done-small";

struct Stub {
    base: String,
    secure_base: String,
    answers: Answers,
    book: Book,
    clip: Clip,
}

/// Serves until the process ends. Tells on standard output where, and leaves the certificate to be trusted in a file.
pub(crate) fn serve(certificate: &Path, answers: &Path) -> Result<()> {
    // One core is all it has.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (plain, secure) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
        let acceptor = tls::acceptor(certificate)?;
        let stub = Arc::new(Stub {
            base: format!("http://{}", plain.local_addr()?),
            secure_base: format!("https://{}", secure.local_addr()?),
            answers: Answers::read(answers)?,
            book: Book::default(),
            clip: Clip::new(),
        });
        writeln!(io::stdout(), "{}", json!({ "http": stub.base, "https": stub.secure_base }))?;
        loop {
            tokio::select! {
                accepted = plain.accept() => {
                    let (stub, stream) = (Arc::clone(&stub), accepted?.0);
                    stream.set_nodelay(true)?;
                    tokio::spawn(async move { stub.talk(stream, &stub.base).await });
                }
                accepted = secure.accept() => {
                    let (stub, stream, acceptor) = (Arc::clone(&stub), accepted?.0, acceptor.clone());
                    stream.set_nodelay(true)?;
                    tokio::spawn(async move {
                        let stream = acceptor.accept(stream).await?;
                        stub.talk(stream, &stub.secure_base).await
                    });
                }
            }
        }
    })
}

impl Stub {
    async fn talk(&self, stream: impl AsyncRead + AsyncWrite + Unpin, base: &str) -> io::Result<()> {
        let mut connection = Connection::new(stream);
        while let Some(head) = connection.head().await? {
            if let Some(control) = head.path().strip_prefix(CONTROL) {
                let answer = self.book.control(control, head.query()).unwrap_or_else(|error| error.to_string());
                connection.answer(200, "application/json", answer.as_bytes()).await?;
                continue;
            }
            self.book.begins(connection.first_byte());
            let drained = connection.drain(&head).await?;
            self.book.came(&head, drained);
            let answer = match self.own_api(&head, base) {
                Some(answer) => answer,
                None => self.answers.answer(&head, base),
            };
            match answer {
                Answer::Text(status, body) => connection.answer(status, "application/json", body.as_bytes()).await?,
                Answer::Clip if self.send_clip(&mut connection, &head).await? => {}
                Answer::Clip => return Ok(()),
                Answer::SmallClip => return connection.write(&clip::small()).await,
            }
        }
        Ok(())
    }

    /// The API that this repository is a client of.
    fn own_api(&self, head: &Head, base: &str) -> Option<Answer> {
        match (head.method(), head.path()) {
            ("POST", "/v3/async/veo-3.1-fast-generate-firstlastframe") => {
                Some(Answer::Text(200, json!({ "task_id": self.book.submitted() }).to_string()))
            }
            (_, clip::PATH) => Some(Answer::Clip),
            (_, clip::SMALL_PATH) => Some(Answer::SmallClip),
            ("GET", "/v3/async/task-result") => {
                let id = head.query().split('&').find_map(|pair| pair.strip_prefix("task_id="))?;
                let (status, videos) = if self.book.polled(id) {
                    let path = if id == SMALL { clip::SMALL_PATH } else { clip::PATH };
                    let url = format!("{base}{path}?signature=0123456789abcdef");
                    let video = json!({ "video_url": url, "video_url_ttl": "3600", "video_type": "mp4" });
                    ("TASK_STATUS_SUCCEED", vec![video])
                } else {
                    ("TASK_STATUS_PROCESSING", Vec::new())
                };
                let task = json!({ "task_id": id, "status": status, "reason": "", "task_type": "", "eta": 0,
                    "progress_percent": 0 });
                let result = json!({ "task": task, "extra": {}, "images": [], "videos": videos, "audios": [] });
                Some(Answer::Text(200, result.to_string()))
            }
            _ => None,
        }
    }

    /// Whether the connection is still of use.
    async fn send_clip<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        connection: &mut Connection<S>,
        head: &Head,
    ) -> io::Result<bool> {
        let range = self.clip.range(head.header("range"));
        let end = match self.book.take_cut() {
            Some(cut) => cut.min(range.end),
            None => range.end,
        };
        connection.write(self.clip.head(&range).as_bytes()).await?;
        if head.method() == "HEAD" {
            return Ok(true);
        }
        let mut at = range.start;
        while at < end {
            let piece = self.clip.piece(at, end);
            connection.write(piece).await?;
            at += piece.len() as u64;
            self.book.sent(piece.len() as u64);
        }
        Ok(end == range.end)
    }
}
