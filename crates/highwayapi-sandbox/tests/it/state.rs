use std::path::Path;
use std::time::Duration;

use highwayapi_sandbox::{Builder, Clock, Error};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn kept(folder: &Path) -> Builder {
    Sandbox::builder().state(folder).clock(Clock::stepped()).public_url("http://clips.example")
}

async fn fetch(sandbox: &Sandbox, link: &Value) -> Vec<u8> {
    let url = link.as_str().unwrap().replace("http://clips.example", &sandbox.base_url());
    let response = reqwest::get(url).await.unwrap();
    assert_eq!(response.status(), 200);
    response.bytes().await.unwrap().to_vec()
}

fn names(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_next_sandbox_goes_on_where_the_last_one_ended() {
    let dir = tempfile::tempdir().unwrap();
    let first = kept(dir.path()).run_time(MINUTE).seed(3).start().await.unwrap();
    let done = submit(&first, &small(json!({ "prompt": "dusk falls" }))).await;
    first.advance(MINUTE).unwrap();
    let result = poll(&first, &done).await;
    let link = result["videos"][0]["video_url"].clone();
    let clip = fetch(&first, &link).await;
    let leaky = link.as_str().unwrap().replace("http://clips.example", &first.base_url());
    let leak = reqwest::Client::new().get(leaky).bearer_auth(first.api_key()).send().await.unwrap();
    assert_eq!(leak.status(), 400);
    let running = submit(&first, &small(json!({ "seed": 1 }))).await;
    first.advance(MINUTE / 2).unwrap();
    let half = poll(&first, &running).await;
    assert_eq!(half["task"]["progress_percent"], 50);
    drop(first);
    assert_eq!(names(dir.path()), ["clips", "lock", "pictures", "sandbox.jsonl"]);

    // What is configured now counts for what is submitted now.
    let second = kept(dir.path()).run_time(2 * MINUTE).start().await.unwrap();
    assert_eq!(second.seed(), 3);
    assert_eq!(
        (poll(&second, &done).await["task"].clone(), poll(&second, &running).await),
        (result["task"].clone(), half)
    );
    assert_eq!((second.submits(), second.leaked_keys(), second.rendered_clips()), (2, 1, 0));
    assert_eq!(second.accepted()[0].prompt, "dusk falls");
    assert_eq!(fetch(&second, &link).await, clip, "the link from before is good, and the clip the same");
    let third = submit(&second, &small(json!({ "seed": 2 }))).await;
    assert!(third != done && third != running);
    second.advance(MINUTE).unwrap();
    assert_eq!(poll(&second, &running).await["task"]["status"], "TASK_STATUS_SUCCEED");
    assert_eq!(poll(&second, &third).await["task"]["progress_percent"], 50);
    assert_eq!(second.submits(), 3);
}

/// Tasks that run as long as their rendering takes.
#[tokio::test]
async fn a_rendering_that_was_cut_off_is_done_again() {
    let dir = tempfile::tempdir().unwrap();
    let first = kept(dir.path()).start().await.unwrap();
    let done = submit(&first, &small(json!({}))).await;
    let result = finished(&first, &done).await;
    let mut cut = Vec::new();
    for seed in 0..3 {
        cut.push(submit(&first, &small(json!({ "seed": seed }))).await);
    }
    drop(first);

    let second = kept(dir.path()).start().await.unwrap();
    assert_eq!(poll(&second, &done).await, result);
    for id in &cut {
        finished(&second, id).await;
    }
    assert_eq!(second.submits(), 4);
}

#[tokio::test]
async fn a_folder_is_for_one_sandbox_and_one_seed() {
    let dir = tempfile::tempdir().unwrap();
    let first = kept(dir.path()).seed(1).start().await.unwrap();
    let refused = async |seed: u64| kept(dir.path()).seed(seed).start().await.unwrap_err().to_string();
    assert!(refused(1).await.starts_with("state: another sandbox uses the folder "));
    drop(first);
    let message = refused(2).await;
    assert_eq!(message, "seed: 2 came, and the folder's sandbox has 1");
}

#[tokio::test]
async fn an_export_is_taken_by_another_sandbox() {
    let builder =
        || Sandbox::builder().seed(3).clock(Clock::stepped()).public_url("http://clips.example").run_time(MINUTE);
    let one = builder().start().await.unwrap();
    let id = submit(&one, &small(json!({ "sample_count": 2 }))).await;
    one.advance(MINUTE).unwrap();
    let result = poll(&one, &id).await;
    let export = one.export().unwrap();
    assert!(!export.to_string().contains(one.api_key()));

    let dir = tempfile::tempdir().unwrap();
    let other = builder().state(dir.path()).start().await.unwrap();
    let lost = submit(&other, &small(json!({ "prompt": "x" }))).await;
    other.import(&export).unwrap();
    assert_eq!(poll(&other, &id).await, result);
    assert!(lost == id, "the same seed and number");
    assert_eq!((other.submits(), other.accepted()[0].prompt.as_str()), (1, "still"));
    let link = &result["videos"][1]["video_url"];
    assert_eq!(fetch(&other, link).await, fetch(&one, link).await);
    assert_eq!(other.export().unwrap(), export);
    // It is kept, too.
    drop(other);
    let next = builder().state(dir.path()).start().await.unwrap();
    assert_eq!(poll(&next, &id).await, result);
}

#[tokio::test]
async fn what_is_no_export_changes_nothing() {
    let sandbox = Sandbox::builder().clock(Clock::stepped()).run_time(MINUTE).start().await.unwrap();
    let id = submit(&sandbox, &small(json!({}))).await;
    let export = sandbox.export().unwrap();
    let before = poll(&sandbox, &id).await;
    let picture = export["pictures"].as_object().unwrap().keys().next().unwrap().clone();
    let mut messages = Vec::new();
    for (at, value) in [
        ("/version".to_owned(), json!("1")),
        ("/tasks/0/seconds".to_owned(), json!("long")),
        ("/ledger".to_owned(), json!({})),
        (format!("/pictures/{picture}"), json!("x")),
        (format!("/pictures/{picture}"), json!(STANDARD.encode("hello"))),
    ] {
        let mut broken = export.clone();
        *broken.pointer_mut(&at).unwrap() = value;
        let told = |e: Error| e.to_string().replace(&picture, "(sha-256)");
        messages.push(told(sandbox.import(&broken).unwrap_err()));
    }
    insta::assert_snapshot!(messages.join("\n"));
    assert_eq!((poll(&sandbox, &id).await, sandbox.submits()), (before, 1));
}

#[tokio::test]
async fn a_reset_begins_the_same_story_anew() {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = kept(dir.path()).run_time(MINUTE).start().await.unwrap();
    let id = submit(&sandbox, &small(json!({}))).await;
    sandbox.advance(MINUTE).unwrap();
    let result = poll(&sandbox, &id).await;
    sandbox.reset().unwrap();
    assert_eq!((sandbox.submits(), sandbox.accepted().len()), (0, 0));
    let path = format!("{TASK_RESULT}?task_id={id}");
    assert_eq!(request(&sandbox, Method::GET, &path).send().await.unwrap().status(), 404);
    assert_eq!(names(&dir.path().join("pictures")), [""; 0]);
    assert_eq!(submit(&sandbox, &small(json!({}))).await, id);
    sandbox.advance(MINUTE).unwrap();
    assert_eq!(poll(&sandbox, &id).await, result);
}
