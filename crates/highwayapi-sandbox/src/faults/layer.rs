//! Around the handlers: decides what a request meets, and does it. Handlers know of a task's `Fate` alone.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};

use crate::api::drain;
use crate::error::ApiError;
use crate::faults::effect::{Body as Kind, By, Came, Effect, Half};
use crate::faults::script::Wish;
use crate::faults::{Call, Hit, Injected, answer, clip, header as by_header};
use crate::journal::Noted;
use crate::operation::Operation;
use crate::shared::Shared;
use crate::tasks::Fate;
use crate::wire::{Delivery, Part};

/// Bytes of a body that have come when it is half way.
const SOME: usize = 32 << 10;

/// Longest answer of the API that is changed.
const MAX_ANSWER: usize = 1 << 20;

pub(crate) async fn layer(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let operation = Operation::of(request.method(), request.uri());
    if !matches!(operation, Operation::Submit | Operation::Poll | Operation::File) {
        return next.run(request).await;
    }
    let task_id = if operation == Operation::Poll { task_id(request.uri()).map(str::to_owned) } else { None };
    let before = task_id.as_deref().and_then(|id| shared.faults.polled_before(id));
    let hit = match by_header::fault(request.headers(), operation) {
        Ok(Some(effect)) => Some(Hit { name: effect.name().to_owned(), effect, count: 1 }),
        Ok(None) => {
            if let Some(refusal) = limited(&shared, operation, &request) {
                return injected(instead(&shared, request, refusal).await, "limits");
            }
            let task_number = match (operation, &task_id) {
                (Operation::Submit, _) => Some(shared.tasks.admitted() + 1),
                (_, Some(id)) => shared.tasks.number(id),
                _ => None,
            };
            let at = shared.clock.now();
            shared.faults.decide(&Call { operation, task_number, task_id: task_id.as_deref(), at })
        }
        Err(error) => return instead(&shared, request, error.into_response()).await,
    };
    let Some(hit) = hit else { return next.run(request).await };
    injected(act(&shared, &hit, before, request, next).await, &hit.name)
}

fn injected(mut response: Response, name: &str) -> Response {
    response.extensions_mut().insert(Injected(name.to_owned()));
    response
}

fn task_id(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("task_id="))
}

