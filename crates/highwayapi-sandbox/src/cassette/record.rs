//! A local server between a client and the real service, which writes down what both say.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request as Incoming, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use reqwest::Url;
use tokio::sync::{RwLock, Semaphore};

use crate::api::{ROOM, SUBMIT, TASK_RESULT, read};
use crate::cassette::format::{Answer, Line, Link, Lost, Note, Operation, Picture, Request};
use crate::cassette::redact::Keys;
use crate::cassette::serve::{Place, Server};
use crate::cassette::upstream::{Upstream, passed_on, why};
use crate::cassette::write::Writer;
use crate::cassette::{json, redact, request, video};
use crate::contract::Contract;
use crate::error::{ApiError, Error};
use crate::frames::blocking;

/// What a client may say of a request; not passed on.
pub(crate) const NOTE: &str = "highway-note";

/// Where result links lead while recording.
pub(crate) const FILES: &str = "/files/";

/// Most bytes of an answer that is not a video.
const MAX_ANSWER: usize = 4 << 20;

/// Passes calls on to a real service and writes a cassette; dropping it stops it.
///
/// Point a client at [`base_url`](Self::base_url) and let it use its own key, which goes to the service and nowhere else.
#[derive(Debug)]
pub struct Recorder {
    server: Server,
    tape: Arc<Tape>,
}

/// How to record; from [`Recorder::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct RecorderBuilder {
    upstream: String,
    cassette: PathBuf,
    listen: SocketAddr,
    allow_host: Vec<String>,
    keep_videos: bool,
}

impl Recorder {
    /// Records calls to the service at `upstream` in a new file. Nothing is sent before a client calls.
    pub fn builder(upstream: impl Into<String>, cassette: impl Into<PathBuf>) -> RecorderBuilder {
        RecorderBuilder {
            upstream: upstream.into(),
            cassette: cassette.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            allow_host: Vec::new(),
            keep_videos: false,
        }
    }

    /// Where it listens; no slash at the end.
    pub fn base_url(&self) -> &str {
        &self.server.base_url
    }

    /// Returns only if it ceases to serve by itself.
    ///
    /// # Errors
    ///
    /// When it ceased because of an error.
    pub async fn stopped(&mut self) -> Result<(), Error> {
        self.server.stopped().await
    }

    /// Takes no more requests, and returns once all that were passed on are answered and written down.
    pub async fn stop(self) {
        drop(self.server);
        drop(self.tape.open.write().await);
    }

    /// Adds what a person has to say to a question.
    pub(crate) fn note(&self, question: &str, text: String) -> Result<(), Error> {
        let at_ms = self.tape.writer.now();
        self.tape.writer.write(&Line::Note(Note { at_ms, question: question.to_owned(), text }))
    }
}

impl RecorderBuilder {
    /// Where to listen; a free port of the loopback address unless said otherwise.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Lets clients call it by this name in the `Host` header. May be called several times.
    pub fn allow_host(mut self, name: impl Into<String>) -> Self {
        self.allow_host.push(name.into());
        self
    }

    /// Whether videos are kept in a folder beside the cassette, whose name ends in `.videos`. Not unless said otherwise.
    pub fn keep_videos(mut self, keep: bool) -> Self {
        self.keep_videos = keep;
        self
    }

    /// Starts it; to be called inside a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When the cassette is there already or cannot be written, the key would travel unprotected, or there is no port.
    pub async fn start(self) -> Result<Recorder, Error> {
        let upstream = Upstream::new(&self.upstream)?;
        let contract = Contract::load()?;
        let place = Place::take(self.listen, &self.allow_host).await?;
        let writer = Arc::new(Writer::create(&self.cassette, upstream.origin())?);
        let videos = match self.keep_videos {
            true => Some(video::folder(&self.cassette)?),
            false => None,
        };
        let tape = Arc::new(Tape {
            upstream,
            writer,
            videos,
            base_url: place.base_url.clone(),
            // Pictures that are too large are worth recording, too.
            max_body: 2 * contract.max_body(),
            keys: Mutex::default(),
            links: Mutex::default(),
            room: Semaphore::new(ROOM),
            tellers: Semaphore::new(1),
            open: Arc::default(),
        });
        let routes = Router::new().fallback(exchange).with_state(Arc::clone(&tape));
        Ok(Recorder { server: place.serve(routes), tape })
    }
}

/// What all exchanges share.
struct Tape {
    upstream: Upstream,
    writer: Arc<Writer>,
    videos: Option<PathBuf>,
    base_url: String,
    max_body: usize,
    keys: Mutex<Keys>,
    /// Result links by the ids that stand for them; only in memory.
    links: Mutex<HashMap<String, Url>>,
    room: Semaphore,
    /// To tell what a picture is, it is decoded.
    tellers: Semaphore,
    /// Each exchange reads it, to its end.
    open: Arc<RwLock<()>>,
}

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tape").finish_non_exhaustive()
    }
}

