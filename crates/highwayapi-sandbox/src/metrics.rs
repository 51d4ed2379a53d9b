//! Numbers for Prometheus, in its text format 0.0.4.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use crate::operation::Operation;
use crate::shared::Shared;
use crate::tasks;

/// What is counted while requests come and go; the rest is read where it is kept.
#[derive(Default)]
pub(crate) struct Metrics {
    /// By operation and status; no status where the client went before there was an answer.
    requests: Mutex<BTreeMap<(Operation, Option<u16>), u64>>,
    faults: AtomicU64,
    sent: AtomicU64,
    /// Connections that are open now.
    pub(crate) connections: Arc<AtomicUsize>,
}

impl Metrics {
    pub(crate) fn request(&self, operation: Operation, status: Option<u16>, fault: bool) {
        *self.requests().entry((operation, status)).or_default() += 1;
        self.faults.fetch_add(fault.into(), Ordering::Relaxed);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn requests(&self) -> MutexGuard<'_, BTreeMap<(Operation, Option<u16>), u64>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `GET /metrics`
pub(crate) async fn serve(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], render(&shared))
}

fn render(shared: &Shared) -> String {
    let mut page = Page::default();
    page.family("requests_total", "counter", "Requests by what they were about and how they were answered.");
    for ((operation, status), count) in shared.metrics.requests().iter() {
        let status = status.map_or("none".to_owned(), |status| status.to_string());
        page.sample(&format!(r#"{{operation="{operation}",status="{status}"}}"#), count);
    }
    page.family("tasks", "gauge", "Tasks that are remembered, by state.");
    for (state, count) in shared.tasks.by_state(shared.clock.now_ms()) {
        page.sample(&format!(r#"{{state="{}"}}"#, name(state)), count);
    }
    page.family("connections", "gauge", "Connections that are open.");
    page.sample("", shared.metrics.connections.load(Ordering::Relaxed));
    let totals = shared.ledger.totals(None);
    for (name, help, value) in [
        ("submits_total", "Submits that were accepted.", totals.submits),
        ("billed_clips_total", "Clips that would have been billed.", totals.clips),
        ("billed_seconds_total", "Seconds of these clips.", totals.seconds),
        ("repeated_submits_total", "Submits of a request that had been accepted before.", totals.repeated),
        ("leaked_keys_total", "Requests for a clip that carried credentials.", totals.leaked),
        ("rendered_clips_total", "Clips that were rendered.", shared.clips.rendered()),
        ("faults_total", "Requests that met a fault.", shared.metrics.faults.load(Ordering::Relaxed)),
        ("response_bytes_total", "Bytes of answers' bodies.", shared.metrics.sent.load(Ordering::Relaxed)),
        ("journal_dropped_total", "Lines that the journal no longer has.", shared.journal.counts().1),
    ] {
        page.family(name, "counter", help);
        page.sample("", value);
    }
    page.text
}

fn name(state: tasks::State) -> &'static str {
    match state {
        tasks::State::Queued => "queued",
        tasks::State::Processing => "processing",
        tasks::State::Succeeded => "succeeded",
        tasks::State::Failed => "failed",
    }
}

#[derive(Default)]
struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.family = name;
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "# HELP highway_sandbox_{name} {help}\n# TYPE highway_sandbox_{name} {kind}");
    }

    fn sample(&mut self, labels: &str, value: impl Display) {
        let _ = writeln!(self.text, "highway_sandbox_{}{labels} {value}", self.family);
    }
}
