//! Each scenario does what its description says.

use std::collections::BTreeMap;

use highwayapi_sandbox::Script;

use super::admin::read;
use super::wire::*;
use super::*;

/// Tasks take a second of a clock that stands still; the seed is for what is drawn.
async fn start(scenario: &str) -> Sandbox {
    let builder = Sandbox::builder().seed(7).clock(Clock::stepped()).run_time(Duration::from_secs(1));
    builder.faults(Script::scenario(scenario).unwrap()).start().await.unwrap()
}

/// A status, or how the connection ended without one.
fn outcome(seen: &Seen) -> String {
    match (seen.status(), seen.end) {
        (Some(status), End::Closed) if seen.body().len() < seen.announced() => format!("{status} cut"),
        (Some(status), End::Closed) => status.to_string(),
        (_, end) => format!("{end:?}").to_lowercase(),
    }
}

async fn ask(sandbox: &Sandbox, line: &str, body: &str) -> Seen {
    raw(sandbox, &text(sandbox, line, "", body), LONG).await
}

async fn submit_seen(sandbox: &Sandbox) -> Seen {
    ask(sandbox, &format!("POST {SUBMIT}"), &small(json!({ "seed": 1, "sample_count": 2 })).to_string()).await
}

async fn poll_seen(sandbox: &Sandbox, id: &str) -> Seen {
    ask(sandbox, &format!("GET {TASK_RESULT}?task_id={id}"), "").await
}

async fn submits(sandbox: &Sandbox, times: usize) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..times {
        all.push(outcome(&submit_seen(sandbox).await));
    }
    all
}

/// A task that is done, and path and query of its first clip's link.
async fn done(sandbox: &Sandbox) -> (String, String) {
    let id = submit(sandbox, &small(json!({ "seed": 1 }))).await;
    sandbox.advance(Duration::from_secs(1)).unwrap();
    let link = poll(sandbox, &id).await["videos"][0]["video_url"].as_str().unwrap().replace(&sandbox.base_url(), "");
    (id, link)
}

/// How often each rule was met.
async fn hits(sandbox: &Sandbox) -> BTreeMap<String, u64> {
    let faults = read(sandbox, "/_sandbox/faults").await;
    let rules = faults["rules"].as_array().unwrap();
    rules.iter().map(|rule| (rule["name"].as_str().unwrap().to_owned(), rule["hits"].as_u64().unwrap())).collect()
}

#[tokio::test]
async fn lost_answers() {
    let sandbox = start("lost-answers").await;
    let mut seen = Vec::new();
    for n in 1..=10 {
        let request = text(&sandbox, &format!("POST {SUBMIT}"), "", &small(json!({})).to_string());
        seen.push(outcome(&raw(&sandbox, &request, if n == 6 { SHORT } else { LONG }).await));
    }
    assert_eq!(seen, ["200", "closed", "200", "reset", "200", "silent", "200", "200 cut", "200", "504"]);
    assert_eq!(sandbox.submits(), 10, "all are billed");
}

#[tokio::test]
async fn rate_limited() {
    let sandbox = start("rate-limited").await;
    assert_eq!(submits(&sandbox, 4).await, ["200", "200", "200", "429"], "three at once");
    sandbox.advance(Duration::from_secs(1)).unwrap();
    for _ in 3..50 {
        assert_eq!(poll_seen(&sandbox, "x").await.status(), Some(404));
    }
    let refused = poll_seen(&sandbox, "x").await;
    assert_eq!((refused.status(), refused.header("retry-after")), (Some(429), None));
    assert_eq!(submits(&sandbox, 1).await, ["429"]);
    sandbox.advance(Duration::from_secs(60)).unwrap();
    assert_eq!(submits(&sandbox, 1).await, ["200"]);
}

#[tokio::test]
async fn slow_queue() {
    let sandbox = start("slow-queue").await;
    let id = submit(&sandbox, &small(json!({}))).await;
    for (seconds, state) in [(30 * 60 - 1, "QUEUED"), (1, "PROCESSING"), (1, "SUCCEED")] {
        sandbox.advance(Duration::from_secs(seconds)).unwrap();
        assert_eq!(poll(&sandbox, &id).await["task"]["status"], format!("TASK_STATUS_{state}"));
    }
}

#[tokio::test]
async fn moderation() {
    let sandbox = start("moderation").await;
    let mut came = Vec::new();
    for _ in 0..12 {
        let seen = submit_seen(&sandbox).await;
        sandbox.advance(Duration::from_secs(1)).unwrap();
        came.push(match seen.status() {
            Some(200) => {
                let result = poll(&sandbox, seen.json()["task_id"].as_str().unwrap()).await;
                let reason = result["task"]["reason"].as_str().unwrap_or_default();
                match result["videos"].as_array().unwrap().len() {
                    0 if reason.starts_with("PROHIBITED_CONTENT") => "failed",
                    1 => "fewer",
                    2 => "-",
                    _ => panic!("{result}"),
                }
            }
            Some(400) => "refused",
            _ => panic!("{seen:?}"),
        });
    }
    let period = ["-", "failed", "fewer", "refused", "-", "failed", "-", "refused", "fewer", "failed", "-", "refused"];
    assert_eq!(came, period);
}

