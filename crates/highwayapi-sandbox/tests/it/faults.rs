//! Every effect, over a real connection.

use highwayapi_sandbox::Script;

use super::wire::*;
use super::*;

/// A sandbox with a task that is done.
struct Ground {
    sandbox: Sandbox,
    task: String,
    /// Path and query of its clip's link.
    link: String,
}

impl Ground {
    async fn new() -> Self {
        let sandbox = Sandbox::start().await.unwrap();
        let task = submit(&sandbox, &small(json!({ "seed": 1 }))).await;
        let result = finished(&sandbox, &task).await;
        let link = result["videos"][0]["video_url"].as_str().unwrap().replace(&sandbox.base_url(), "");
        Self { sandbox, task, link }
    }

    fn lines(&self) -> [(String, String); 3] {
        [
            (format!("POST {SUBMIT}"), small(json!({})).to_string()),
            (format!("GET {TASK_RESULT}?task_id={}", self.task), String::new()),
            (format!("GET {}", self.link), String::new()),
        ]
    }

    async fn seen(&self, operation: usize, fault: &str) -> Seen {
        let (line, body) = &self.lines()[operation];
        let patience = if fault.contains("silence") { SHORT } else { LONG };
        raw(&self.sandbox, &text(&self.sandbox, line, fault, body), patience).await
    }

    async fn submit(&self, fault: &str) -> Seen {
        self.seen(0, fault).await
    }

    async fn poll(&self, fault: &str) -> Seen {
        self.seen(1, fault).await
    }

    async fn file(&self, fault: &str) -> Seen {
        self.seen(2, fault).await
    }
}

