//! The sandbox's own API under `/_sandbox`, as `admin.yaml` describes it, and its page.

mod document;
// mod faults;
mod ledger;
mod page;
mod state;
mod tasks;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::metrics;
use crate::shared::Shared;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/_sandbox", get(state::sandbox))
        .route("/_sandbox/openapi.json", get(document::serve))
        .route("/_sandbox/reset", post(state::reset))
        .route("/_sandbox/export", get(state::export))
        .route("/_sandbox/import", post(state::import))
        .route("/_sandbox/tasks", get(tasks::list))
        .route("/_sandbox/tasks/{task_id}", get(tasks::inspect))
        .route("/_sandbox/tasks/{task_id}/image", get(tasks::image))
        .route("/_sandbox/tasks/{task_id}/last_image", get(tasks::last_image))
        .route("/_sandbox/clock", get(state::clock))
        .route("/_sandbox/clock/advance", post(state::advance))
        //         .route("/_sandbox/faults", get(faults::show).put(faults::put).post(faults::add))
        //         .route("/_sandbox/faults/{name}", patch(faults::switch).delete(faults::remove))
        //         .route("/_sandbox/scenarios", get(faults::scenarios))
        //         .route("/_sandbox/scenarios/{scenario}", post(faults::load))
        .route("/_sandbox/ledger", get(ledger::show))
        .route("/_sandbox/ledger/entries", get(ledger::entries))
        .route("/_sandbox/ledger/assert", post(ledger::assert))
        .route("/_sandbox/journal", get(ledger::journal))
        .route("/_sandbox/journal.har", get(ledger::har))
        .route("/healthz", get(health))
        .route("/metrics", get(metrics::serve))
        .merge(page::router())
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn(guard))
}

/// A web page that its user happens to look at must not steer the sandbox, nor read from it.
async fn guard(request: Request, next: Next) -> Response {
    if is_foreign(request.headers()) {
        let why = "Origin: a web page of another origin may neither read from the sandbox nor steer it";
        return ApiError::new(StatusCode::FORBIDDEN, "FOREIGN_ORIGIN", why).into_response();
    }
    let mut response = next.run(request).await;
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        response.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    // Times, counts and tasks change all the time.
    let fresh = || header::HeaderValue::from_static("no-store");
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert_with(fresh);
    response
}

fn is_foreign(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    !matches!((origin, host), (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host))
}

async fn method_not_allowed() -> ApiError {
    let why = "the method is none of those that the Allow header lists";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", why)
}

async fn health(State(_): State<Arc<Shared>>) -> Response {
    answer(StatusCode::OK, &json!({ "status": "ok" }))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn not_found(reason: &'static str, message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, reason, message)
}

/// The body is of the right form, and does not make sense.
fn unusable(message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "UNUSABLE", message)
}
