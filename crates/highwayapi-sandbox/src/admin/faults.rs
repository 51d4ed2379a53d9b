//! Faults: the script in force, its rules, and the scenarios.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::{answer, document, not_found, unusable};
use crate::error::ApiError;
use crate::faults::{Rule, Script};
use crate::shared::Shared;

type Name = Result<Path<String>, PathRejection>;

pub(super) async fn show(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    document::query("get_faults", query.as_deref())?;
    Ok(shown(&shared))
}

pub(super) async fn put(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, ApiError> {
    let body = document::body("put_faults", request).await?;
    shared.faults.put(Script::from_json(&body.to_string()).map_err(|e| unusable(e.to_string()))?);
    Ok(shown(&shared))
}

pub(super) async fn add(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, ApiError> {
    let body = document::body("add_fault", request).await?;
    let rule = Rule::from_json(&body.to_string()).map_err(|e| unusable(e.to_string()))?;
    let name = shared.faults.add(rule).map_err(|e| unusable(e.to_string()))?;
    Ok(answer(StatusCode::CREATED, &json!({ "name": name })))
}

pub(super) async fn switch(
    State(shared): State<Arc<Shared>>,
    name: Name,
    request: Request,
) -> Result<Response, ApiError> {
    let body = document::body("switch_fault", request).await?;
    shared.faults.switch(&known(name)?, body["on"] == true).map_err(|e| unknown(e.to_string()))?;
    Ok(shown(&shared))
}

pub(super) async fn remove(State(shared): State<Arc<Shared>>, name: Name) -> Result<StatusCode, ApiError> {
    shared.faults.remove(&known(name)?).map_err(|e| unknown(e.to_string()))?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn scenarios(RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    document::query("list_scenarios", query.as_deref())?;
    let scenario = |script: &Script| json!({ "name": script.name(), "description": script.description(), "advice": script.advice() });
    let scenarios: Vec<Value> = Script::scenarios().iter().map(scenario).collect();
    Ok(answer(StatusCode::OK, &json!({ "scenarios": scenarios })))
}

pub(super) async fn load(State(shared): State<Arc<Shared>>, name: Name) -> Result<Response, ApiError> {
    let missing = |e: String| not_found("SCENARIO_NOT_FOUND", e);
    let Path(name) = name.map_err(|e| missing(e.body_text()))?;
    shared.faults.load(&name).map_err(|e| missing(e.to_string()))?;
    Ok(shown(&shared))
}

fn known(name: Name) -> Result<String, ApiError> {
    name.map(|Path(name)| name).map_err(|e| unknown(e.body_text()))
}

fn unknown(why: String) -> ApiError {
    not_found("FAULT_NOT_FOUND", why)
}

fn shown(shared: &Shared) -> Response {
    let (script, rules) = (shared.faults.get(), shared.faults.counters());
    answer(StatusCode::OK, &json!({ "script": script, "rules": rules }))
}
