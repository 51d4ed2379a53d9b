//! What all workers share beside the jobs: the budget of requests, and the pictures.

use std::fs;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use highwayapi_jobs::{NatsStore, State, Store};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::server::{Server, options};
use crate::support::{added, folder, job};

const SERVICE: &str = "https://example.com";
const OTHER: &str = "https://example.com/other";

/// Long enough for a turn that there is.
const A_WHILE: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn all_workers_share_one_budget() {
    let Some(server) = Server::start() else { return };
    let mut few = options();
    few.requests_per_minute = Some(6);
    let one = NatsStore::connect(&server.url(), few).await.expect("a record");
    // Which one said so does not matter.
    let other = server.store().await;
    for store in [&one, &other, &one, &other, &other, &other] {
        timeout(crate::support::FOREVER, store.turn(SERVICE)).await.expect("a turn").expect("a record");
    }
    for store in [&one, &other] {
        assert!(timeout(A_WHILE, store.turn(SERVICE)).await.is_err(), "a seventh in the same minute");
    }
    let config = stream(&server, "unset-turns", |url| url.replace("/test", "/unset")).await;
    assert_eq!((config.max_messages_per_subject, config.max_age), (50, Duration::from_secs(61)));
    // Each service has its own.
    timeout(crate::support::FOREVER, other.turn(OTHER)).await.expect("a turn").expect("a record");
}

