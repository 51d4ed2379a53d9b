//! What would have been billed, and what a test can say of it.

use highwayapi_sandbox::Assertions;

use super::admin::{read, send};
use super::*;

async fn assert_ledger(sandbox: &Sandbox, asserted: Value) -> (u16, Value) {
    let answer = send(sandbox, Method::POST, "/_sandbox/ledger/assert", asserted).await;
    (answer.status().as_u16(), json_of(answer).await)
}

#[tokio::test]
async fn the_same_request_counts_as_repeated_however_it_is_written() {
    let sandbox = Sandbox::builder().seed(7).start().await.unwrap();
    submit(&sandbox, &small(json!({ "prompt": "dusk" }))).await;
    // The default, said.
    submit(&sandbox, &small(json!({ "prompt": "dusk", "aspect_ratio": "16:9" }))).await;
    submit(&sandbox, &small(json!({ "prompt": "dawn", "sample_count": 3 }))).await;
    assert_eq!(post(&sandbox, &small(json!({ "sample_count": 9 }))).await.status(), 400);
    insta::assert_snapshot!(format!("{:#}", read(&sandbox, "/_sandbox/ledger").await));

    let (status, held) =
        assert_ledger(&sandbox, json!({ "submits": 3, "max_submits": 3, "no_key_leaked": true })).await;
    assert_eq!((status, held["held"].as_array().unwrap().len()), (200, 3));
    let spent = json!({ "at_most": 2.99, "price_per_second": 0.15 });
    let (status, failed) =
        assert_ledger(&sandbox, json!({ "no_request_billed_twice": true, "spent": spent, "submits": 3 })).await;
    assert_eq!(status, 409);
    insta::assert_snapshot!(format!("{failed:#}"));

    let error = sandbox.assert_ledger(&Assertions::new().submits(2).no_request_billed_twice()).unwrap_err();
    insta::assert_snapshot!(error.to_string());
    sandbox.assert_ledger(&Assertions::new().submits(3).spent(3.0, 0.15)).unwrap();
}

#[tokio::test]
async fn every_key_has_an_account_and_a_leak_has_a_name() {
    let sandbox = Sandbox::builder().api_key("first-key").api_key("second-key").start().await.unwrap();
    let clip = clip(&sandbox).await;
    let answer = reqwest::Client::new().get(&clip).bearer_auth("second-key").send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let ledger = read(&sandbox, "/_sandbox/ledger").await;
    assert_eq!((&ledger["leaked"], &ledger["keys"][0]["submits"]), (&json!(1), &json!(1)));
    let name = |value: &Value| value.as_str().unwrap().to_owned();
    let (account, leak) = (name(&ledger["keys"][0]["key"]), name(&ledger["leaks"][0]["key"]));
    assert!(account.starts_with("firs…") && leak.starts_with("seco…"), "{account} {leak}");
    assert!(!ledger.to_string().contains("-key"));

    let (status, _) = assert_ledger(&sandbox, json!({ "no_key_leaked": true })).await;
    assert_eq!(status, 409);
    let (status, _) = assert_ledger(&sandbox, json!({ "no_key_leaked": true, "submits": 1, "key": account })).await;
    assert_eq!(status, 200, "the first key did not leak");
}

#[tokio::test]
async fn entries_are_given_in_pages() {
    let sandbox = Sandbox::start().await.unwrap();
    let mut ids = Vec::new();
    for seed in 0..3 {
        ids.push(submit(&sandbox, &small(json!({ "seed": seed }))).await);
    }
    let page = read(&sandbox, "/_sandbox/ledger/entries?limit=2").await;
    let found: Vec<&Value> = page["entries"].as_array().unwrap().iter().map(|entry| &entry["task_id"]).collect();
    assert_eq!(found, [&json!(ids[2]), &json!(ids[1])]);
    let page = read(&sandbox, "/_sandbox/ledger/entries?before=2").await;
    assert_eq!((page["entries"].as_array().unwrap().len(), &page["entries"][0]["task_id"]), (1, &json!(ids[0])));
}
