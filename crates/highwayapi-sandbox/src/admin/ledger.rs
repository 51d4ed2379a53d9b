//! The ledger and the journal, as the admin API shows them.

use std::sync::Arc;

use axum::extract::{RawQuery, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::{answer, document};
use crate::error::ApiError;
use crate::journal::{Entry, Filter, har};
use crate::ledger::Assertions;
use crate::shared::Shared;

pub(super) async fn show(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    document::query("get_ledger", query.as_deref())?;
    Ok(answer(StatusCode::OK, &shared.ledger.to_json()))
}

pub(super) async fn entries(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = document::query("list_entries", query.as_deref())?;
    let entries = shared.ledger.newest(number(&query, "before").unwrap_or(u64::MAX), limit(&query));
    Ok(answer(StatusCode::OK, &json!({ "entries": entries })))
}

pub(super) async fn assert(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, ApiError> {
    let body = document::body("assert_ledger", request).await?;
    let checked = shared.ledger.check(&Assertions::from_json(&body));
    if checked.held() {
        return Ok(answer(StatusCode::OK, &json!({ "held": checked.list(true) })));
    }
    let refused = json!({
        "code": 409,
        "reason": "ASSERTION_FAILED",
        "message": checked.complaint(),
        "metadata": { "held": checked.list(true), "failed": checked.list(false) },
    });
    Ok(answer(StatusCode::CONFLICT, &refused))
}

pub(super) async fn journal(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = document::query("get_journal", query.as_deref())?;
    let mut lines = String::new();
    for (number, entry) in wanted(&shared, &query) {
        lines += &entry.to_json(number).to_string();
        lines.push('\n');
    }
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}

pub(super) async fn har(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    let query = document::query("get_har", query.as_deref())?;
    let archive = har::archive(&wanted(&shared, &query), &shared.base_url);
    Ok(([(header::CONTENT_TYPE, "application/json")], archive).into_response())
}

fn wanted(shared: &Shared, query: &Map<String, Value>) -> Vec<(u64, Entry)> {
    let text = |name: &str| query.get(name).and_then(Value::as_str).map(str::to_owned);
    let flag = |name: &str| query.get(name) == Some(&Value::Bool(true));
    let filter = Filter {
        since: number(query, "since").unwrap_or(0),
        task_id: text("task_id"),
        operation: text("operation"),
        faulted: flag("faulted"),
    };
    shared.journal.read(&filter, limit(query), flag("newest"))
}

fn number(query: &Map<String, Value>, name: &str) -> Option<u64> {
    query.get(name).and_then(Value::as_u64)
}

fn limit(query: &Map<String, Value>) -> usize {
    number(query, "limit").unwrap_or(0) as usize
}
