//! Answers that differ from request to request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use wiremock::{Request, Respond, ResponseTemplate};

/// Gives these in turn, the last one for ever.
#[derive(Clone)]
pub(crate) struct Sequence(Arc<(AtomicUsize, Vec<ResponseTemplate>)>);

impl Sequence {
    pub(crate) fn new(answers: impl Into<Vec<ResponseTemplate>>) -> Self {
        Self(Arc::new((AtomicUsize::new(0), answers.into())))
    }
}

impl Respond for Sequence {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let (next, answers) = &*self.0;
        let at = next.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
        answers[at].clone()
    }
}

/// A task in this state.
pub(crate) fn status(status: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "task": { "status": status } }))
}

/// A page that something between client and service put up.
pub(crate) fn page(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw("<html>Bad Gateway</html>", "text/html")
}
