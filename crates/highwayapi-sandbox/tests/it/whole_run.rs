//! One seed decides a whole run: what goes wrong, what is billed, what is written down, and the clips.

use highwayapi_sandbox::{RunTime, Script};

use super::*;

/// Rules of every kind: by count, by chance, by task, in a window of time; and a limit.
const SCRIPT: &str = r#"
[limits]
requests_per_minute = 60
retry_after = "date"

[[fault]]
name = "lost"
on = "submit"
chance = 0.2
effect = "lost_answer"
with = { by = "reset" }

[[fault]]
name = "busy"
on = "submit"
chance = 0.2
effect = "unavailable"

[[fault]]
name = "filtered"
on = "submit"
chance = 0.2
effect = "moderation_failure"

[[fault]]
name = "fewer"
on = "submit"
nth = "every 5"
effect = "fewer_clips"

[[fault]]
name = "proxy"
on = "poll"
from = "20s"
until = "60s"
chance = 0.3
effect = "status"
with = { status = 502, body = "html" }

[[fault]]
name = "vanished"
on = "poll"
task = 2
nth = "every 2"
effect = "task_not_found"

[[fault]]
name = "half"
on = "file"
chance = 0.3
effect = "cut_answer"

[[fault]]
name = "damaged"
on = "file"
chance = 0.3
effect = "corrupt"
"#;

/// All that is left of a run.
struct Left {
    /// What the client saw: status and body, or how the connection ended.
    seen: Vec<String>,
    clips: Vec<Vec<u8>>,
    journal: String,
    har: String,
    ledger: Vec<String>,
    faults: String,
}

async fn seen(request: RequestBuilder) -> (String, Vec<u8>) {
    let Ok(mut response) = request.send().await else { return ("no answer".to_owned(), Vec::new()) };
    let status = response.status();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return (status.to_string(), body),
            // How much of a broken answer is seen is the network's affair.
            Err(_) => return (format!("{status}, broken off"), Vec::new()),
        }
    }
}

async fn run(seed: u64) -> Left {
    let builder = Sandbox::builder().seed(seed).clock(Clock::stepped()).public_url("http://clips.example");
    let times = ("exponential 5s".parse::<RunTime>().unwrap(), "lognormal 20s 0.5".parse::<RunTime>().unwrap());
    let builder = builder.queue_time(times.0).run_time(times.1).faults(Script::from_toml(SCRIPT).unwrap());
    let sandbox = builder.api_key("first").api_key("second").start().await.unwrap();
    let (mut told, mut clips) = (Vec::new(), Vec::new());
    let text = |(outcome, body): (String, Vec<u8>)| format!("{outcome} {}", String::from_utf8_lossy(&body));
    for n in 0..12 {
        let body = small(json!({ "sample_count": n % 3 + 1, "prompt": format!("still {}", n % 4) }));
        let submit = request(&sandbox, Method::POST, SUBMIT).header("content-type", "application/json");
        told.push(text(seen(submit.body(body.to_string())).await));
        sandbox.advance(Duration::from_secs(5)).unwrap();
        for task in sandbox.accepted() {
            let path = format!("{TASK_RESULT}?task_id={}", task.task_id);
            told.push(text(seen(request(&sandbox, Method::GET, &path)).await));
        }
    }
    sandbox.advance(Duration::from_secs(600)).unwrap();
    for task in sandbox.accepted().iter().take(3) {
        let path = format!("{TASK_RESULT}?task_id={}", task.task_id);
        let (outcome, body) = seen(request(&sandbox, Method::GET, &path)).await;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        told.push(format!("{outcome} {answer}"));
        let Some(link) = answer["videos"][0]["video_url"].as_str() else { continue };
        let link = link.replace("http://clips.example", &sandbox.base_url());
        for _ in 0..5 {
            let (outcome, clip) = seen(reqwest::Client::new().get(&link)).await;
            told.push(format!("{outcome} {} bytes", clip.len()));
            clips.push(clip);
        }
        told.push(text(seen(reqwest::Client::new().get(&link).bearer_auth("second")).await));
    }
    let admin = async |path: &str| {
        let url = format!("{}/_sandbox/{path}", sandbox.base_url());
        reqwest::get(url).await.unwrap().error_for_status().unwrap().text().await.unwrap()
    };
    Left {
        seen: told,
        clips,
        journal: admin("journal").await,
        // A HAR names where the sandbox listens.
        har: admin("journal.har").await.replace(&sandbox.base_url(), "http://sandbox.example"),
        ledger: vec![admin("ledger").await, admin("ledger/entries").await],
        faults: admin("faults").await,
    }
}

#[tokio::test]
async fn the_same_seed_script_clock_and_requests_leave_the_same_behind_byte_for_byte() {
    let first = run(7).await;
    let again = run(7).await;
    assert_eq!((&again.seen, &again.journal, &again.har), (&first.seen, &first.journal, &first.har));
    assert_eq!((&again.ledger, &again.faults), (&first.ledger, &first.faults));
    assert!(again.clips == first.clips, "the clips have other bytes");

    // Enough has happened for that to mean something.
    for rule in ["lost", "busy", "filtered", "fewer", "proxy", "vanished", "half", "damaged", "limits"] {
        assert!(first.journal.contains(&format!(r#""fault":"{rule}""#)), "{rule} never happened");
    }
    let whole = first.clips.iter().filter(|clip| clip.len() > 1000).count();
    assert!(whole > 3, "{whole} clips came");
    assert!(first.ledger[0].contains(r#""leaked":"#) && first.har.contains("fault: lost"));

    let other = run(8).await;
    assert_ne!((&other.journal, &other.har, &other.ledger), (&first.journal, &first.har, &first.ledger));
    assert!(other.seen != first.seen && other.faults != first.faults && other.clips != first.clips);
}
