//! What several of the tests need.

pub(crate) mod batches;
pub(crate) mod failing;
pub(crate) mod service;

use std::time::{Duration, Instant, SystemTime};

use highwayapi_jobs::{Added, Batch, BatchId, Claim, Held, Hold, Item, Job, JobId, State, Store};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;

/// Only there to turn a hang into a failure.
pub(crate) const FOREVER: Duration = Duration::from_secs(60);

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

pub(crate) fn id(text: &str) -> JobId {
    text.parse().expect("a job's id")
}

/// A job as a record keeps it.
pub(crate) fn job(id: &str, fingerprint: Option<&str>, state: State) -> Job {
    let time = "2026-01-02T03:04:05.678Z";
    let mut job = json!({
        "id": id, "state": state, "service": "https://example.com", "attempt": 1,
        "created_at": time, "submitted_at": time, "changed_at": time,
    });
    if let Some(fingerprint) = fingerprint {
        job["fingerprint"] = fingerprint.into();
    }
    serde_json::from_value(job).expect("a job")
}

/// A batch in a record, of this name.
pub(crate) fn batch(name: &str) -> Batch {
    let mut batch = Batch::new("https://example.com", name, "/somewhere");
    batch.created_at = SystemTime::UNIX_EPOCH;
    batch
}

/// A job of a batch, as it is planned.
pub(crate) fn planned(batch: &Batch, id: &str, number: u64, fingerprint: Option<&str>) -> Job {
    let mut job = job(id, fingerprint, State::Planned);
    job.attempt = 0;
    job.item = Some(Item::new(batch.id.clone(), format!("item-{number}"), number, "clip.mp4"));
    job
}

/// The same in another state.
pub(crate) fn at(state: State, job: &Job) -> Job {
    let mut job = job.clone();
    (job.state, job.attempt) = (state, u32::from(state != State::Planned));
    job
}

/// What is free may be seen to be so only after a moment.
pub(crate) async fn claimed_soon(store: &impl Store, batch: &BatchId, what: Claim) -> (Hold, Job) {
    let begun = Instant::now();
    loop {
        match store.claim(batch, what).await.expect("a record") {
            Some((hold, job)) => return (hold, *job),
            None if begun.elapsed() < FOREVER => sleep(Duration::from_millis(1)).await,
            None => panic!("nothing is free"),
        }
    }
}

pub(crate) async fn added(store: &impl Store, job: &Job) -> Hold {
    match store.add(job, false).await.expect("a record") {
        Added::New(hold) => hold,
        Added::Same(same) => panic!("{} is there already", same.id),
    }
}

/// What others see of the end of a hold may take a moment.
pub(crate) async fn held_soon(store: &impl Store, id: &JobId) -> (Hold, Job) {
    let begun = Instant::now();
    loop {
        match store.hold(id).await.expect("a record") {
            Held::Yes(hold, job) => return (hold, *job),
            Held::ByAnother(_) if begun.elapsed() < FOREVER => sleep(Duration::from_millis(1)).await,
            held => panic!("{held:?}"),
        }
    }
}

/// Polls a call until it is done or has been polled so often, and drops it.
pub(crate) async fn dropped<T>(call: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut call = std::pin::pin!(call);
    for _ in 0..polls {
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(call.as_mut().poll(context))).await;
        if let std::task::Poll::Ready(done) = polled {
            return Some(done);
        }
        // Long enough for some of it to happen, short enough for some of it not to.
        sleep(Duration::from_micros(300)).await;
    }
    None
}
