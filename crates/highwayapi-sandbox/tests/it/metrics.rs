//! What Prometheus reads.

use super::*;

#[tokio::test]
async fn every_number_has_its_type_and_every_request_is_counted() {
    let sandbox = Sandbox::builder().seed(7).start().await.unwrap();
    let link = clip(&sandbox).await;
    let length = reqwest::get(&link).await.unwrap().bytes().await.unwrap().len();
    post(&sandbox, &small(json!({ "sample_count": 9 }))).await;
    let kept = reqwest::Client::new();
    assert_eq!(
        kept.get(format!("{}/healthz", sandbox.base_url())).send().await.unwrap().text().await.unwrap(),
        r#"{"status":"ok"}"#
    );

    let answer = reqwest::get(format!("{}/metrics", sandbox.base_url())).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text().await.unwrap();
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("highway_sandbox_{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse::<u64>().unwrap()
    };
    for (name, wanted) in [
        (r#"requests_total{operation="submit",status="200"}"#, 1),
        (r#"requests_total{operation="submit",status="400"}"#, 1),
        (r#"requests_total{operation="file",status="200"}"#, 1),
        (r#"tasks{state="succeeded"}"#, 1),
        (r#"tasks{state="queued"}"#, 0),
        ("submits_total", 1),
        ("billed_clips_total", 1),
        ("billed_seconds_total", 4),
        ("rendered_clips_total", 1),
        ("leaked_keys_total", 0),
        ("faults_total", 0),
    ] {
        assert_eq!(value(name), wanted, "{name}");
    }
    assert!((2..20).contains(&value("connections")), "one is kept, and one asks");
    assert!(value("response_bytes_total") > length as u64);

    // As the format wants it: help and type once, before the samples of a family.
    let mut family = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["#", "HELP", name, _, ..] => family = name.to_owned(),
            ["#", "TYPE", name, kind] => assert!(name == family && ["counter", "gauge"].contains(&kind), "{line}"),
            [name, number] => {
                assert_eq!(name.split('{').next().unwrap(), family);
                number.parse::<f64>().unwrap();
            }
            _ => panic!("{line}"),
        }
    }
    let health = reqwest::get(format!("{}/healthz", sandbox.base_url())).await.unwrap();
    assert_eq!(json_of(health).await, json!({ "status": "ok" }));
}
