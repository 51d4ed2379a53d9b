//! Stands between the command and the sandbox, notes every request, and does what the script says.

use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::http::{Answer, Head, read_body};
use crate::script::{Came, Fault, Script, Stage, Step, Way};

/// Bytes of a body that have come when it is half way.
const SOME: usize = 32 << 10;

/// One request as it was seen.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) step: Step,
    /// Whether the service saw it.
    pub(crate) forwarded: bool,
    /// After which byte it was asked to begin, and whether only if nothing has changed.
    pub(crate) range: Option<u64>,
    pub(crate) if_range: bool,
    /// Bytes of the body that went to the client.
    pub(crate) sent: usize,
}

/// What came in one run of the command.
#[derive(Default)]
pub(crate) struct Played {
    pub(crate) journal: Vec<Entry>,
    /// Of the links that were handed out.
    pub(crate) signatures: Vec<String>,
}

/// One run of the command, as the proxy knows it.
struct Play {
    script: Script,
    stage: Stage,
    journal: Mutex<Vec<Entry>>,
    signatures: Mutex<Vec<String>>,
    /// The command's process, once there is one.
    process: watch::Sender<Option<u32>>,
}

pub(crate) struct Proxy {
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    url: String,
    play: Mutex<Option<Arc<Play>>>,
    /// Whether somebody shall listen, and whether somebody does.
    wanted: watch::Sender<bool>,
    open: watch::Sender<bool>,
}

impl Proxy {
    /// Leads to the sandbox at this URL.
    pub(crate) async fn start(base_url: &str) -> io::Result<Self> {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?.listen(64)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream: base_url.trim_start_matches("http://").to_owned(),
            url: format!("http://{address}"),
            play: Mutex::default(),
            wanted: watch::Sender::new(true),
            open: watch::Sender::new(true),
        });
        tokio::spawn(Arc::clone(&shared).listen(listener, address));
        Ok(Self { shared })
    }

    pub(crate) fn url(&self) -> String {
        self.shared.url.clone()
    }

    /// From here on requests belong to this run.
    pub(crate) async fn begin(&self, script: Script, stage: Stage) {
        let process = watch::Sender::new(None);
        let play = Arc::new(Play { script, stage, journal: Mutex::default(), signatures: Mutex::default(), process });
        *lock(&self.shared.play) = Some(Arc::clone(&play));
        self.shared.close_before(Step::Submit, &play).await;
    }

    /// The process that is meant by signals.
    pub(crate) fn process(&self, id: Option<u32>) {
        if let Some(play) = &*lock(&self.shared.play) {
            play.process.send_replace(id);
        }
    }

    /// What came in this run. From here on everything passes.
    pub(crate) async fn end(&self) -> Played {
        let play = lock(&self.shared.play).take();
        self.shared.set_open(true).await;
        let played = |play: Arc<Play>| Played {
            journal: lock(&play.journal).clone(),
            signatures: lock(&play.signatures).clone(),
        };
        play.map(played).unwrap_or_default()
    }
}

impl Shared {
    async fn listen(self: Arc<Self>, mut listener: TcpListener, address: SocketAddr) -> io::Result<()> {
        let mut wanted = self.wanted.subscribe();
        loop {
            tokio::select! {
                connection = listener.accept() => {
                    let (stream, _) = connection?;
                    stream.set_nodelay(true)?;
                    tokio::spawn(Arc::clone(&self).serve(stream));
                    continue;
                }
                closed = wanted.wait_for(|wanted| !wanted) => drop(closed.map_err(io::Error::other)?),
            }
            drop(listener);
            // Bound and not listening: nobody is there, and nobody else takes the port meanwhile.
            let socket = bind(address).await?;
            self.open.send_replace(false);
            wanted.wait_for(|wanted| *wanted).await.map_err(io::Error::other)?;
            listener = socket.listen(64)?;
            self.open.send_replace(true);
        }
    }

    async fn set_open(&self, open: bool) {
        self.wanted.send_replace(open);
        let mut state = self.open.subscribe();
        // An error means that nobody will ever listen again, which the next request notices.
        let _ = state.wait_for(|state| *state == open).await;
    }

