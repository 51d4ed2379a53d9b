use std::fmt::Write;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// One line for the snapshots: status, reason, message.
async fn line(response: Response) -> String {
    let status = response.status().as_u16();
    let error = json_of(response).await;
    assert_eq!(error["code"], status);
    assert_eq!(error["metadata"], json!({}));
    format!("{status} {}\n    {}", error["reason"].as_str().unwrap(), error["message"].as_str().unwrap())
}

#[tokio::test]
async fn what_is_not_the_contracts_is_refused() {
    let sandbox = Sandbox::start().await.unwrap();
    let bytes = STANDARD.decode(PNG).unwrap();
    let uri = |bytes: &[u8]| format!("data:image/png;base64,{}", STANDARD.encode(bytes));
    let huge = [&bytes[..16], &60_000u32.to_be_bytes(), &60_000u32.to_be_bytes(), &bytes[24..]].concat();
    let image = |text: &str| small(json!({ "image": text }));

    let mut table = String::new();
    for (what, body) in [
        ("an empty object", json!({})),
        ("an array", json!([1])),
        (
            "many wrong values",
            small(json!({
                "prompt": null, "seed": 4_294_967_296u64, "resolution": "4k", "aspect_ratio": 1, "sample_count": 9,
                "enhance_prompt": "yes", "duration_seconds": 5, "person_generation": "dont_allow",
            })),
        ),
        ("below the range", small(json!({ "seed": -1, "sample_count": 0 }))),
        ("a fraction", small(json!({ "seed": 1.5 }))),
        ("null for an optional field", small(json!({ "seed": null }))),
        ("a long string in a wrong place", small(json!({ "sample_count": "é".repeat(1000) }))),
        ("not a string", small(json!({ "image": ["a"], "last_image": { "b": 1 } }))),
        ("an empty string", image("")),
        ("bare Base64", image(PNG)),
        ("a file name", image("first.png")),
        ("another type of picture", image("data:image/gif;base64,R0lGODlh")),
        ("a data URI without Base64", image("data:image/png,abc")),
        ("a data URI without a comma", image("data:image/png;base64")),
        ("broken Base64", image("data:image/png;base64,iVBO!")),
        ("an empty picture", image("data:image/png;base64,")),
        ("text as a picture", image("data:image/png;base64,aGVsbG8=")),
        ("a truncated picture", image(&uri(&bytes[..bytes.len() - 20]))),
        ("a header alone", image(&uri(&bytes[..20]))),
        ("too many pixels", image(&uri(&huge))),
        ("too many bytes", image(&uri(&vec![0; (20 << 20) + 1]))),
        ("both pictures bad", small(json!({ "image": "", "last_image": uri(&huge) }))),
        ("a URL", image("https://pictures.example/a.png?signature=secret")),
        ("a URL without a host", image("http://")),
    ] {
        writeln!(table, "{what}: {}", line(post(&sandbox, &body).await).await).unwrap();
    }
    insta::assert_snapshot!(table);
    assert_eq!(sandbox.submits(), 0);
}

#[tokio::test]
async fn what_is_no_json_is_refused() {
    let sandbox = Sandbox::start().await.unwrap();
    let good = small(json!({})).to_string();
    let too_long = vec![b' '; 57_000_000 + (1 << 20)];
    let mut table = String::new();
    for (what, kind, body) in [
        ("nothing", Some("application/json"), Vec::new()),
        ("half", Some("application/json"), good.as_bytes()[..good.len() / 2].to_vec()),
        ("not UTF-8", Some("application/json"), b"\"\xff\"".to_vec()),
        ("nested without end", Some("application/json"), vec![b'['; 100_000]),
        ("a form", Some("application/x-www-form-urlencoded"), good.clone().into()),
        ("no type", None, good.clone().into()),
        ("too long", Some("application/json"), too_long),
    ] {
        let mut request = request(&sandbox, Method::POST, SUBMIT).body(body);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        writeln!(table, "{what}: {}", line(request.send().await.unwrap()).await).unwrap();
    }
    insta::assert_snapshot!(table);

    let request = request(&sandbox, Method::POST, SUBMIT).header("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(request.body(good).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn unknown_keys_and_the_edges_of_ranges_are_taken() {
    let sandbox = Sandbox::start().await.unwrap();
    for fields in [
        json!({ "seed": 0, "new_option": { "a": [1] } }),
        json!({ "image": png().replace("image/png", "Image/JPEG") }),
        json!({ "seed": 4_294_967_295u32, "prompt": "" }),
    ] {
        assert_eq!(post(&sandbox, &small(fields)).await.status(), 200);
    }
    let bare = Sandbox::builder().lenient(true).start().await.unwrap();
    assert_eq!(post(&bare, &small(json!({ "image": PNG }))).await.status(), 200);
}

#[tokio::test]
async fn a_key_is_needed() {
    let sandbox = Sandbox::builder().api_key("right").start().await.unwrap();
    let mut table = String::new();
    for headers in
        [&[][..], &["right"], &["Bearer"], &["Bearer "], &["Basic right"], &["Bearer right"; 2], &["Bearer wrong"]]
    {
        for (what, method, path) in [("poll", Method::GET, TASK_RESULT), ("submit", Method::POST, SUBMIT)] {
            let mut request = reqwest::Client::new().request(method, format!("{}{path}", sandbox.base_url()));
            for header in headers {
                request = request.header("authorization", *header);
            }
            writeln!(table, "{headers:?} {what}: {}", line(request.send().await.unwrap()).await).unwrap();
        }
    }
    insta::assert_snapshot!(table);
    // The scheme's case matters not.
    let url = format!("{}{TASK_RESULT}?task_id=x", sandbox.base_url());
    let response = reqwest::Client::new().get(url).header("authorization", "bearer right").send().await.unwrap();
    assert_eq!(response.status(), 404);
}

/// Pictures of full size are on their way when the key turns out to be wrong. Many clients read only
/// once all is written, so nothing may be reset before.
#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let sandbox = Sandbox::start().await.unwrap();
    let host = sandbox.base_url().replace("http://", "");
    let mut stream = tokio::net::TcpStream::connect(&host).await.unwrap();
    let head = format!("POST {SUBMIT} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n", 50 << 20);
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b' '; 50 << 20]).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401");
}

#[tokio::test]
async fn task_result_wants_one_known_id() {
    let sandbox = Sandbox::start().await.unwrap();
    let mut table = String::new();
    for query in ["", "?task_id", "?task_id=", "?task_id=%ff", "?task_id=a&task_id=b", "?id=a"] {
        let response = request(&sandbox, Method::GET, &format!("{TASK_RESULT}{query}")).send().await.unwrap();
        writeln!(table, "{query:?}: {}", line(response).await).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn other_paths_and_methods() {
    let sandbox = Sandbox::start().await.unwrap();
    let response = request(&sandbox, Method::GET, "/v3/async/other").send().await.unwrap();
    assert_eq!(response.status(), 404);
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(response.text().await.unwrap(), "404 page not found\n");
    for (method, path, allow) in [
        (Method::GET, SUBMIT, "POST"),
        (Method::POST, TASK_RESULT, "GET,HEAD"),
        (Method::DELETE, TASK_RESULT, "GET,HEAD"),
        (Method::PUT, "/files/a.mp4", "GET,HEAD"),
    ] {
        let response = request(&sandbox, method, path).send().await.unwrap();
        assert_eq!(response.status(), 405, "{path}");
        assert_eq!(response.headers()["allow"], allow);
    }
}
