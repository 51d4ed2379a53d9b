//! The tasks, as the admin API shows them.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{answer, document, not_found};
use crate::clip::Pair;
use crate::error::ApiError;
use crate::frames::blocking;
use crate::pictures::Stored;
use crate::shared::Shared;
use crate::tasks::State as Progress;

type TaskId = Result<Path<String>, PathRejection>;

pub(super) async fn list(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    let query = document::query("list_tasks", query.as_deref())?;
    let number = |name: &str| query.get(name).and_then(Value::as_u64);
    let status = query.get("status").and_then(Value::as_str);
    let limit = number("limit").unwrap_or(0) as usize;
    let wanted = |state: Progress| status.is_none_or(|status| state.name() == status);
    // One more tells whether another page follows.
    let mut tasks = shared.views(number("before").unwrap_or(u64::MAX), wanted, limit + 1);
    let more = tasks.len() > limit;
    tasks.truncate(limit);
    let next = tasks.last().filter(|_| more).map(|task| task.number);
    Ok(answer(StatusCode::OK, &json!({ "tasks": tasks, "next": next })))
}

pub(super) async fn inspect(State(shared): State<Arc<Shared>>, id: TaskId) -> Result<Response, ApiError> {
    let view = id.ok().and_then(|Path(id)| shared.view(&id));
    Ok(answer(StatusCode::OK, &json!(view.ok_or_else(unknown)?)))
}

pub(super) async fn image(State(shared): State<Arc<Shared>>, id: TaskId) -> Result<Response, ApiError> {
    picture(&shared, id, |pair| &pair.first).await
}

pub(super) async fn last_image(State(shared): State<Arc<Shared>>, id: TaskId) -> Result<Response, ApiError> {
    picture(&shared, id, |pair| &pair.last).await
}

fn unknown() -> ApiError {
    not_found("TASK_NOT_FOUND", "task not found")
}

async fn picture(shared: &Shared, id: TaskId, which: fn(&Pair) -> &Arc<Stored>) -> Result<Response, ApiError> {
    let pair = id.ok().and_then(|Path(id)| shared.tasks.with(&id, |task| task.pair.clone()));
    let gone = || not_found("PICTURE_NOT_FOUND", "the task's pictures are no longer kept");
    let stored = Arc::clone(which(pair.ok_or_else(unknown)?.as_deref().ok_or_else(gone)?));
    let bytes = blocking(move || stored.bytes()).await?.map_err(|_| gone())?;
    // It was decoded before it was taken: it is one of the two.
    let kind = if bytes.starts_with(b"\x89PNG") { "image/png" } else { "image/jpeg" };
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "private, max-age=3600")], bytes).into_response())
}
