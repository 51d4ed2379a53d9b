//! The tasks, as the admin API shows them.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{answer, document, not_found};
use crate::api::Shared;
use crate::clip::Pair;
use crate::error::ApiError;
use crate::frames::blocking;
use crate::hex;
use crate::pictures::Stored;
use crate::tasks::{State as Progress, Task};

type TaskId = Result<Path<String>, PathRejection>;

pub(super) async fn list(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    let query = document::query("list_tasks", query.as_deref())?;
    let number = |name: &str| query.get(name).and_then(Value::as_u64);
    let state = query.get("state").and_then(Value::as_str);
    let limit = number("limit").unwrap_or(0) as usize;
    let now = shared.clock.now_ms();
    let wanted = |task: &Task| state.is_none_or(|state| task.state(now).name() == state);
    // One more tells whether another page follows.
    let mut tasks = shared.tasks.newest(number("before").unwrap_or(u64::MAX), wanted, limit + 1);
    let more = tasks.len() > limit;
    tasks.truncate(limit);
    let next = tasks.last().filter(|_| more).map(|task| task.number);
    let tasks: Vec<Value> = tasks.iter().map(|task| shown(&shared, task)).collect();
    Ok(answer(StatusCode::OK, &json!({ "tasks": tasks, "next": next })))
}

pub(super) async fn inspect(State(shared): State<Arc<Shared>>, id: TaskId) -> Result<Response, ApiError> {
    let task = task(&shared, id)?;
    Ok(answer(StatusCode::OK, &shown(&shared, &task)))
}

pub(super) async fn image(State(shared): State<Arc<Shared>>, id: TaskId) -> Result<Response, ApiError> {
    picture(task(&shared, id)?, |pair| &pair.first).await
}

pub(super) async fn last_image(State(shared): State<Arc<Shared>>, id: TaskId) -> Result<Response, ApiError> {
    picture(task(&shared, id)?, |pair| &pair.last).await
}

fn task(shared: &Shared, id: TaskId) -> Result<Task, ApiError> {
    let unknown = || not_found("TASK_NOT_FOUND", "task not found");
    let Path(id) = id.map_err(|_| unknown())?;
    shared.tasks.with(&id, Task::clone).ok_or_else(unknown)
}

async fn picture(task: Task, which: fn(&Pair) -> &Arc<Stored>) -> Result<Response, ApiError> {
    let gone = || not_found("PICTURE_NOT_FOUND", "the task's pictures are no longer kept");
    let stored = Arc::clone(which(task.pair.as_deref().ok_or_else(gone)?));
    let bytes = blocking(move || stored.bytes()).await?.map_err(|_| gone())?;
    // It was decoded before it was taken: it is one of the two.
    let kind = if bytes.starts_with(b"\x89PNG") { "image/png" } else { "image/jpeg" };
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "private, max-age=3600")], bytes).into_response())
}

fn shown(shared: &Shared, task: &Task) -> Value {
    let now = shared.clock.now_ms();
    let state = task.state(now);
    let clips = if state == Progress::Succeeded { task.clips } else { 0 };
    let link = |sample| shared.links.to(&task.task_id, sample, shared.clock.unix());
    json!({
        "number": task.number,
        "task_id": task.task_id,
        "state": state.name(),
        "percent": task.percent(now),
        "reason": task.fails.as_deref().filter(|_| state == Progress::Failed).unwrap_or_default(),
        "key": task.key,
        "request": task.request,
        "prompt": task.prompt,
        "seed": task.seed,
        "width": task.width,
        "height": task.height,
        "seconds": task.seconds,
        "audio": task.audio,
        "clips": task.samples,
        "image": hex::encode(&task.image),
        "last_image": hex::encode(&task.last_image),
        "submitted_ms": task.submitted,
        "begins_ms": task.begins,
        "ends_ms": task.end(),
        "links": (0..clips).map(link).collect::<Vec<_>>(),
    })
}
