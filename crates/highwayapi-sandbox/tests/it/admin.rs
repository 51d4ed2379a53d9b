//! The admin API: what it shows, what it changes, and whom it refuses.

use super::*;

async fn get(sandbox: &Sandbox, path: &str) -> Response {
    reqwest::get(format!("{}{path}", sandbox.base_url())).await.unwrap()
}

pub(crate) async fn read(sandbox: &Sandbox, path: &str) -> Value {
    let response = get(sandbox, path).await;
    assert_eq!(response.status(), 200, "{path}");
    json_of(response).await
}

pub(crate) async fn send(sandbox: &Sandbox, method: Method, path: &str, body: Value) -> Response {
    let request = reqwest::Client::new().request(method, format!("{}{path}", sandbox.base_url()));
    request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap()
}

/// A sandbox in which a task runs for a minute of a clock that is moved by hand.
async fn stepped() -> Sandbox {
    let run_time = Duration::from_secs(60);
    Sandbox::builder().clock(Clock::stepped()).seed(7).run_time(run_time).start().await.unwrap()
}

async fn step(sandbox: &Sandbox, seconds: u64) -> Value {
    let body = json!({ "by_ms": seconds * 1000 });
    json_of(send(sandbox, Method::POST, "/_sandbox/clock/advance", body).await).await
}

#[tokio::test]
async fn what_the_document_describes_is_there_and_nothing_else_is_taken() {
    let sandbox = Sandbox::start().await.unwrap();
    let document = read(&sandbox, "/_sandbox/openapi.json").await;
    let client = reqwest::Client::new();
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let url = format!("{}{}", sandbox.base_url(), path.replace(['{', '}'], ""));
        let mut allowed: Vec<&String> = item.as_object().unwrap().keys().filter(|key| *key != "parameters").collect();
        operations += allowed.len();
        for method in &allowed {
            let method: Method = method.to_uppercase().parse().unwrap();
            let answer = client.request(method.clone(), &url).send().await.unwrap();
            let described = &item[method.as_str().to_lowercase()]["responses"];
            assert!(!described[answer.status().as_str()].is_null(), "{method} {path}: {}", answer.status());
        }
        let answer = client.request("TRACE".parse().unwrap(), &url).send().await.unwrap();
        assert_eq!(answer.status(), 405, "{path}");
        let listed = answer.headers()["allow"].to_str().unwrap().to_lowercase().replace("head", "");
        let mut listed: Vec<&str> = listed.split(',').map(str::trim).filter(|method| !method.is_empty()).collect();
        listed.sort_unstable();
        allowed.sort_unstable();
        assert_eq!(listed, allowed, "{path}");
        assert_eq!(json_of(answer).await["reason"], "METHOD_NOT_ALLOWED");
    }
    assert_eq!(operations, 25);
}

