//! Clients that are slow, many or called here by a name that is not ours.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::wire::*;
use super::*;

async fn impatient() -> Sandbox {
    Sandbox::builder().client_patience(Duration::from_millis(500)).start().await.unwrap()
}

/// Sends these first and then a byte again and again, until the sandbox has had enough.
async fn trickle(sandbox: &Sandbox, first: &str) -> Duration {
    let since = Instant::now();
    let mut stream = TcpStream::connect(address(sandbox)).await.unwrap();
    stream.write_all(first.as_bytes()).await.unwrap();
    loop {
        assert!(since.elapsed() < LONG, "it is never cut off");
        let sent = stream.write_all(b"a").await;
        // Cut off where writing fails, or where the end or a last answer can be read.
        if sent.is_err() || rest(&mut stream, Duration::from_millis(50)).await.end != End::Silent {
            return since.elapsed();
        }
    }
}

#[tokio::test]
async fn who_trickles_is_cut_off() {
    let sandbox = impatient().await;
    let head = format!("POST {SUBMIT} HTTP/1.1\r\nhost: localhost\r\nx-slow: ");
    let body = text(&sandbox, &format!("POST {SUBMIT}"), "", &"x".repeat(1_000_000));
    let body = &body[..body.len() - 999_990];
    let (head, body, nothing) =
        tokio::join!(trickle(&sandbox, &head), trickle(&sandbox, body), trickle(&sandbox, "GET /a"));
    for took in [head, body, nothing] {
        assert!(took >= Duration::from_millis(400), "{took:?}: everybody has some time");
    }
    assert_eq!(sandbox.submits(), 0);
}

#[tokio::test]
async fn who_stands_still_is_cut_off_and_holds_nobody_up() {
    let sandbox = impatient().await;
    let mut idle = Vec::new();
    for n in 0..200 {
        let mut stream = TcpStream::connect(address(&sandbox)).await.unwrap();
        let first = match n % 3 {
            0 => "",
            1 => "POST /v3/ HTTP/1.1\r\nho",
            _ => "POST /v3/ HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nx",
        };
        stream.write_all(first.as_bytes()).await.unwrap();
        idle.push(stream);
    }
    assert_eq!(post(&sandbox, &small(json!({}))).await.status(), 200);
    for mut stream in idle {
        assert_ne!(rest(&mut stream, LONG).await.end, End::Silent);
    }
}

#[tokio::test]
async fn who_does_not_take_its_answer_is_cut_off() {
    let sandbox = impatient().await;
    let id = submit(&sandbox, &small(json!({}))).await;
    let request = text(&sandbox, &format!("GET {TASK_RESULT}?task_id={id}"), "padded mib=256", "");
    let mut stream = TcpStream::connect(address(&sandbox)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    // However slow this machine is: longer than the sandbox waits.
    sleep(Duration::from_secs(5)).await;
    let seen = rest(&mut stream, LONG).await;
    assert!(seen.body().len() < seen.announced(), "all of it came");
}

#[tokio::test]
async fn a_name_that_is_not_ours_is_refused() {
    let sandbox =
        Sandbox::builder().public_url("https://clips.example/base").allow_host("sandbox.test").start().await.unwrap();
    let client = reqwest::Client::new();
    for path in ["/", "/healthz", "/_sandbox/tasks", TASK_RESULT, "/files/1.mp4"] {
        let request = client.get(format!("{}{path}", sandbox.base_url())).header("host", "evil.example:80");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 421, "{path}");
        assert_eq!(json_of(response).await["reason"], "HOST_NOT_ALLOWED");
    }
    let request = request(&sandbox, Method::POST, SUBMIT).header("host", "evil.example");
    assert_eq!(request.body(small(json!({})).to_string()).send().await.unwrap().status(), 421);
    assert_eq!(sandbox.submits(), 0);
    for good in ["localhost:1", "[::1]", "clips.example", "sandbox.test:4310"] {
        let request = client.get(format!("{}/nothing", sandbox.base_url())).header("host", good);
        assert_eq!(request.send().await.unwrap().status(), 404, "{good}");
    }
}

#[tokio::test]
async fn a_stop_waits_for_no_silence() {
    let sandbox = Sandbox::start().await.unwrap();
    let mut stream = TcpStream::connect(address(&sandbox)).await.unwrap();
    let request = text(&sandbox, &format!("GET {TASK_RESULT}?task_id=1"), "silence", "");
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(rest(&mut stream, SHORT).await.end, End::Silent);
    let since = Instant::now();
    sandbox.stop().await;
    assert!(since.elapsed() < Duration::from_secs(5), "it waited as long as it may");
    assert_ne!(rest(&mut stream, LONG).await.end, End::Silent);
}
