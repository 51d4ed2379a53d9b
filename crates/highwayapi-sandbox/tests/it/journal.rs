//! Every request has its line, and no line has a secret.

use super::admin::read;
use super::*;

async fn lines(sandbox: &Sandbox, query: &str) -> Vec<Value> {
    let answer = reqwest::get(format!("{}/_sandbox/journal?{query}", sandbox.base_url())).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    answer.text().await.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Everything that a client may do, in one order.
async fn everything(sandbox: &Sandbox) -> String {
    let id = submit(sandbox, &small(json!({ "seed": 1 }))).await;
    assert_eq!(post(sandbox, &small(json!({ "sample_count": 9 }))).await.status(), 400);
    let wrong = request(sandbox, Method::GET, &format!("{TASK_RESULT}?task_id=none&api_key=s3cret")).send().await;
    assert_eq!(wrong.unwrap().status(), 404);
    let url = format!("{}{TASK_RESULT}?task_id={id}", sandbox.base_url());
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 401);
    sandbox.advance(Duration::from_secs(60)).unwrap();
    let link = poll(sandbox, &id).await["videos"][0]["video_url"].as_str().unwrap().to_owned();
    let client = reqwest::Client::new();
    assert_eq!(client.head(&link).send().await.unwrap().status(), 200);
    let part = client.get(&link).header("range", "bytes=0-99").send().await.unwrap();
    assert_eq!(part.bytes().await.unwrap().len(), 100);
    assert_eq!(client.get(&link).bearer_auth("a-key-that-leaks").send().await.unwrap().status(), 400);
    assert_eq!(reqwest::get(format!("{}/nowhere", sandbox.base_url())).await.unwrap().status(), 404);
    id
}

async fn stepped(seed: u64) -> Sandbox {
    let builder = Sandbox::builder().clock(Clock::stepped()).seed(seed).api_key("a-key-that-leaks");
    builder.run_time(Duration::from_secs(60)).start().await.unwrap()
}

#[tokio::test]
async fn a_journal_says_what_was_asked_and_what_came_of_it() {
    let sandbox = stepped(7).await;
    let id = everything(&sandbox).await;
    let all = lines(&sandbox, "").await;
    let shown: Vec<String> = all
        .iter()
        .map(|line| {
            let path = line["path"].as_str().unwrap().replace(&id, "ID");
            let request = line["request"].as_str().map_or("-", |_| "hash");
            format!(
                "{} {} ms {} {} {path} {} {request} {} {}",
                line["number"],
                line["at_ms"],
                line["operation"],
                line["method"],
                line["key"],
                line["status"],
                line["bytes"]
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
    let text = json!(all).to_string();
    for secret in ["a-key-that-leaks", "s3cret", &PNG[20..60]] {
        assert!(!text.contains(secret), "{secret}");
    }
    let signatures = all.iter().filter(|line| line["path"].as_str().unwrap().contains("signature=(redacted)")).count();
    assert_eq!(signatures, 3);

    assert_eq!(lines(&sandbox, &format!("task_id={id}")).await.len(), 3, "a submit and two polls");
    assert_eq!(lines(&sandbox, "operation=file&limit=2").await.len(), 2);
    assert_eq!(lines(&sandbox, "newest=true&limit=1").await[0]["number"], json!(all.len()));
    assert_eq!(lines(&sandbox, &format!("since={}", all.len())).await.len(), 0, "reading leaves no line");
}

#[tokio::test]
async fn the_same_seed_clock_and_requests_give_the_same_journal_byte_for_byte() {
    let mut journals = Vec::new();
    for seed in [7, 7, 8] {
        let sandbox = stepped(seed).await;
        everything(&sandbox).await;
        let url = format!("{}/_sandbox/journal", sandbox.base_url());
        journals.push(reqwest::get(url).await.unwrap().text().await.unwrap());
    }
    assert_eq!(journals[0], journals[1]);
    assert_ne!(journals[0], journals[2], "another seed has other ids");
}

#[tokio::test]
async fn a_har_has_what_its_readers_need() {
    let sandbox = stepped(7).await;
    everything(&sandbox).await;
    let har = read(&sandbox, "/_sandbox/journal.har").await;
    let log = &har["log"];
    assert_eq!((&log["version"], log["entries"].as_array().unwrap().len()), (&json!("1.2"), 9));
    for entry in log["entries"].as_array().unwrap() {
        for (at, fields) in [
            ("", "startedDateTime time request response cache timings"),
            ("/request", "method url httpVersion cookies headers queryString headersSize bodySize"),
            ("/response", "status statusText httpVersion cookies headers content redirectURL headersSize bodySize"),
            ("/response/content", "size mimeType"),
            ("/timings", "send wait receive"),
        ] {
            let object = entry.pointer(at).unwrap();
            assert!(fields.split(' ').all(|field| !object[field].is_null()), "{at} of {entry}");
        }
        assert!(entry["request"]["url"].as_str().unwrap().starts_with(&sandbox.base_url()));
    }
    assert!(!har.to_string().contains("a-key-that-leaks"));
}

/// Who goes before there is an answer has a line as well.
#[tokio::test]
async fn a_client_that_leaves_has_its_line() {
    use tokio::io::AsyncWriteExt;

    let sandbox = Sandbox::start().await.unwrap();
    let address = sandbox.base_url().replace("http://", "");
    let mut connection = tokio::net::TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST {SUBMIT} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n",
        sandbox.api_key()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(b"{").await.unwrap();
    connection.shutdown().await.unwrap();
    drop(connection);
    for _ in 0..500 {
        if let [line] = &lines(&sandbox, "operation=submit").await[..] {
            assert!(line["status"] == Value::Null || line["status"] == 400, "{line}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no line came");
}
