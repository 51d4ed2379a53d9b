use std::time::Duration;

use highwayapi_sandbox::{Builder, Clock, RunTime};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn stepped() -> Builder {
    Sandbox::builder().seed(7).clock(Clock::stepped()).public_url("http://clips.example")
}

fn run_time(text: &str) -> RunTime {
    text.parse().unwrap()
}

/// Status, percent, and when it was submitted, began and ended.
async fn told(sandbox: &Sandbox, id: &str) -> String {
    let result = poll(sandbox, id).await;
    let (task, times) = (&result["task"], &result["extra"]["debug_info"]);
    let time = |name: &str| times[name].as_str().unwrap().trim_start_matches("17672").to_owned();
    format!(
        "{} {} % {} {} {}",
        task["status"].as_str().unwrap().trim_start_matches("TASK_STATUS_"),
        task["progress_percent"],
        time("submit_time_ms"),
        time("execute_time_ms"),
        time("complete_time_ms")
    )
}

/// A link that leads elsewhere, followed here.
async fn follow(sandbox: &Sandbox, link: &Value, method: Method) -> Response {
    let url = link.as_str().unwrap().replace("http://clips.example", &sandbox.base_url());
    reqwest::Client::new().request(method, url).send().await.unwrap()
}

#[tokio::test]
async fn the_clock_alone_decides_how_far_a_task_is() {
    let sandbox = stepped().queue_time(MINUTE / 2).run_time(MINUTE).start().await.unwrap();
    sandbox.advance(MINUTE).unwrap();
    let id = submit(&sandbox, &small(json!({}))).await;
    let mut told_so_far = Vec::new();
    for seconds in [0, 29, 1, 30, 29, 1] {
        sandbox.advance(Duration::from_secs(seconds)).unwrap();
        told_so_far.push(told(&sandbox, &id).await);
    }
    insta::assert_snapshot!(told_so_far.join("\n"));

    assert_eq!(sandbox.rendered_clips(), 0, "nobody wanted to see it yet");
    let link = poll(&sandbox, &id).await["videos"][0]["video_url"].clone();
    let head = follow(&sandbox, &link, Method::HEAD).await;
    let length: usize = head.headers()["content-length"].to_str().unwrap().parse().unwrap();
    assert_eq!((head.status().as_u16(), sandbox.rendered_clips()), (200, 1));
    assert_eq!(follow(&sandbox, &link, Method::GET).await.bytes().await.unwrap().len(), length);
    assert_eq!(sandbox.rendered_clips(), 1);

    sandbox.advance(59 * MINUTE).unwrap();
    assert_eq!(follow(&sandbox, &link, Method::HEAD).await.status(), 200);
    sandbox.advance(MINUTE).unwrap();
    assert_eq!(json_of(follow(&sandbox, &link, Method::GET).await).await["reason"], "LINK_EXPIRED");
    let fresh = poll(&sandbox, &id).await["videos"][0]["video_url"].clone();
    assert_eq!(follow(&sandbox, &fresh, Method::HEAD).await.status(), 200);
}

/// All that a sandbox answers to the same requests at the same times.
async fn story(builder: Builder) -> (Vec<String>, Vec<Vec<u8>>) {
    let sandbox = builder.start().await.unwrap();
    let (mut answers, mut clips, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for fields in [json!({}), json!({ "sample_count": 2 }), json!({ "seed": 5, "prompt": "dusk" }), json!({})] {
        ids.push(submit(&sandbox, &small(fields)).await);
        answers.push(post(&sandbox, &small(json!({ "sample_count": 9 }))).await.text().await.unwrap());
        sandbox.advance(MINUTE / 4).unwrap();
        for id in &ids {
            answers.push(poll(&sandbox, id).await.to_string());
        }
    }
    sandbox.advance(60 * MINUTE).unwrap();
    for id in &ids {
        answers.push(poll(&sandbox, id).await.to_string());
    }
    // Two whose seeds were drawn.
    for video in poll(&sandbox, &ids[1]).await["videos"].as_array().unwrap() {
        let response = follow(&sandbox, &video["video_url"], Method::GET).await;
        answers.push(format!("{:?}", response.headers()["etag"]));
        clips.push(response.bytes().await.unwrap().to_vec());
    }
    (answers, clips)
}

#[tokio::test]
async fn the_same_seed_clock_and_requests_give_the_same_answers_and_bytes() {
    let builder = || stepped().queue_time(run_time("exponential 5s")).run_time(run_time("lognormal 20s 0.5"));
    let (answers, clips) = story(builder()).await;
    assert_eq!((clips.len(), answers.len()), (2, 4 + 10 + 4 + 2));
    assert!(clips.iter().all(|clip| clip.len() > 1000));
    assert_eq!(story(builder()).await, (answers.clone(), clips));
    assert_ne!(story(builder().seed(8)).await.0, answers);
}

#[tokio::test]
async fn a_scaled_clock_is_quick() {
    let clock = Clock::scaled(10_000.0).unwrap();
    let sandbox = Sandbox::builder().clock(clock).run_time(30 * MINUTE).start().await.unwrap();
    let id = submit(&sandbox, &small(json!({}))).await;
    let times = finished(&sandbox, &id).await["extra"]["debug_info"].clone();
    let time = |name: &str| times[name].as_str().unwrap().parse::<u64>().unwrap();
    assert_eq!(time("complete_time_ms") - time("execute_time_ms"), 1_800_000);
    assert!(sandbox.advance(MINUTE).is_err());
}

#[tokio::test]
async fn a_thousand_tasks_are_told_of_without_being_rendered() {
    let sandbox = stepped().run_time(run_time("1s..1h")).start().await.unwrap();
    let client = reqwest::Client::new();
    let url = format!("{}{SUBMIT}", sandbox.base_url());
    for seed in 0..1000 {
        let request = client.post(&url).bearer_auth(sandbox.api_key()).header("content-type", "application/json");
        assert_eq!(request.body(small(json!({ "seed": seed })).to_string()).send().await.unwrap().status(), 200);
    }
    sandbox.advance(60 * MINUTE).unwrap();
    for task in sandbox.accepted().iter().step_by(100) {
        assert_eq!(poll(&sandbox, &task.task_id).await["task"]["status"], "TASK_STATUS_SUCCEED");
    }
    assert_eq!((sandbox.submits(), sandbox.rendered_clips()), (1000, 0));
}
