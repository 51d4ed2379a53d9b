//! A server that goes away, comes back, or has no room left.

use std::time::{Duration, Instant};

use highwayapi_jobs::{Begun, Claim, Held, NatsStore, State, Store, Which};

use super::server::{Server, options};
use crate::support::{added, at, batch, claimed_soon, held_soon, job, planned};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_outlives_the_server() {
    let Some(mut server) = Server::start() else { return };
    let (one, other) = (server.store().await, server.store().await);
    let mine = batch("mine");
    let jobs = [planned(&mine, "aaaaaaaa", 1, Some("a")), planned(&mine, "bbbbbbbb", 2, Some("b"))];
    one.plan(&mine, &jobs).await.expect("a record");
    let (hold, job) = claimed_soon(&one, &mine.id, Claim::Any).await;
    assert!(matches!(one.begin(&hold, &at(State::Intent, &job), false).await.expect("a record"), Begun::Yes));

    server.kill();
    server.run();
    // Who was there before is still taken to be there, and knows what it holds.
    for store in [&other, &server.store().await] {
        assert!(matches!(store.hold(&job.id).await.expect("a record"), Held::ByAnother(_)));
    }
    one.save(&hold, &at(State::Submitted, &job)).await.expect("still held");
    assert_eq!(other.batches().await.expect("batches")[0].spent.clips, 1);
    let (_other, second) = claimed_soon(&other, &mine.id, Claim::Any).await;
    assert_eq!(second.id, jobs[1].id);
    drop(hold);
    assert_eq!(held_soon(&other, &job.id).await.1.state, State::Submitted);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_server_nothing_begins_and_nothing_hangs() {
    let Some(mut server) = Server::start() else { return };
    let mut hasty = options();
    hasty.patience = Duration::from_millis(500);
    let store = NatsStore::connect(&server.url(), hasty.clone()).await.expect("a record");
    let mine = batch("mine");
    store.plan(&mine, &[planned(&mine, "aaaaaaaa", 1, Some("a"))]).await.expect("a record");
    let (hold, planned) = claimed_soon(&store, &mine.id, Claim::Any).await;
    server.kill();

    let begun = Instant::now();
    let intent = at(State::Intent, &planned);
    for error in [
        store.begin(&hold, &intent, false).await.expect_err("no server"),
        store.save(&hold, &planned).await.expect_err("no server"),
        store.jobs(Which::All).await.expect_err("no server"),
        store.add(&job("bbbbbbbb", Some("b"), State::Intent), false).await.expect_err("no server"),
        store.claim(&mine.id, Claim::Any).await.expect_err("no server"),
        store.turn("https://example.com").await.expect_err("no server"),
        NatsStore::connect(&server.url(), hasty).await.expect_err("no server"),
    ] {
        assert!(error.is_store(), "{error:?}");
        assert!(error.to_string().contains("cannot be reached"), "{error}");
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());

    server.run();
    let found = loop {
        match store.jobs(Which::All).await {
            Ok(found) => break found,
            Err(error) => assert!(error.is_store() && begun.elapsed() < crate::support::FOREVER, "{error:?}"),
        }
    };
    assert_eq!(found.len(), 1);
    store.save(&hold, &planned).await.expect("still held");
    assert!(matches!(store.begin(&hold, &intent, false).await.expect("a record"), Begun::Yes));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_and_loses_nothing() {
    let limit = "jetstream { store_dir: \"FOLDER/store\", max_file_store: 300K }";
    let Some(server) = Server::with(limit) else { return };
    let store = server.store().await;
    let mut kept = Vec::new();
    let error = loop {
        assert!(kept.len() < 2000, "it is never full");
        let mut big = job(&format!("aaaa{:04}", kept.len()), None, State::Submitted);
        big.reason = Some("x".repeat(5000));
        match store.add(&big, false).await {
            Ok(_) => kept.push(big),
            Err(error) => break error,
        }
    };
    assert!(error.is_store() && error.to_string().contains("full"), "{error:?}");
    // A new process cannot even say that it is there.
    if let Err(error) = NatsStore::connect(&server.url(), options()).await {
        assert!(error.is_store() && error.to_string().contains("full"), "{error:?}");
    }
    let found = store.jobs(Which::All).await.expect("jobs");
    assert_eq!(found.into_iter().map(|entry| entry.job).collect::<Vec<_>>(), kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_under_other_prefixes_are_other_records() {
    let Some(server) = Server::start() else { return };
    let other = NatsStore::connect(&server.url().replace("/test", "/other"), options()).await.expect("a record");
    let (one, mine) = (server.store().await, batch("mine"));
    let planned = planned(&mine, "aaaaaaaa", 1, Some("a"));
    one.plan(&mine, std::slice::from_ref(&planned)).await.expect("a record");
    assert!(other.jobs(Which::All).await.expect("jobs").is_empty());
    assert!(other.batches().await.expect("batches").is_empty());
    assert!(other.claim(&mine.id, Claim::Any).await.expect("a record").is_none());
    assert!(matches!(other.hold(&planned.id).await.expect("a record"), Held::NotFound));
    drop(added(&other, &job("aaaaaaaa", Some("a"), State::Intent)).await);
    assert_eq!(one.jobs(Which::All).await.expect("jobs")[0].job, planned);
}
