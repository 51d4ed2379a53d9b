use super::*;

fn boxes(file: &[u8]) -> Vec<String> {
    let mut rest = file;
    let mut kinds = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        kinds.push(String::from_utf8(rest[4..8].to_vec()).unwrap());
        rest = &rest[length..];
    }
    kinds
}

async fn downloads(result: &Value) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for video in result["videos"].as_array().unwrap() {
        assert_eq!(video["video_type"], "mp4");
        assert_eq!(video["video_url_ttl"], "3600");
        let response = reqwest::get(video["video_url"].as_str().unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        files.push(response.bytes().await.unwrap().to_vec());
    }
    files
}

#[tokio::test]
async fn two_photographs_become_clips_by_seed() {
    let sandbox = Sandbox::start().await.unwrap();
    let order = |fields: Value| {
        let mut body = small(json!({ "image": photograph("first"), "last_image": photograph("last") }));
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    let two = order(json!({ "seed": 7, "sample_count": 2 }));
    let id = submit(&sandbox, &two).await;

    let (mut percent, mut moved) = (0, false);
    let result = loop {
        let result = poll(&sandbox, &id).await;
        let now = result["task"]["progress_percent"].as_u64().unwrap();
        assert!(now >= percent, "{now} after {percent}");
        percent = now;
        match result["task"]["status"].as_str().unwrap() {
            "TASK_STATUS_QUEUED" => assert_eq!(percent, 0),
            "TASK_STATUS_PROCESSING" => moved |= (1..100).contains(&percent),
            "TASK_STATUS_SUCCEED" => break result,
            other => panic!("{other}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert_eq!((percent, moved), (100, true));
    let samples = downloads(&result).await;
    assert_eq!(boxes(&samples[0]), ["ftyp", "moov", "mdat"]);
    assert_ne!(samples[0], samples[1]);
    assert_eq!((sandbox.submits(), sandbox.rendered_clips()), (1, 2));

    // The same once more: billed again, rendered no more.
    let again = submit(&sandbox, &two).await;
    assert_ne!(again, id);
    assert_eq!(downloads(&finished(&sandbox, &again).await).await, samples);
    assert_eq!((sandbox.submits(), sandbox.rendered_clips()), (2, 2));

    // The second sample is the next seed's first one, elsewhere too.
    let elsewhere = Sandbox::start().await.unwrap();
    let id = submit(&elsewhere, &order(json!({ "seed": 8 }))).await;
    assert_eq!(downloads(&finished(&elsewhere, &id).await).await, samples[1..]);
}

#[tokio::test]
async fn an_answer_has_the_services_shape() {
    let sandbox = Sandbox::start().await.unwrap();
    let id = submit(&sandbox, &small(json!({}))).await;
    let mut result = finished(&sandbox, &id).await;
    let seed = result["extra"]["seed"].as_str().unwrap();
    assert!(seed.parse::<u32>().is_ok(), "a seed was drawn: {seed}");
    let times = result["extra"]["debug_info"].as_object().unwrap().clone();
    let time = |name: &str| times[name].as_str().unwrap().parse::<u64>().unwrap();
    assert!(time("submit_time_ms") <= time("execute_time_ms"));
    assert!(time("execute_time_ms") < time("complete_time_ms"));

    result["task"]["task_id"] = json!("(id)");
    result["extra"]["seed"] = json!("(seed)");
    for time in ["submit_time_ms", "execute_time_ms", "complete_time_ms"] {
        result["extra"]["debug_info"][time] = json!("(time)");
    }
    let url = result["videos"][0]["video_url"].as_str().unwrap();
    assert!(url.starts_with(&format!("{}/files/", sandbox.base_url())), "{url}");
    result["videos"][0]["video_url"] = json!("(link)");
    insta::assert_snapshot!(format!("{result:#}"));
}

#[tokio::test]
async fn fifty_tasks_at_once_complete() {
    let sandbox = Sandbox::start().await.unwrap();
    let bodies: Vec<Value> = (0..50).map(|i| small(json!({ "seed": i % 3 }))).collect();
    // All in flight before the first is waited for.
    let ids = futures_of(bodies.iter().map(|body| submit(&sandbox, body))).await;
    for id in ids {
        let result = finished(&sandbox, &id).await;
        assert_eq!(result["videos"].as_array().unwrap().len(), 1);
    }
    assert_eq!((sandbox.submits(), sandbox.rendered_clips()), (50, 3));
}

/// Polls all of them until each is ready.
async fn futures_of<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pending: Vec<_> = futures.map(Box::pin).collect();
    let mut ready: Vec<Option<T>> = pending.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, slot) in pending.iter_mut().zip(&mut ready) {
            if slot.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *slot = Some(value);
            }
        }
        if ready.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    ready.into_iter().flatten().collect()
}

/// More than can be rendered: they wait.
#[tokio::test]
async fn a_flood_of_different_clips_is_accepted() {
    let sandbox = Sandbox::start().await.unwrap();
    let client = reqwest::Client::new();
    let url = format!("{}{SUBMIT}", sandbox.base_url());
    for seed in 0..1500 {
        let request = client.post(&url).bearer_auth(sandbox.api_key()).header("content-type", "application/json");
        let body = small(json!({ "seed": seed, "duration_seconds": 8 }));
        assert_eq!(request.body(body.to_string()).send().await.unwrap().status(), 200, "seed {seed}");
    }
    assert_eq!((sandbox.submits(), sandbox.accepted().len()), (1500, 1500));
}

#[tokio::test]
async fn a_full_queue_refuses_and_does_not_bill() {
    let sandbox = Sandbox::builder().max_open_tasks(1).start().await.unwrap();
    let id = submit(&sandbox, &small(json!({ "duration_seconds": 8 }))).await;
    let response = post(&sandbox, &small(json!({}))).await;
    assert_eq!(response.status(), 429);
    let error = json_of(response).await;
    assert_eq!(error["reason"], "RATE_LIMIT_EXCEEDED");
    assert_eq!(error["message"], "the queue is full: at most 1 tasks wait or run at once");
    assert_eq!(sandbox.submits(), 1);

    finished(&sandbox, &id).await;
    submit(&sandbox, &small(json!({}))).await;
    assert_eq!(sandbox.submits(), 2);
}

#[tokio::test]
async fn a_stopped_sandbox_is_gone() {
    let mut sandbox = Sandbox::start().await.unwrap();
    let waiting = tokio::time::timeout(std::time::Duration::from_millis(50), sandbox.stopped()).await;
    assert!(waiting.is_err(), "it serves until it is stopped");
    let url = sandbox.base_url();
    sandbox.stop().await;
    assert!(reqwest::get(url).await.unwrap_err().is_connect());

    let sandbox = Sandbox::start().await.unwrap();
    let url = sandbox.base_url();
    drop(sandbox);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(reqwest::get(url).await.unwrap_err().is_connect());
}

#[tokio::test]
async fn the_ledger_tells_what_was_accepted_and_nothing_else() {
    let sandbox = Sandbox::start().await.unwrap();
    let first = submit(&sandbox, &small(json!({ "prompt": "dusk falls", "seed": 7 }))).await;
    assert_eq!(post(&sandbox, &small(json!({ "sample_count": 9 }))).await.status(), 400);
    let second = submit(&sandbox, &small(json!({ "prompt": "é".repeat(2000) }))).await;

    let accepted = sandbox.accepted();
    let ids: Vec<&str> = accepted.iter().map(|accepted| accepted.task_id.as_str()).collect();
    assert_eq!(ids, [&first, &second]);
    assert_eq!((accepted[0].prompt.as_str(), accepted[0].seed), ("dusk falls", 7));
    assert_eq!(accepted[1].prompt, "é".repeat(1000));
}