async fn exchange(State(tape): State<Arc<Tape>>, request: Incoming) -> Response {
    // On its own: a client that hangs up must not end what may have been paid for.
    let open = Arc::clone(&tape.open).read_owned().await;
    let done = tokio::spawn(async move {
        let _open = open;
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let done = match path.strip_prefix(FILES) {
            Some(name) => {
                let id = name.split('.').next().unwrap_or_default().to_owned();
                tape.file(head, id).await
            }
            None if [SUBMIT, TASK_RESULT].contains(&path) => tape.call(head, body).await,
            None => Err(ApiError::new(
                StatusCode::NOT_FOUND,
                "API_NOT_FOUND",
                format!("{path} is not recorded: only {SUBMIT}, {TASK_RESULT} and result links are"),
            )),
        };
        done.unwrap_or_else(ApiError::into_response)
    });
    done.await.unwrap_or_else(|_| ApiError::internal("the recorder is stopping").into_response())
}

impl Tape {
    /// A call of the API.
    async fn call(self: Arc<Self>, head: Parts, body: Body) -> Result<Response, ApiError> {
        let expected = axum::body::HttpBody::size_hint(&body).exact().unwrap_or(self.max_body as u64);
        let room = self.room.acquire_many(((expected >> 10) as u32 + 1).min(ROOM as u32)).await;
        let _room = room.map_err(|_| ApiError::internal("the recorder is stopping"))?;
        let body = Bytes::from(read(body, self.max_body).await?);
        let operation = if head.uri.path() == SUBMIT { Operation::Submit } else { Operation::Poll };
        let n = self.note_request(operation, &head, &body).await?;

        let mut headers = head.headers;
        headers.remove(NOTE);
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let answer = match self.upstream.ask(head.method, target, &headers, body).await {
            Ok(answer) => answer,
            Err(e) => return Err(self.lost(n, &why(&e), !e.is_connect())),
        };
        let (status, headers) = (answer.status(), answer.headers().clone());
        let (bytes, cut) = match whole(answer).await {
            Ok(whole) => whole,
            Err(e) => return Err(self.lost(n, &format!("the answer ({status}) broke off: {}", why(&e)), true)),
        };
        let (for_client, told) = self.told(operation, n, status, &headers, &bytes, cut);
        let written = self.writer.write(&Line::Answer(told));
        let mut response = (status, for_client).into_response();
        pass_on(&headers, response.headers_mut());
        if written.is_err() {
            // Paid for or not: it is the client's.
            response.headers_mut().insert(NOTE, HeaderValue::from_static("this answer is not in the cassette"));
        }
        Ok(response)
    }

    /// Writes down what is about to be sent.
    async fn note_request(&self, operation: Operation, head: &Parts, body: &Bytes) -> Result<u64, ApiError> {
        let turn = self.tellers.acquire().await;
        let _turn = turn.map_err(|_| ApiError::internal("the recorder is stopping"))?;
        let bytes = body.clone();
        let told = blocking(move || request::tell(&bytes)).await?;
        let subject = match operation {
            Operation::Submit => told.subject,
            _ => poll_subject(head.uri.query().unwrap_or_default()),
        };
        self.write_request(operation, head, &subject, (!body.is_empty()).then_some(&*told.text), told.pictures)
    }

    /// Returns the number of the exchange, once its request is on disk.
    fn write_request(
        &self,
        operation: Operation,
        head: &Parts,
        subject: &str,
        body: Option<&str>,
        pictures: Vec<Picture>,
    ) -> Result<u64, ApiError> {
        let n = self.writer.number();
        let line = {
            let mut keys = self.keys();
            let headers = keys.headers(pairs(&head.headers).filter(|(name, _)| *name != NOTE));
            let note = head.headers.get(NOTE).map(|note| keys.clean(&String::from_utf8_lossy(note.as_bytes())));
            Line::Request(Request {
                n,
                at_ms: self.writer.now(),
                note,
                operation,
                method: head.method.to_string(),
                path: head.uri.path().to_owned(),
                subject: keys.clean(subject),
                headers,
                body: body.map(|body| keys.clean(body)),
                pictures,
            })
        };
        self.writer.write(&line).map_err(|e| not_written(&e))?;
        Ok(n)
    }

    /// An answer for the client, its links leading here, and for the cassette, with none that could be used.
    fn told(
        &self,
        operation: Operation,
        n: u64,
        status: StatusCode,
        headers: &HeaderMap,
        bytes: &Bytes,
        cut: bool,
    ) -> (Body, Answer) {
        let (mut links, mut client) = (Vec::new(), Body::from(bytes.clone()));
        let mut text = String::from_utf8_lossy(bytes).into_owned();
        if operation == Operation::Poll
            && status.is_success()
            && serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok()
        {
            client = Body::from(json::replace(&text, |string| Some(self.here(&self.keep(&json::as_link(string)?)))));
            text = json::replace(&text, |string| {
                let link = redact::link(&json::as_link(string)?);
                let marker = format!("(link {})", link.id);
                links.push(link);
                Some(marker)
            });
        }
        let mut keys = self.keys();
        let headers = keys.headers(pairs(headers));
        let body = Some(keys.clean(&text));
        (client, Answer { n, at_ms: self.writer.now(), status: status.as_u16(), headers, body, links, cut })
    }

