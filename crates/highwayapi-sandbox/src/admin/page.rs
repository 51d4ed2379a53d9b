//! The page at `/`: three files, and nothing from anywhere else.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::shared::Shared;

/// Only what the sandbox serves itself, and no script or style that stands in the document.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn router() -> Router<Arc<Shared>> {
    let file = |kind: &'static str, text: &'static str| get(async move || serve(kind, text));
    Router::new()
        .route("/", file("text/html; charset=utf-8", include_str!("../page/index.html")))
        .route("/_sandbox/page.css", file("text/css; charset=utf-8", include_str!("../page/page.css")))
        .route("/_sandbox/page.js", file("text/javascript; charset=utf-8", include_str!("../page/page.js")))
}

fn serve(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, POLICY)], text)
}