#[tokio::test]
async fn what_becomes_of_a_task_is_decided_by_its_submit() {
    let ground = Ground::new().await;
    let task = async |fault: &str, samples: u32| {
        let body = small(json!({ "seed": 1, "sample_count": samples })).to_string();
        let request = text(&ground.sandbox, &format!("POST {SUBMIT}"), fault, &body);
        let seen = raw(&ground.sandbox, &request, LONG).await;
        assert_eq!(seen.status(), Some(200), "{fault}: it is accepted");
        seen.json()["task_id"].as_str().unwrap().to_owned()
    };
    for fault in ["(moderation_failure", "(task_fails", "(task_fails reason=PROHIBITED_CONTENT"] {
        let fault = fault.trim_start_matches('(');
        let id = task(fault, 1).await;
        let failed = loop {
            let result = poll(&ground.sandbox, &id).await;
            if result["task"]["status"] == "TASK_STATUS_FAILED" {
                break result;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        let filtered = failed["task"]["reason"].as_str().unwrap().contains("PROHIBITED_CONTENT");
        assert_eq!(filtered, fault != "task_fails", "{failed}");
    }
    let fewer = task("fewer_clips", 2).await;
    assert_eq!(finished(&ground.sandbox, &fewer).await["videos"].as_array().unwrap().len(), 1);
    for fault in ["(stuck", "(queue", "(queue wait=1h", "(slow_run"] {
        let fault = fault.trim_start_matches('(');
        let id = task(fault, 1).await;
        // Its clip is there already: only the fault keeps it.
        for _ in 0..10 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            let status = poll(&ground.sandbox, &id).await["task"]["status"].clone();
            let queued = status == "TASK_STATUS_QUEUED";
            assert!(queued || (!fault.starts_with("queue") && status == "TASK_STATUS_PROCESSING"), "{fault}: {status}");
        }
    }
}

/// Each effect is in a test here.
#[test]
fn every_effect_is_tried() {
    for (name, _) in Script::effects() {
        let source = include_str!("faults.rs");
        assert!(source.contains(&format!("(\"{name}")) || source.contains(&format!("\"({name}")), "{name}");
    }
}

#[tokio::test]
async fn connections_are_reset_or_silent_before_the_service_sees_them() {
    let ground = Ground::new().await;
    for operation in 0..3 {
        for (fault, end) in [
            ("reset", End::Reset),
            ("reset at=head", End::Reset),
            ("reset at=body", End::Reset),
            ("silence", End::Silent),
        ] {
            let seen = ground.seen(operation, fault).await;
            assert_eq!((seen.end, seen.bytes.len()), (end, 0), "{operation} {fault}");
        }
    }
    assert_eq!(ground.sandbox.submits(), 1, "none of them was billed");
}

#[tokio::test]
async fn a_reset_before_the_body_comes_before_the_body() {
    let ground = Ground::new().await;
    let body = "x".repeat(1_000_000);
    let request = text(&ground.sandbox, &format!("POST {SUBMIT}"), "reset at=head", &body);
    let head = &request[..request.len() - body.len()];
    let seen = raw(&ground.sandbox, head, LONG).await;
    assert_eq!((seen.end, seen.bytes.len()), (End::Reset, 0));
    let early = request.replace("reset at=head", "status status=403 early=true");
    let seen = raw(&ground.sandbox, &early[..early.len() - body.len()], SHORT).await;
    assert_eq!(seen.status(), Some(403), "the answer comes though no body did");
}

#[tokio::test]
async fn a_submit_is_accepted_and_its_answer_lost() {
    let ground = Ground::new().await;
    let whole = ground.submit("").await;
    for (fault, end) in [
        ("lost_answer", End::Closed),
        ("lost_answer by=reset", End::Reset),
        ("lost_answer by=silence", End::Silent),
        ("cut_answer", End::Closed),
        ("cut_answer by=reset", End::Reset),
        ("cut_answer at=head", End::Closed),
        ("cut_answer at=head by=silence", End::Silent),
    ] {
        let before = ground.sandbox.submits();
        let seen = ground.submit(fault).await;
        assert_eq!(seen.end, end, "{fault}");
        assert_eq!(ground.sandbox.submits(), before + 1, "{fault}: it is billed");
        if fault.starts_with("lost") {
            assert!(seen.bytes.is_empty());
        } else if fault.contains("head") {
            assert!(!seen.bytes.is_empty() && !seen.head().contains("\r\n\r\n"));
        } else if end == End::Closed {
            assert_eq!((seen.announced(), seen.body().len()), (whole.body().len(), whole.body().len() / 2));
        }
    }
    // Of polls and clips the same.
    assert!(ground.poll("lost_answer").await.bytes.is_empty());
    let half = ground.file("cut_answer").await;
    assert_eq!(half.body().len(), half.announced() / 2);
}

#[tokio::test]
async fn something_else_answers() {
    let ground = Ground::new().await;
    let shape = ground.submit("status status=500").await;
    assert_eq!(
        shape.json(),
        json!({ "code": 500, "reason": "CREATE_TASK_FAILED", "message": "Internal Server Error", "metadata": {} })
    );
    for operation in 0..3 {
        for (fault, status, kind) in [
            ("status status=502 body=html", 502, Some("text/html")),
            ("status status=504 body=text", 504, Some("text/plain")),
            ("status status=200 body=empty", 200, None),
            ("status status=402 reason=NOT_ENOUGH_BALANCE", 402, Some("application/json")),
            ("status status=413 body=html early=true", 413, Some("text/html")),
            ("rate_limited", 429, Some("application/json")),
            ("unavailable", 503, Some("application/json")),
            ("redirect", 302, None),
            ("redirect status=307 to=http://127.0.0.1:1/", 307, None),
        ] {
            let seen = ground.seen(operation, fault).await;
            assert_eq!((seen.end, seen.status()), (End::Closed, Some(status)), "{operation} {fault}");
            assert_eq!(seen.header("content-type").as_deref(), kind, "{fault}");
            assert!(seen.header("location").is_some() == (status / 100 == 3), "{fault}");
        }
    }
    assert_eq!(ground.sandbox.submits(), 1, "none of them was billed");
    let reason = |seen: Seen| seen.json()["reason"].clone();
    assert_eq!(reason(ground.submit("unavailable").await), "SERVICE_NOT_AVAILABLE");
    assert_eq!(reason(ground.submit("rate_limited").await), "RATE_LIMIT_EXCEEDED");
    assert_eq!(reason(ground.submit("moderation_error").await), "ILLEGAL_PROMPT");
    assert_eq!(ground.sandbox.submits(), 1);

    assert_eq!(ground.submit("status status=502 body=html accepted=true").await.status(), Some(502));
    assert_eq!(ground.submit("redirect accepted=true").await.status(), Some(302));
    assert_eq!(ground.sandbox.submits(), 3, "both were billed");
}

#[tokio::test]
async fn a_wish_to_be_left_alone_comes_in_all_forms() {
    let ground = Ground::new().await;
    for (wish, header) in [
        ("none", None),
        ("17", Some("17")),
        ("past", Some("sun, 06 nov 1994 08:49:37 gmt")),
        ("far", Some("fri, 31 dec 9999 23:59:59 gmt")),
        ("nonsense", Some("soon")),
    ] {
        for fault in ["rate_limited", "unavailable"] {
            let seen = ground.poll(&format!("{fault} retry_after={wish}")).await;
            assert_eq!(seen.header("retry-after").as_deref(), header, "{fault} {wish}");
        }
    }
    let date = ground.poll("rate_limited retry_after=date").await.header("retry-after").unwrap();
    assert!(date.ends_with(" gmt"), "{date}");
}

#[tokio::test]
async fn answers_come_slowly_and_in_pieces() {
    let ground = Ground::new().await;
    for (fault, least) in [("slow_head pause=400ms", 400), ("dribble pieces=10 pause=40ms", 400)] {
        let since = std::time::Instant::now();
        let seen = ground.poll(fault).await;
        assert!(since.elapsed().as_millis() >= least, "{fault}");
        assert_eq!(seen.json()["task"]["task_id"], ground.task, "{fault}: it is whole");
    }
    let hinted = ground.poll("early_hint").await;
    assert!(hinted.head().starts_with("http/1.1 103 early hints"));
    assert!(String::from_utf8_lossy(hinted.body()).starts_with("HTTP/1.1 200 OK"));
    let clip = ground.file("").await;
    assert_eq!(ground.file("dribble pieces=50 pause=1ms").await.body(), clip.body());
    // As a client sees it.
    for fault in ["dribble pieces=10 pause=1ms", "early_hint"] {
        let url = format!("{}{}", ground.sandbox.base_url(), ground.link);
        let response = reqwest::Client::new().get(url).header("x-sandbox-fault", fault).send().await.unwrap();
        assert_eq!(response.bytes().await.unwrap(), clip.body(), "{fault}");
    }
}

#[tokio::test]
async fn lengths_and_headers_lie() {
    let ground = Ground::new().await;
    let whole = ground.file("").await;
    let length = whole.body().len();
    let more = ground.file("wrong_length by=1000").await;
    assert_eq!((more.announced(), more.body().len(), more.end), (length + 1000, length, End::Closed));
    let fewer = ground.file("wrong_length by=-1000").await;
    assert_eq!((fewer.announced(), fewer.body().len()), (length - 1000, length), "more comes than is announced");
    let padded = ground.poll("padded mib=1").await;
    assert_eq!(
        (padded.announced(), padded.json()["task"]["task_id"].as_str()),
        (padded.body().len(), Some(&*ground.task))
    );
    assert!(padded.body().len() > 1 << 20);
    let named = ground.file("content_type value=text/html").await;
    assert_eq!(named.header("content-type").as_deref(), Some("text/html"));
    assert_eq!(named.body(), whole.body());
    let odd = ground.poll("header name=x-odd value=\"1\"").await;
    assert_eq!(odd.header("x-odd").as_deref(), Some("1"));
    assert_eq!(ground.file("header name=repr-digest").await.header("repr-digest"), None);
    let twice = ground.poll("header name=content-type value=text/plain again=true").await;
    assert_eq!(twice.head().matches("content-type: ").count(), 2);
    let lengths = ground.poll("header name=content-length value=\"7\" again=true").await;
    assert_eq!(lengths.head().matches("content-length: ").count(), 2);
}

#[tokio::test]
async fn what_the_api_answers_is_odd() {
    let ground = Ground::new().await;
    let good = ground.poll("").await.json();
    assert!(serde_json::from_slice::<Value>(ground.poll("broken_json").await.body()).is_err());
    assert_eq!(ground.poll("other_json").await.json(), json!({ "tasks": [] }));
    let before = ground.sandbox.submits();
    assert_eq!(ground.submit("no_task_id").await.json(), json!({ "task_id": "" }));
    assert_eq!(ground.sandbox.submits(), before + 1);

    let unknown = ground.poll("unknown_status").await.json();
    assert_eq!((&unknown["task"]["status"], &unknown["videos"]), (&json!("TASK_STATUS_PONDERING"), &json!([])));
    let fields = ground.poll("unknown_fields").await.json();
    assert!(fields["task"]["x_unheard_of"].is_object() && fields["videos"][0]["x_unheard_of"].is_object());
    let odd = ground.poll("odd_types").await.json();
    assert!(odd["task"]["progress_percent"].is_string() && odd["extra"]["seed"].is_number(), "{odd}");
    let nulls = ground.poll("nulls").await.json();
    assert!(nulls["extra"].is_null() && nulls["task"]["reason"].is_null());
    assert_eq!(nulls["videos"][0]["video_url"].as_str().map(|url| url.contains("/files/")), Some(true));
    let none = ground.poll("no_videos").await.json();
    assert_eq!((&none["task"]["status"], &none["videos"]), (&json!("TASK_STATUS_SUCCEED"), &json!([])));
    assert_eq!(ground.poll("progress_backwards").await.json()["task"]["status"], good["task"]["status"], "it is done");
    let gone = ground.poll("task_not_found").await;
    assert_eq!((gone.status(), gone.json()["reason"].as_str()), (Some(404), Some("TASK_NOT_FOUND")));

    assert_eq!(ground.poll("other_task").await.json()["task"]["task_id"], ground.task, "there is no other");
    let other = submit(&ground.sandbox, &small(json!({ "seed": 2 }))).await;
    poll(&ground.sandbox, &other).await;
    assert_eq!(ground.poll("other_task").await.json()["task"]["task_id"], other);
    for (fault, wanted) in [
        ("bad_links", "expires=1&"),
        ("bad_links to=closed_port", "http://127.0.0.1:1/"),
        ("bad_links to=no_url", "clips/7"),
    ] {
        let links = ground.poll(fault).await.json();
        let link = links["videos"][0]["video_url"].as_str().unwrap().to_owned();
        assert!(link.contains(wanted), "{link}");
        if fault == "bad_links" {
            assert_eq!(reqwest::get(link).await.unwrap().status(), 403);
        }
    }
}

#[tokio::test]
async fn clips_are_not_what_they_should_be() {
    let ground = Ground::new().await;
    let whole = ground.file("").await;
    let expired = ground.file("expired_link").await;
    assert_eq!((expired.status(), expired.json()["reason"].as_str()), (Some(403), Some("LINK_EXPIRED")));
    let (line, _) = &ground.lines()[2];
    let ranged = |fault: &str, more: &str| {
        let request = text(&ground.sandbox, line, fault, "");
        request.replacen("connection: close", &format!("range: bytes=100-\r\n{more}connection: close"), 1)
    };
    let part = raw(&ground.sandbox, &ranged("", ""), LONG).await;
    assert_eq!((part.status(), part.body()), (Some(206), &whole.body()[100..]));
    let ignored = raw(&ground.sandbox, &ranged("range_ignored", ""), LONG).await;
    assert_eq!((ignored.status(), ignored.body()), (Some(200), whole.body()));
    let etag = whole.header("etag").unwrap();
    let changed = raw(&ground.sandbox, &ranged("changed_etag", &format!("if-range: {etag}\r\n")), LONG).await;
    assert_eq!((changed.status(), changed.body()), (Some(200), whole.body()));
    assert_ne!(changed.header("etag"), Some(etag));
    let named = |body: &[u8], name: &[u8]| body.windows(4).any(|window| window == name);
    for (fault, differs) in [
        ("corrupt", 1),
        ("corrupt how=truncated", 0),
        ("corrupt how=lying_box digest=kept", 4),
        ("corrupt how=no_index", 4),
    ] {
        let seen = ground.file(fault).await;
        assert_eq!((seen.status(), seen.body().len()), (Some(200), seen.announced()), "{fault}");
        assert_eq!(seen.header("repr-digest").is_some(), fault.contains("kept"));
        let different = seen.body().iter().zip(whole.body()).filter(|(a, b)| a != b).count();
        assert!(different <= differs && (different > 0) == (differs > 0), "{fault}: {different}");
        assert_eq!(named(seen.body(), b"moov"), !fault.contains("no_index"));
        assert_eq!(seen.body().len() < whole.body().len(), fault.contains("truncated"));
    }
}

#[tokio::test]
async fn a_header_that_is_none_is_refused() {
    let ground = Ground::new().await;
    for (operation, fault) in
        [(0, "explode"), (0, "no_videos"), (1, "status"), (2, "dribble pieces=0"), (1, "reset by=hand")]
    {
        let seen = ground.seen(operation, fault).await;
        assert_eq!((seen.status(), seen.json()["reason"].as_str()), (Some(400), Some("INVALID_FAULT")), "{fault}");
    }
    assert_eq!(ground.sandbox.submits(), 1);
}

#[tokio::test]
async fn a_script_is_played() {
    let script = Script::from_toml(
        r#"
        [limits]
        requests_per_minute = 5
        retry_after = "seconds"

        [[fault]]
        on = "submit"
        nth = 2
        effect = "lost_answer"

        [[fault]]
        on = "poll"
        task = 2
        effect = "task_not_found"
        "#,
    );
    let sandbox = Sandbox::builder().faults(script.unwrap()).start().await.unwrap();
    let first = submit(&sandbox, &small(json!({}))).await;
    let line = format!("POST {SUBMIT}");
    let lost = raw(&sandbox, &text(&sandbox, &line, "", &small(json!({})).to_string()), LONG).await;
    assert_eq!((lost.end, lost.bytes.len()), (End::Closed, 0));
    let second = sandbox.accepted()[1].task_id.clone();
    let status = async |id: &str| {
        let response = request(&sandbox, Method::GET, &format!("{TASK_RESULT}?task_id={id}")).send().await.unwrap();
        (
            response.status().as_u16(),
            response.headers().get("retry-after").map(|wait| wait.to_str().unwrap().to_owned()),
        )
    };
    assert_eq!(status(&first).await, (200, None));
    assert_eq!(status(&second).await, (404, None));
    assert_eq!(status(&first).await, (200, None));
    let (busy, wait) = status(&first).await;
    assert_eq!(busy, 429, "the sixth within a minute");
    assert!((1..=60).contains(&wait.unwrap().parse::<u32>().unwrap()));
    assert_eq!(sandbox.submits(), 2);
}