    /// A result link is followed without credentials.
    async fn file(self: Arc<Self>, head: Parts, id: String) -> Result<Response, ApiError> {
        if !matches!(head.method, Method::GET | Method::HEAD) {
            return Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "a link is only read"));
        }
        let unknown = || {
            ApiError::new(StatusCode::NOT_FOUND, "FILE_NOT_FOUND", "no answer since the recorder began had this link")
        };
        let link = self.links().get(&id).cloned().ok_or_else(unknown)?;
        let n = self.write_request(Operation::File, &head, &id, None, Vec::new())?;
        let answer = match self.upstream.file(head.method.clone(), link, &head.headers).await {
            Ok(answer) => answer,
            Err(e) => return Err(self.lost(n, &why(&e), !e.is_connect())),
        };
        let (status, headers) = (answer.status(), answer.headers().clone());
        let is_video = matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT);
        let mut told = Answer {
            n,
            at_ms: self.writer.now(),
            status: status.as_u16(),
            headers: self.keys().headers(pairs(&headers)),
            body: None,
            links: Vec::new(),
            cut: false,
        };
        let body = if is_video {
            self.writer.write(&Line::Answer(told)).map_err(|e| not_written(&e))?;
            match head.method {
                Method::HEAD => Body::empty(),
                _ => {
                    let keep = self.videos.as_deref().filter(|_| status == StatusCode::OK);
                    video::pass_on(n, answer, Arc::clone(&self.writer), keep)
                }
            }
        } else {
            let whole = whole(answer).await;
            let (bytes, cut) = whole.map_err(|e| self.lost(n, &format!("the answer broke off: {}", why(&e)), true))?;
            (told.body, told.cut) = (Some(self.keys().clean(&String::from_utf8_lossy(&bytes))), cut);
            self.writer.write(&Line::Answer(told)).map_err(|e| not_written(&e))?;
            Body::from(bytes)
        };
        let mut response = (status, body).into_response();
        pass_on(&headers, response.headers_mut());
        for name in [header::CONTENT_LENGTH, header::LOCATION] {
            if let Some(value) = headers.get(&name) {
                response.headers_mut().insert(name, self.led_here(value));
            }
        }
        Ok(response)
    }

    /// Where a file host leads on to another place, the next request is recorded, too.
    fn led_here(&self, value: &HeaderValue) -> HeaderValue {
        let link = value.to_str().ok().and_then(json::as_link);
        let here = link.and_then(|link| HeaderValue::from_str(&self.here(&self.keep(&link))).ok());
        here.unwrap_or_else(|| value.clone())
    }

    fn keep(&self, url: &Url) -> Link {
        let link = redact::link(url);
        self.links().insert(link.id.clone(), url.clone());
        link
    }

    fn here(&self, link: &Link) -> String {
        let path = link.url.split('?').next().unwrap_or_default();
        let kind = path.rsplit_once("/(path).").map_or(String::new(), |(_, kind)| format!(".{kind}"));
        format!("{}{FILES}{}{kind}", self.base_url, link.id)
    }

    fn lost(&self, n: u64, why: &str, sent: bool) -> ApiError {
        let why = self.keys().clean(why);
        // What cannot be written is told to the client all the same.
        let _ = self.writer.write(&Line::Lost(Lost { n, at_ms: self.writer.now(), why: why.clone(), sent }));
        lost(&why, sent)
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn links(&self) -> MutexGuard<'_, HashMap<String, Url>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a client hears when the service was not heard.
pub(crate) fn lost(why: &str, sent: bool) -> ApiError {
    let (reason, what) = match sent {
        true => ("ANSWER_LOST", "the service was asked, and may have taken the request"),
        false => ("NOT_SENT", "nothing was sent to the service"),
    };
    ApiError::new(StatusCode::BAD_GATEWAY, reason, format!("{what}: {why}"))
}

/// The task's id, and of other parameters the names.
pub(crate) fn poll_subject(query: &str) -> String {
    let pair = |pair: &str| match pair.split_once('=') {
        Some(("task_id", _)) => pair.to_owned(),
        Some((name, _)) => format!("{name}=(redacted)"),
        None => pair.to_owned(),
    };
    query.split('&').map(pair).collect::<Vec<_>>().join("&")
}

fn not_written(error: &Error) -> ApiError {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    ApiError::internal(format!("{error}{cause}; nothing more is passed on"))
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}

fn pass_on(from: &HeaderMap, to: &mut HeaderMap) {
    for (name, value) in passed_on(from) {
        if to.get(name).is_none() || name == header::SET_COOKIE {
            to.append(name, value.clone());
        } else {
            to.insert(HeaderName::clone(name), value.clone());
        }
    }
}

/// The body, and whether it is cut.
async fn whole(mut answer: reqwest::Response) -> reqwest::Result<(Bytes, bool)> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        let room = MAX_ANSWER - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok((bytes.into(), true));
        }
    }
    Ok((bytes.into(), false))
}
