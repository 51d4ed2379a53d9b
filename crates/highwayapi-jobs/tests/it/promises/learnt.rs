//! How long jobs ran is in the record, and the next program asks accordingly.

use std::time::Duration;

use highwayapi::Client;
use highwayapi_jobs::{Held, SqliteStore, Step, Store, Which};

use super::jobs;
use crate::support::folder;
use crate::support::service::{KEY, Service, request};

#[tokio::test]
async fn the_next_program_does_not_ask_before_it_can_be_done() {
    let (service, folder) = (Service::start().await, folder());
    let mut seen = 0;
    for prompt in 0..10 {
        let jobs = jobs(folder.path(), service.client());
        let mut job = jobs.submit(&request(&prompt.to_string())).await.expect("a task");
        let task = job.job().task_id.clone().expect("a task");
        service.status(task.as_str(), "TASK_STATUS_PROCESSING");
        let mut polls = 0;
        let done = |_: Step<'_>| {
            polls += 1;
            if polls == 8 {
                service.status(task.as_str(), "TASK_STATUS_SUCCEED");
            }
        };
        job.wait(done).await.expect("videos");
        seen += usize::from(job.job().run_ms.is_some());
    }
    // Not of one for which the machine stood still.
    assert!(seen > 0);
    // As if each had run for a quarter of an hour.
    let store = SqliteStore::open(folder.path()).expect("a record");
    for entry in store.jobs(Which::All).await.expect("jobs") {
        let Held::Yes(hold, mut job) = store.hold(&entry.job.id).await.expect("a record") else { panic!("held") };
        job.run_ms = Some(900_000);
        store.save(&hold, &job).await.expect("a record");
    }
    drop(store);
    let pauses = Duration::from_millis(10)..=Duration::from_secs(600);
    let client = Client::builder(KEY).base_url(service.uri()).poll_interval(pauses).build().expect("a client");
    let jobs = jobs(folder.path(), client);
    let mut job = jobs.submit(&request("another")).await.expect("a task");
    let polls = service.polls();
    let waited = tokio::time::timeout(Duration::from_secs(1), job.wait(|_| {})).await;
    // It is done at once, and nobody looks.
    assert!(waited.is_err());
    assert_eq!(service.polls(), polls);
}
