//! The sandbox keeps the same contract: what a client sees of the service, it sees here.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use highwayapi::{Charged, Client, Event, FirstLastFrame, Frame, SampleCount, TaskStatus};
use highwayapi_sandbox::Sandbox;
use sha2::{Digest, Sha256};

use crate::support::{traits, with_every_option};

async fn start() -> (Sandbox, Client) {
    let sandbox = Sandbox::start().await.expect("a sandbox");
    let client = client(&sandbox, sandbox.api_key());
    (sandbox, client)
}

fn client(sandbox: &Sandbox, key: &str) -> Client {
    let pause = Duration::from_millis(20);
    Client::builder(key).base_url(sandbox.base_url()).poll_interval(pause..=pause).build().expect("a client")
}

fn frame(name: &str) -> Frame {
    Frame::open(format!(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/frames/{}"), name)).expect("a picture")
}

fn smallest() -> FirstLastFrame {
    FirstLastFrame::new(frame("first.jpg"), frame("last.jpg"), "dusk falls")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn smallest_request() {
    let (sandbox, client) = start().await;
    let task = client.submit(&smallest()).await.expect("a task");
    assert_eq!(sandbox.submits(), 1);
    let mut events = task.events();
    let done = loop {
        match events.next().await.expect("an event").expect("no failure") {
            Event::Progress(result) => {
                assert!(matches!(result.status(), TaskStatus::Queued | TaskStatus::Processing), "{result:?}");
                assert!(result.videos().is_empty());
            }
            Event::Done(result) => break result,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((done.task_id(), done.videos().len()), (task.id(), 1));
    assert!(done.seed().is_some() && done.videos()[0].ttl().is_some());

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("clip.mp4");
    let saved = done.videos()[0].download(&path).await.expect("a clip");
    assert_eq!(fs::metadata(&path).expect("a clip").len(), saved.size());
    assert!(saved.size() > 10_000, "{} bytes are no video", saved.size());
    // Everything after the id may be done again, at no cost.
    client.task(task.id().clone()).wait().await.expect("the same");
    assert_eq!((sandbox.submits(), sandbox.leaked_keys()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fullest_request() {
    let (sandbox, client) = start().await;
    // Two of 1080p are enough to tell samples apart, and to wait for.
    let request = with_every_option(smallest()).sample_count(SampleCount::Two);
    let done = client.submit(&request).await.expect("a task").wait().await.expect("videos");
    assert_eq!((done.videos().len(), done.seed()), (2, Some(u32::MAX.into())));
    let folder = tempfile::tempdir().expect("a folder");
    let mut clips = BTreeSet::new();
    for (index, video) in done.videos().iter().enumerate() {
        let saved = video.download(folder.path().join(format!("{index}.mp4"))).await.expect("a clip");
        clips.insert(fs::read(saved.path()).expect("a clip"));
    }
    assert_eq!(clips.len(), 2, "samples should differ");
    assert_eq!((sandbox.submits(), sandbox.leaked_keys()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_link_costs_a_poll_and_nothing_else() {
    let sandbox = Sandbox::builder().link_ttl(Duration::from_secs(1)).start().await.expect("a sandbox");
    let client = client(&sandbox, sandbox.api_key());
    let done = client.submit(&smallest()).await.expect("a task").wait().await.expect("a video");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let saved = done.videos()[0].download(folder.path().join("clip.mp4")).await.expect("a clip");
    let digest: String =
        Sha256::digest(fs::read(saved.path()).expect("a clip")).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(saved.sha256(), digest);
    assert_eq!((sandbox.submits(), sandbox.leaked_keys()), (1, 0));
}

#[tokio::test]
async fn another_key_is_refused() {
    let (sandbox, _) = start().await;
    let stranger = client(&sandbox, "sk-of-somebody-else");
    for error in [
        stranger.submit(&smallest()).await.expect_err("a refusal"),
        stranger.task("7b8e1d1c".parse().expect("an id")).wait().await.expect_err("a refusal"),
    ] {
        assert!(error.is_auth() && error.reason().is_some(), "{error:?}");
    }
    assert_eq!(sandbox.submits(), 0);
}

#[tokio::test]
async fn a_picture_that_is_none_is_refused_by_its_name() {
    let (sandbox, client) = start().await;
    let request = FirstLastFrame::new(frame("first.jpg"), Frame::literal("no picture"), "dusk falls");
    let error = client.submit(&request).await.expect_err("a refusal");
    assert_eq!((traits(&error).as_str(), error.status()), ("invalid_input, charged no", Some(400)));
    assert!(error.to_string().contains("last_image"), "{error}");
    assert_eq!(sandbox.submits(), 0);
}

#[tokio::test]
async fn an_unknown_task_is_not_found() {
    let (_sandbox, client) = start().await;
    let task = client.task("00000000-0000-4000-8000-000000000000".parse().expect("an id"));
    let error = task.wait().await.expect_err("no such task");
    assert!(error.is_not_found() && error.is_charged() == Charged::Unknown, "{error:?}");
    assert_eq!(error.reason(), Some("TASK_NOT_FOUND"));
}

#[tokio::test]
async fn a_wrong_path_is_not_found_in_plain_text() {
    let (sandbox, _) = start().await;
    let lost = Client::builder(sandbox.api_key()).base_url(format!("{}/elsewhere", sandbox.base_url()));
    let error = lost.build().expect("a client").submit(&smallest()).await.expect_err("no such path");
    assert_eq!(traits(&error), "not_found, charged no");
    assert_eq!(error.reason(), None);
}
