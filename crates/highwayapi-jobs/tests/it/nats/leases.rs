//! Workers that are gone, or are taken to be.

use highwayapi_jobs::{Begun, Claim, Held, State, Store};
use tokio::time::sleep;

use super::process::Worker;
use super::server::{Server, options};
use crate::support::{at, batch, claimed_soon, id, planned};

/// A server with a batch of so many planned jobs.
async fn planned_batch(count: u64) -> Option<Server> {
    let server = Server::start()?;
    let mine = batch("mine");
    let jobs: Vec<_> =
        (0..count).map(|at| planned(&mine, &format!("aaaaaaa{at}"), at, Some(&format!("print {at}")))).collect();
    server.store().await.plan(&mine, &jobs).await.expect("a record");
    Some(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_job_of_a_killed_worker_is_free_after_its_lease_and_not_before() {
    let Some(server) = planned_batch(1).await else { return };
    let (store, mine) = (server.store().await, batch("mine").id);
    let mut worker = Worker::start(&server.url());
    assert_eq!(worker.next(), "aaaaaaa0");
    worker.tell("begin");
    assert_eq!(worker.next(), "Yes");
    // It is alive for longer than a lease.
    for _ in 0..4 {
        sleep(options().lease / 2).await;
        assert!(matches!(store.hold(&id("aaaaaaa0")).await.expect("a record"), Held::ByAnother(_)));
        assert!(store.claim(&mine, Claim::Any).await.expect("a record").is_none());
    }
    worker.signal("-KILL");
    let (_hold, job) = claimed_soon(&store, &mine, Claim::Any).await;
    assert_eq!((job.id, job.state), (id("aaaaaaa0"), State::Intent));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_ends_in_peace_frees_its_jobs_at_once() {
    let Some(server) = planned_batch(1).await else { return };
    let mut long = options();
    long.lease = std::time::Duration::from_secs(3600);
    // A lease that no test lives to see the end of.
    let url = server.url().replace("/test", "/long");
    let store = highwayapi_jobs::NatsStore::connect(&url, long).await.expect("a record");
    let mine = batch("mine");
    store.plan(&mine, &[planned(&mine, "aaaaaaaa", 1, None)]).await.expect("a record");
    let mut worker = Worker::start(&url);
    assert_eq!(worker.next(), "aaaaaaaa");
    drop(worker.orders());
    assert!(worker.child.wait().expect("an end").success());
    assert!(matches!(store.hold(&id("aaaaaaaa")).await.expect("a record"), Held::Yes(..)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_slept_through_its_lease_begins_and_writes_nothing() {
    for asleep_before in ["begin", "save"] {
        let Some(server) = planned_batch(1).await else { return };
        let (store, mine) = (server.store().await, batch("mine").id);
        let mut worker = Worker::start(&server.url());
        assert_eq!(worker.next(), "aaaaaaa0");
        if asleep_before == "save" {
            worker.tell("begin");
            assert_eq!(worker.next(), "Yes");
        }
        worker.signal("-STOP");
        let (hold, job) = claimed_soon(&store, &mine, Claim::Any).await;
        let begun = store.begin(&hold, &at(State::Intent, &job), false).await.expect("a record");
        assert!(matches!(begun, Begun::Yes), "{begun:?}");
        worker.signal("-CONT");
        worker.tell(asleep_before);
        assert_eq!(worker.next(), "not held");
        store.save(&hold, &at(State::Submitted, &job)).await.expect("still held");
        // Nor is anything counted for it that it did not send.
        let clips = if asleep_before == "save" { 2 } else { 1 };
        assert_eq!(store.batches().await.expect("batches")[0].spent.clips, clips);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_workers_each_job_is_claimed_by_one() {
    let Some(server) = planned_batch(6).await else { return };
    let mut workers: Vec<_> = (0..6).map(|_| Worker::start(&server.url())).collect();
    let mut claimed: Vec<_> = workers.iter_mut().map(Worker::next).collect();
    claimed.sort_unstable();
    assert_eq!(claimed, (0..6).map(|at| format!("aaaaaaa{at}")).collect::<Vec<_>>());
    for worker in &mut workers {
        worker.tell("begin");
    }
    assert!(workers.iter_mut().all(|worker| worker.next() == "Yes"));
    assert_eq!(server.store().await.batches().await.expect("batches")[0].spent.clips, 6);
}
