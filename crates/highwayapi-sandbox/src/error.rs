//! The crate's own error, and the error answers of the API.

use std::fmt;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why the sandbox could not be started, or stopped by itself.
#[derive(Debug)]
pub struct Error {
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    pub(crate) fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// An error answer in the service's shape: `{"code", "reason", "message", "metadata"}`.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    reason: &'static str,
    message: String,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, reason, message: message.into() }
    }

    pub(crate) fn bad_request(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason, message)
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The body or a parameter is not what the contract says.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::bad_request("INVALID_REQUEST_BODY", message)
    }

    pub(crate) fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMIT_EXCEEDED", message)
    }

    /// The sandbox itself failed: its disk, its random source.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "CREATE_TASK_FAILED", message)
    }

    /// Both complaints in one answer, under the first one's reason.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.message = format!("{}; {}", self.message, other.message);
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { status, reason, message } = self;
        let body = json!({ "code": status.as_u16(), "reason": reason, "message": message, "metadata": {} });
        (status, [(header::CONTENT_TYPE, "application/json")], Body::from(body.to_string())).into_response()
    }
}
