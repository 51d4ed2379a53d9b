//! A picture that is not what it was announced to be fails the body with a reason; nothing else is sent in its place.

use std::sync::Arc;

use highwayapi_raw::body::{Source, Upload};

use crate::source::{Broken, Gone, Picture, poured, request};

async fn failure(picture: impl Source + 'static) -> String {
    let upload = Upload::new().picture("image", Arc::new(picture));
    poured(&upload, &request("", "https://example.com/last.jpg", "dusk")).await.expect_err("a failure").to_string()
}

fn picture(size: u64, bytes: usize) -> Picture {
    Picture { size, bytes: vec![7; bytes] }
}

#[tokio::test]
async fn shorter_or_longer() {
    let changed = "the picture changed while it was sent";
    assert_eq!(failure(picture(100, 99)).await, format!("{changed}: 100 bytes expected, 99 found"));
    assert_eq!(failure(picture(100, 0)).await, format!("{changed}: 100 bytes expected, 0 found"));
    assert_eq!(failure(picture(100, 101)).await, format!("{changed}: 100 bytes expected, more found"));
    // Beyond the first chunk, and exactly at its end.
    assert_eq!(failure(picture(200_000, 160_000)).await, format!("{changed}: 200000 bytes expected, 160000 found"));
    assert_eq!(failure(picture(200_000, 147_456)).await, format!("{changed}: 200000 bytes expected, 147456 found"));
    assert_eq!(failure(picture(147_456, 147_457)).await, format!("{changed}: 147456 bytes expected, more found"));
}

#[tokio::test]
async fn unreadable() {
    assert_eq!(failure(Gone).await, "the picture is gone");
    assert_eq!(failure(Broken(0)).await, "the disk is broken");
    assert_eq!(failure(Broken(150_000)).await, "the disk is broken");
}
