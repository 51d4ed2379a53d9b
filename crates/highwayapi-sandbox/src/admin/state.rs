//! The sandbox as a whole: what it is, its clock, and starting over.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::{answer, document, unusable};
use crate::clock::Mode;
use crate::error::ApiError;
use crate::frames::blocking;
use crate::journal::rfc3339;
use crate::shared::{Shared, WELL_KNOWN_KEY};

pub(super) async fn sandbox(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    document::query("get_sandbox", query.as_deref())?;
    let (kept, dropped) = shared.journal.counts();
    let sandbox = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "base_url": shared.base_url,
        // A string, for JavaScript's numbers have 53 bits.
        "seed": shared.seed.value().to_string(),
        "key": shared.keys.iter().find(|key| *key == WELL_KNOWN_KEY),
        "clock": clock_of(&shared),
        "accepted": shared.tasks.admitted(),
        "journal": { "kept": kept, "dropped": dropped },
    });
    Ok(answer(StatusCode::OK, &sandbox))
}

pub(super) async fn clock(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    document::query("get_clock", query.as_deref())?;
    Ok(answer(StatusCode::OK, &clock_of(&shared)))
}

pub(super) async fn advance(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, ApiError> {
    let body = document::body("advance_clock", request).await?;
    if shared.clock.mode() != Mode::Stepped {
        let why = "the clock moves by itself: only a sandbox that was started with --stepped can be advanced";
        return Err(ApiError::new(StatusCode::CONFLICT, "CLOCK_NOT_STEPPED", why));
    }
    let by = Duration::from_millis(body["by_ms"].as_f64().unwrap_or(0.0) as u64);
    shared.advance(by).map_err(|e| ApiError::new(StatusCode::CONFLICT, "CLOCK_NOT_MOVED", e.to_string()))?;
    Ok(answer(StatusCode::OK, &clock_of(&shared)))
}

pub(super) async fn reset(State(shared): State<Arc<Shared>>) -> Result<StatusCode, ApiError> {
    blocking(move || shared.reset()).await?.map_err(|e| ApiError::internal(e.to_string()))?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn export(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    document::query("export", query.as_deref())?;
    let state = blocking(move || shared.export()).await?.map_err(|e| ApiError::internal(e.to_string()))?;
    Ok(answer(StatusCode::OK, &state))
}

pub(super) async fn import(State(shared): State<Arc<Shared>>, request: Request) -> Result<StatusCode, ApiError> {
    let state: Value = document::body("import", request).await?;
    blocking(move || shared.import(&state)).await?.map_err(|e| unusable(e.to_string()))?;
    Ok(StatusCode::NO_CONTENT)
}

fn clock_of(shared: &Shared) -> Value {
    let unix = shared.clock.unix();
    json!({
        "mode": shared.clock.mode().name(),
        "speed": shared.clock.speed(),
        "now_ms": shared.clock.now_ms(),
        "unix_ms": unix.as_millis().try_into().unwrap_or(u64::MAX),
        "date": rfc3339(unix),
    })
}