    async fn close_before(self: &Arc<Self>, step: Step, play: &Arc<Play>) {
        let Some(pause) = play.script.closed(step) else { return };
        self.set_open(false).await;
        if let Some(pause) = pause {
            let (shared, play) = (Arc::clone(self), Arc::clone(play));
            tokio::spawn(async move {
                sleep(pause).await;
                // Unless another run has begun, with doors of its own.
                let current = lock(&shared.play).as_ref().is_some_and(|current| Arc::ptr_eq(current, &play));
                if current {
                    shared.set_open(true).await;
                }
            });
        }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream) {
        let play = lock(&self.play).clone();
        // Whatever breaks here breaks because somebody went away.
        let _ = match play {
            Some(play) => self.act(BufReader::new(stream), &play).await,
            None => self.pass(BufReader::new(stream)).await,
        };
    }

    /// Between two runs, or after one.
    async fn pass(&self, mut stream: BufReader<TcpStream>) -> io::Result<()> {
        let Some(head) = Head::read(&mut stream).await? else { return no_http(stream).await };
        let body = read_body(&mut stream, head.length()).await?;
        let answer = self.forward(head, &body).await?;
        send(&mut stream, &[answer.head(), answer.body].concat()).await
    }

    async fn forward(&self, head: Head, body: &[u8]) -> io::Result<Answer> {
        let step = Step::of(&head);
        let mut answer = Answer::of(&self.upstream, head, body).await?;
        if step == Step::Poll {
            // Links lead here too: several proxies stand before one sandbox.
            let text = String::from_utf8_lossy(&answer.body);
            answer.body = text.replace(&format!("http://{}", self.upstream), &self.url).into_bytes();
        }
        Ok(answer)
    }

    async fn act(self: &Arc<Self>, mut stream: BufReader<TcpStream>, play: &Arc<Play>) -> io::Result<()> {
        let Some(mut head) = Head::read(&mut stream).await? else { return no_http(stream).await };
        let step = Step::of(&head);
        let (at, n) = play.note(step, &head);
        let fault = play.script.fault(step, n);
        let stage = Stage { path: head.path().to_owned(), ..play.stage.clone() };
        match fault {
            Some(Fault::Reset(Came::Head)) => return stream.into_inner().set_zero_linger(),
            Some(Fault::Reset(Came::Some)) => {
                read_body(&mut stream, SOME).await?;
                return stream.into_inner().set_zero_linger();
            }
            Some(Fault::Early(answer)) => {
                let answer = answer(&stage);
                stream.write_all(&[answer.head(), answer.body].concat()).await?;
                return gone(stream).await;
            }
            _ => {}
        }

        let body = read_body(&mut stream, head.length()).await?;
        let way = match fault {
            Some(Fault::Reset(_)) => return stream.into_inner().set_zero_linger(),
            Some(Fault::Silence) => return gone(stream).await,
            Some(Fault::Instead(answer)) => {
                let answer = answer(&stage);
                return send(&mut stream, &[answer.head(), answer.body].concat()).await;
            }
            Some(Fault::Signal(signal)) => {
                play.signal(signal).await;
                return gone(stream).await;
            }
            Some(Fault::Without(name)) => {
                head = head.without(name);
                None
            }
            Some(Fault::Meanwhile(happens)) => {
                happens(&stage.folder);
                None
            }
            Some(Fault::Through(way)) => Some(way),
            Some(Fault::Closed(_) | Fault::Early(_)) | None => None,
        };
        lock(&play.journal)[at].forwarded = true;
        let answer = self.forward(head, &body).await?;
        lock(&play.signatures).extend(signatures(&answer));
        match step {
            Step::Submit => self.close_before(Step::Poll, play).await,
            Step::Poll if is_done(&answer) => self.close_before(Step::Download, play).await,
            _ => {}
        }
        lock(&play.journal)[at].sent = way.map_or(answer.body.len(), |way| way.part_of(answer.body.len()));
        match way {
            Some(way) => play.answer(stream, answer, way, &stage).await,
            None => send(&mut stream, &[answer.head(), answer.body].concat()).await,
        }
    }
}

async fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    for attempt in 0.. {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        match socket.bind(address) {
            // A process that is just being started holds what its parent held, until it is another program.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempt < 1000 => {
                sleep(Duration::from_millis(1)).await;
            }
            bound => return bound.map(|()| socket),
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

impl Play {
    /// Returns where it stands in the journal, and how many of its step have come.
    fn note(&self, step: Step, head: &Head) -> (usize, usize) {
        let mut journal = lock(&self.journal);
        let first = |range: &str| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok();
        let range = head.header("range").and_then(first);
        let if_range = head.header("if-range").is_some();
        journal.push(Entry { step, forwarded: false, range, if_range, sent: 0 });
        (journal.len() - 1, journal.iter().filter(|entry| entry.step == step).count())
    }

    async fn answer(
        &self,
        mut stream: BufReader<TcpStream>,
        mut answer: Answer,
        way: &Way,
        stage: &Stage,
    ) -> io::Result<()> {
        let half = |answer: &Answer| [&answer.head(), &answer.body[..answer.body.len() / 2]].concat();
        match way {
            Way::Lost => Ok(()),
            Way::LostByReset => stream.into_inner().set_zero_linger(),
            Way::HalfHead => send(&mut stream, b"HTTP/1.1 200 O").await,
            Way::HalfBody => send(&mut stream, &half(&answer)).await,
            Way::Silent => gone(stream).await,
            Way::SilentHalfway => {
                stream.write_all(&half(&answer)).await?;
                gone(stream).await
            }
            Way::Drip(pieces, pause) => {
                stream.write_all(&answer.head()).await?;
                for piece in answer.body.chunks(answer.body.len().div_ceil(*pieces).max(1)) {
                    stream.write_all(piece).await?;
                    stream.flush().await?;
                    sleep(*pause).await;
                }
                stream.shutdown().await
            }
            Way::Hinted => {
                let hint = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n";
                send(&mut stream, &[hint.as_slice(), &answer.head(), &answer.body].concat()).await
            }
            Way::Changed(change) => {
                change(&mut answer, stage);
                send(&mut stream, &[answer.head(), answer.body].concat()).await
            }
            Way::Signal(signal) => {
                self.signal(signal).await;
                gone(stream).await
            }
            Way::SignalBefore(signal) => {
                self.signal(signal).await;
                // So that the command has noticed; if it has not, it hears of it right after.
                sleep(Duration::from_millis(300)).await;
                send(&mut stream, &[answer.head(), answer.body].concat()).await
            }
            Way::SignalHalfway(signal) => {
                stream.write_all(&half(&answer)).await?;
                stream.flush().await?;
                // So that some of it is on disk; how much decides nothing.
                sleep(Duration::from_millis(200)).await;
                self.signal(signal).await;
                gone(stream).await
            }
        }
    }

    async fn signal(&self, signal: &str) {
        let mut process = self.process.subscribe();
        let Ok(id) = process.wait_for(Option::is_some).await.map(|id| *id) else { return };
        let id = id.unwrap_or_default().to_string();
        let killed = tokio::task::spawn_blocking({
            let signal = format!("-{signal}");
            move || Command::new("kill").args([signal, id]).status()
        });
        assert!(killed.await.is_ok_and(|killed| killed.is_ok_and(|status| status.success())), "kill does not run");
    }
}

/// Those of the links in an answer to a poll.
fn signatures(answer: &Answer) -> Vec<String> {
    let text = String::from_utf8_lossy(&answer.body);
    let links = text.split("signature=").skip(1);
    let signatures = links.map(|rest| rest.split(['"', '&']).next().unwrap_or_default().to_owned());
    signatures.filter(|signature| signature.len() > 20 && signature.len() < 100).collect()
}

fn is_done(answer: &Answer) -> bool {
    answer.body.windows(19).any(|window| window == b"TASK_STATUS_SUCCEED")
}

async fn send(stream: &mut BufReader<TcpStream>, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.shutdown().await?;
    // Closed before the other side has read all, it would lose what is still on its way.
    let mut rest = Vec::new();
    stream.take(1 << 30).read_to_end(&mut rest).await.map(drop)
}

/// Nothing is said until the other side has gone.
async fn gone(mut stream: BufReader<TcpStream>) -> io::Result<()> {
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(drop)
}

async fn no_http(mut stream: BufReader<TcpStream>) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await?;
    stream.shutdown().await
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