#[tokio::test]
async fn flaky_downloads() {
    let sandbox = start("flaky-downloads").await;
    let (_, link) = done(&sandbox).await;
    let mut seen = Vec::new();
    for _ in 0..8 {
        seen.push(ask(&sandbox, &format!("GET {link}"), "").await);
    }
    let whole = seen[3].body();
    assert!(outcome(&seen[3]) == "200" && seen[7].body() == whole, "every fourth is whole");
    assert_eq!((outcome(&seen[0]), outcome(&seen[1])), ("200 cut".to_owned(), "reset".to_owned()));
    assert_eq!(seen[2].header("content-type").as_deref(), Some("text/html"));
    assert!(outcome(&seen[4]) == "200 cut" && seen[4].body() == whole, "more is announced than comes");
    for _ in 0..20 {
        ask(&sandbox, &format!("GET {link}"), "").await;
    }
    assert!(hits(&sandbox).await.values().all(|hits| *hits > 0));
}

#[tokio::test]
async fn expiring_links() {
    let sandbox = start("expiring-links").await;
    let (_, link) = done(&sandbox).await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(outcome(&ask(&sandbox, &format!("GET {link}"), "").await));
    }
    assert_eq!(seen, ["403", "403", "200", "403", "403", "200"]);
}

#[tokio::test]
async fn half_broken_proxy() {
    let sandbox = start("half-broken-proxy").await;
    let seen = submits(&sandbox, 40).await;
    assert_eq!((&seen[0][..], &seen[1][..]), ("200", "502"));
    let accepted = seen.iter().filter(|status| *status == "200").count() as u64;
    assert_eq!(sandbox.submits(), accepted + 1, "of the second submit the proxy alone answered");
    let id = &sandbox.accepted()[1].task_id;
    for n in 1..=70 {
        let seen = poll_seen(&sandbox, id).await;
        let html = seen.header("content-type").as_deref() == Some("text/html");
        match n {
            _ if n % 7 == 0 => assert_eq!((seen.status(), html), (Some(200), true), "{n}: a login page"),
            _ if n % 5 == 0 => assert_eq!(seen.status(), Some(302), "{n}"),
            _ => assert_eq!(html, seen.status() != Some(200), "{n}: {seen:?}"),
        }
    }
    assert!(hits(&sandbox).await.values().all(|hits| *hits > 0));
}

#[tokio::test]
async fn odd_answers() {
    let sandbox = start("odd-answers").await;
    let ids = [submit(&sandbox, &small(json!({}))).await, submit(&sandbox, &small(json!({}))).await];
    let mut statuses = Vec::new();
    for n in 0..18 {
        statuses.push(outcome(&poll_seen(&sandbox, &ids[n % 2]).await));
    }
    let gone: Vec<usize> = (0..18).filter(|n| statuses[*n] != "200").collect();
    assert_eq!((gone, &statuses[8][..]), (vec![8, 17], "404"));
    assert!(hits(&sandbox).await.values().all(|hits| *hits > 0));
}

#[tokio::test]
async fn drip() {
    let sandbox = start("drip").await;
    let since = std::time::Instant::now();
    let id = submit_seen(&sandbox).await.json()["task_id"].as_str().unwrap().to_owned();
    assert!(since.elapsed() >= Duration::from_millis(1500), "{:?}", since.elapsed());
    sandbox.advance(Duration::from_secs(1)).unwrap();
    assert_eq!(poll_seen(&sandbox, &id).await.json()["task"]["task_id"], id);
    assert_eq!(hits(&sandbox).await["poll"], 1);
}

#[tokio::test]
async fn bad_friday() {
    let sandbox = start("bad-friday").await;
    let (mut came, mut lost) = (0, 0);
    for n in 1..=120 {
        sandbox.advance(Duration::from_secs(3)).unwrap();
        let seen = submit_seen(&sandbox).await;
        came += u64::from(seen.status() == Some(200));
        lost += u64::from(seen.end == End::Reset);
        assert_eq!(seen.end == End::Reset, n % 12 == 0, "{n}");
    }
    assert_eq!(lost, 10);
    assert!(came > 60 && sandbox.submits() > came + lost, "{came} of {}: the proxy hid some", sandbox.submits());
    let id = &sandbox.accepted()[0].task_id;
    let mut link = None;
    for _ in 0..200 {
        sandbox.advance(Duration::from_secs(3)).unwrap();
        let seen = poll_seen(&sandbox, id).await;
        if seen.status() == Some(200) {
            link = seen.json()["videos"][0]["video_url"].as_str().map(|link| link.replace(&sandbox.base_url(), ""));
        }
    }
    // The last link of an hour; that there is none would be told by the counts below.
    for _ in 0..60 {
        ask(&sandbox, &format!("GET {}", link.as_deref().unwrap_or("/files/none.mp4")), "").await;
    }
    let hits = hits(&sandbox).await;
    assert!(hits.values().all(|hits| *hits > 0), "{hits:?}");
}

/// Every scenario has its test here.
#[test]
fn every_scenario_is_tried() {
    for script in Script::scenarios() {
        assert!(include_str!("scenarios.rs").contains(&format!("start(\"{}\")", script.name())), "{}", script.name());
    }
}
