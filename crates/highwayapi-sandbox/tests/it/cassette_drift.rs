//! Drift: each planted deviation is found, and nothing where there is none.

use highwayapi_sandbox::cassette::Cassette;
use highwayapi_sandbox::cassette::drift::{Kind, Report, drift};

use super::cassette::{Caller, Odd, lines, recorder, reply};
use super::*;

const JSON: &str = "content-type: application/json\r\n";

async fn compare(cassette: &std::path::Path) -> Report {
    drift(&Cassette::read(cassette).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_sandbox_does_not_differ_from_itself() {
    let sandbox = Sandbox::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cassette = folder.path().join("c");
    let recorder = recorder(&sandbox.base_url(), &cassette, false).await;
    let caller = Caller { base_url: recorder.base_url().to_owned(), key: sandbox.api_key().to_owned() };
    let stranger = Caller { base_url: recorder.base_url().to_owned(), key: "wrong-key".to_owned() };
    let photographs = small(json!({ "image": photograph("first"), "last_image": photograph("last"), "seed": 1 }));
    let (_, result) = caller.story(&photographs).await;
    reqwest::get(result["videos"][0]["video_url"].as_str().unwrap()).await.unwrap().bytes().await.unwrap();
    let cut = format!("data:image/png;base64,{}", &PNG[..60]);
    for fields in [
        json!({ "sample_count": 9, "resolution": "4k" }),
        json!({ "image": PNG }),
        json!({ "image": cut }),
        json!({ "image": "data:image/png;base64,!" }),
        json!({ "image": "first.png" }),
        json!({ "image": format!("data:image/png;base64,{}", STANDARD.encode(vec![0u8; (20 << 20) + 1])) }),
    ] {
        assert_eq!(caller.post(&small(fields)).await.status(), 400);
    }
    caller.poll("no-such-task").await;
    stranger.poll("no-such-task").await;
    stranger.post(&small(json!({}))).await;
    assert_eq!(caller.post(&json!([])).await.status(), 400);
    let url = format!("{}{TASK_RESULT}", caller.base_url);
    assert_eq!(reqwest::get(url).await.unwrap().status(), 401);

    let report = compare(&cassette).await;
    assert_eq!(report.findings, [], "{report}");
    // Polls take as long as they take: how many came before is not known.
    let bare =
        lines(&cassette, "request").iter().position(|request| request["pictures"][0]["sent"] == "bare Base64").unwrap()
            + 1;
    let answers = |name: &str| {
        let question = report.questions.iter().find(|question| question.name == name).unwrap();
        question.answers.join("; ")
    };
    assert_eq!(answers("bare-base64"), format!("400 INVALID_IMAGE_FORMAT (#{bare})"));
    assert!(
        answers("picture-size").starts_with("20971521 bytes: 400 IMAGE_FILE_EXCEEDS_MAX_SIZE"),
        "{}",
        answers("picture-size")
    );
    assert!(answers("wrong-key").contains("403 INVALID_API_KEY"));
    assert!(answers("no-key").contains("401 FAILED_TO_AUTH"));
    assert!(answers("unknown-task").contains("404 TASK_NOT_FOUND"));
    assert!(answers("combinations").starts_with("720p, 4 s: accepted (#1)"), "{}", answers("combinations"));
    assert!(answers("link-ttl").contains("video_url_ttl: \"3600\""));
    assert!(answers("billing").is_empty());
}

/// What a sandbox would say, changed in one place.
fn succeeded(change: impl FnOnce(&mut Value)) -> String {
    let mut body = json!({
        "task": {
            "task_id": "t", "status": "TASK_STATUS_SUCCEED", "reason": "", "task_type": "", "eta": 0,
            "progress_percent": 100,
        },
        "extra": {
            "seed": "1",
            "debug_info": { "request_info": "", "submit_time_ms": "1", "execute_time_ms": "2", "complete_time_ms": "3" },
        },
        "images": [],
        "videos": [{ "video_url": "https://f.example/a.mp4?sig=planted", "video_url_ttl": "3600", "video_type": "mp4" }],
        "audios": [],
    });
    change(&mut body);
    reply("200 OK", JSON, &body.to_string())
}

fn error(status: &str, body: Value) -> String {
    reply(status, JSON, &body.to_string())
}

/// What is found where a service answers this to a submit and then this to a poll.
async fn found(submit: String, poll: String) -> Vec<(Kind, String, String)> {
    let odd = Odd::start(move |number, _| if number == 1 { submit.clone() } else { poll.clone() }).await;
    let folder = tempfile::tempdir().unwrap();
    let cassette = folder.path().join("c");
    let recorder = recorder(&odd.base_url, &cassette, false).await;
    let caller = Caller { base_url: recorder.base_url().to_owned(), key: "k".to_owned() };
    caller.post(&small(json!({}))).await;
    caller.poll("t").await;
    let report = compare(&cassette).await;
    report.findings.into_iter().map(|finding| (finding.kind, finding.at, finding.came)).collect()
}

#[tokio::test]
async fn each_deviation_is_found() {
    let accepted = || reply("200 OK", JSON, r#"{"task_id":"t"}"#);
    let plain = || succeeded(|_| {});
    assert_eq!(found(accepted(), plain()).await, [], "nothing is planted here");

    let refused = |body: Value| error("400 Bad Request", body);
    let whole = |reason: &str| json!({ "code": 400, "reason": reason, "message": "m", "metadata": {} });
    let mut table = String::new();
    for (what, submit, poll) in [
        ("an unknown state", accepted(), succeeded(|body| body["task"]["status"] = json!("TASK_STATUS_PAUSED"))),
        (
            "a field that nobody documents",
            accepted(),
            succeeded(|body| body["videos"][0]["nsfw_detection_result"] = Value::Null),
        ),
        ("a number for a text", accepted(), succeeded(|body| body["videos"][0]["video_url_ttl"] = json!(3600))),
        ("a wrong type", accepted(), succeeded(|body| body["task"]["reason"] = json!(7))),
        ("a missing field", accepted(), succeeded(|body| drop(body.as_object_mut().unwrap().remove("extra")))),
        ("null for a list", accepted(), succeeded(|body| body["images"] = Value::Null)),
        ("no task", accepted(), succeeded(|body| drop(body.as_object_mut().unwrap().remove("task")))),
        (
            "Retry-After",
            error(
                "429 Too Many Requests",
                json!({ "code": 429, "reason": "RATE_LIMIT_EXCEEDED", "message": "", "metadata": {} }),
            )
            .replace(JSON, &format!("{JSON}retry-after: 7\r\n")),
            plain(),
        ),
        ("a status that nobody documents", error("402 Payment Required", whole("X")), plain()),
        ("HTML", reply("500 Oops", "content-type: text/html\r\n", "<html>"), plain()),
        ("no JSON", reply("200 OK", JSON, "hello"), plain()),
        ("an unknown reason", refused(whole("NEW_REASON")), plain()),
        (
            "another code",
            refused(json!({ "code": 7, "reason": "INVALID_REQUEST_BODY", "message": "", "metadata": {} })),
            plain(),
        ),
        ("a refusal of what the sandbox takes", refused(whole("INVALID_REQUEST_BODY")), plain()),
    ] {
        table.push_str(&format!("{what}\n"));
        for (kind, at, came) in found(submit, poll).await {
            table.push_str(&format!("    {kind:?} {at}: {came}\n"));
        }
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn states_that_go_back_are_found() {
    let state = |state: &str| {
        let state = state.to_owned();
        succeeded(move |body| body["task"]["status"] = json!(state))
    };
    let answers = [
        reply("200 OK", JSON, r#"{"task_id":"t"}"#),
        state("TASK_STATUS_PROCESSING"),
        state("TASK_STATUS_QUEUED"),
        state("TASK_STATUS_SUCCEED"),
        state("TASK_STATUS_PROCESSING"),
    ];
    let odd = Odd::start(move |number, _| answers[number - 1].clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let cassette = folder.path().join("c");
    let recorder = recorder(&odd.base_url, &cassette, false).await;
    let caller = Caller { base_url: recorder.base_url().to_owned(), key: "k".to_owned() };
    caller.post(&small(json!({}))).await;
    for _ in 0..4 {
        caller.poll("t").await;
    }
    let report = compare(&cassette).await;
    let back: Vec<&str> = report
        .findings
        .iter()
        .filter(|finding| finding.at == "/task/status")
        .map(|finding| finding.came.as_str())
        .collect();
    assert_eq!(
        back,
        ["TASK_STATUS_QUEUED after TASK_STATUS_PROCESSING", "TASK_STATUS_PROCESSING after TASK_STATUS_SUCCEED"]
    );
    assert_eq!(report.findings[0].settles, ["states"]);
    let text = report.to_string();
    assert!(text.contains("  poll /task/status  (#3)\n"), "{text}");
}
