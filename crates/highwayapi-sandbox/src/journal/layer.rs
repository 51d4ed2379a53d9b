//! Writes a line for every request, and counts it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};

use super::{Entry, Noted, SHOWN, redacted};
use crate::faults::Injected;
use crate::ledger::key_name;
use crate::operation::Operation;
use crate::shared::Shared;

/// The outermost layer: it sees what came, and the answer as it will be sent.
pub(crate) async fn observe(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut line = Line::begin(&shared, &request);
    let response = next.run(request).await;
    line.end(&response);
    drop(line);
    response.map(|body| Body::new(Counted { body, shared }))
}

/// A request that is being worked on. It is written down when it is dropped, also if the client has gone meanwhile.
struct Line<'a> {
    shared: &'a Shared,
    operation: Operation,
    /// Whether it goes into the journal: the page asks every second, and changes nothing by that.
    kept: bool,
    entry: Entry,
}

impl<'a> Line<'a> {
    fn begin(shared: &'a Shared, request: &Request) -> Self {
        let operation = Operation::of(request.method(), request.uri());
        let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
        let query = request.uri().query();
        let entry = Entry {
            at: shared.clock.now(),
            unix: shared.clock.unix(),
            took: Duration::ZERO,
            operation: operation.name(),
            method: request.method().as_str().chars().take(20).collect(),
            path: redacted(request.uri().path(), query),
            key: key(request.headers()),
            request: None,
            task_id: query.and_then(task_id),
            status: None,
            content_type: None,
            bytes: None,
            fault: None,
        };
        Self { shared, operation, kept: operation != Operation::Admin || !reads, entry }
    }

    fn end(&mut self, response: &Response) {
        let entry = &mut self.entry;
        entry.took = self.shared.clock.now().saturating_sub(entry.at);
        entry.status = Some(response.status().as_u16());
        let header = |name| response.headers().get(name)?.to_str().ok();
        entry.content_type = header(header::CONTENT_TYPE).map(|kind| kind.chars().take(100).collect());
        let announced = header(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
        entry.bytes = match &entry.method[..] {
            "HEAD" => Some(0),
            _ => announced.or_else(|| response.body().size_hint().exact()),
        };
        if let Some(Noted { request, task_id }) = response.extensions().get() {
            entry.request = Some(*request);
            entry.task_id = Some(task_id.clone());
        }
        entry.fault = response.extensions().get().map(|Injected(name): &Injected| name.clone());
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let Self { shared, operation, kept, entry } = self;
        shared.metrics.request(*operation, entry.status, entry.fault.is_some());
        if *kept {
            shared.journal.add(entry.clone());
        }
    }
}

/// The name of the key that came.
fn key(headers: &HeaderMap) -> Option<String> {
    let value = String::from_utf8_lossy(headers.get(header::AUTHORIZATION)?.as_bytes());
    let key = value.split_once(' ').map_or(&*value, |(_, key)| key);
    Some(key_name(key))
}

fn task_id(query: &str) -> Option<String> {
    let id = query.split('&').find_map(|pair| pair.strip_prefix("task_id="))?;
    Some(id.chars().take(SHOWN).collect())
}

/// An answer's body, whose bytes are counted as they are sent.
struct Counted {
    body: Body,
    shared: Arc<Shared>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.shared.metrics.sent(data.len());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
