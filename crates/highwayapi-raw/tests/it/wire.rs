//! What stands on the wire, seen by a server that knows no HTTP beyond lengths.

use std::sync::Arc;
use std::time::Duration;

use highwayapi_raw::body::{Source, Upload};
use highwayapi_raw::hooks::{ANSWER_LIMIT, ApiKey, Hooks};
use highwayapi_raw::types::TaskId;
use highwayapi_raw::{Client, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::source::{Broken, Gone, Picture, request};

/// Only there to turn a hang into a failure.
const FOREVER: Duration = Duration::from_secs(60);

/// Answers one request with 200 and `body`, and returns all that came: head and body.
async fn server(body: Vec<u8>) -> (String, JoinHandle<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut came = Vec::new();
        let mut missing = usize::MAX;
        while missing > 0 && stream.read_buf(&mut came).await.is_ok_and(|read| read > 0) {
            if let Some(end) = came.windows(4).position(|window| window == b"\r\n\r\n") {
                let length = announced(&String::from_utf8_lossy(&came[..end]));
                missing = end + 4 + length - came.len();
            }
        }
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
        let end = came.windows(4).position(|window| window == b"\r\n\r\n").map_or(came.len(), |at| at + 4);
        let body = came.split_off(end);
        (String::from_utf8(came).expect("a head"), body)
    });
    (url, server)
}

fn announced(head: &str) -> usize {
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.map_or(0, |length| length.parse().expect("a length"))
}

fn client(url: &str, upload: Upload) -> Client {
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    Client::new_with_client(url, http, Hooks::new(ApiKey::new("sk-1").expect("a key")).upload(upload))
}

#[tokio::test]
async fn a_submit() {
    let (url, server) = server(br#"{"task_id":"t"}"#.to_vec()).await;
    let upload = Upload::new().picture("image", Picture::whole(vec![0; 100_000]));
    let submit = request("data:image/png;base64,", "https://example.com/last.jpg", "dusk");
    let answer = client(&url, upload).submit_first_last_frame(&submit).await.expect("an answer");
    assert_eq!(answer.task_id.0, "t");
    let (head, body) = server.await.expect("a request");
    let host = url.trim_start_matches("http://");
    let expected = [
        "POST /v3/async/veo-3.1-fast-generate-firstlastframe HTTP/1.1",
        "accept: application/json",
        "authorization: Bearer sk-1",
        "content-length: 133430",
        "content-type: application/json",
        &format!("host: {host}"),
        concat!("user-agent: highwayapi/", env!("CARGO_PKG_VERSION")),
    ];
    assert_eq!(lines(&head), expected);
    assert_eq!(body.len(), 133_430);
    assert!(body.starts_with(br#"{"image":"data:image/png;base64,AAAA"#), "{:?}", &body[..40]);
    assert!(body.ends_with(br#"A==","last_image":"https://example.com/last.jpg","prompt":"dusk"}"#));
}

#[tokio::test]
async fn a_poll_has_no_body_and_an_escaped_id() {
    let (url, server) = server(br#"{"task":{"status":"TASK_STATUS_QUEUED"}}"#.to_vec()).await;
    client(&url, Upload::new()).get_task_result(&TaskId("a&b=ü/#".to_owned())).await.expect("an answer");
    let (head, body) = server.await.expect("a request");
    let host = url.trim_start_matches("http://");
    let expected = [
        "GET /v3/async/task-result?task_id=a%26b%3D%C3%BC%2F%23 HTTP/1.1",
        "accept: application/json",
        "authorization: Bearer sk-1",
        "content-type: application/json",
        &format!("host: {host}"),
        concat!("user-agent: highwayapi/", env!("CARGO_PKG_VERSION")),
    ];
    assert_eq!(lines(&head), expected);
    assert_eq!(body, b"");
}

/// The request line, then every header; their order is the HTTP library's affair.
fn lines(head: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = head.trim_end().lines().collect();
    lines[1..].sort_unstable();
    lines
}

#[tokio::test]
async fn a_picture_that_changed_ends_the_request() {
    let sources: [Arc<dyn Source>; 4] = [
        Arc::new(Gone),
        Arc::new(Broken(150_000)),
        Arc::new(Picture { size: 100_000, bytes: vec![0; 60_000] }),
        Arc::new(Picture { size: 100_000, bytes: vec![0; 100_001] }),
    ];
    for source in sources {
        let (url, server) = server(br#"{"task_id":"t"}"#.to_vec()).await;
        let client = client(&url, Upload::new().picture("last_image", source));
        let submit = request("https://example.com/first.png", "", "dusk");
        let answer = tokio::time::timeout(FOREVER, client.submit_first_last_frame(&submit)).await.expect("no hang");
        assert!(matches!(answer, Err(Error::CommunicationError(error)) if error.is_body() || error.is_request()));
        // The service never gets a whole body, so there is nothing that it could accept.
        drop(client);
        let (head, body) = tokio::time::timeout(FOREVER, server).await.expect("no hang").expect("a request");
        // It may not even get the head.
        assert!(body.is_empty() || body.len() < announced(&head), "{} of {} bytes came", body.len(), announced(&head));
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    // Spaces before the JSON are still JSON: the longest answer that is taken, and one byte more.
    for (longer, taken) in [(0, true), (1, false)] {
        let mut answer = vec![b' '; ANSWER_LIMIT + longer - 15];
        answer.extend_from_slice(br#"{"task_id":"t"}"#);
        let (url, _server) = server(answer).await;
        let submit = request("https://example.com/first.png", "https://example.com/last.jpg", "dusk");
        let answer = client(&url, Upload::new()).submit_first_last_frame(&submit).await;
        match answer {
            Ok(_) => assert!(taken, "an answer of {} bytes was taken", ANSWER_LIMIT + longer),
            Err(error) => {
                assert!(!taken && matches!(error, Error::ResponseBodyError(_)), "{error}");
            }
        }
    }
}