/// What the script's limits say to this request.
fn limited(shared: &Shared, operation: Operation, request: &Request) -> Option<Response> {
    if operation == Operation::File {
        return None;
    }
    let limits = shared.faults.limits();
    let full = limits
        .open_tasks
        .filter(|most| operation == Operation::Submit && shared.tasks.open(shared.clock.now_ms()) >= *most);
    let (message, wait) = if let Some(most) = full {
        (format!("too many tasks: at most {most} wait or run at once"), Duration::from_secs(60))
    } else {
        let key = request.headers().get(header::AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
        let wait = shared.faults.count(key).err()?;
        let most = limits.requests_per_minute.unwrap_or_default();
        (format!("too many requests: at most {most} a minute"), wait)
    };
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let wish = match limits.retry_after {
        Wish::None => None,
        Wish::Seconds => Some(seconds.to_string()),
        Wish::Date => {
            let at = std::time::UNIX_EPOCH + shared.clock.unix() + Duration::from_secs(seconds);
            Some(httpdate::fmt_http_date(at))
        }
        Wish::Nonsense => Some("soon".to_owned()),
    };
    Some(with_wish(ApiError::busy(message).into_response(), wish))
}

fn with_wish(mut response: Response, wish: Option<String>) -> Response {
    if let Some(value) = wish.and_then(|wish| HeaderValue::from_str(&wish).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

async fn act(shared: &Shared, hit: &Hit, before: Option<String>, mut request: Request, next: Next) -> Response {
    let unix = shared.clock.unix();
    match &hit.effect {
        Effect::Reset { at } => {
            let most = match at {
                Came::Head => 0,
                Came::Body => SOME,
                Came::Request => 2 * shared.contract.max_body(),
            };
            if most > 0 {
                drain(request.into_body(), most).await;
            }
            unanswered(By::Reset)
        }
        Effect::Silence {} => instead(shared, request, unanswered(By::Silence)).await,
        Effect::Status { status, body, reason, message, early, accepted } => {
            let answer = something(*status, *body, reason.as_deref(), message.as_deref());
            if *early {
                return delivered(answer, Delivery::default());
            }
            replace(shared, *accepted, request, next, answer).await
        }
        Effect::RateLimited { retry_after } => {
            let answer = ApiError::busy("rate limit exceeded").into_response();
            instead(shared, request, with_wish(answer, retry_after.header(unix))).await
        }
        Effect::Unavailable { retry_after } => {
            let answer = something(503, Kind::Service, None, None);
            instead(shared, request, with_wish(answer, retry_after.header(unix))).await
        }
        Effect::Redirect { status, to, accepted } => {
            let mut answer = something(*status, Kind::Empty, None, None);
            if let Ok(to) = HeaderValue::from_str(to) {
                answer.headers_mut().insert(header::LOCATION, to);
            }
            replace(shared, *accepted, request, next, answer).await
        }
        Effect::ModerationError { reason, message } => {
            instead(shared, request, something(400, Kind::Service, Some(reason), Some(message))).await
        }
        Effect::TaskNotFound {} => something(404, Kind::Service, Some("TASK_NOT_FOUND"), Some("task not found")),
        Effect::ExpiredLink {} => something(403, Kind::Service, Some("LINK_EXPIRED"), Some("the link has expired")),
        Effect::OtherTask {} => {
            let uri = before.and_then(|id| format!("{}?task_id={id}", request.uri().path()).parse().ok());
            if let Some(uri) = uri {
                *request.uri_mut() = uri;
            }
            next.run(request).await
        }
        effect => {
            if let Some(fate) = fate(effect) {
                request.extensions_mut().insert(fate);
            }
            let headers = request.headers_mut();
            let another = matches!(effect, Effect::ChangedEtag {}) && headers.contains_key(header::IF_RANGE);
            if another || matches!(effect, Effect::RangeIgnored {} | Effect::Corrupt { .. }) {
                headers.remove(header::RANGE);
            }
            spoil(effect, hit.count, next.run(request).await).await
        }
    }
}

/// Answers without the service, which the client's body is read for all the same: who is still sending must see the answer.
async fn instead(shared: &Shared, request: Request, answer: Response) -> Response {
    if !request.headers().contains_key(header::EXPECT) {
        drain(request.into_body(), 2 * shared.contract.max_body()).await;
    }
    answer
}

/// Answers without the service, or after it did its work.
async fn replace(shared: &Shared, accepted: bool, request: Request, next: Next, mut answer: Response) -> Response {
    if !accepted {
        return instead(shared, request, answer).await;
    }
    // For the journal: the answer does not tell of the task, which is there and billed all the same.
    if let Some(noted) = next.run(request).await.extensions_mut().remove::<Noted>() {
        answer.extensions_mut().insert(noted);
    }
    answer
}

fn fate(effect: &Effect) -> Option<Fate> {
    let fate = Fate::default();
    Some(match effect {
        Effect::ModerationFailure { reason } | Effect::TaskFails { reason } => {
            Fate { fails: Some(reason.clone()), ..fate }
        }
        Effect::FewerClips { clips } => Fate { clips: Some(*clips), ..fate },
        Effect::Stuck {} => Fate { stuck: true, ..fate },
        Effect::Queue { wait } => Fate { queued: Some(wait.0), ..fate },
        Effect::SlowRun { run } => Fate { run: Some(run.0), ..fate },
        _ => return None,
    })
}

/// What becomes of the service's own answer.
async fn spoil(effect: &Effect, count: u64, mut response: Response) -> Response {
    match effect {
        Effect::LostAnswer { by } => {
            delivered(response, Delivery { part: Part::Nothing, end: *by, ..Delivery::default() })
        }
        Effect::CutAnswer { at, by } => {
            let part = if *at == Half::Head { Part::HalfHead } else { Part::HalfBody };
            delivered(response, Delivery { part, end: *by, ..Delivery::default() })
        }
        Effect::Dribble { pieces, pause } => {
            delivered(response, Delivery { pace: Some((*pieces, pause.0)), ..Delivery::default() })
        }
        Effect::EarlyHint {} => delivered(response, Delivery { hinted: true, ..Delivery::default() }),
        Effect::WrongLength { by } => {
            let announced = clip::length(&response).unwrap_or_default().saturating_add_signed(*by);
            response.headers_mut().insert(header::CONTENT_LENGTH, announced.into());
            delivered(response, Delivery::default())
        }
        Effect::SlowHead { pause } => {
            tokio::time::sleep(pause.0).await;
            response
        }
        Effect::Padded { mib } => clip::padded(response, u64::from(*mib) << 20),
        Effect::ContentType { value } => set(response, &header::CONTENT_TYPE, Some(value), false),
        Effect::Header { name, value, again } => match HeaderName::from_bytes(name.as_bytes()) {
            // A length that does not fit is nothing that can be sent as HTTP.
            Ok(name) if name == header::CONTENT_LENGTH || name == header::TRANSFER_ENCODING => {
                if let Some(length) = clip::length(&response) {
                    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
                }
                delivered(set(response, &name, value.as_deref(), *again), Delivery::default())
            }
            Ok(name) => set(response, &name, value.as_deref(), *again),
            Err(_) => response,
        },
        Effect::ChangedEtag {} => set(response, &header::ETAG, Some("\"another-version\""), false),
        Effect::Corrupt { how, digest } if response.status().is_success() => clip::corrupt(response, *how, *digest),
        Effect::OtherJson {} => rewritten(response, |_| json!({ "tasks": [] }).to_string()).await,
        Effect::NoTaskId {} => rewritten(response, |_| json!({ "task_id": "" }).to_string()).await,
        Effect::BrokenJson {} => rewritten(response, |text| text.chars().take(text.len() / 2).collect()).await,
        effect if response.status().is_success() && effect.operations() == ["poll"] => {
            let change = |text: &str| {
                let mut body: Value = serde_json::from_str(text).unwrap_or_default();
                answer::change(effect, count, &mut body);
                body.to_string()
            };
            rewritten(response, change).await
        }
        // What becomes of the task was decided before; the answer to its submit is as ever.
        _ => response,
    }
}

fn set(mut response: Response, name: &HeaderName, value: Option<&str>, again: bool) -> Response {
    let headers = response.headers_mut();
    match value.map(HeaderValue::from_str) {
        Some(Ok(value)) if again => drop(headers.append(name, value)),
        Some(Ok(value)) => drop(headers.insert(name, value)),
        Some(Err(_)) => {}
        None => drop(headers.remove(name)),
    }
    response
}

async fn rewritten(response: Response, change: impl FnOnce(&str) -> String) -> Response {
    let (mut head, body) = response.into_parts();
    let bytes = Limited::new(body, MAX_ANSWER).collect().await.map_or_else(|_| Bytes::new(), |body| body.to_bytes());
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(change(&String::from_utf8_lossy(&bytes))))
}

/// The connection ends without a word. 444 is what web servers call that in their logs.
fn unanswered(end: By) -> Response {
    let status = StatusCode::from_u16(444).unwrap_or(StatusCode::BAD_REQUEST);
    delivered(status.into_response(), Delivery { part: Part::Nothing, end, ..Delivery::default() })
}

fn delivered(mut response: Response, delivery: Delivery) -> Response {
    response.extensions_mut().insert(delivery);
    response
}

/// An answer that no handler gave.
fn something(status: u16, kind: Kind, reason: Option<&str>, message: Option<&str>) -> Response {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let words = code.canonical_reason().unwrap_or("Unheard Of");
    let message = message.unwrap_or(words);
    let (content_type, body) = match kind {
        Kind::Service => {
            let reason = reason.unwrap_or(match status {
                400 => "INVALID_REQUEST_BODY",
                401 => "FAILED_TO_AUTH",
                402 => "NOT_ENOUGH_BALANCE",
                403 => "ACCESS_DENY",
                404 => "MODEL_NOT_FOUND",
                429 => "RATE_LIMIT_EXCEEDED",
                503 => "SERVICE_NOT_AVAILABLE",
                _ => "CREATE_TASK_FAILED",
            });
            let body = json!({ "code": status, "reason": reason, "message": message, "metadata": {} });
            ("application/json", body.to_string())
        }
        Kind::Html => (
            "text/html",
            format!(
                "<html><head><title>{status} {words}</title></head><body><h1>{message}</h1><hr>proxy</body></html>\n"
            ),
        ),
        Kind::Text => ("text/plain", format!("{status} {message}\n")),
        Kind::Empty => return code.into_response(),
    };
    (code, [(header::CONTENT_TYPE, content_type)], body).into_response()
}
