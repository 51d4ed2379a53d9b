//! Workers that are gone, or are taken to be.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use highwayapi_jobs::{Begun, Claim, Held, Jobs, NatsStore, State, Store};
use tokio::time::sleep;

use super::process::Worker;
use super::server::{Server, options};
use crate::support::service::Service;
use crate::support::{FOREVER, at, batch, claimed_soon, id, planned};

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
    let store = NatsStore::connect(&url, long).await.expect("a record");
    let mine = batch("mine");
    store.plan(&mine, &[planned(&mine, "aaaaaaaa", 1, None)]).await.expect("a record");
    let mut worker = Worker::start(&url);
    assert_eq!(worker.next(), "aaaaaaaa");
    // Nor does it look at the whole batch a second time.
    assert!(store.claim(&mine.id, Claim::Any).await.expect("a record").is_none());
    drop(worker.orders());
    assert!(worker.child.wait().expect("an end").success());
    assert_eq!(claimed_soon(&store, &mine.id, Claim::Any).await.1.id, id("aaaaaaaa"));
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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_answer_that_a_sleeper_gets_names_the_task_of_the_job_that_others_took_for_unknown() {
    let Some(server) = Server::start() else { return };
    let service = Service::start().await;
    let (arrived, arrives) = mpsc::channel();
    let (answer, answers) = mpsc::channel();
    service.on_submit(move |_| {
        arrived.send(()).expect("the test");
        answers.recv().expect("the test");
    });
    let mut worker = Worker::submits(&server.url(), &service.uri());
    tokio::task::block_in_place(|| arrives.recv().expect("a submit"));
    worker.signal("-STOP");
    let jobs = Jobs::with_store(service.client(), server.store().await);
    let begun = Instant::now();
    let unknown = loop {
        let mut all = jobs.list().await.expect("jobs");
        match all.pop() {
            Some(entry) if entry.job.state == State::Unknown => break entry.job,
            _ => assert!(begun.elapsed() < FOREVER, "it is never taken for dead"),
        }
        sleep(Duration::from_millis(50)).await;
    };
    answer.send(()).expect("the service");
    worker.signal("-CONT");
    assert_eq!(worker.next(), format!("submitted {}", service.tasks_of("dusk")[0]));
    let entry = &jobs.list().await.expect("jobs")[0];
    assert_eq!((&entry.job.id, entry.job.state, entry.job.attempt), (&unknown.id, State::Submitted, 1));
    assert_eq!(
        entry.job.task_id.as_ref().map(|task| task.as_str()),
        service.tasks_of("dusk").first().map(String::as_str)
    );
    assert_eq!(service.submits(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_to_the_server_first_takes_nobody_for_dead() {
    let Some(mut server) = Server::start() else { return };
    let mut slow = options();
    slow.lease = Duration::from_secs(6);
    let (store, mine) = (NatsStore::connect(&server.url(), slow.clone()).await.expect("a record"), batch("mine"));
    store.plan(&mine, &[planned(&mine, "aaaaaaaa", 1, None)]).await.expect("a record");
    let mut worker = Worker::start(&server.url());
    assert_eq!(worker.next(), "aaaaaaaa");
    worker.signal("-STOP");
    server.kill();
    // The server forgets while it is away, too.
    sleep(slow.lease + Duration::from_secs(1)).await;
    server.run();
    assert!(matches!(store.hold(&id("aaaaaaaa")).await.expect("a record"), Held::ByAnother(_)));
    worker.signal("-CONT");
    worker.tell("save");
    assert_eq!(worker.next(), "saved");
}
