//! Serves a cassette: the same story again, as often as it is wanted.

mod clips;
mod expected;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request as Incoming, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::api::{SUBMIT, TASK_RESULT, read};
use crate::cassette::format::{Answer, Cassette, Exchange, Operation};
use crate::cassette::record::{FILES, NOTE, lost, poll_subject};
use crate::cassette::redact::is_hidden;
use crate::cassette::replay::clips::Clips;
use crate::cassette::request;
use crate::cassette::serve::{Place, Server};
use crate::contract::Contract;
use crate::error::{ApiError, Error};
use crate::files;
use crate::frames::blocking;

/// A cassette being served; dropping it stops it.
///
/// A request is answered as the same request was when it was recorded: the first time with the first answer, the second
/// time with the second, and after the last with the last again, except a submit, which is not accepted more often than it
/// was. The key does not matter.
#[derive(Debug)]
pub struct Replay {
    server: Server,
    rendered: usize,
    cut: bool,
}

/// What all requests share.
struct Story {
    exchanges: Vec<Exchange>,
    /// Those of the same request, in their order.
    by_request: HashMap<Key, Vec<usize>>,
    /// How many of them were served.
    served: Mutex<HashMap<Key, usize>>,
    clips: Clips,
    base_url: String,
    max_body: usize,
}

type Key = (Operation, String, String);

impl Replay {
    /// Serves the cassette at `address`; port 0 takes a free one. Clients may call it by the names of `allow_host`, too, in
    /// the `Host` header. To be called inside a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When the cassette cannot be read, or there is no port.
    pub async fn start(cassette: &Path, address: SocketAddr, allow_host: &[String]) -> Result<Self, Error> {
        let Cassette { exchanges, cut, .. } = Cassette::read(cassette)?;
        let contract = Contract::load()?;
        let place = Place::take(address, allow_host).await?;
        let max_body = 2 * contract.max_body();
        let clips = Clips::of(&exchanges, cassette, &contract)?;
        let mut by_request: HashMap<Key, Vec<usize>> = HashMap::new();
        for (at, exchange) in exchanges.iter().enumerate() {
            let request = &exchange.request;
            let key = (request.operation, request.method.clone(), request.subject.clone());
            by_request.entry(key).or_default().push(at);
        }
        let (rendered, base_url) = (clips.to_be_rendered(), place.base_url.clone());
        let story = Story { exchanges, by_request, served: Mutex::default(), clips, base_url, max_body };
        let routes = Router::new().fallback(answer).with_state(Arc::new(story));
        Ok(Self { server: place.serve(routes), rendered, cut })
    }

    /// Where it listens; no slash at the end.
    pub fn base_url(&self) -> &str {
        &self.server.base_url
    }

    /// Videos that were not kept, and that clips of the same size and length stand for.
    pub fn stand_ins(&self) -> usize {
        self.rendered
    }

    /// Whether the recorder was killed while it wrote.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Returns only if it ceases to serve by itself.
    ///
    /// # Errors
    ///
    /// When it ceased because of an error.
    pub async fn stopped(&mut self) -> Result<(), Error> {
        self.server.stopped().await
    }
}

async fn answer(State(story): State<Arc<Story>>, request: Incoming) -> Response {
    story.answer(request).await.unwrap_or_else(ApiError::into_response)
}

impl Story {
    async fn answer(&self, request: Incoming) -> Result<Response, ApiError> {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        if let Some(name) = path.strip_prefix(FILES) {
            return self.file(&head, name.split('.').next().unwrap_or_default()).await;
        }
        let body = read(body, self.max_body).await?;
        let told = blocking(move || request::tell(&body)).await?;
        let (operation, subject) = match path {
            SUBMIT => (Operation::Submit, told.subject.clone()),
            TASK_RESULT => (Operation::Poll, poll_subject(head.uri.query().unwrap_or_default())),
            _ => {
                return Err(ApiError::new(StatusCode::NOT_FOUND, "API_NOT_FOUND", format!("{path} is in no cassette")));
            }
        };
        let key = (operation, head.method.to_string(), subject);
        let Some(known) = self.by_request.get(&key) else {
            return Err(expected::instead(&self.exchanges, &key.0, &key.2, &told));
        };
        let at = self.next(&key);
        match known.get(at).or_else(|| known.last().filter(|_| operation == Operation::Poll)) {
            Some(&at) => self.again(&self.exchanges[at]),
            None => Err(expected::no_more(&self.exchanges, known)),
        }
    }

    /// How often the request came before.
    fn next(&self, key: &Key) -> usize {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let count = served.entry(key.clone()).or_default();
        *count += 1;
        *count - 1
    }

    fn again(&self, exchange: &Exchange) -> Result<Response, ApiError> {
        match (&exchange.answer, &exchange.lost) {
            (Some(answer), _) => Ok(self.response(answer)),
            (None, Some(gone)) => Err(lost(&gone.why, gone.sent)),
            (None, None) => Err(lost("the recorder ended before an answer came", true)),
        }
    }

    fn response(&self, answer: &Answer) -> Response {
        let mut body = answer.body.clone().unwrap_or_default();
        for link in &answer.links {
            body = body.replace(&format!("(link {})", link.id), &format!("{}{FILES}{}.mp4", self.base_url, link.id));
        }
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
        let mut response = (status, Body::from(body)).into_response();
        response.headers_mut().remove(header::CONTENT_TYPE);
        for (name, value) in answer.headers.iter().filter(|(name, value)| is_said_again(name, value)) {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }

    /// A result link: the recorded refusal, or the video.
    async fn file(&self, head: &axum::http::request::Parts, id: &str) -> Result<Response, ApiError> {
        let key = (Operation::File, head.method.to_string(), id.to_owned());
        let known = self.by_request.get(&key).map(Vec::as_slice).unwrap_or_default();
        let at = self.next(&key);
        if let Some(&at) = known.get(at).or(known.last()) {
            let exchange = &self.exchanges[at];
            let came = exchange.answer.as_ref().is_some_and(|answer| matches!(answer.status, 200 | 206));
            if !came {
                return self.again(exchange);
            }
        }
        let (clip, kept) = self.clips.get(id).await?;
        let gone = || ApiError::new(StatusCode::NOT_FOUND, "FILE_NOT_FOUND", "the kept video is no longer there");
        let mut response = files::send(&clip, &head.headers).await.ok_or_else(gone)?;
        if head.method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        if !kept {
            let told = HeaderValue::from_static("rendered: the video was not kept");
            response.headers_mut().insert(NOTE, told);
        }
        Ok(response)
    }
}

/// Not what was redacted, is of the connection, or must be true today.
fn is_said_again(name: &str, value: &str) -> bool {
    !is_hidden(value)
        && !matches!(
            name,
            "connection" | "keep-alive" | "transfer-encoding" | "content-length" | "content-encoding" | "date"
        )
}