/// As when all machines of a rack start at once, and not all were told the same.
#[tokio::test(flavor = "multi_thread")]
async fn all_who_open_a_fresh_record_at_once_have_it() {
    let Some(server) = Server::start() else { return };
    for round in 0..10 {
        let url = server.url().replace("/test", &format!("/fresh{round}"));
        let mut opened = JoinSet::new();
        for budget in 1..=6 {
            let (url, mut options) = (url.clone(), options());
            options.requests_per_minute = (budget != 1).then_some(budget);
            options.lease += Duration::from_secs(budget.into());
            opened.spawn(async move { NatsStore::connect(&url, options).await.map(drop) });
        }
        while let Some(opened) = opened.join_next().await {
            opened.expect("no panic").expect("a record");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_one_was_asked_for_is_kept_by_all() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (server.store().await, server.store().await);
    other.turn(SERVICE).await.expect("a turn");
    let (asked, pause) = (Instant::now(), Duration::from_millis(1500));
    one.hold_off(SERVICE, pause).await.expect("a record");
    timeout(crate::support::FOREVER, other.turn(OTHER)).await.expect("a turn").expect("a record");
    timeout(crate::support::FOREVER, other.turn(SERVICE)).await.expect("a turn").expect("a record");
    assert!(asked.elapsed() >= pause, "{:?}", asked.elapsed());
    // A shorter one that somebody else was asked for does not end it.
    let (asked, pause) = (Instant::now(), Duration::from_secs(2));
    one.hold_off(SERVICE, pause).await.expect("a record");
    other.hold_off(SERVICE, Duration::from_millis(1)).await.expect("a record");
    timeout(crate::support::FOREVER, other.turn(SERVICE)).await.expect("a turn").expect("a record");
    assert!(asked.elapsed() >= pause, "{:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_where_they_are_needed_and_what_they_were() {
    let Some(server) = Server::start() else { return };
    let (one, other, folder) = (server.store().await, server.store().await, folder());
    let original = folder.path().join("first.png");
    // Several chunks of the object store.
    let picture: Vec<u8> = (0..500_000_u32).map(|at| (at % 251) as u8).collect();
    fs::write(&original, &picture).expect("a file");
    let sha256 = "c4eb9a98a3bc4c3cc4d5dabd77d15d2ca1d8fbb1e7d34e4d33a8e1f9b33a1f5a";
    let sha256 = sha256_of(&picture).unwrap_or_else(|| sha256.to_owned());
    for _ in 0..2 {
        one.keep_frame(&sha256, &original).await.expect("kept");
    }
    assert_eq!(other.frame(&sha256, &original).await.expect("a picture"), original);
    fs::write(&original, "changed").expect("a file");
    for gone in [false, true] {
        let copy = other.frame(&sha256, &original).await.expect("a picture");
        assert_ne!(copy, original);
        assert_eq!(fs::read(&copy).expect("a file"), picture);
        if !gone {
            // Nor is a copy believed that has changed.
            fs::write(&copy, "changed").expect("a file");
            fs::remove_file(&original).expect("gone");
        }
    }
    let error = other.frame(&"0".repeat(64), &original).await.expect_err("never kept");
    assert!(error.is_invalid_input() && error.to_string().contains("first.png"), "{error:?}");
    assert!(other.frame("../../etc/passwd", &original).await.expect_err("no hash").is_invalid_input());
    let error = one.keep_frame(&sha256.replace('a', "b"), &folder.path().join("none.png")).await;
    assert!(error.expect_err("no file").is_invalid_input());
}

fn sha256_of(bytes: &[u8]) -> Option<String> {
    use std::fmt::Write;
    let digest = <sha2::Sha256 as sha2::Digest>::digest(bytes);
    digest.iter().try_fold(String::new(), |mut text, byte| write!(text, "{byte:02x}").is_ok().then_some(text))
}

/// What a record's stream is like, after it was opened without a word about it.
async fn stream(server: &Server, name: &str, url: impl Fn(String) -> String) -> async_nats::jetstream::stream::Config {
    drop(NatsStore::connect(&url(server.url()), options()).await.expect("a record"));
    let client = async_nats::connect(server.url().trim_end_matches("/test")).await.expect("a client");
    let stream = async_nats::jetstream::new(client).get_stream(name).await.expect("a stream");
    stream.cached_info().config.clone()
}

/// Makes a picture look as if it had been kept long ago.
async fn age(server: &Server, sha256: &str) {
    let client = async_nats::connect(server.url().trim_end_matches("/test")).await.expect("a client");
    let context = async_nats::jetstream::new(client);
    let stream = context.get_stream("OBJ_test-frames").await.expect("a stream");
    let subjects = stream.info_with_subjects("$O.test-frames.M.>").await.expect("subjects");
    let subjects: Vec<_> = subjects.map(|subject| subject.expect("a subject").0).collect().await;
    for subject in subjects {
        let found = stream.get_last_raw_message_by_subject(&subject).await.expect("a message");
        let mut info: serde_json::Value = serde_json::from_slice(&found.payload).expect("JSON");
        if info["name"] != sha256 {
            continue;
        }
        info["mtime"] = "2026-01-02T03:04:05Z".into();
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Rollup", "sub");
        let sent = context.publish_with_headers(subject, headers, info.to_string().into()).await;
        sent.expect("sent").await.expect("written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_nobody_needs_are_forgotten_unless_they_are_new() {
    let Some(server) = Server::start() else { return };
    let (store, folder) = (server.store().await, folder());
    let keep = async |text: &str| {
        let (sha256, file) = (sha256_of(text.as_bytes()).expect("a hash"), folder.path().join(text));
        fs::write(&file, text).expect("a file");
        store.keep_frame(&sha256, &file).await.expect("kept");
        sha256
    };
    let (new, needed, over) = (keep("new").await, keep("needed").await, keep("over").await);
    for (id, state, sha256) in [("aaaaaaaa", State::Unknown, &needed), ("bbbbbbbb", State::Downloaded, &over)] {
        let picture = json!({ "sha256": sha256, "size": 1, "kind": "PNG", "width": 1, "height": 1 });
        let mut job = serde_json::to_value(job(id, None, state)).expect("JSON");
        job["asked"] = json!({ "image": picture, "last_image": picture, "prompt": "dusk" });
        drop(added(&store, &serde_json::from_value(job).expect("a job")).await);
        age(&server, sha256).await;
    }
    store.forget_frames().await.expect("a record");
    let nowhere = folder.path().join("nowhere");
    for (sha256, stays) in [(new, true), (needed, true), (over, false)] {
        assert_eq!(store.frame(&sha256, &nowhere).await.is_ok(), stays, "{sha256}");
    }
}
