//! The routes of the API, and who may use them.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Value, json};

use crate::admin;
use crate::clip::Pair;
use crate::error::ApiError;
use crate::files;
use crate::frames::{Frames, blocking};
use crate::journal::Noted;
use crate::ledger::key_name;
use crate::pictures::Stored;
use crate::shared::Shared;
use crate::tasks::Fate;

pub(crate) const SUBMIT: &str = "/v3/async/veo-3.1-fast-generate-firstlastframe";
pub(crate) const TASK_RESULT: &str = "/v3/async/task-result";

/// Kibibytes of request bodies in memory at once; further requests wait.
pub(crate) const ROOM: usize = 128 << 10;

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route(SUBMIT, post(submit))
        .route(TASK_RESULT, get(task_result))
        .route("/files/{name}", get(files::serve))
        .merge(admin::router())
        .fallback(not_found)
        .with_state(shared)
}

async fn not_found(State(shared): State<Arc<Shared>>, request: Request) -> impl IntoResponse {
    // As for a submit that is refused: who is still sending must see the answer.
    drain(request.into_body(), 2 * shared.contract.max_body()).await;
    (StatusCode::NOT_FOUND, "404 page not found\n")
}

async fn submit(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, ApiError> {
    let (mut head, body) = request.into_parts();
    let max_body = shared.contract.max_body();
    let announced = body.size_hint().lower();
    let allowed = authorize(&shared.keys, &head.headers).and_then(|key| {
        is_json(&head.headers)?;
        if announced > max_body as u64 { Err(too_long(max_body)) } else { Ok(key_name(key)) }
    });
    let key = match allowed {
        Ok(key) => key,
        Err(error) => {
            // A client that is still sending when the connection closes may never see the answer.
            if !head.headers.contains_key(header::EXPECT) {
                drain(body, 2 * max_body).await;
            }
            return Err(error);
        }
    };

    let expected = body.size_hint().exact().unwrap_or(max_body as u64);
    let room = shared.room.acquire_many((expected >> 10) as u32 + 1).await;
    let _room = room.map_err(|_| ApiError::internal("the sandbox is stopping"))?;
    let body = read(body, max_body).await?;
    let contract = Arc::clone(&shared);
    let mut order = blocking(move || contract.contract.check(&body, contract.lenient)).await??;

    let (image, last_image) = (std::mem::take(&mut order.image), std::mem::take(&mut order.last_image));
    let first = picture(&shared, "image", image).await;
    let last = picture(&shared, "last_image", last_image).await;
    let (first, last) = match (first, last) {
        (Ok(first), Ok(last)) => (first, last),
        (Err(first), Err(last)) => return Err(first.and(last)),
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };

    let fate = head.extensions.remove::<Fate>().unwrap_or_default();
    let request = order.request.with_pictures(&first.content, &last.content);
    let id = shared.accept(&key, order, Pair { first, last }, fate)?;
    let body = answer(&json!({ "task_id": id }));
    Ok((Extension(Noted { request, task_id: id }), body).into_response())
}

async fn picture(shared: &Arc<Shared>, field: &'static str, text: String) -> Result<Arc<Stored>, ApiError> {
    let fetched = if Frames::is_url(&text) { Some(shared.frames.fetch(field, &text).await?) } else { None };
    let turn = shared.decoders.acquire().await;
    let _turn = turn.map_err(|_| ApiError::internal("the sandbox is stopping"))?;
    let shared = Arc::clone(shared);
    let store = move || {
        let bytes = fetched.map_or_else(|| shared.frames.decode(field, &text), Ok)?;
        drop(text);
        shared.pictures.store(field, &bytes, || shared.tasks.let_go(shared.clock.now_ms()))
    };
    blocking(store).await?
}

async fn task_result(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    query: Result<Query<Vec<(String, String)>>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, ApiError> {
    authorize(&shared.keys, &headers)?;
    let Query(query) = query.map_err(|e| ApiError::invalid(e.body_text()))?;
    let mut ids = query.iter().filter(|(name, _)| name == "task_id").map(|(_, id)| id);
    let id = match (ids.next(), ids.next()) {
        (Some(id), None) => id,
        (None, _) => return Err(ApiError::invalid("task_id: is missing, and it is required")),
        (Some(_), Some(_)) => return Err(ApiError::invalid("task_id: came more than once")),
    };
    let (now, began) = (shared.clock.now(), shared.clock.began());
    let link = |sample| shared.links.to(id, sample, began + now);
    let millis = now.as_millis().try_into().unwrap_or(u64::MAX);
    let result = shared.tasks.with(id, |task| task.answer(millis, began, link, shared.links.ttl()));
    let unknown = || ApiError::new(StatusCode::NOT_FOUND, "TASK_NOT_FOUND", "task not found");
    result.map(|result| answer(&result)).ok_or_else(unknown)
}

/// The key that came.
fn authorize<'a>(keys: &'a [String], headers: &HeaderMap) -> Result<&'a str, ApiError> {
    let odd = |message: &str| ApiError::new(StatusCode::UNAUTHORIZED, "FAILED_TO_AUTH", message);
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(odd("exactly one Authorization header is needed: Bearer, a space, the API key"));
    };
    let (scheme, key) = value.to_str().ok().and_then(|text| text.split_once(' ')).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") || key.is_empty() {
        return Err(odd("the Authorization header cannot be read: it must be Bearer, a space, the API key"));
    }
    let own = keys.iter().find(|own| *own == key);
    let other = || ApiError::new(StatusCode::FORBIDDEN, "INVALID_API_KEY", "the API key is not this sandbox's");
    own.map(String::as_str).ok_or_else(other)
}

pub(crate) fn is_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let came = if essence.is_empty() { "nothing that can be read".to_owned() } else { format!("{essence:?}") };
    Err(ApiError::invalid(format!("Content-Type: {came} came, and it must be application/json")))
}

fn too_long(max_body: usize) -> ApiError {
    ApiError::invalid(format!("the body has more than {max_body} bytes, which two pictures of full size need"))
}

/// The whole body in one piece, and never in two.
pub(crate) async fn read(body: Body, max_body: usize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::with_capacity(body.size_hint().lower() as usize);
    let mut body = Limited::new(body, max_body);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| match e.downcast::<LengthLimitError>() {
            Ok(_) => too_long(max_body),
            Err(e) => ApiError::invalid(format!("the body broke off: {e}")),
        })?;
        if let Ok(data) = frame.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

/// Reads and forgets, up to a limit.
pub(crate) async fn drain(body: Body, most: usize) {
    let mut body = Limited::new(body, most);
    while let Some(Ok(_)) = body.frame().await {}
}

fn answer(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_routes_are_the_contracts() {
        let document: Value = serde_json::from_str(include_str!("openapi.json")).unwrap();
        let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
        assert_eq!(paths, [TASK_RESULT, SUBMIT]);
    }
}
