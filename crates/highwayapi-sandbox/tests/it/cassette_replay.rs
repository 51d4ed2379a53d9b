//! Replaying: a client hears the same story.

use std::net::SocketAddr;

use highwayapi_sandbox::cassette::{Recorder, Replay};

use super::cassette::{Caller, Odd, lines, recorder, reply, videos};
use super::*;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

async fn replay(cassette: &std::path::Path) -> (Replay, Caller) {
    let replay = Replay::start(cassette, ANY, &[]).await.unwrap();
    let caller = Caller { base_url: replay.base_url().to_owned(), key: "whatever".to_owned() };
    (replay, caller)
}

#[tokio::test]
async fn a_client_hears_the_same_story() {
    let sandbox = Sandbox::start().await.unwrap();
    for keep in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let cassette = folder.path().join("c");
        let recorder = recorder(&sandbox.base_url(), &cassette, keep).await;
        let recorded = Caller { base_url: recorder.base_url().to_owned(), key: sandbox.api_key().to_owned() };
        let body = small(json!({ "seed": 3, "resolution": "720p" }));
        let (states, mut result) = recorded.story(&body).await;
        let video =
            reqwest::get(result["videos"][0]["video_url"].as_str().unwrap()).await.unwrap().bytes().await.unwrap();
        let refused = recorded.post(&small(json!({ "sample_count": 9 }))).await.text().await.unwrap();
        videos(&cassette, 1).await;
        drop(recorder);

        let (server, caller) = replay(&cassette).await;
        assert_eq!((server.stand_ins(), server.is_cut()), (usize::from(!keep), false));
        let (states_again, mut again) = caller.story(&body).await;
        assert_eq!(states_again, states, "by count, not by the clock");
        let link = again["videos"][0]["video_url"].take();
        result["videos"][0]["video_url"].take();
        assert_eq!(again, result);
        let answer =
            reqwest::Client::new().get(link.as_str().unwrap()).header("range", "bytes=4-7").send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers().contains_key("highway-note")), (206, !keep));
        assert_eq!(answer.text().await.unwrap(), "ftyp");
        let served = reqwest::get(link.as_str().unwrap()).await.unwrap().bytes().await.unwrap();
        assert!(served.len() > 1000 && (served == video) == keep);
        let last = json_of(caller.poll(again["task"]["task_id"].as_str().unwrap()).await).await;
        assert_eq!(last["task"]["status"], "TASK_STATUS_SUCCEED", "the last answer lasts");
        let answer = caller.post(&small(json!({ "sample_count": 9 }))).await;
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap()), (400, refused));
    }
}

#[tokio::test]
async fn what_is_in_no_cassette_is_told_what_was_expected() {
    let sandbox = Sandbox::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cassette = folder.path().join("c");
    let recorder = recorder(&sandbox.base_url(), &cassette, false).await;
    let recorded = Caller { base_url: recorder.base_url().to_owned(), key: sandbox.api_key().to_owned() };
    assert_eq!(recorded.post(&small(json!({ "seed": 3 }))).await.status(), 200);
    recorded.poll("some-task").await;

    let (_server, caller) = replay(&cassette).await;
    let mut messages = String::new();
    let last = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";
    for body in [
        small(json!({ "seed": 4, "prompt": "other" })),
        small(json!({ "seed": 3, "last_image": last })),
        small(json!({ "seed": 3, "image": PNG })),
        json!([1]),
        small(json!({ "seed": 3 })),
        small(json!({ "seed": 3 })),
    ] {
        let answer = caller.post(&body).await;
        let status = answer.status().as_u16();
        let error = json_of(answer).await;
        if status == 200 {
            messages.push_str("accepted\n");
            continue;
        }
        assert_eq!((status, &error["code"], &error["reason"]), (404, &json!(404), &json!("NOT_IN_CASSETTE")));
        messages.push_str(&format!("{}\n", error["message"].as_str().unwrap()));
    }
    messages.push_str(json_of(caller.poll("other-task").await).await["message"].as_str().unwrap());
    insta::assert_snapshot!(messages);
}

/// A cassette that was cut is replayed as far as it goes; what was lost is lost again.
#[tokio::test]
async fn bad_days_are_replayed_too() {
    let odd = Odd::start(|number, _| match number {
        1 => String::new(),
        2 => reply(
            "429 Too Many Requests",
            "content-type: application/json\r\nretry-after: 7\r\nset-cookie: a=b\r\n",
            "{}",
        ),
        _ => reply("200 OK", "content-type: application/json\r\n", r#"{"task_id":"t"}"#),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let cassette = folder.path().join("c");
    let recorder = recorder(&odd.base_url, &cassette, false).await;
    let recorded = Caller { base_url: recorder.base_url().to_owned(), key: "k".to_owned() };
    for _ in 0..3 {
        recorded.post(&small(json!({}))).await;
    }
    assert_eq!(lines(&cassette, "request").len(), 3);
    // Killed while it wrote the last answer.
    let text = std::fs::read(&cassette).unwrap();
    std::fs::write(&cassette, &text[..text.len() - 10]).unwrap();

    let (server, caller) = replay(&cassette).await;
    assert!(server.is_cut());
    let mut heard = Vec::new();
    for _ in 0..3 {
        let answer = caller.post(&small(json!({}))).await;
        let headers = answer.headers().clone();
        let wait = headers.get("retry-after").map(|wait| wait.to_str().unwrap().to_owned());
        assert!(!headers.contains_key("set-cookie"));
        heard.push((answer.status().as_u16(), wait, json_of(answer).await["reason"].clone()));
    }
    assert_eq!(heard[0], (502, None, json!("ANSWER_LOST")));
    assert_eq!(heard[1], (429, Some("7".to_owned()), Value::Null));
    assert_eq!(heard[2], (502, None, json!("ANSWER_LOST")));
}

/// Neither a recorder, which has the user's key in its hands, nor a replay is there for a web page of another name.
#[tokio::test]
async fn a_name_that_is_not_theirs_is_refused() {
    let sandbox = Sandbox::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cassette = folder.path().join("c");
    let recorder = Recorder::builder(sandbox.base_url(), &cassette).allow_host("recorder.test").start().await.unwrap();
    let ask = async |base_url: &str, host: &str| {
        let request = reqwest::Client::new().get(format!("{base_url}{TASK_RESULT}?task_id=x")).header("host", host);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask(recorder.base_url(), "evil.example").await, 421);
    assert_eq!(ask(recorder.base_url(), "recorder.test:4310").await, 401);
    recorder.stop().await;
    assert_eq!(lines(&cassette, "request").len(), 1, "what was refused was not passed on");

    let replay = Replay::start(&cassette, ANY, &["replay.test".to_owned()]).await.unwrap();
    assert_eq!(ask(replay.base_url(), "evil.example").await, 421);
    assert_eq!(ask(replay.base_url(), "replay.test").await, 401);
}
