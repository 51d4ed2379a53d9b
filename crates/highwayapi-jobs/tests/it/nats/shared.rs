//! What all workers share beside the jobs: the budget of requests, and the pictures.

use std::fs;
use std::time::{Duration, Instant};

use highwayapi_jobs::{NatsStore, Store};
use tokio::time::timeout;

use super::server::{Server, options};
use crate::support::folder;

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
    // Each service has its own.
    timeout(crate::support::FOREVER, other.turn(OTHER)).await.expect("a turn").expect("a record");
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