#[tokio::test]
async fn tasks_are_listed_in_pages_and_shown_with_their_pictures() {
    let sandbox = stepped().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(submit(&sandbox, &small(json!({ "prompt": format!("number {n}"), "seed": n }))).await);
    }
    let page = read(&sandbox, "/_sandbox/tasks?limit=2").await;
    let prompts = |page: &Value| -> Vec<String> {
        page["tasks"].as_array().unwrap().iter().map(|task| task["prompt"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((prompts(&page), &page["next"]), (vec!["number 4".to_owned(), "number 3".to_owned()], &json!(4)));
    let page = read(&sandbox, "/_sandbox/tasks?limit=3&before=4").await;
    assert_eq!((prompts(&page).len(), &page["next"]), (3, &Value::Null));

    let succeeded = "/_sandbox/tasks?status=TASK_STATUS_SUCCEED";
    assert_eq!(read(&sandbox, succeeded).await["tasks"], json!([]));
    assert_eq!(step(&sandbox, 60).await["date"], "2026-01-01T00:01:00.000Z");
    assert_eq!(read(&sandbox, succeeded).await["tasks"].as_array().unwrap().len(), 5);

    let mut task = read(&sandbox, &format!("/_sandbox/tasks/{}", ids[0])).await;
    let link = task["links"][0].take();
    assert_eq!(reqwest::get(link.as_str().unwrap()).await.unwrap().headers()["content-type"], "video/mp4");
    insta::assert_snapshot!(format!("{task:#}"));

    for which in ["image", "last_image"] {
        let picture = get(&sandbox, &format!("/_sandbox/tasks/{}/{which}", ids[0])).await;
        assert_eq!(picture.headers()["content-type"], "image/png");
        assert_eq!(picture.headers()["x-content-type-options"], "nosniff");
        assert_eq!(STANDARD.encode(picture.bytes().await.unwrap()), PNG);
    }
    for path in ["/_sandbox/tasks/none", "/_sandbox/tasks/none/image", "/_sandbox/tasks/%FF"] {
        let answer = get(&sandbox, path).await;
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(json_of(answer).await["reason"], "TASK_NOT_FOUND");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_named() {
    let sandbox = Sandbox::start().await.unwrap();
    let mut said = String::new();
    for (method, path, body) in [
        (Method::GET, "/_sandbox/tasks?limit=0", ""),
        (Method::GET, "/_sandbox/tasks?status=done", ""),
        (Method::GET, "/_sandbox/tasks?page=2", ""),
        (Method::GET, "/_sandbox/journal?limit=1&limit=2", ""),
        (Method::GET, "/_sandbox/journal?faulted=yes", ""),
        (Method::POST, "/_sandbox/clock/advance", "{}"),
        (Method::POST, "/_sandbox/clock/advance", "{\"by_ms\":1.5}"),
        (Method::POST, "/_sandbox/clock/advance", "{\"by_ms\":1}"),
        (Method::POST, "/_sandbox/ledger/assert", "{\"submit\":1}"),
        (Method::POST, "/_sandbox/ledger/assert", "{}"),
        (Method::POST, "/_sandbox/ledger/assert", "{"),
        (Method::POST, "/_sandbox/import", "{\"version\":1}"),
    ] {
        let request = reqwest::Client::new().request(method, format!("{}{path}", sandbox.base_url()));
        let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        let error = json_of(answer).await;
        assert_eq!(error["code"], status);
        said += &format!("{path} {body}\n  {status} {}: {}\n", error["reason"], error["message"]);
    }
    insta::assert_snapshot!(said);

    let url = format!("{}/_sandbox/ledger/assert", sandbox.base_url());
    let answer = reqwest::Client::new().post(&url).body("{}").send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), json_of(answer).await["reason"].clone()),
        (415, json!("UNSUPPORTED_MEDIA_TYPE"))
    );
    let long = json!({ "key": "x".repeat(1 << 20) });
    let answer = send(&sandbox, Method::POST, "/_sandbox/ledger/assert", long).await;
    assert_eq!((answer.status().as_u16(), json_of(answer).await["reason"].clone()), (413, json!("BODY_TOO_LARGE")));
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused() {
    let sandbox = Sandbox::start().await.unwrap();
    let own = sandbox.base_url();
    let client = reqwest::Client::new();
    let foreign = ["http://example.com", "null", "http://127.0.0.1:1", "https://localhost", "", "x"];
    for (origin, wanted) in foreign.map(|origin| (origin, 403)).into_iter().chain([(&own[..], 204)]) {
        let answer = client.post(format!("{own}/_sandbox/reset")).header("origin", origin).send().await.unwrap();
        assert_eq!(answer.status(), wanted, "{origin}");
    }
    let answer = client.get(format!("{own}/_sandbox/ledger")).header("origin", "http://example.com").send().await;
    assert_eq!(answer.unwrap().status(), 403, "reading, too");
}

#[tokio::test]
async fn an_export_becomes_the_same_sandbox_and_a_reset_an_empty_one() {
    let sandbox = stepped().await;
    let id = submit(&sandbox, &small(json!({ "seed": 1 }))).await;
    submit(&sandbox, &small(json!({ "seed": 1 }))).await;
    step(&sandbox, 90).await;
    let export = read(&sandbox, "/_sandbox/export").await;
    assert!(!export.to_string().contains(sandbox.api_key()));

    let other = stepped().await;
    assert_eq!(send(&other, Method::POST, "/_sandbox/import", export.clone()).await.status(), 204);
    for path in ["/_sandbox/ledger", "/_sandbox/clock", "/_sandbox/ledger/entries"] {
        assert_eq!(read(&other, path).await, read(&sandbox, path).await, "{path}");
    }
    let task = read(&other, &format!("/_sandbox/tasks/{id}")).await;
    let clip = reqwest::get(task["links"][0].as_str().unwrap()).await.unwrap();
    assert_eq!(clip.status(), 200, "its pictures came along");

    let mut broken = export;
    broken["tasks"][0]["task_id"] = broken["tasks"][1]["task_id"].clone();
    let refused = send(&other, Method::POST, "/_sandbox/import", broken).await;
    assert_eq!((refused.status().as_u16(), json_of(refused).await["reason"].clone()), (422, json!("UNUSABLE")));
    assert_eq!(read(&other, "/_sandbox/ledger").await["submits"], 2);

    assert_eq!(send(&other, Method::POST, "/_sandbox/reset", json!(null)).await.status(), 204);
    assert_eq!(read(&other, "/_sandbox/tasks").await["tasks"], json!([]));
    assert_eq!(read(&other, "/_sandbox/ledger").await["submits"], 0);
    let clock = read(&other, "/_sandbox/clock").await;
    assert_eq!((&clock["now_ms"], &clock["mode"]), (&json!(0), &json!("stepped")));
}

#[tokio::test]
async fn a_clock_that_moves_by_itself_is_not_moved() {
    let sandbox = Sandbox::start().await.unwrap();
    let answer = send(&sandbox, Method::POST, "/_sandbox/clock/advance", json!({ "by_ms": 1 })).await;
    assert_eq!((answer.status().as_u16(), json_of(answer).await["reason"].clone()), (409, json!("CLOCK_NOT_STEPPED")));
    assert_eq!(read(&sandbox, "/_sandbox/clock").await["mode"], "real");
}

#[tokio::test]
async fn the_page_lets_nothing_in_from_elsewhere() {
    let sandbox = Sandbox::builder().api_key("a-key-of-somebody").start().await.unwrap();
    let page = get(&sandbox, "/").await;
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    let html = page.text().await.unwrap();
    for path in ["/_sandbox/page.js", "/_sandbox/page.css"] {
        assert!(html.contains(path));
        assert_eq!(get(&sandbox, path).await.status(), 200);
    }
    let about = read(&sandbox, "/_sandbox").await;
    assert_eq!(about["key"], Value::Null, "a key of somebody is not shown");
}

#[tokio::test]
async fn faults_are_replaced_added_switched_and_removed() {
    let sandbox = Sandbox::builder().seed(7).start().await.unwrap();
    let names = |faults: &Value| -> Vec<String> {
        let rules = faults["rules"].as_array().unwrap();
        rules.iter().map(|rule| format!("{} {} {}", rule["name"], rule["on"], rule["hits"]).replace('"', "")).collect()
    };
    let status = async || post(&sandbox, &small(json!({}))).await.status().as_u16();
    let script = json!({ "fault": [{ "effect": "unavailable", "on": "submit" }] });
    let put = json_of(send(&sandbox, Method::PUT, "/_sandbox/faults", script.clone()).await).await;
    assert_eq!(names(&put), ["unavailable true 0"]);
    assert_eq!(status().await, 503);

    // What was added last wins.
    let rule = json!({ "effect": "status", "with": { "status": 500 }, "on": "submit", "name": "broken" });
    let added = send(&sandbox, Method::POST, "/_sandbox/faults", rule.clone()).await;
    assert_eq!((added.status().as_u16(), json_of(added).await), (201, json!({ "name": "broken" })));
    assert_eq!(status().await, 500);
    let again = send(&sandbox, Method::POST, "/_sandbox/faults", rule).await;
    assert_eq!((again.status().as_u16(), json_of(again).await["reason"].clone()), (422, json!("UNUSABLE")));

    let switched = send(&sandbox, Method::PATCH, "/_sandbox/faults/broken", json!({ "on": false })).await;
    assert_eq!(names(&json_of(switched).await), ["broken false 1", "unavailable true 1"]);
    assert_eq!(status().await, 503);
    assert_eq!(send(&sandbox, Method::DELETE, "/_sandbox/faults/unavailable", json!(null)).await.status(), 204);
    assert_eq!(status().await, 200);
    let gone = send(&sandbox, Method::DELETE, "/_sandbox/faults/unavailable", json!(null)).await;
    assert_eq!((gone.status().as_u16(), json_of(gone).await["reason"].clone()), (404, json!("FAULT_NOT_FOUND")));

    // What is read can be put back.
    let shown = read(&sandbox, "/_sandbox/faults").await;
    let put = json_of(send(&sandbox, Method::PUT, "/_sandbox/faults", shown["script"].clone()).await).await;
    assert_eq!(put["script"], shown["script"]);

    let text = reqwest::get(format!("{}/_sandbox/journal?faulted=true", sandbox.base_url())).await.unwrap();
    let text = text.text().await.unwrap();
    let faults = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["fault"].clone());
    assert_eq!(faults.collect::<Vec<_>>(), ["unavailable", "broken", "unavailable"]);
}

#[tokio::test]
async fn every_scenario_can_be_loaded_and_every_effect_is_in_the_document() {
    let sandbox = Sandbox::start().await.unwrap();
    let scenarios = read(&sandbox, "/_sandbox/scenarios").await;
    let names: Vec<&str> =
        scenarios["scenarios"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"bad-friday"), "{names:?}");
    for name in names {
        let loaded = send(&sandbox, Method::POST, &format!("/_sandbox/scenarios/{name}"), json!(null)).await;
        assert_eq!(loaded.status(), 200);
        let loaded = json_of(loaded).await;
        assert_eq!(loaded["script"]["name"], name);
        let put = send(&sandbox, Method::PUT, "/_sandbox/faults", loaded["script"].clone()).await;
        assert_eq!(put.status(), 200, "the schema takes what a scenario says: {:?}", put.text().await);
    }
    let unknown = send(&sandbox, Method::POST, "/_sandbox/scenarios/none", json!(null)).await;
    assert_eq!(
        (unknown.status().as_u16(), json_of(unknown).await["reason"].clone()),
        (404, json!("SCENARIO_NOT_FOUND"))
    );

    let document = read(&sandbox, "/_sandbox/openapi.json").await;
    let mut described =
        document["components"]["schemas"]["Rule"]["properties"]["effect"]["enum"].as_array().unwrap().clone();
    let mut effects: Vec<Value> = highwayapi_sandbox::Script::effects().iter().map(|(name, _)| json!(name)).collect();
    described.sort_by_key(Value::to_string);
    effects.sort_by_key(Value::to_string);
    assert_eq!(described, effects);
}

/// What was accepted has its hash in the journal, also where the answer is lost on the way.
#[tokio::test]
async fn an_answer_that_is_lost_or_replaced_is_in_the_journal_with_its_task() {
    for (effect, with) in [("lost_answer", json!({})), ("status", json!({ "status": 502, "accepted": true }))] {
        let sandbox = Sandbox::start().await.unwrap();
        let rule = json!({ "effect": effect, "on": "submit", "with": with });
        send(&sandbox, Method::POST, "/_sandbox/faults", rule).await;
        let submit = request(&sandbox, Method::POST, SUBMIT).header("content-type", "application/json");
        let answer = submit.body(small(json!({})).to_string()).send().await;
        assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == 502));
        let text = reqwest::get(format!("{}/_sandbox/journal?operation=submit", sandbox.base_url())).await.unwrap();
        let line: Value = serde_json::from_str(text.text().await.unwrap().lines().next().unwrap()).unwrap();
        assert_eq!(line["fault"], effect);
        assert_eq!(line["task_id"], json!(sandbox.accepted()[0].task_id));
        assert_eq!(line["request"].as_str().unwrap().len(), 64);
    }
}
